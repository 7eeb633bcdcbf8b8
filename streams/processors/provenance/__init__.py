"""Provenance in the gate: keep what contents have shown, and tell where the values of a call come from."""
