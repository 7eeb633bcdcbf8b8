"""Names of users: those of an issuer begin with its prefix, so that no issuer can name the users of another."""

from __future__ import annotations

from collections.abc import Iterable


def may_be_of_another(name: str, own_prefix: str, prefixes: Iterable[str]) -> bool:
    """Return whether a user's name may be that of another issuer's user.

    Args:
        name: the name, with the prefix of its own issuer.
        own_prefix: that prefix.
        prefixes: the prefixes of all issuers; those that are no longer than the own one say nothing.
    """
    return any(len(prefix) > len(own_prefix) and name.startswith(prefix) for prefix in prefixes)
