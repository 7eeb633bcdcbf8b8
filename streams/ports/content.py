"""Defines what seals captured content: keys of sessions, and the encryption under them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from streams.model.types import Encrypted, WrappedKey


class SealedContent(NamedTuple):
    """Content that is encrypted, and the wrapped key that it is encrypted with.

    Whoever writes the content sees to it that the wrapped key is on its topic, too.
    """

    content: Encrypted
    key: WrappedKey


class ContentSealer(Protocol):
    """Encrypts content so that only whoever may unwrap keys can read it. Thread-safe; does no network I/O."""

    def seal(
        self, tenant_uid: str, session_id: str, event_id: str, field: str, text: str, now_ms: int
    ) -> SealedContent | None:
        """Return the content without the secrets in it, encrypted; None if there is no key for the tenant.

        Args:
            event_id: the session event that holds the content; of arguments, the intent.
            field: a `ContentField`.
            text: the content.
            now_ms: decides when a session gets a new key.
        """
