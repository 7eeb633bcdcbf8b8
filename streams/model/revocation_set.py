"""The set of revocations. Gates and executors keep the same set from the same topic.

**Who may lift a stop.** Whoever may write the topic can stop. Where releases are checked (`ReleaseCheck`), nothing that
one of them writes lifts a stop or shortens it: of several stops of a name the one that ends last counts, a tombstone
counts only once the stop is over, and a release counts only if somebody who is entitled has signed it, for stops that
stand before an offset. What the topic may lose by this (its compaction keeps the newest record of a key, also one that
does not count) is noted as weakened, and a gate writes the stop again (`streams.processors.control.stop_table`).
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

from streams.model.delegation import GRANT_LIFE_MS_MAX
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_targets import (
    NAMES_OF_CALLS,
    RULES_NAME,
    Call,
    StopKey,
    is_key_of,
    key_of,
    named_by,
    person_target,
    session_target,
    topic_key,
)

PAST_KEPT_MS = 86_400_000
"""How long an entry is kept after its end: gates use the time of their partitions, some of which may lag."""

CHANGES_KEPT_MAX = 1_024
"""So many last changes of entries are known one by one."""

CLOCKS_APART_MS_MAX = 34 * 86_400_000
"""Far more than the clocks of issuers, writers and brokers differ."""

STOP_WITHOUT_END_MS = GRANT_LIFE_MS_MAX + CLOCKS_APART_MS_MAX
"""How long a stop of a session or a grant without an end lasts, from when it was written.

INVARIANT: what it names is over by then, and so is everything that was delegated from it. Gates accept no grant that
lives longer than `GRANT_LIFE_MS_MAX`, and no setting lets a session live longer.
"""

_ENDS_BY_ITSELF = frozenset({RevocationKind.SESSION, RevocationKind.DELEGATION})
"""All else that can be stopped may last forever. A stop of it without an end is never dropped."""

TIDIED_MIN = 10_000
"""With fewer entries, expired ones are not searched for."""
_SHOWN_CHARS_MAX = 120
FOR_GOOD = 2**63
"""The end of a revocation without an end."""

LAST_END_MS = 253_402_300_799_999
"""The last instant that a record can state: the end of the year 9999.

