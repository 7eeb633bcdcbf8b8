"""Conditions as formulas for the solver z3, which is an optional dependency: import this package only where it is.

A formula says less than the condition, never more: what is not translated is left free, so that it may have any value,
or be in error. What the solver shows to be impossible then is impossible. What it finds possible may not be, and is
tried on the exact evaluator before anybody is told.
"""
