"""Explains how every rule evaluates one intent of a history or of the log, with the facts that the engine had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.audit.content_officers import ContentOfficers
from streams.codec.avro import Codec
from streams.codec.instants import format_instant
from streams.codec.jsonform import named_uuid
from streams.delegation.anchors import TrustAnchors
from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.session import SessionEvent
from streams.model.topics import INTENT, VERDICT
from streams.model.types import Record, tool_text
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.rules.recorded_answers import RecordedAnswers
from streams.operations.rules.recorded_session import SessionReader, intent_of
from streams.operations.topics.lookup import IdError, Owner, find_intent, first_lines
from streams.operations.trial import DEVELOPMENT_ROOT_KEY, Numbered, TryPlan, TryReport, read_lines, run_lines
from streams.policy import (
    FACT_NAMES,
    BundleSource,
    CompiledRuleset,
    Facts,
    IntentExplanation,
    PolicyResult,
    RuleOutcome,
    compile_bundle,
    explain_intent,
)
from streams.policy.language.bundle import Rule
from streams.policy.language.globs import ToolMatcher
from streams.policy.runtime.evaluate import SeldomEvaluated
from streams.policy.runtime.memory_updates import ToolPlan
from streams.policy.runtime.ruleset import Tool, tool_version_of
from streams.ports import Clock
from streams.ports.open_log import Log

ANCESTORS_MAX = 8
"""From how many sessions above a session the run has records."""

THE_LOG = Path("the log")

NEEDS_KEY: Mapping[str, AbstractSet[str]] = {
    "origins": frozenset(),
    "owner": frozenset(),
    "flow": frozenset(),
    "act": frozenset({"requested", "delegated", "drift", "drifts", "called_for", "agreed", "stated"}),
}
"""The facts that follow from a comparison of values with what the session has seen: of each, the fields that do; all if
none is named."""


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
        hidden: topics that this client may not read, so that their records are missing from the run.
        lacks_key: whether nothing at hand has the key of the user's values, although his sessions have shown some.
            What follows from a comparison of values is missing from the facts then (`NEEDS_KEY`).
    """

    intent: Intent
    time_ms: int
    place: str
    judged: tuple[Judged, ...]
    verdicts: tuple[Verdict, ...]
    recorded: tuple[Verdict, ...] = ()
    hidden: tuple[str, ...] = ()
    lacks_key: bool = False

    @property
    def lacks_facts(self) -> bool:
        """Return whether rules had no value for lack of the key: where none reads such facts, nothing is lost."""
        rules = (rule for judged in self.judged for rule in judged.explanation.rules)
        return self.lacks_key and any(rule.outcome is RuleOutcome.ERROR for rule in rules)

    @property
    def agrees(self) -> bool | None:
        """Return whether the run has given the verdicts that are on the log, as far as there are any.

        None if it has not, and rules were asked without the facts that need a missing key: then nobody can tell.
        """
        given = {(verdict.outcome, verdict.reason) for verdict in self.verdicts}
        same = all((verdict.outcome, verdict.reason) in given for verdict in self.recorded)
        if self.lacks_facts:
            return True if same and self.recorded else None
        return same


class _Asked(NamedTuple):
    ruleset: CompiledRuleset
    facts: Facts


class _Recorder:
    """Makes rulesets that record their evaluations of one intent.

    Args:
        intent_id: the intent.
        tools: server and name of each tool that the run calls.
        checked: digests of bundles that gates have judged by, and so have checked: only rules that can apply to one of
            the tools are compiled, which is what most of the time of an explanation would go to. Another bundle may be
            one that gates have rejected.
        lacks_key: whether the facts of `NEEDS_KEY` are not known. Rules that read them are in error then.
        answers: takes from the session's verdicts which texts hold keys.
    """

    def __init__(
        self,
        intent_id: str,
        tools: AbstractSet[tuple[str, str]],
        checked: AbstractSet[bytes],
        answers: RecordedAnswers,
        *,
        lacks_key: bool,
    ) -> None:
        self.asked: list[_Asked] = []
        self._answers = answers
        self._tools = tools
        self._checked = checked
        recorder = self

        class Recording(CompiledRuleset):
            """A ruleset that requests all facts, and records them."""

            conditions_kind = SeldomEvaluated

            def plan(self, tool: Tool) -> ToolPlan:
                plan = self.memories.plan(*tool_version_of(tool), self.memories.names).needing(FACT_NAMES)
                # Not of all entities: one that no rule reads would, if it is unclear, hide the others.
                plan.lookups = super().plan(tool).lookups
                return plan

            def evaluate(self, facts: Facts, *, planned: bool = False) -> PolicyResult:
                intent = facts.get("intent")
                asked_id = intent.get("id") if isinstance(intent, dict) else None
                if asked_id == intent_id:
                    if lacks_key:
                        facts = _known_without_key(facts)
                    recorder.asked.append(_Asked(self, facts))
                evaluation = partial(super().evaluate, facts, planned=planned)
                return evaluation() if asked_id is None else answers.evaluate(asked_id, self.digest, evaluation)

        self._kind = Recording

    def compile(self, source: BundleSource) -> CompiledRuleset:
        """Compile a bundle, as `compile_bundle` does."""
        wanted = self._can_apply if source.digest in self._checked else None
        return compile_bundle(source, kind=self._kind, wanted=wanted)

    def _can_apply(self, rule: Rule) -> bool:
        matcher = ToolMatcher(rule.match)
        return any(matcher.matches(server_id, name, None) for server_id, name in self._tools)

    def judged(self, *, reveal: bool) -> Iterator[Judged]:
        """Explain the recorded evaluations."""
        for ruleset, facts in tuple(self.asked):
            explain = partial(explain_intent, ruleset, facts, reveal=reveal)
            yield Judged(facts["now"]["ms"], self._answers.within(explain))


