"""Compares what a gate wrote in one step with what the step expects, and says why it differs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.model.alert import Alert
from streams.model.approval import ApprovalRequest
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.reasons import Reason
from streams.model.verdict import Verdict
from streams.operations.rule_hits import effect_text
from streams.operations.scenarios.observation import Evaluation
from streams.operations.topics.tail import DeadLetter
from streams.operations.trial_engine import Tried
from streams.policy import EvaluationError
from streams.policy.authoring.scenario import ExpectedCall, ExpectedStep, ScenarioVerdict
from streams.processors.budgets.charges import Rows, used

_SHOWN_ID_CHARS = 8


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened in one step.

    Attributes:
        written: the records that the gate and the allocator wrote.
        evaluations: of the rules, in order.
        own: the id of the intent that the step is about; empty if there is none.
        intents: the intents so far, by id.
        names: the names of calls, by the ids of their intents.
        rows: the state of the gate after the step.
        now_ms: the time after the step.
    """

    written: Sequence[Tried]
    evaluations: Sequence[Evaluation]
    own: str
    intents: Mapping[str, Intent]
    names: Mapping[str, str]
    rows: Rows
    now_ms: int
    ids: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {name: intent_id for intent_id, name in self.names.items()})

    def verdicts(self) -> dict[str, Verdict]:
        """Return the last verdict on each intent that got one."""
        return {v.intent_id: v for tried in self.written if isinstance(v := tried.record, Verdict)}

    def letters(self) -> list[DeadLetter]:
        """Return the records that were rejected."""
        return [tried.letter for tried in self.written if tried.letter is not None]

    def alerts(self) -> list[Alert]:
        """Return the alerts."""
        return [tried.record for tried in self.written if isinstance(tried.record, Alert)]

    def requests(self) -> list[ApprovalRequest]:
        """Return the questions to people."""
        return [tried.record for tried in self.written if isinstance(tried.record, ApprovalRequest)]

    def evaluation(self, intent_id: str) -> Evaluation | None:
        """Return the last evaluation of an intent by the rules."""
        return next((found for found in reversed(self.evaluations) if found.intent_id == intent_id), None)

    def name(self, intent_id: str) -> str:
        """Return what to call an intent."""
        return self.names.get(intent_id, intent_id[:_SHOWN_ID_CHARS])


def compare(expected: ExpectedStep, happened: Happened, own_rules: Collection[str] | None) -> tuple[str, ...]:
    """Return a sentence for each difference; none if all is as expected.

    Args:
        expected: what the step expects.
        happened: what happened.
        own_rules: the rules of the tested pack, of which none may match that is not expected; None: every rule.
    """
    return tuple(_problems(expected, happened, own_rules))


def _problems(expected: ExpectedStep, happened: Happened, own_rules: Collection[str] | None) -> Iterator[str]:
    verdicts, letters = happened.verdicts(), happened.letters()
    stated = {happened.ids.get(name, name): call for name, call in expected.calls.items()}
    if expected.own is not None and happened.own:
        stated[happened.own] = expected.own
    for intent_id, call in stated.items():
        verdict = verdicts.pop(intent_id, None)
        yield from _about(intent_id, call, verdict, happened, own_rules)
    for intent_id, verdict in verdicts.items():
        yield f"{_subject(intent_id, happened)}{_shown(verdict)}, but the step expects no verdict on it: {why(verdict)}"
    reasons = sorted(letter.reason for letter in letters)
    if reasons != sorted(expected.dead_letters):
        texts = "".join(f"; {letter.reason}: {letter.text}" for letter in letters)
        yield f"dead letters are {_names(reasons)}, expected {_names(expected.dead_letters)}{texts}"
    raised = sorted(alert.analytic_uid for alert in happened.alerts())
    if expected.alerts is not None and raised != sorted(expected.alerts):
        titles = "".join(f"; {alert.analytic_uid}: {alert.title}" for alert in happened.alerts())
        yield f"alerts are {_names(raised)}, expected {_names(expected.alerts)}{titles}"


def _about(
    intent_id: str, call: ExpectedCall, verdict: Verdict | None, happened: Happened, own_rules: Collection[str] | None
) -> Iterator[str]:
    subject = _subject(intent_id, happened)
    found = ScenarioVerdict.NONE if verdict is None else ScenarioVerdict(verdict.outcome.value.lower())
    if found is not call.verdict:
        reason = _why_none(intent_id, happened) if verdict is None else why(verdict)
        yield f"{subject}{_shown(verdict)}, expected {_expected(call.verdict)}: {reason}"
    elif call.reason is not None and verdict is not None and verdict.reason != call.reason:
        yield f"{subject}reason is {verdict.reason}, expected {call.reason}: {why(verdict)}"
    if verdict is not None:
        yield from _rules(subject, call, verdict, own_rules)
    if call.memories or call.budgets:
        evaluation = happened.evaluation(intent_id)
        if evaluation is None:
            what = "memories" if call.memories else "budgets"
            yield f"{subject}its {what} are not known, because the rules did not judge it in this step"
            return
        yield from _memories(subject, call.memories, evaluation)
        yield from _budgets(subject, call.budgets, evaluation, happened)


