"""Asks about groups, and reads and stores their offsets, beside the members of a group."""