def _known_without_key(facts: Facts) -> Facts:
    """Return the facts without those that need the key of the user's values."""
    return {
        name: {field: each for field, each in value.items() if field not in NEEDS_KEY[name]}
        if name in NEEDS_KEY
        else value
        for name, value in facts.items()
        if NEEDS_KEY.get(name) != frozenset()
    }


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
    officers: ContentOfficers,
    intent: str,
    tenant_uid: str = "",
    reveal: bool = False,
    gates_key: bytes | None = None,
) -> Explained:
    """Run the records of an intent's session from the log, and explain the intent. Blocking.

    The run needs no root key of the deployment; see `recorded_session`.

    Args:
        plan: the settings and rules; its history is the log (`THE_LOG`), and its root key any.
        officers: whose orders to erase content count.
        intent: its id, that of its verdict, or any other id that `find_intent` finds it by.
        tenant_uid: whose intent is meant if several tenants have one.
        reveal: whether to show values that the schema marks as sensitive.
        gates_key: the root key of the gates, if it is at hand. Only the keys of users' values are taken from it, where
            no verdict has them.

    Raises:
        IdError: the intent is missing, or ambiguous.
        ExplainError: this client may read neither the intent nor its verdict, or `reveal` asks for what was erased.
        SessionTooLongError: its session, or one that it descends from, has too many records.
        TopicReadError, LogError: the log can't be read.
        HistoryError, BundleError, BundleReadError: see `run_history`.
    """
    owner = _owner(log, codec, clock, intent, tenant_uid)
    key = session_key_of(owner.tenant_uid, owner.session_id)
    reader = SessionReader(log, codec, clock, DEVELOPMENT_ROOT_KEY, plan.gate.deployment)
    session = reader.read(key)
    recorded = _verdicts_on(owner.intent_id, session.verdicts)
    found = next((line for line in session.lines if _is_intent(line.line.record, owner.intent_id)), None)
    if found is None and not recorded:
        hidden = " and ".join(f"`{topic}`" for topic in session.hidden if topic in (INTENT.name, VERDICT.name))
        why = f"this client may not read {hidden}" if hidden else "its topics no longer have it"
        raise ExplainError(f"the arguments of intent `{owner.intent_id}` can't be read from the {log.name}: {why}")
    if reveal:
        _check_not_erased(log, codec, clock, officers, owner, recorded[0].evaluated_at if recorded else 0)
    lacks_key = False
    if found is None:
        # Its proof was not valid, and this client sees only the verdict.
        made = intent_of(recorded[0])
        explained = Explained(
            intent=made, time_ms=made.header.time, place=f"the {log.name}", judged=(), verdicts=recorded
        )
    else:
        lines = _until_decided(_with_ancestors(reader, session.lines, key), recorded)
        keys, missing = reader.keys_for(lines, found.line.time_ms, gates_key)
        lacks_key = (owner.tenant_uid, getattr(found.line.record, "sub", "")) in missing
        gate = msgspec.structs.replace(
            plan.gate, root_key=DEVELOPMENT_ROOT_KEY, trust_anchors=TrustAnchors(), recorded_keys=keys
        )
        run = replace(plan, gate=gate)
        explained = _explained(
            lines, found, f"the {log.name}", run, session.verdicts, lacks_key=lacks_key, reveal=reveal
        )
    return replace(explained, recorded=recorded, hidden=session.hidden, lacks_key=lacks_key)


def _check_not_erased(
    log: Log, codec: Codec, clock: Clock, officers: ContentOfficers, owner: Owner, judged_ms: int
) -> None:
    """Check that the content of an intent was not erased.

    Raises:
        ExplainError: it was.
        TopicReadError, LogError: the log can't be read.
    """
    from streams.operations.contents.erased import erasure_text, read_erasure_of_call  # noqa: PLC0415 - seldom needed

    given = read_erasure_of_call(log, codec, clock, officers, owner, judged_ms)
    if given is not None:
        text = f"the arguments of intent `{owner.intent_id}` can't be shown: {erasure_text(given)}"
        raise ExplainError(f"{text}; leave out `--reveal`")


