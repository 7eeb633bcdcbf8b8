"""Translates conditions to formulas for the solver z3. Import this package only if z3 is installed.

A formula is an over-approximation of its condition: an expression that can't be translated becomes a free variable,
which can have any value or be in error. So what the solver proves impossible is impossible. What it finds possible may
still be impossible, and is checked with the exact evaluator before it is reported.
"""
