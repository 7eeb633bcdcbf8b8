"""Shorten names that are longer than baselines keep: the watch that publishes them, and gates that look them up."""

from __future__ import annotations

from hashlib import sha256

NAME_CHARS_MAX = 512
_DIGEST_CHARS = 32


def short_name(name: str) -> str:
    """Return a name of at most `NAME_CHARS_MAX` characters.

    A long one is cut, and ends with a digest of all of it: so different names stay different. A short one is returned
    as it is, also if it was cut before.
    """
    if len(name) <= NAME_CHARS_MAX:
        return name
    # What another writer puts on the topic may have half of a pair of surrogates.
    digest = sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:_DIGEST_CHARS]
    return f"{name[: NAME_CHARS_MAX - _DIGEST_CHARS - 1]}#{digest}"


def short_tool(server_id: str, name: str) -> str:
    """Return `server.name` of a tool, as baselines have it: each of the two parts is shortened for itself."""
    return f"{short_name(server_id)}.{short_name(name)}"