INVARIANT: every end is at most this or `FOR_GOOD`, so every stop can be written again as it is.
"""

_NEVER = -(2**63)
MISSING = -2
"""In place of the offset of a record: the topic has no record of the stop any more."""

_REASONS: dict[RevocationKind, Reason] = {
    RevocationKind.SESSION: Reason.SESSION_REVOKED,
    RevocationKind.DELEGATION: Reason.REVOKED_DELEGATION,
    RevocationKind.AGENT: Reason.REVOKED_AGENT,
    RevocationKind.SUBJECT: Reason.REVOKED_SUBJECT,
    RevocationKind.TOOL: Reason.REVOKED_TOOL,
    RevocationKind.MODEL: Reason.REVOKED_MODEL,
    RevocationKind.TENANT: Reason.REVOKED_TENANT,
    RevocationKind.RULESET: Reason.REVOKED_RULESET,
    RevocationKind.ALL: Reason.REVOKED_ALL,
    # A kind that this version does not know may mean anything, so it stops everything.
    RevocationKind.UNKNOWN: Reason.REVOKED_ALL,
}


class ReleaseCheck(Protocol):
    """Decides whose releases count; `streams.audit.releasers.Releasers` is one."""

    @property
    def are_asked(self) -> bool:
        """Whether releases are checked. Otherwise the newest record of a key counts, whatever it is."""

    def releaser_of(self, release: Revocation, appended_ms: int) -> str:
        """Return who is entitled to the release and has signed it.

        Raises:
            RecordError: nobody.
        """


class _Release(NamedTuple):
    """The newest release of a key: where it was read, before which offset it lifts stops, and when it was written."""

    offset: int
    lifts_before: int
    at_ms: int


class RevocationSet:
    """The stops in force, by what they name. Only their ends are kept, since a set may have millions of entries.

    Attributes:
        next_offset: every record of the topic below this offset is in the set.
        is_guarded: whether only releases that are checked lift stops.
        weakened: stops in force whose newest record on the topic is not a stop until their end, with that record's
            offset, or `MISSING`.
    """

    def __init__(self, releases: ReleaseCheck | None = None) -> None:
        """Create an empty set.

        Args:
            releases: decides whose releases count; None if the newest record of a key counts, whoever wrote it.
        """
        self._releases = releases if releases is not None and releases.are_asked else None
        self.is_guarded = self._releases is not None
        self._released: dict[StopKey, _Release] = {}
        self._until: dict[RevocationKind, dict[str, int]] = {kind: {} for kind in RevocationKind}
        self._spellings: dict[str, set[str]] = {}
        self._stopped_at: dict[StopKey, int] = {}
        self._length = 0
        self._tidied_at = TIDIED_MIN
        self._changes: deque[tuple[int, StopKey]] = deque()
        self._changes_from = 0
        self.weakened: dict[StopKey, int] = {}
        self.next_offset = 0

    def __len__(self) -> int:
        return self._length

    def apply(self, revocation: Revocation, record_key: bytes | None = None, appended_ms: int = 0) -> str | None:
        """Apply a record of the topic.

        Args:
            record_key: the record's key. It distinguishes entries of kinds that this version does not know, which are
                all read as the same kind.
            appended_ms: broker time of the record.

        Returns:
            Who has signed the release; None for a stop, and where releases are not checked.

        Raises:
            RecordError: the record is a release that does not count; the stop stays in force.
        """
        key = key_of(revocation.kind, revocation.id)
        if record_key is not None and revocation.kind is RevocationKind.UNKNOWN and is_key_of(record_key, revocation):
            key = named_by(record_key) or key
        if revocation.state is RevocationState.REVOKED:
            self._put(key, _end_of(revocation, appended_ms))
            return None
        return self._release(key, revocation, appended_ms)

    def stop(self, record_key: bytes) -> None:
        """Apply a record that can't be read: it may stop whatever its key names, so it does."""
        key = named_by(record_key)
        if key is not None:
            self._put(key, bounded_end(key[0], FOR_GOOD))

    def forget(self, record_key: bytes, appended_ms: int = 0) -> None:
        """Apply a tombstone: the topic has dropped the key, so the entry is removed.

        Args:
            appended_ms: broker time of the record.

        Raises:
            RecordError: the stop is in force, and deleting it doesn't release it; it stays in force.
        """
        key = named_by(record_key)
        if key is None:
            return
        self._note(key)
        if self.is_guarded and appended_ms < self._until[key[0]].get(key[1], _NEVER):
            self.weakened[key] = self._offset
            text = f"`{_shown(key)}` is stopped, and its stop was deleted from the topic; it stays in force"
            raise RecordError(DeadLetterReason.STOP_DELETED, text)
        self._released.pop(key, None)
        self._drop(key)

    def restore(self, key: tuple[RevocationKind, str], until_ms: int, stopped_at: int) -> bool:
        """Put back a stop that was in force and that the topic no longer has, unless a release has lifted it.

        Args:
            until_ms: its end.
            stopped_at: the offset of its record.

        Returns:
            Whether it was missing.
        """
        until_ms = bounded_end(key[0], until_ms)
        release = self._released.get(key)
        if release is not None and stopped_at < release.lifts_before:
            return False
        if self._until[key[0]].get(key[1], _NEVER) >= until_ms:
            return False
        offset = self._stopped_at.get(key, stopped_at)
        self._put(key, until_ms)
        self._stopped_at[key] = max(offset, stopped_at)
        self.weakened[key] = MISSING
        return True

    def forget_past(self, now_ms: int, kept_ms: int = PAST_KEPT_MS) -> None:
        """Remove entries that ended more than `kept_ms` ago, and releases that are older.

        It searches for them only when the set has twice as many entries as after the last search.
        """
        if self._length + len(self._released) < self._tidied_at:
            return
        horizon_ms = now_ms - kept_ms
        for kind, entries in self._until.items():
            past = [target for target, until_ms in entries.items() if until_ms < horizon_ms]
            for target in past:
                self._drop((kind, target))
        for key in [key for key, release in self._released.items() if release.at_ms < horizon_ms]:
            del self._released[key]
        self._tidied_at = max(TIDIED_MIN, 2 * (self._length + len(self._released)))

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        """Return why the call may not run now, or None. A few lookups; the widest stop is named first.

        A revocation counts as soon as it is read, even if its time is in the future: revoking early is the safe side.
        """
        if not self._length:
            return None
        for kind, names_of in NAMES_OF_CALLS:
            entries = self._until[kind]
            if entries:
                for name in names_of(call):
                    if now_ms < entries.get(name, _NEVER):
                        return _REASONS[kind]
        sessions = self._until[RevocationKind.SESSION]
        if sessions:
            for ancestor in call.ancestor_session_ids:
                if now_ms < sessions.get(session_target(call.tenant_uid, ancestor), _NEVER):
                    return Reason.SESSION_PARENT_ENDED
        if _any_in_force(self._until[RevocationKind.UNKNOWN], now_ms) or self._stops_any_rules(now_ms):
            return Reason.REVOKED_ALL
        if call.model is None and _any_in_force(self._until[RevocationKind.MODEL], now_ms):
            # It may be this model: a call must not escape a revocation by not naming its model.
            return Reason.REVOKED_MODEL
        return None

    def stops_rules(self, digest: bytes, now_ms: int) -> bool:
        """Return whether a version of the rules may decide nothing.

        Args:
            digest: that of its files, which its verdicts record.
        """
        stops = self._until[RevocationKind.RULESET]
        return bool(stops) and now_ms < stops.get(digest.hex(), _NEVER)

    def _stops_any_rules(self, now_ms: int) -> bool:
        """Return whether rules are stopped by something else than a digest. It may mean any rules, so it means all."""
        stops = self._until[RevocationKind.RULESET]
        return bool(stops) and any(
            now_ms < until_ms and RULES_NAME.fullmatch(target) is None for target, until_ms in stops.items()
        )

    def stopped_until(self, kind: RevocationKind, target: str) -> int | None:
        """Return until when a key's newest entry stops what it names; None if there is none, or it is a release."""
        key = key_of(kind, target)
        return self._until[key[0]].get(key[1])

    def person_stopped_until(self, target: str) -> int | None:
        """Return until when a person is stopped, whose name may be spelled in another way in the stop; None if never.

        Args:
            target: the `id` of a subject's revocation.
        """
        if not self._spellings:
            return None
        stops = self._until[RevocationKind.SUBJECT]
        return max((stops[spelling] for spelling in self._spellings.get(person_target(target), ())), default=None)

    def is_weakened_by(self, offset: int, record_key: bytes) -> bool:
        """Return whether a stop in force was not shortened, released or deleted by the record at an offset."""
        key = named_by(record_key)
        return key is not None and self.weakened.get(key) == offset

    def stops_since(self, offset: int) -> list[StopKey] | None:
        """Return which keys of `changes_since` are stopped."""
        changes = self.changes_since(offset)
        return None if changes is None else [key for key in changes if key[1] in self._until[key[0]]]

    def changes_since(self, offset: int) -> list[StopKey] | None:
        """Return the keys of records from an offset on, oldest first; None if that is too long ago to be known.

        The caller sets `next_offset` before a record is applied.
        """
        if offset < self._changes_from:
            return None
        return [key for changed_at, key in self._changes if changed_at >= offset]

    def counts(self, now_ms: int) -> dict[RevocationKind, int]:
        """Return how many stops of each kind are in force at an instant. Looks at each stop."""
        return {kind: sum(until_ms > now_ms for until_ms in stops.values()) for kind, stops in self._until.items()}

    def all_keys(self) -> list[StopKey]:
        """Return the keys of all entries and releases."""
        stops = [(kind, target) for kind, entries in self._until.items() for target in entries]
        return [*stops, *self._released]

    def until_of(self, key: tuple[RevocationKind, str]) -> int | None:
        """Return the end of an entry; None if there is none."""
        return self._until[key[0]].get(key[1])

    def stopped_at(self, key: tuple[RevocationKind, str]) -> int:
        """Return the offset of the newest stop of an entry; -1 if it is not known."""
        return self._stopped_at.get(key, -1)

    def released_ms(self, key: tuple[RevocationKind, str]) -> int | None:
        """Return when the newest release of a key was written; None if its newest entry is a stop."""
        release = self._released.get(key)
        return None if release is None else release.at_ms

    @property
    def _offset(self) -> int:
        """The offset of the record that is applied."""
        return self.next_offset - 1

    def _release(self, key: StopKey, release: Revocation, appended_ms: int) -> str | None:
        self._note(key)
        signer, lifts_before = None, self.next_offset
        if self._releases is not None:
            try:
                signer = self._releases.releaser_of(release, appended_ms)
            except RecordError:
                self._mark_weakened(key)
                raise
            lifts_before = min(release.lifts_before or 0, self._offset)
            if lifts_before <= self._stopped_at.get(key, -1):
                self._mark_weakened(key)
                text = f"the release of `{_shown(key)}` lifts stops before offset {lifts_before}; it was stopped at "
                text += f"offset {self._stopped_at[key]}, and stays in force; release it again"
                raise RecordError(DeadLetterReason.RELEASE_OUTDATED, text)
        self._drop(key)
        self._released[key] = _Release(self._offset, lifts_before, appended_ms)
        return signer

    def _mark_weakened(self, key: StopKey) -> None:
        if key[1] in self._until[key[0]]:
            self.weakened[key] = self._offset

    def _put(self, key: StopKey, until_ms: int) -> None:
        self._note(key)
        self._released.pop(key, None)
        kind, target = key
        entries = self._until[kind]
        before_ms = entries.get(target)
        self._length += before_ms is None
        if kind is RevocationKind.SUBJECT and before_ms is None:
            self._spellings.setdefault(person_target(target), set()).add(target)
        if self.is_guarded:
            self._stopped_at[key] = self._offset
            if before_ms is not None and before_ms > until_ms:
                self.weakened[key] = self._offset
                return
            self.weakened.pop(key, None)
        entries[target] = until_ms

    def _note(self, key: StopKey) -> None:
        self._changes.append((self._offset, key))
        if len(self._changes) > CHANGES_KEPT_MAX:
            self._changes_from = self._changes.popleft()[0] + 1

    def _drop(self, key: StopKey) -> None:
        kind, target = key
        is_there = self._until[kind].pop(target, None) is not None
        self._length -= is_there
        if is_there and kind is RevocationKind.SUBJECT:
            self._forget_spelling(target)
        self._stopped_at.pop(key, None)
        self.weakened.pop(key, None)

    def _forget_spelling(self, target: str) -> None:
        person = person_target(target)
        self._spellings[person].discard(target)
        if not self._spellings[person]:
            del self._spellings[person]

    def released_since(self, kind: RevocationKind, target: str, offset: int) -> bool:
        """Return whether the newest entry of the key is a release that was read at `offset` or later."""
        release = self._released.get(key_of(kind, target))
        return release is not None and release.offset >= offset


def bounded_end(kind: RevocationKind, until_ms: int) -> int:
    """Return the end of a stop as a record can state it.

    A stop of what ends by itself that states no end is read as one with an end. So one that lasts longer must state an
    end, or the record that writes it again would be shorter than the stop, and would be written again, without end.
    """
    return min(until_ms, LAST_END_MS) if kind in _ENDS_BY_ITSELF else until_ms


def _end_of(revocation: Revocation, appended_ms: int) -> int:
    if revocation.until is not None:
        return bounded_end(revocation.kind, revocation.until)
    if revocation.kind not in _ENDS_BY_ITSELF or not appended_ms:
        return bounded_end(revocation.kind, FOR_GOOD)
    # The later one: neither a broker's nor a writer's clock that is behind ends it early.
    return min(LAST_END_MS, max(appended_ms, revocation.effective_at) + STOP_WITHOUT_END_MS)


def _shown(key: StopKey) -> str:
    return topic_key(key).decode("utf-8", "replace")[:_SHOWN_CHARS_MAX]


def _any_in_force(entries: dict[str, int], now_ms: int) -> bool:
    return bool(entries) and any(now_ms < until for until in entries.values())
