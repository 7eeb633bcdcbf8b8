"""Functions of conditions on what tools are called with: URLs, mail addresses, paths, versions, shell text, SQL.

Each is total: it gives a value or raises EvaluationError, in bounded time, whatever the text. They read a text only
where everybody reads it alike; what two readers could take for two things is an error, and an error fails closed.
"""
