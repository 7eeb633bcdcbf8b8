"""Makes a recorded session into a regression test: a history file, and a file of what is expected of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.audit.content_officers import ContentOfficers
from streams.codec.avro import Codec
from streams.codec.history import HistoryLine, format_line
from streams.delegation.anchors import TrustAnchors
from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.session import Atom, SessionEvent
from streams.model.topics import BY_NAME, CATALOG, REVOCATION, RULESET, Spread
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.contents.erased import erasure_text, read_erasure
from streams.operations.private_file import write_private
from streams.operations.rules.explanation import NEEDS_KEY
from streams.operations.rules.recorded_keys import subs_of
from streams.operations.rules.recorded_session import RecordedSession, SessionReader, proven_again
from streams.operations.scenarios.expectations import HistoryComparison, expectation_of, expectations_text
from streams.operations.scenarios.observation import Observer
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, TryPlan, TryReport, read_lines, run_lines, run_steps
from streams.ports import Clock
from streams.ports.open_log import Log
from streams.provenance.extraction.digests import atom_digest, atom_key
from streams.provenance.sources.memory import DIGEST_BYTES

HISTORY_SUFFIX = ".jsonl"
EXPECT_SUFFIX = ".expect.yaml"


class IncidentError(StoplogError):
    """The session can't be exported."""


class Exported(NamedTuple):
    """What was written.

    Attributes:
        history: the history file.
        expect: the file of expectations.
        lines_count: how many records the history has.
        intents_count: how many intents are in it.
        differing: the intents whose final outcome in the run is not the recorded one: `(intent, recorded, run)`.
        hidden: topics that this client may not read.
        lacks_key: whether rules read values of a user that can't be found in the contents of the history, because no
            verdict that this client may read has his key.
    """

    history: Path
    expect: Path
    lines_count: int
    intents_count: int
    differing: tuple[tuple[str, str, str], ...]
    hidden: tuple[str, ...]
    lacks_key: bool


def export_incident(
    log: Log,
    codec: Codec,
    clock: Clock,
    plan: TryPlan,
    owner: tuple[str, str],
    *,
    officers: ContentOfficers,
    folder: Path,
    gates_key: bytes | None = None,
) -> Exported:
    """Write a session as a history that `stoplog try` runs, with what is expected of it. Blocking.

    All that the session depends on is in the history: its own records, stops, the catalog's entries of its tools, the
    rules that were published before its end. Its records are proven again with the development key, and what its calls
    look for in contents is digested again under keys that derive from it. With the user's own key, whoever has
    the file could find out what his sessions have read.

    Args:
        plan: the settings of the gate; its history is the file that is written, its root key any.
        owner: tenant and session.
        officers: whose orders to erase content count.
        folder: where the files go; it is created.
        gates_key: the root key of the gates, if it is at hand: it gives the keys of values that no verdict has.

    Raises:
        IncidentError: the log has no intent of the session, or content of it was erased, or the files exist already.
        SessionTooLongError: it has too many records.
        TopicReadError, LogError: the log can't be read.
        BundleError: the rules of the history are invalid.
    """
    tenant_uid, session_id = owner
    erasure = read_erasure(log, codec, clock, officers, tenant_uid, session_id)
    if erasure is not None:
        text = f"session `{tenant_uid}|{session_id}` can't be exported, since an incident has its calls in plain text"
        raise IncidentError(f"{text}: its content was {erasure_text(erasure.newest)}")
    reader = SessionReader(log, codec, clock, DEVELOPMENT_ROOT_KEY, plan.gate.deployment)
    recorded = reader.read(session_key_of(tenant_uid, session_id))
    gate = msgspec.structs.replace(plan.gate, root_key=DEVELOPMENT_ROOT_KEY, trust_anchors=TrustAnchors())
    own_plan = replace(plan, gate=gate)
    lines, lacks_key = _digested_again(reader, recorded, own_plan, gates_key)
    intents = [line.record for line in lines if isinstance(line.record, Intent)]
    if not intents:
        raise IncidentError(f"session `{tenant_uid}|{session_id}` has no intent that this client may read")
    lines = _needed(lines, intents)
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in session_id)
    history, expect = folder / f"{name}{HISTORY_SUFFIX}", folder / f"{name}{EXPECT_SUFFIX}"
    for path in (history, expect):
        if path.exists():
            raise IncidentError(f"`{path}` exists already; choose another folder with `--out`")
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{format_line(line.topic, line.key, line.time_ms, line.record)}\n" for line in lines)
    write_private(history, text)
    observer = Observer()
    items, outcomes = _run(replace(own_plan, history=history), observer)
    write_private(expect, expectations_text(history.name, items))
    return Exported(
        history=history,
        expect=expect,
        lines_count=len(lines),
        intents_count=len({intent.intent_id for intent in intents}),
        differing=tuple(_differing(recorded.verdicts, outcomes)),
        hidden=recorded.hidden,
        lacks_key=lacks_key and not NEEDS_KEY.keys().isdisjoint(observer.reads),
    )


