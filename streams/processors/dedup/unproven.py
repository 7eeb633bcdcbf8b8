"""What is kept of intents without a proof: a bounded list for each session, however many come.

Anybody who can write an intent can name any session. What such an intent leaves behind must be small, and must not grow
with their number. So a session has one row for all of them, with at most `UNPROVEN_PER_SESSION_MAX` entries and no
verdict's bytes. One that comes again while its entry is there is a dead letter that names its verdict.

What happens when the list is full depends on whether the intent could ever be allowed:

- **Never**: it has no proof, one that is wrong, or one of an unknown kind. The oldest such entry makes room. If that
  intent comes again, it is denied again, under the same verdict id. A denial lets nothing run, counts for nothing and
  takes no budget, so a second one does no harm.
- **Perhaps**: it is signed with a key that only a grant can vouch for, and the grant has not come. It could be allowed
  when it comes again, after it was denied. Its entry therefore stays until the intent's own time is so old that it is
  denied for that alone. If all entries are of this kind, a further intent of this kind is rejected as a dead letter.

An intent that is proven with the session's key but denied before that was asked (its session is over or unknown) is not
unproven: it is remembered like any other verdict, in a row of its own.

Rejected: forgetting the oldest entry in any case. Whoever can write intents could push a denied intent of the second
kind out, send it again, and have it judged a second time.
"""

from __future__ import annotations

from enum import Enum
from hashlib import blake2b

import msgspec

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason
from streams.model.types import ProofAlg
from streams.ports.processor import StateView
from streams.processors.rows import unproven_row_key
from streams.processors.settings import GateSettings

UNPROVEN_PER_SESSION_MAX = 32
_DIGEST_BYTES = 16


class Provability(Enum):
    """Whether an intent that is denied without a proof could be proven later."""

    PROVEN = 1
    PERHAPS = 2
    NEVER = 3


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An intent that was denied without a proof.

    Attributes:
        digest: of its id.
        judged_ms: when.
        until_ms: from this append time on, the intent is denied for its age; 0 if it can never be proven.
    """

    digest: bytes
    judged_ms: int
    until_ms: int = 0


class UnprovenRow(msgspec.Struct, frozen=True, array_like=True):
    """The intents that were denied without a proof, the oldest first."""

    entries: tuple[Entry, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(UnprovenRow).decode
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_ED25519 = ProofAlg.ED25519


def is_signed(intent: Intent) -> bool:
    """Return whether only a grant can tell if the intent is proven."""
    return intent.proof is not None and intent.proof.alg is _ED25519


def find(session_key: bytes, intent_id: str, state: StateView) -> Entry | None:
    """Return what is kept of an intent that was denied without a proof, or None."""
    found = state.get(unproven_row_key(session_key))
    if found is None:
        return None
    digest = _digest(intent_id)
    return next((entry for entry in _decode(found).entries if entry.digest == digest), None)


def has_any(session_key: bytes, state: StateView) -> bool:
    """Return whether anything is kept of intents of this session that were denied without a proof."""
    return state.get(unproven_row_key(session_key)) is not None


def remember(
    session_key: bytes,
    intent: Intent,
    state: StateView,
    settings: GateSettings,
    *,
    received_ms: int,
    now_ms: int,
    may_be_proven: bool,
) -> None:
    """Keep that an intent is denied without a proof.

    Args:
        session_key: of the session that the intent names.
        intent: the intent.
        state: the partition's.
        settings: how old an intent may be.
        received_ms: the broker's append time of the intent. Append times of intents never go back in a partition.
        now_ms: stream time.
        may_be_proven: whether it could be proven when it comes again.
    """
    digest = _digest(intent.intent_id)
    entries = [entry for entry in _entries(session_key, state) if entry.digest != digest]
    if len(entries) >= UNPROVEN_PER_SESSION_MAX:
        entries = _with_room(entries, received_ms)
    until_ms = intent.header.time + settings.intent_age_max_ms + 1 if may_be_proven else 0
    entries.append(Entry(digest, now_ms, until_ms))
    _keep(session_key, entries, state)


def has_room(session_key: bytes, state: StateView, received_ms: int) -> bool:
    """Return whether one more intent can be remembered that may be proven when it comes again."""
    return len(_with_room(_entries(session_key, state), received_ms)) < UNPROVEN_PER_SESSION_MAX


def no_room(intent: Intent) -> RecordError:
    """Return the error for an intent that there is no room for."""
    text = f"intent `{intent.intent_id}`: {UNPROVEN_PER_SESSION_MAX} of its session were denied without a proof"
    return RecordError(DeadLetterReason.TOO_MANY_UNPROVEN, f"{text} and may come again")


def forget(session_key: bytes, state: StateView, horizon_ms: int) -> bool:
    """Drop the entries from before `horizon_ms`, and return whether any are left."""
    entries = _entries(session_key, state)
    kept = [entry for entry in entries if max(entry.judged_ms, entry.until_ms) > horizon_ms]
    if len(kept) < len(entries):
        _keep(session_key, kept, state)
    return bool(kept)


def _with_room(entries: list[Entry], received_ms: int) -> list[Entry]:
    """Return the entries without those that are spent, or else without the oldest that can never be proven."""
    left = [entry for entry in entries if not entry.until_ms or received_ms < entry.until_ms]
    if len(left) >= UNPROVEN_PER_SESSION_MAX:
        spare = next((entry for entry in left if not entry.until_ms), None)
        left = [entry for entry in left if entry is not spare]
    return left


def _keep(session_key: bytes, entries: list[Entry], state: StateView) -> None:
    if entries:
        state.put(unproven_row_key(session_key), _encode(UnprovenRow(tuple(entries))))
    else:
        state.delete(unproven_row_key(session_key))


def _entries(session_key: bytes, state: StateView) -> list[Entry]:
    found = state.get(unproven_row_key(session_key))
    return [] if found is None else list(_decode(found).entries)


def _digest(intent_id: str) -> bytes:
    return blake2b(intent_id.encode(), digest_size=_DIGEST_BYTES).digest()
