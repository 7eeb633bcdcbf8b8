"""Captured content: who may read it, who may erase it, and what says that it was."""
