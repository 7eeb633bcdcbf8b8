"""Reads what a gate went by in one session, to run it again without the deployment's root key.

**Idea.** Whether a proof was valid is on the log already: a record that a gate rejected has an audit record of type
DEAD_LETTER with its place, and an intent whose proof was bad has a verdict that says so. So the records that a gate has
rejected are left out, and all others get proofs under another key, which everybody knows. The keys of users' atoms are
on the log, too (`recorded_keys`). The run then depends on nothing that only the gate may know.

An intent is taken from the topic of intents where this client may read it. Where it may not, it is made from its
verdict, which has the exact call that was judged.

**Rejected.** To copy the facts of each decision to the audit log: most of them are arguments, which fewer people may
read than the audit log, and no rule that is written later could be tried on them. To ask for the root key: whoever has
it can open sessions and grant anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from streams.audit.report_keys import ReportKey
from streams.codec.avro import Codec
from streams.codec.history import HistoryLine
from streams.codec.history_grant_defaults import prove_grant
from streams.history.recording import place_of
from streams.model.approval import GRANT_PREFIX
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import Delegation, DelegationOp
from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.proof import (
    make_hmac,
    proof_message,
    proven_event,
    session_report,
    session_secret,
    session_writer_key,
)
from streams.model.reasons import Reason
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent
from streams.model.topics import ATTRIBUTES, AUDIT, BY_NAME, INTENT, VERDICT, Spread, outcome_topic_name
from streams.model.types import Proof, ProofAlg, Record
from streams.model.verdict import Verdict
from streams.operations.rules.recorded_attributes import read_recorded_attributes
from streams.operations.rules.recorded_keys import KeysOfVerdicts, User, keys_of_users, users_with_atoms
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import hidden_topics, places_of_key, read_in_order, read_places_in_order
from streams.operations.trial import INPUTS, Numbered
from streams.ports import Clock, Received
from streams.ports.open_log import Log
from streams.provenance.extraction.digests import RecordedKeys, atom_key
from streams.topology import GATE

RECORDS_MAX = 200_000
"""The most records, of a session and of broadcast topics, that are read; of attributes, those that count for it."""

_IN_ORDER = tuple(topic.name for topic in (*GATE.broadcast, *GATE.advisory, *GATE.inputs) if topic.name in INPUTS)
"""The topics in the order in which a gate reads records of the same millisecond."""

_UNPROVEN = frozenset({Reason.PROOF_MISSING.value, Reason.PROOF_UNSUPPORTED.value, Reason.PROOF_INVALID.value})
_OF_INPUTS = tuple(f"{topic}/".encode() for topic in sorted(INPUTS))


class SessionTooLongError(StoplogError):
    """The session has more records than are read."""


class RecordedSession(NamedTuple):
    """What a gate went by in a session.

    Attributes:
        lines: the inputs, in order of time, with proofs under the key of the run.
        verdicts: the verdicts that gates gave in the session, in order of time.
        hidden: topics that access control hides from this client, so that their records are missing.
    """

    lines: list[Numbered]
    verdicts: list[Verdict]
    hidden: tuple[str, ...]


class SessionReader:
    """Reads what a gate went by in sessions of a log.

    Attributes:
        hidden: topics that access control hides from this client.
        keys: the keys of users' atoms, of the verdicts that were read.
    """

    def __init__(self, log: Log, codec: Codec, clock: Clock, root_key: bytes, deployment: str) -> None:
        """Ask what may be read, and read what gates have rejected. Blocking.

        Args:
            root_key: the key that proofs of the run are derived from.
            deployment: the name of the deployment that reports are proven for.

        Raises:
            TopicReadError, LogError: the log can't be read.
        """
        self._log = log
        self._codec = codec
        self._clock = clock
        self._root_key = root_key
        self._deployment = deployment
        self.hidden = hidden_topics(log, (*sorted(INPUTS), VERDICT.name))
        self._rejected = _rejected(log, codec, clock)
        self.keys = KeysOfVerdicts()

    def read(self, key: bytes) -> RecordedSession:
        """Read a session's inputs and verdicts, and prove the inputs again. Blocking.

        Args:
            key: the key of the session's records.

        Raises:
            SessionTooLongError: there are more than `RECORDS_MAX` records.
            TopicReadError, LogError: the log can't be read.
        """
        verdicts = self._verdicts(key)
        lines = self._lines(key, [name for name in _IN_ORDER if name != ATTRIBUTES.name], verdicts)
        if ATTRIBUTES.name not in self.hidden:
            begins_ms = min((line.time_ms for line in lines if line.key == key), default=0)
            tenant_uid = key.decode("utf-8", "replace").partition("|")[0]
            attributes = read_recorded_attributes(
                self._log, self._codec, self._clock, tenant_uid, begins_ms, self._rejected
            )
            lines = [*attributes, *lines]
            _check_length(lines)
            lines.sort(key=lambda line: line.time_ms)
        return RecordedSession(_at_time_of_gate(lines, verdicts), verdicts, tuple(sorted(self.hidden)))

    def own_lines(self, key: bytes) -> list[Numbered]:
        """Read a session's inputs as `read` does, without those that every gate reads, whatever the session. Blocking.

        Raises:
            SessionTooLongError, TopicReadError, LogError: see `read`.
        """
        own = [name for name in _IN_ORDER if BY_NAME[name].spread is not Spread.BROADCAST]
        verdicts = self._verdicts(key)
        return _at_time_of_gate(self._lines(key, own, verdicts), verdicts)

    def _lines(self, key: bytes, topics: Sequence[str], verdicts: Sequence[Verdict]) -> list[HistoryLine]:
        unproven = {verdict.intent_id for verdict in verdicts if verdict.reason in _UNPROVEN}
        lines: list[HistoryLine] = []
        for received, record in self._decoded([name for name in topics if name not in self.hidden], key):
            if place_of(received) in self._rejected:
                continue
            if isinstance(record, ToolCatalogEntry) and record.name == REPORT_KEYS_NAME:
                continue  # the run has keys of its own
            is_unproven = isinstance(record, Intent) and record.intent_id in unproven
            made = record if is_unproven else proven_again(record, self._root_key, self._deployment)
            lines.append(HistoryLine("", received.topic, received.key or b"", received.timestamp_ms, made))
            _check_length(lines)
        if INTENT.name in self.hidden:
            for verdict in _first_of_each(verdicts):
                if verdict.intent_id not in unproven:
                    intent = intent_of(verdict)
                    made = proven_again(intent, self._root_key, self._deployment)
                    lines.append(HistoryLine("", INTENT.name, key, intent.header.time, made))
            lines.sort(key=lambda line: line.time_ms)
        return lines

    def _verdicts(self, key: bytes) -> list[Verdict]:
        if VERDICT.name in self.hidden:
            return []
        found = [record for _, record in self._decoded((VERDICT.name,), key) if isinstance(record, Verdict)]
        for verdict in found:
            self.keys.note(verdict, verdict.evaluated_at)
        return found

    def keys_for(
        self, lines: Sequence[Numbered], time_ms: int, gates_key: bytes | None = None
    ) -> tuple[RecordedKeys, frozenset[User]]:
        """Return the keys of users' atoms for a run of lines, and whose key is not known. Blocking.

        Args:
            lines: what is run, read by this reader.
            time_ms: when the session was active.
            gates_key: the root key of the gates, if it is at hand: it gives the keys that no verdict has.

        Raises:
            TopicReadError, LogError: the log can't be read.
        """
        users, known = users_with_atoms(each.line for each in lines), self.keys.known
        if VERDICT.name not in self.hidden:
            known = keys_of_users(self._log, self._codec, self._clock, users, known, time_ms)
        if gates_key is not None:
            known = {user: atom_key(gates_key, *user) for user in users} | known
        return RecordedKeys(known), users - known.keys()

    def _decoded(self, topics: Sequence[str], key: bytes) -> Iterator[tuple[Received, Record]]:
        """Yield the readable records of a session, and those for every gate, in order of time."""
        places = places_of_key(self._log, topics, key)
        for received in read_places_in_order(self._log, places, self._clock):
            is_own = received.key == key or BY_NAME[received.topic].spread is Spread.BROADCAST
            if is_own and (record := decoded(self._codec, received)) is not None:
                yield received, record


def _numbered(lines: Iterable[HistoryLine]) -> list[Numbered]:
    return [Numbered(number, line) for number, line in enumerate(lines, 1)]


def _check_length(lines: list[HistoryLine]) -> None:
    if len(lines) > RECORDS_MAX:
        raise SessionTooLongError(
            f"the session has more than {RECORDS_MAX} records; save them with `stoplog tail`, and use `--history`"
        )


def intent_of(verdict: Verdict) -> Intent:
    """Return the intent that a verdict decided, as far as the verdict tells: without its proof, and without what it
    claimed about its prompts."""
    # What people have granted stands at the end of the path, and is not the session's grant.
    path = [uid for uid in verdict.delegation_path if not uid.startswith(GRANT_PREFIX)]
    return Intent(
        header=msgspec.structs.replace(verdict.header, time=verdict.evaluated_at),
        intent_id=verdict.intent_id,
        session_id=verdict.session_id,
        tool_call_id=verdict.intent_id,
        sub=verdict.sub,
        act=verdict.act,
        delegation_uid=path[-1] if path else None,
        tool=verdict.tool,
        args_json=verdict.args_json,
        args_digest=verdict.args_digest,
        model=verdict.model,
        approval_id=verdict.approval_id,
    )


def proven_again(record: Record, root_key: bytes, deployment: str) -> Record:
    """Return the record with proofs under keys that are derived from `root_key`, in place of its own.

    Args:
        deployment: the name of the deployment that reports are proven for.
    """
    if isinstance(record, Intent):
        reply, tenant = record.reply_to, record.header.tenant_uid
        if reply is not None and reply.topic == outcome_topic_name(tenant):
            # The run has no topics of tenants.
            record = msgspec.structs.replace(record, reply_to=None)
        secret = session_secret(root_key, tenant, record.session_id)
        proof = Proof(alg=ProofAlg.HMAC_SHA256, value=make_hmac(secret, proof_message(record)))
        return msgspec.structs.replace(record, proof=proof)
    if isinstance(record, Delegation) and record.op is DelegationOp.GRANT:
        # Bound to no key: intents of the run are proven with the session's secret.
        chain = tuple(msgspec.structs.replace(body, cnf_jkt=None) for body in record.chain)
        unbound = msgspec.structs.replace(record, cnf_jkt=None, chain=chain)
        return prove_grant(unbound, {"chain": [{} for _ in chain]}, root_key)
    if isinstance(record, SessionEvent):
        return _event_proven_again(record, root_key, deployment)
    return record


def _event_proven_again(event: SessionEvent, root_key: bytes, deployment: str) -> SessionEvent:
    if event.proof is None:
        return event
    if event.type in PROVEN_EVENTS:
        return proven_event(session_writer_key(root_key), event)
    if event.type in COMPLETIONS and event.tool is not None:
        return ReportKey.derived(root_key, event.tool.server_id, deployment).proven(event)
    if event.type in REPORTS:
        return session_report(session_secret(root_key, event.header.tenant_uid, event.session_id), event, deployment)
    return event


def _at_time_of_gate(lines: list[HistoryLine], verdicts: Iterable[Verdict]) -> list[Numbered]:
    """Return the lines, which are in the order of their own times, with those at which the gate processed them.

    Time never goes back in a gate, and the partition of a session has other sessions, too. So an intent can be judged
    at a later time than its own, and a run that went by its own would find the session younger than the gate did.
    """
    judged_ms = {verdict.intent_id: verdict.evaluated_at for verdict in _first_of_each(verdicts)}
    now_ms, timed = 0, []
    for line in lines:
        stated_ms = judged_ms.get(line.record.intent_id, 0) if isinstance(line.record, Intent) else 0
        now_ms = max(now_ms, line.time_ms, stated_ms)
        timed.append(line._replace(time_ms=now_ms))
    return _numbered(timed)


def _first_of_each(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield the first verdict on each intent: a call that was held gets several."""
    seen: set[str] = set()
    for verdict in verdicts:
        if verdict.intent_id not in seen:
            seen.add(verdict.intent_id)
            yield verdict


def _rejected(log: Log, codec: Codec, clock: Clock) -> frozenset[str]:
    """Return the places of the inputs that gates have rejected."""
    if hidden_topics(log, (AUDIT.name,)):
        return frozenset()
    found: set[str] = set()
    for received in read_in_order(log, (AUDIT.name,), clock):
        value = received.value
        # Most records are verdicts, which name no input: these need not be decoded.
        if value is None or not any(name in value for name in _OF_INPUTS):
            continue
        record = decoded(codec, received)
        if isinstance(record, AuditEvent) and record.event_type is AuditEventType.DEAD_LETTER:
            found.update(record.inputs)
    return frozenset(found)
