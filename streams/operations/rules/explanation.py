"""Explains how every rule evaluates one intent of a history or of the log, with the facts that the engine had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from streams.codec.avro import Codec
from streams.codec.history import HistoryLine
from streams.codec.instants import format_instant
from streams.codec.jsonform import named_uuid
from streams.model.errors import RecordError, StoplogError
from streams.model.intent import Intent
from streams.model.topics import BY_NAME, INTENT, VERDICT, Spread
from streams.model.types import Record
from streams.model.verdict import Verdict
from streams.operations.topics.reader import read_in_order
from streams.operations.trial import INPUTS, Numbered, TryPlan, TryReport, read_lines, run_lines
from streams.policy import (
    FACT_NAMES,
    BundleSource,
    CompiledRuleset,
    Facts,
    IntentExplanation,
    PolicyResult,
    compile_bundle,
    explain_intent,
)
from streams.policy.runtime.memory_updates import ToolPlan
from streams.policy.runtime.ruleset import Tool, tool_version_of
from streams.ports import Clock, Received
from streams.ports.open_log import Log

RECORDS_MAX = 200_000
"""The most records, of a session and of broadcast topics, that an explanation from the log reads."""

INTENTS_LISTED_MAX = 20

THE_LOG = Path("the log")


class ExplainError(StoplogError):
    """The intent can't be explained: it is missing, or it is ambiguous which one is meant."""


class Judged(NamedTuple):
    """One evaluation of the intent by the rules: its log time, and the result of each rule."""

    time_ms: int
    explanation: IntentExplanation


@dataclass(frozen=True, kw_only=True)
class Explained:
    """An intent, and all decisions on it.

    Attributes:
        place: the line of the history, or the name of the log.
        judged: each evaluation by the rules; empty if an earlier check decided.
        verdicts: the engine's verdicts in this run.
        recorded: the verdicts on the log, if the intent was read from there.
    """

    intent: Intent
    time_ms: int
    place: str
    judged: tuple[Judged, ...]
    verdicts: tuple[Verdict, ...]
    recorded: tuple[Verdict, ...] = ()


class _Asked(NamedTuple):
    ruleset: CompiledRuleset
    facts: Facts


class _Recorder:
    """Makes rulesets that record their evaluations of one intent."""

    def __init__(self, intent_id: str) -> None:
        self.asked: list[_Asked] = []
        recorder = self

        class Recording(CompiledRuleset):
            """A ruleset that requests all facts, and records them."""

            def plan(self, tool: Tool) -> ToolPlan:
                return self.memories.plan(*tool_version_of(tool), self.memories.names).needing(FACT_NAMES)

            def evaluate(self, facts: Facts, *, planned: bool = False) -> PolicyResult:
                intent = facts.get("intent")
                if isinstance(intent, dict) and intent.get("id") == intent_id:
                    recorder.asked.append(_Asked(self, facts))
                return super().evaluate(facts, planned=planned)

        self._kind = Recording

    def compile(self, source: BundleSource) -> CompiledRuleset:
        """Compile a bundle, as `compile_bundle` does."""
        return compile_bundle(source, kind=self._kind)

    def judged(self, *, reveal: bool) -> Iterator[Judged]:
        """Explain the recorded evaluations."""
        for ruleset, facts in tuple(self.asked):
            yield Judged(facts["now"]["ms"], explain_intent(ruleset, facts, reveal=reveal))


def explain_from_history(
    plan: TryPlan, *, intent: str | None = None, line_no: int | None = None, reveal: bool = False
) -> Explained:
    """Run a history and explain one of its intents. Blocking.

    Args:
        intent: its id, an unambiguous beginning of it, or its name in the history.
        line_no: the number of its line, instead. Without both, the history must have exactly one intent.
        reveal: whether to show values that the schema marks as sensitive.

    Raises:
        ExplainError: the intent is missing, or ambiguous.
        HistoryError, CatalogFileError, BundleError, BundleReadError: see `run_history`.
    """
    lines = read_lines(plan, TryReport())
    found = _chosen(lines, intent, line_no, str(plan.history))
    return _explained(lines, found, f"line {found.line_no}", plan, reveal=reveal)


