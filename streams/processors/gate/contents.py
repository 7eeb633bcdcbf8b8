"""Put captured content on the record: what a gate seals itself, and what executors and agents have sealed.

**Idea.** Content is part of the audit record, encrypted, so that the log's proof covers it as it covers all else: of
the ciphertext, which stays when the content is erased. What opens it is on a topic of its own, in a record for each
key, which the gate writes in the transaction of the content. So there is never content without its key, and an abort
takes both back.

A row says which keys of a session were written. A key is written once only: nobody can put another key in its place, or
bring back one that was destroyed. The sealer remembers data keys in memory; the row decides whether one is written.

Rejected: content in records of its own beside the audit records (two things to seal, to keep and to export), and keys
in the audit records (their log is never rewritten, so nothing could be erased).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.model.audit import AuditEvent
from streams.model.content import (
    CONTENT_BYTES_MAX,
    FIELD_OF_EVENT,
    KEYS_PER_SESSION_MAX,
    REPORTED_KEYS_MAX,
    ContentField,
    ContentKey,
    content_key_key,
)
from streams.model.proof import derived_uuid, session_secret
from streams.model.session import SessionEvent
from streams.model.topics import CONTENT_KEY
from streams.model.types import Encrypted, WrappedKey
from streams.ports.content import ContentSealer
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, content_event
from streams.processors.gate.case import Case
from streams.processors.headers import gate_header
from streams.processors.rows import content_keys_row_key
from streams.processors.session_row import SessionRow, SessionStatus
from streams.processors.settings import GateSettings

NAME_CHARS_MAX = 300
"""The longest name of a key that is taken over from a report."""

KID_CHARS_MAX = 64
WRAPPED_BYTES_MAX = 2_048
_UNSEALED_BYTES = 64
"""How much longer a ciphertext may be than the longest content: nothing, in fact."""

_decode_kids = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_encode_kids = msgspec.msgpack.Encoder().encode


class _Owner(NamedTuple):
    """Whose content it is."""

    session_key: bytes
    tenant_uid: str
    session_id: str
    sub: str | None


class Contents:
    """Captures content, as far as the settings ask for it. All memory is in the state views, but for the sealer's."""

    def __init__(self, settings: GateSettings, encoder: Encoder, sealer: ContentSealer | None) -> None:
        """Capture what the settings say.

        Args:
            settings: which fields are captured.
            encoder: makes the bytes of what is written.
            sealer: encrypts the arguments of calls; None leaves them out.
        """
        self._settings = settings
        self._encoder = encoder
        self._fields = frozenset(settings.capture)
        self._sealer = sealer if ContentField.ARGUMENTS in self._fields else None

    @property
    def takes_arguments(self) -> bool:
        """Return whether the arguments of calls are captured."""
        return self._sealer is not None

    def with_arguments(self, case: Case, event: AuditEvent, state: StateView) -> tuple[AuditEvent, list[Output]]:
        """Return the record of a verdict with the arguments of its call, sealed, and their key if it is new.

        Arguments of intents without a proof are left out: anybody could fill the log with them.
        """
        asked = case.asked
        intent = asked.intent
        if self._sealer is None or not case.is_proven:
            return event, []
        owner = _Owner(asked.session_key, intent.header.tenant_uid, intent.session_id, intent.sub)
        sealed = self._sealer.seal(
            owner.tenant_uid,
            owner.session_id,
            intent.intent_id,
            ContentField.ARGUMENTS,
            intent.args_json,
            asked.now_ms,
        )
        keys = None
        if sealed is not None:
            keys = self._key_outputs(owner, sealed.key, state, asked.now_ms, KEYS_PER_SESSION_MAX)
        if sealed is None or keys is None:
            return event, []
        return msgspec.structs.replace(event, sensitive=sealed.content), keys

    def reported(
        self, session_key: bytes, event: SessionEvent, row: SessionRow, state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the record of a content that was reported, and its key if it is new.

        The output of a model is recorded also where its content is not captured, with a commitment to it.

        Args:
            session_key: the key of the event's session.
            event: a report whose proof has been checked.
            row: the row of its session.
            state: the partition's state.
            now_ms: stream time.
        """
        field = FIELD_OF_EVENT.get(event.type)
        if field is None:
            return []
        content, keys = None, None
        if field in self._fields and event.content is not None and row.life.status is not SessionStatus.UNKNOWN:
            owner = _Owner(session_key, event.header.tenant_uid, event.session_id, row.identity.sub or None)
            if event.content_key is not None and _fits(event.content, event.content_key):
                # Otherwise an executor or an agent could take all, and no arguments would be captured.
                keys = self._key_outputs(owner, event.content_key, state, now_ms, REPORTED_KEYS_MAX)
                content = None if keys is None else event.content
        if content is None and (field is not ContentField.MODEL_OUTPUT or event.content_digest is None):
            return []
        secret = session_secret(self._settings.root_key, event.header.tenant_uid, event.session_id)
        record = content_event(event, field, secret, row.identity, content, now_ms)
        return [audit_output(self._encoder, session_key, record), *(keys or ())]

    def _key_outputs(
        self, owner: _Owner, key: WrappedKey, state: StateView, now_ms: int, keys_max: int
    ) -> list[Output] | None:
        """Return the record of a key if it was not written before; None if the session has `keys_max` keys or more."""
        row_key = content_keys_row_key(owner.session_key)
        found = state.get(row_key)
        known = () if found is None else _decode_kids(found)
        if key.kid in known:
            return []
        if len(known) >= keys_max:
            return None
        state.put(row_key, _encode_kids((*known, key.kid)))
        record = ContentKey(
            header=gate_header(
                derived_uuid("content key", owner.tenant_uid, owner.session_id, key.kid), owner.tenant_uid, now_ms
            ),
            session_id=owner.session_id,
            sub=owner.sub,
            key=key,
            retention_class=self._settings.content_retention,
        )
        value = self._encoder.encode(CONTENT_KEY.name, record)
        return [Output(CONTENT_KEY, content_key_key(owner.session_key, key.kid), value, record.header)]


def _fits(content: Encrypted, key: WrappedKey) -> bool:
    """Return whether content and key of a report can be taken over: they belong together, and are not too large."""
    return (
        content.kid == key.kid
        and 0 < len(key.kid) <= KID_CHARS_MAX
        and "/" not in key.kid
        and len(key.kek) <= NAME_CHARS_MAX
        and len(key.alg) <= NAME_CHARS_MAX
        and len(key.wrapped) <= WRAPPED_BYTES_MAX
        and len(content.enc) <= NAME_CHARS_MAX
        and len(content.ciphertext) + len(content.iv) + len(content.tag) <= CONTENT_BYTES_MAX + _UNSEALED_BYTES
    )
