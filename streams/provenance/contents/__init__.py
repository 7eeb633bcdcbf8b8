"""Forms of contents: what has a structure is parsed, and disguises are undone."""