def _digested_again(
    reader: SessionReader, recorded: RecordedSession, plan: TryPlan, gates_key: bytes | None
) -> tuple[list[HistoryLine], bool]:
    """Return the lines with the digests of all values that the run looks for under keys of the run's root key.

    The others keep their digests: they are found by nothing either way, and only the user's key tells what they are.

    Returns:
        The lines, and whether the log has no key for some of them.
    """
    lines = recorded.lines
    if not any(isinstance(line.record, SessionEvent) and line.record.atoms for _, line in lines):
        return [line for _, line in lines], False
    keys, missing = reader.keys_for(lines, lines[-1].line.time_ms, gates_key)
    run = replace(plan, gate=msgspec.structs.replace(plan.gate, recorded_keys=keys))
    for _ in run_lines(lines, run, TryReport()):
        pass  # what it writes is of no interest, but what it looks for
    values = {digest[:DIGEST_BYTES]: value for digest, value in keys.asked.items()}
    root_key, deployment = plan.gate.root_key, plan.gate.deployment
    subs = subs_of(line for _, line in lines)
    made = []
    for _, line in lines:
        record = line.record
        if isinstance(record, SessionEvent) and record.atoms:
            tenant_uid = record.header.tenant_uid
            key = atom_key(root_key, tenant_uid, subs.get((tenant_uid, record.session_id), ""))
            atoms = tuple(_atom_under(key, atom, values) for atom in record.atoms)
            record = proven_again(msgspec.structs.replace(record, atoms=atoms), root_key, deployment)
        made.append(line._replace(record=record))
    return made, bool(missing)


def _atom_under(key: bytes, atom: Atom, values: Mapping[bytes, tuple[str, str]]) -> Atom:
    found = values.get(atom.digest[:DIGEST_BYTES])
    return atom if found is None else msgspec.structs.replace(atom, digest=atom_digest(key, *found))


def _run(plan: TryPlan, observer: Observer) -> tuple[list[str], dict[str, Verdict]]:
    """Run the history that was written. Return what to expect of it, and the last verdict of each intent."""
    report = TryReport()
    comparison = HistoryComparison(observer, ())
    items: list[str] = []
    last: dict[str, Verdict] = {}
    for step in run_steps(read_lines(plan, report), plan, report, observer.compile):
        items += [item] if (item := expectation_of(step, comparison.happened(step))) is not None else []
        last.update({each.record.intent_id: each.record for each in step.written if isinstance(each.record, Verdict)})
    if report.faults:
        raise IncidentError(f"the history can't be run: {report.faults[0]}")
    return items, last


def _differing(recorded: list[Verdict], run: dict[str, Verdict]) -> list[tuple[str, str, str]]:
    last = {verdict.intent_id: verdict for verdict in recorded}
    found = []
    for intent_id, verdict in last.items():
        made = run.get(intent_id)
        told = "no verdict" if made is None else f"{made.outcome.value} {made.reason}"
        if verdict.outcome in FINAL_OUTCOMES and told != f"{verdict.outcome.value} {verdict.reason}":
            found.append((intent_id, f"{verdict.outcome.value} {verdict.reason}", told))
    return found


def _needed(lines: list[HistoryLine], intents: list[Intent]) -> list[HistoryLine]:
    """Leave out what every gate reads and this session does not depend on."""
    tools = {(intent.tool.server_id, intent.tool.name) for intent in intents}
    own_end_ms = max(line.time_ms for line in lines if BY_NAME[line.topic].spread is Spread.CO_PARTITIONED)
    kept = []
    for line in lines:
        record = line.record
        if isinstance(record, ToolCatalogEntry) and (record.server_id, record.name) not in tools:
            continue
        if line.topic in (RULESET.name, REVOCATION.name, CATALOG.name) and line.time_ms > own_end_ms:
            continue
        kept.append(line)
    first_ms = min(line.time_ms for line in kept if BY_NAME[line.topic].spread is Spread.CO_PARTITIONED)
    return _latest_rules_only(kept, first_ms)


def _latest_rules_only(lines: list[HistoryLine], first_ms: int) -> list[HistoryLine]:
    """Keep the last publication of each bundle before the session: its rules were in force."""
    last = {
        getattr(line.record, "name", ""): index
        for index, line in enumerate(lines)
        if line.topic == RULESET.name and line.time_ms <= first_ms
    }
    return [
        line
        for index, line in enumerate(lines)
        if line.topic != RULESET.name or line.time_ms > first_ms or index in last.values()
    ]
