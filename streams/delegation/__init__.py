"""Delegation: what a grant is, who may make one, which calls it allows, and how far it reaches.

Pure: instants, ids and keys are arguments. `docs/explanation/delegation.md` explains the design.
"""
