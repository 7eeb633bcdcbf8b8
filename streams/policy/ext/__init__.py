"""Functions on the arguments of tools: URLs, mail addresses, paths, versions, shell text, SQL.

Each function is total: for any text it returns a value or raises EvaluationError, in bounded time. The idea of all of
them is to accept a text only if every reader understands it in the same way. A text that two programs could read
differently is an error, because a rule would otherwise judge one thing and the tool would do another. Errors fail
closed.
"""
