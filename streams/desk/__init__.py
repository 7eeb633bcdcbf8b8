"""What the desk decides about alerts: who is told, what counts as the same, when to escalate, what waits.

Functions of rows and of a time; where the rows are kept and how messages are sent is not known here.
"""