def _owner(log: Log, codec: Codec, clock: Clock, intent: str, tenant_uid: str) -> Owner:
    """Return the intent that is meant. A name that is on no record may be one that a history gave to its intent."""
    try:
        return find_intent(log, codec, clock, intent, tenant_uid)
    except IdError:
        named = named_uuid(intent)
        if named == intent:
            raise
        try:
            return find_intent(log, codec, clock, named, tenant_uid)
        except IdError:
            pass
        raise


def _with_ancestors(reader: SessionReader, lines: list[Numbered], key: bytes) -> list[Numbered]:
    """Return the lines with those of the sessions that the session descends from: it knows what their users said."""
    read = {key}
    while (parent := _parent_of(lines, key)) is not None and parent not in read and len(read) <= ANCESTORS_MAX:
        read.add(parent)
        lines = sorted([*lines, *reader.own_lines(parent)], key=lambda numbered: numbered.line.time_ms)
        key = parent
    return lines


def _parent_of(lines: Sequence[Numbered], key: bytes) -> bytes | None:
    for numbered in lines:
        record = numbered.line.record
        if isinstance(record, SessionEvent) and record.parent_session_id and numbered.line.key == key:
            return session_key_of(record.header.tenant_uid, record.parent_session_id)
    return None


def _until_decided(lines: list[Numbered], recorded: Sequence[Verdict]) -> list[Numbered]:
    """Return the lines up to the final verdict, if there is one: what came later has decided nothing."""
    ends = [verdict.evaluated_at for verdict in recorded if verdict.outcome in FINAL_OUTCOMES]
    return [each for each in lines if each.line.time_ms <= min(ends)] if ends else lines


def _is_intent(record: Record, intent_id: str | None) -> bool:
    return isinstance(record, Intent) and record.intent_id == intent_id


def _explained(
    lines: Sequence[Numbered],
    found: Numbered,
    place: str,
    plan: TryPlan,
    verdicts: Sequence[Verdict] = (),
    *,
    lacks_key: bool = False,
    reveal: bool,
) -> Explained:
    """Run lines, and explain an intent of them.

    Args:
        verdicts: those that gates gave in the session.
    """
    intent = found.line.record
    if not isinstance(intent, Intent):
        raise ExplainError(f"{place} has no intent")
    calls = (each.line.record for each in lines if isinstance(each.line.record, Intent))
    tools = frozenset((call.tool.server_id, call.tool.name) for call in calls)
    checked = {verdict.ruleset_digest for verdict in verdicts if verdict.ruleset_digest}
    plan = replace(plan, outputs=frozenset({VERDICT.name}))
    recorder = _Recorder(intent.intent_id, tools, checked, RecordedAnswers(verdicts), lacks_key=lacks_key)
    written = [tried.record for tried in run_lines(lines, plan, TryReport(), recorder.compile)]
    return Explained(
        intent=intent,
        time_ms=found.line.time_ms,
        place=place,
        judged=tuple(recorder.judged(reveal=reveal)),
        verdicts=_verdicts_on(intent.intent_id, written),
    )


def _verdicts_on(intent_id: str | None, records: Sequence[Record | None]) -> tuple[Verdict, ...]:
    """Return the different verdicts on an intent: one that is redelivered gets the same verdict again."""
    found: list[Verdict] = []
    for record in records:
        if isinstance(record, Verdict) and record.intent_id == intent_id and record not in found:
            found.append(record)
    return tuple(found)


def _chosen(lines: Iterable[Numbered], intent: str | None, line_no: int | None, where: str) -> Numbered:
    """Return the first record of the intent that is meant; a redelivered intent has several."""
    found: dict[str, Numbered] = {}
    others: dict[str, Numbered] = {}
    for each in lines:
        record = each.line.record
        if not isinstance(record, Intent):
            continue
        others.setdefault(record.intent_id, each)
        if line_no is not None and each.line_no != line_no:
            continue
        if intent is None or record.intent_id.startswith(intent) or record.intent_id == named_uuid(intent):
            found.setdefault(record.intent_id, each)
    if intent is not None and named_uuid(intent) in found:
        return found[named_uuid(intent)]
    if len(found) == 1:
        return next(iter(found.values()))
    asked = f"`{intent}`" if intent is not None else f"in line {line_no}" if line_no is not None else ""
    if not found:
        nothing = " ".join(f"{where} has no intent {asked}".split())
        raise ExplainError(f"{nothing}; it has:\n{_all_listed(others)}" if others else nothing)
    raise ExplainError(f"{where} has {len(found)} such intents; choose one with `--intent`:\n{_all_listed(found)}")


def _all_listed(intents: Mapping[str, Numbered]) -> str:
    return first_lines([_listed(each) for each in intents.values()])


def _listed(each: Numbered) -> str:
    intent = each.line.record
    if not isinstance(intent, Intent):
        return ""
    tool = tool_text(intent.tool)
    return f"  {intent.intent_id}  {tool} at {format_instant(each.line.time_ms)}"
