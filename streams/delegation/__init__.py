"""Delegation: what a grant is, who may make one, what it lets through, and how far it reaches.

Pure: instants, ids and keys are arguments. `docs/explanation/delegation.md` says why it is as it is.
"""