def explain_from_log(
    log: Log,
    codec: Codec,
    clock: Clock,
    plan: TryPlan,
    *,
    intent: str,
    reveal: bool = False,
) -> Explained:
    """Run the records of an intent's session from the log, and explain the intent. Blocking.

    Args:
        plan: the settings and rules; its history is the log (`THE_LOG`), and its root key the deployment's.
        intent: its id, or an unambiguous beginning of it.
        reveal: whether to show values that the schema marks as sensitive.

    Raises:
        ExplainError: the intent is missing or ambiguous, or its session has too many records.
        TopicReadError, LogError: the log can't be read.
        HistoryError, BundleError, BundleReadError: see `run_history`.
    """
    found = _chosen(_lines(log, codec, clock, (INTENT.name,), None), intent, None, f"the {log.name}")
    lines = list(_lines(log, codec, clock, tuple(sorted(INPUTS)), found.line.key))
    verdicts = [each.line.record for each in _lines(log, codec, clock, (VERDICT.name,), found.line.key)]
    explained = _explained(lines, found, f"the {log.name}", plan, reveal=reveal)
    return Explained(**{**vars(explained), "recorded": _verdicts_on(explained.intent, verdicts)})


def _explained(lines: Sequence[Numbered], found: Numbered, place: str, plan: TryPlan, *, reveal: bool) -> Explained:
    intent = found.line.record
    if not isinstance(intent, Intent):
        raise ExplainError(f"{place} has no intent")
    recorder = _Recorder(intent.intent_id)
    written = [tried.record for tried in run_lines(lines, plan, TryReport(), recorder.compile)]
    return Explained(
        intent=intent,
        time_ms=found.line.time_ms,
        place=place,
        judged=tuple(recorder.judged(reveal=reveal)),
        verdicts=_verdicts_on(intent, written),
    )


def _verdicts_on(intent: Intent, records: Sequence[Record | None]) -> tuple[Verdict, ...]:
    """Return the different verdicts on an intent: one that is redelivered gets the same verdict again."""
    found: list[Verdict] = []
    for record in records:
        if isinstance(record, Verdict) and record.intent_id == intent.intent_id and record not in found:
            found.append(record)
    return tuple(found)


def _lines(log: Log, codec: Codec, clock: Clock, topics: tuple[str, ...], key: bytes | None) -> Iterator[Numbered]:
    """Yield the readable records of topics, in order of time: those of one key, and those for every gate."""
    count = 0
    for received in read_in_order(log, topics, clock):
        is_broadcast = BY_NAME[received.topic].spread is Spread.BROADCAST
        if received.value is None or not (key is None or is_broadcast or received.key == key):
            continue
        record = _decoded(codec, received)
        if record is None:
            continue
        count += 1
        if key is not None and count > RECORDS_MAX:
            raise ExplainError(
                f"the session has more than {RECORDS_MAX} records; save them with `stoplog tail`, and use `--history`"
            )
        yield Numbered(count, HistoryLine("", received.topic, received.key or b"", received.timestamp_ms, record))


def _decoded(codec: Codec, received: Received) -> Record | None:
    try:
        return codec.decode(received.topic, received.value or b"", received.headers)
    except RecordError:
        return None


def _chosen(lines: Iterable[Numbered], intent: str | None, line_no: int | None, where: str) -> Numbered:
    """Return the first record of the intent that is meant; a redelivered intent has several."""
    found: dict[str, Numbered] = {}
    for each in lines:
        record = each.line.record
        if not isinstance(record, Intent) or (line_no is not None and each.line_no != line_no):
            continue
        if intent is None or record.intent_id.startswith(intent) or record.intent_id == named_uuid(intent):
            found.setdefault(record.intent_id, each)
    if intent is not None and named_uuid(intent) in found:
        return found[named_uuid(intent)]
    if len(found) == 1:
        return next(iter(found.values()))
    asked = f"`{intent}`" if intent is not None else f"in line {line_no}" if line_no is not None else ""
    if not found:
        raise ExplainError(" ".join(f"{where} has no intent {asked}".split()))
    listed = "\n".join(_listed(each) for each in list(found.values())[:INTENTS_LISTED_MAX])
    raise ExplainError(f"{where} has {len(found)} such intents; choose one with `--intent`:\n{listed}")


def _listed(each: Numbered) -> str:
    intent = each.line.record
    if not isinstance(intent, Intent):
        return ""
    tool = f"{intent.tool.server_id}/{intent.tool.name}"
    return f"  {intent.intent_id}  {tool} at {format_instant(each.line.time_ms)}"
