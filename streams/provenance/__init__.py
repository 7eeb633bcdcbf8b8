"""Where the values of a call come from: atoms of contents and arguments, their origins, and what the request implies.

Everything here is a pure function of texts and state. The SDK and the gate share it, so that a value that an executor
reports and a value that a gate looks for have the same digest.

A way through the modules:

- **Values.** `extract` finds them in contents and messages, `arguments` in calls; each is a `found.Found`. A content
  has leaves (`leaves`, by its form: `formats`, `mails`, `markup`, `literals`), and a leaf is read with its disguises
  undone (`readings`, `confusables`, `hidden_words`). What has a shape is found by `shapes` (`usual_forms`,
  `ids_and_files`, `addresses`, `accounts`, `phones`, `numbers`, `groups`, `postal`), what has none by `spans` and
  `words`.
- **Memory and origins.** `memory` and `carried` keep values as `digests`; `events` reports them. `origins` finds the
  best source of one, and `lookalikes` compares its host with others.
- **The request.** `acts` lists the kinds of acts. `request_kinds` finds those that a message asks for, by
  `asked_kinds` (`asked`, `phrases`, `wishes`, `act_words`, with what other languages say), and what it leaves to a
  content (`left_to`, `object_named`). A message also leaves out (`excluded`, `negations`, `clauses`), counts
  (`counted`, `sums`, `arithmetic`), names values itself (`sorts_named`) and agrees (`agreed`) to what the agent has
  `proposed`. `languages` tells where none of this can be read. What follows for calls is a `scope`.
- **Instructions by others.** `instructions` finds sentences that read like one, `calls` what they call for, and
  `dictated` what they want to have written.
- **Tools.** `tool_kinds` proposes what a tool does, `uses` what its arguments are for (`places`, `pointers`).
"""
