"""Extraction, which SDK and gate share: the values of a content and of arguments, and their digests."""
