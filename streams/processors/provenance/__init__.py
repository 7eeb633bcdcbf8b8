"""Provenance in the gate: keep what contents have shown, and tell where the values of a call come from.

A way through the modules:

- **What is kept.** Each event of a session adds to its `memory`: what the user says (`user_words`), what limits the
  session to its task (`task_scopes`), and what contents show (`contents`). `rows` are the rows that are records.
- **What is found out of a call.** `examine` finds the `values` of its arguments and traces each (`tracer`), says whose
  data they are (`ownership`, with `owners` for what operators' systems say), and what else the user has `mentioned`.
  The result is `examined`. `tools` holds what is asked about a tool, and is made once for it.
- **What rules read.** `facts` makes the facts of it: `requested` compares the call with the scopes, `flow` says who
  may see what it passes on, and `drift` whether the session has left its task.
"""
