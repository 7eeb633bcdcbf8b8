"""Kinds of acts: the words by which tools and people name them, in several languages."""
