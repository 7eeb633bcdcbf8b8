"""Where the values of a call come from: atoms of contents and arguments, their origins, and what the request implies.

Everything here is a pure function of texts and state. The SDK and the gate share it, so that a value that an executor
reports and a value that a gate looks for have the same digest.
"""
