"""Finds the keys of users' atoms on the log: gates send them to executors, in verdicts that allow a call.

**Idea.** What a session has read is on the log as digests under a key of its user, which gates derive from the root
key. A run under another root key can compare nothing with them: each value of a call would be from nowhere. But a
verdict that allows a call has the key, for the executor to digest the result with. So whoever may read the verdicts has
it. A session that has read something has such a verdict itself; where it has none, another session of the user may.

**Rejected.** To take the origins of values from the recorded verdict instead of computing them: it has less than rules
read (`named`, `pointed`, whose a record is), and a run that copies what it is compared with confirms everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streams.codec.avro import Codec
from streams.codec.history import HistoryLine
from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.model.topics import VERDICT
from streams.model.verdict import Verdict
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_to_end
from streams.ports import Clock
from streams.ports.open_log import Log

User = tuple[str, str]
"""A tenant, and a user of it; a session without a user has the empty text."""


class KeysOfVerdicts:
    """Collects the keys that verdicts have.

    Attributes:
        known: the key of each user. If a log has several, the one nearest in time: root keys may have been replaced.
    """

    def __init__(self) -> None:
        self.known: dict[User, bytes] = {}
        self._distances_ms: dict[User, int] = {}

    def note(self, verdict: Verdict, time_ms: int) -> None:
        """Process a verdict.

        Args:
            verdict: the verdict.
            time_ms: when the session was active that is run again.
        """
        if verdict.atom_key is None:
            return
        user, distance_ms = (verdict.header.tenant_uid, verdict.sub), abs(verdict.evaluated_at - time_ms)
        if user not in self.known or distance_ms < self._distances_ms[user]:
            self.known[user], self._distances_ms[user] = verdict.atom_key, distance_ms


def users_with_atoms(lines: Iterable[HistoryLine]) -> frozenset[User]:
    """Return the users of whose contents the records have atoms: without their keys, nothing is found in these."""
    kept = [line for line in lines if isinstance(line.record, Intent | SessionEvent)]
    subs = subs_of(kept)
    with_atoms = {
        (line.record.header.tenant_uid, line.record.session_id)
        for line in kept
        if isinstance(line.record, SessionEvent) and line.record.atoms
    }
    return frozenset((tenant_uid, subs.get((tenant_uid, session_id), "")) for tenant_uid, session_id in with_atoms)


def subs_of(lines: Iterable[HistoryLine]) -> dict[tuple[str, str], str]:
    """Return the user of each session that has one, by tenant and session."""
    subs: dict[tuple[str, str], str] = {}
    for line in lines:
        record = line.record
        if isinstance(record, Intent | SessionEvent) and record.sub is not None:
            subs.setdefault((record.header.tenant_uid, record.session_id), record.sub)
    return subs


def keys_of_users(
    log: Log, codec: Codec, clock: Clock, users: Iterable[User], known: Mapping[User, bytes], time_ms: int
) -> dict[User, bytes]:
    """Return the keys of users, as far as any verdict has them. Blocking.

    The topic of verdicts is read from its beginning, if a key is missing. Only records with the name of a user in them
    are decoded.

    Args:
        users: whose keys are needed.
        known: those that are known already.
        time_ms: when the session was active that is run again.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    missing = frozenset(users) - known.keys()
    if not missing:
        return dict(known)
    names = tuple(sub.encode() for _, sub in missing)
    found = KeysOfVerdicts()
    for received in read_to_end(log, (VERDICT.name,), clock):
        value = received.value
        if value is None or not any(name in value for name in names):
            continue
        record = decoded(codec, received)
        if isinstance(record, Verdict) and (record.header.tenant_uid, record.sub) in missing:
            found.note(record, time_ms)
    return {**found.known, **known}
