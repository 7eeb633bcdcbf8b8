"""Bounds how long calls of the client library take, repeats them, and closes clients."""
