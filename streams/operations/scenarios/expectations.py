"""Compares the outcome of a history with what a file expects of its lines, and writes such files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from streams.codec.history import HistoryLine
from streams.codec.instants import format_instant
from streams.model.approval import ApprovalDecision
from streams.model.intent import Intent
from streams.model.session import SessionEvent
from streams.model.verdict import Verdict
from streams.operations.scenarios.comparison import Happened, compare
from streams.operations.scenarios.observation import Observer
from streams.operations.trial import Step
from streams.policy.authoring.scenario import LAST_LINE, ExpectedLine, ExpectedStep

_NOTHING = ExpectedStep()
_COMMENT_CHARS_MAX = 120
_PLAIN = re.compile(r"(?!(true|false|null)\Z)[A-Za-z][A-Za-z0-9_.-]*( [A-Za-z0-9_.-]+)*\Z")


class ComparedLine(NamedTuple):
    """A line of a history, and how it differs from what was expected.

    Attributes:
        line_no: the number of the line; `LAST_LINE` for the time after the last one.
        told: which line it is, for messages.
        expected: what the file expects of it; None if it does not mention it.
        differences: a sentence for each difference.
    """

    line_no: int
    told: str
    expected: ExpectedLine | None
    differences: tuple[str, ...]


class HistoryComparison:
    """Compares the outcome of a history, line by line as it runs, with what is expected.

    A line that nothing is expected of must cause no verdict and no dead letter.

    Args:
        observer: compiles the rules of the run.
        expected: what is expected, by line.
        own_rules: as in `compare`.
    """

    def __init__(
        self, observer: Observer, expected: Sequence[ExpectedLine], own_rules: Collection[str] | None = None
    ) -> None:
        self._observer = observer
        self._stated = {each.line_no: each for each in expected}
        self._own_rules = own_rules
        self._intents: dict[str, Intent] = {}
        self._names: dict[str, str] = {}

    def happened(self, step: Step) -> Happened:
        """Return what happened in the next step of the run."""
        own = ""
        if step.numbered is not None:
            record = step.numbered.line.record
            if isinstance(record, Intent):
                self._intents[record.intent_id] = record
                # An intent that is sent again keeps its first line as its name.
                self._names.setdefault(record.intent_id, f"line {step.numbered.line_no}")
            own = record.intent_id if isinstance(record, Intent | ApprovalDecision) else ""
        return Happened(
            written=step.written,
            evaluations=self._observer.take(),
            own=own,
            intents=self._intents,
            names=self._names,
            rows=step.trial,
            now_ms=step.trial.now_ms,
        )

    def compared(self, step: Step, happened: Happened) -> ComparedLine:
        """Return how a step differs from what is expected of it."""
        line_no = LAST_LINE if step.numbered is None else step.numbered.line_no
        found = self._stated.pop(line_no, None) if step.numbered is not None or step.is_last else None
        differences = compare(_NOTHING if found is None else found.expect, happened, self._own_rules)
        return ComparedLine(line_no, told_of(step), found, differences)

    def missed(self) -> Iterator[ComparedLine]:
        """Yield the lines that are expected and that the run has not had."""
        for found in self._stated.values():
            difference = "the history has no record in this line that is processed"
            yield ComparedLine(found.line_no, f"line {found.line_no}", found, (difference,))


def told_of(step: Step) -> str:
    """Return which line of a history a step is, for messages."""
    if step.numbered is None:
        return "the time after the last line" if step.is_last else "before the first line"
    line = step.numbered.line
    return f"line {step.numbered.line_no} ({_what(line)} at {format_instant(line.time_ms)})"


def _what(line: HistoryLine) -> str:
    record = line.record
    if isinstance(record, Intent):
        return f"call {record.tool.server_id}.{record.tool.name}"
    return record.type.value.lower() if isinstance(record, SessionEvent) else line.kind


def expectation_of(step: Step, happened: Happened) -> str | None:
    """Return what happened in a step as an item of a file of expectations, which then expects just that.

    Returns:
        A line of YAML; None if the step wrote no verdict, alert or dead letter.
    """
    verdicts, letters, alerts = happened.verdicts(), happened.letters(), happened.alerts()
    if not (verdicts or letters or alerts):
        return None
    item: dict[str, Any] = {"line": "end" if step.numbered is None else step.numbered.line_no}
    if step.numbered is None and not step.is_last:
        return None
    own = verdicts.pop(happened.own, None)
    if own is not None:
        item |= _stated(own)
    if verdicts:
        item["calls"] = {happened.name(intent_id): _stated(verdict) for intent_id, verdict in verdicts.items()}
    if alerts:
        item["alerts"] = sorted(alert.analytic_uid for alert in alerts)
    if letters:
        item["dead_letters"] = sorted(letter.reason for letter in letters)
    what = "" if step.numbered is None else f"  # {_one_line(_what(step.numbered.line))}"
    return f"  - {_flow(item)}{what}"


def _one_line(text: str) -> str:
    """Return a text for a comment: an agent chooses names, and a line end in one must not write a line of its own."""
    return "".join(char if char.isprintable() else "?" for char in text)[:_COMMENT_CHARS_MAX]


def _flow(value: object) -> str:
    """Return a value as YAML in one line; texts are quoted only where they must be."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = str(value)
    return text if isinstance(value, int) or _PLAIN.match(text) else json.dumps(text)


def _stated(verdict: Verdict) -> dict[str, Any]:
    stated: dict[str, Any] = {"verdict": verdict.outcome.value.lower(), "reason": verdict.reason}
    stated["rules"] = sorted({hit.rule_id for hit in verdict.rules})
    if verdict.errors:
        stated["errors"] = sorted({fault.rule_id for fault in verdict.errors})
    return stated


def expectations_text(history: str, items: Sequence[str]) -> str:
    """Return a file of expectations.

    Args:
        history: the name of the history, for its first line.
        items: see `expectation_of`.
    """
    head = f"history: {_flow(history)}\nexpect:"
    return "".join(f"{line}\n" for line in (head, *items)) if items else f"{head} []\n"