def _rules(subject: str, call: ExpectedCall, verdict: Verdict, own_rules: Collection[str] | None) -> Iterator[str]:
    matched = {hit.rule_id for hit in verdict.rules}
    if call.rules is not None:
        compared = {
            rule_id for rule_id in matched if own_rules is None or rule_id in own_rules or rule_id in call.rules
        }
        if compared != call.rules:
            yield f"{subject}matched rules are {_names(compared)}, expected {_names(call.rules)}"
    faults = {fault.rule_id: fault.text for fault in verdict.errors}
    compared = {rule_id for rule_id in faults if own_rules is None or rule_id in own_rules or rule_id in call.errors}
    if compared != call.errors:
        texts = "".join(f"; {rule_id}: {text}" for rule_id, text in sorted(faults.items()) if rule_id in compared)
        yield f"{subject}rules in error are {_names(compared)}, expected {_names(call.errors)}{texts}"


def _memories(subject: str, expected: Mapping[str, Any], evaluation: Evaluation) -> Iterator[str]:
    history = evaluation.facts.get("history", {})
    tool = evaluation.facts["tool"]
    plan = evaluation.ruleset.plan(tool)
    read = {recall.memory.name for recall in (*plan.recalls, *plan.shared)}
    for name, value in expected.items():
        if name not in read:
            yield f"{subject}memory `{name}` is read by no rule for {tool['id']}; expect it where a rule reads it"
        elif history.get(name) != value:
            yield f"{subject}memory `{name}` is {_value(history.get(name))}, expected {_value(value)}"


def _budgets(subject: str, expected: Mapping[str, int], evaluation: Evaluation, happened: Happened) -> Iterator[str]:
    if not expected:
        return
    intent = happened.intents[evaluation.intent_id]
    try:
        charges = evaluation.ruleset.plan(evaluation.facts["tool"]).charges(evaluation.facts)
    except EvaluationError as error:
        yield f"{subject}its budgets are not known: {error}"
        return
    session_key = session_key_of(intent.header.tenant_uid, intent.session_id)
    found = {each.budget.name: used(each, intent, session_key, happened.rows, happened.now_ms) for each in charges}
    for name, value in expected.items():
        if name not in found:
            yield f"{subject}budget `{name}` is not charged for this call (its budgets are {_names(found)})"
        elif found[name] != value:
            yield f"{subject}budget `{name}` has {found[name]} used, expected {value}"


def why(verdict: Verdict) -> str:
    """Return the reason of a verdict, and the rules behind it."""
    rules = [f"{hit.rule_id} ({effect_text(hit)}: {hit.reason})" for hit in verdict.rules]
    faults = [f"{fault.rule_id} (error: {fault.text})" for fault in verdict.errors]
    named = ", ".join([*rules, *faults])
    # The text of a verdict of the rules is that of a rule, which is listed with its rule.
    text = "" if any(hit.reason == verdict.reason_text for hit in verdict.rules) else f": {verdict.reason_text}"
    return f"{verdict.reason}{text}" + (f"; rules: {named}" if named else "")


def is_exhausted(verdict: Verdict, budget: str) -> bool:
    """Return whether a verdict denies because of a budget."""
    return verdict.reason == Reason.BUDGET_EXHAUSTED and f"budget `{budget}`" in verdict.reason_text


def _why_none(intent_id: str, happened: Happened) -> str:
    """Return why an intent may have no verdict."""
    letters = "; ".join(f"{letter.reason}: {letter.text}" for letter in happened.letters())
    if letters:
        return f"a record was rejected ({letters})"
    if any(request.intent_id == intent_id for request in happened.requests()):
        return "people are asked about it"
    return "it waits, or was decided before"


def _subject(intent_id: str, happened: Happened) -> str:
    """Return the words with which a sentence about another call than the step's own begins."""
    return "" if intent_id == happened.own else f"call `{happened.name(intent_id)}`: "


def _shown(verdict: Verdict | None) -> str:
    return "there is no verdict" if verdict is None else f"the verdict is {verdict.outcome.value.lower()}"


def _expected(verdict: ScenarioVerdict) -> str:
    return "none" if verdict is ScenarioVerdict.NONE else verdict.value


def _value(value: object) -> str:
    return "without a value" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _names(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
