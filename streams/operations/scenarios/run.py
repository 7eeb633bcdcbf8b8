"""Runs scenarios through the gate of `stoplog try`: the same core, in the scenarios' own time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.codec.avro import Codec
from streams.codec.history import HistoryError
from streams.codec.instants import parse_instant
from streams.codec.varints import MalformedError
from streams.delegation.anchors import TrustAnchors
from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.keys import tool_key
from streams.model.types import Record
from streams.operations.catalog.files import CatalogFileError, read_catalog
from streams.operations.scenarios.comparison import Happened, compare, is_exhausted
from streams.operations.scenarios.expectations import ComparedLine, HistoryComparison
from streams.operations.scenarios.observation import Evaluation, Observer
from streams.operations.scenarios.records import RecordMaker, StepError, catalog_line, sessions_to_open
from streams.operations.trial import (
    DEVELOPMENT_ROOT_KEY,
    SOURCE,
    TryPlan,
    TryReport,
    bundle_of,
    derived_report_keys,
    read_lines,
    run_steps,
)
from streams.operations.trial_engine import Trial
from streams.policy import CompiledRuleset, Finding, load_bundle
from streams.policy.authoring.coverage import Observation
from streams.policy.authoring.scenario import ExpectedStep, Scenario, ScenarioStep, Verb
from streams.policy.authoring.scenario_file import read_scenarios
from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.bundle import Budget, Memory
from streams.processors.settings import GateSettings

DEFAULT_START = "2026-01-05T09:00:00Z"
"""A Monday morning, at the beginning of the window of every budget of an hour or less."""


@dataclass(frozen=True, slots=True)
class StepProblem:
    """A step with another result than expected: its place, what it is, and a sentence for each difference."""

    location: Location
    step: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The result of a scenario; `steps_count` counts its steps, or the expected lines of its history."""

    scenario: Scenario
    steps_count: int
    problems: tuple[StepProblem, ...]

    @property
    def passed(self) -> bool:
        """Return whether every step was as expected."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """The results of all scenarios of a bundle.

    Attributes:
        results: the result of each scenario.
        findings: errors in scenario files, and memories and budgets without a scenario.
        observations: every evaluation of the rules, for their coverage.
        memories_count: how many memories the bundle has.
        memories_read: those that a rule has read in a scenario after something had happened.
        budgets_count: how many budgets the bundle has.
        budgets_exhausted: those that a scenario has exhausted.
    """

    results: tuple[ScenarioResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    observations: tuple[Observation, ...] = ()
    memories_count: int = 0
    memories_read: frozenset[str] = frozenset()
    budgets_count: int = 0
    budgets_exhausted: frozenset[str] = frozenset()

    @property
    def passed(self) -> bool:
        """Return whether every scenario passed, and could be read."""
        return not self.failures and not any(finding.severity == "error" for finding in self.findings)

    @property
    def failures(self) -> tuple[ScenarioResult, ...]:
        """Return the results of the scenarios that did not pass."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def steps_count(self) -> int:
        """Return how many steps were run."""
        return sum(result.steps_count for result in self.results)


def run_scenarios(directory: Path, codec: Codec, pack: str | None = None) -> ScenarioReport:
    """Run every scenario below a directory of rules. Blocking.

    Args:
        directory: the directory with `bundle.yaml`.
        codec: of the records; a run needs no deployment.
        pack: the pack whose scenarios are run; None: all.

    Raises:
        BundleError: the bundle is rejected.
        BundleReadError: its files can't be read.
    """
    root, findings, observer = Path(directory), Findings(), Observer()
    ruleset = observer.compile(load_bundle(root))
    scenarios = read_scenarios(root, ruleset, findings, pack)
    if findings.has_errors:
        return ScenarioReport(findings=findings.sorted())
    runner = _Runner(root, codec, ruleset, observer, findings)
    results = tuple(result for scenario in scenarios if (result := runner.run(scenario)) is not None)
    memories, budgets = _declared(ruleset, pack)
    if not findings.has_errors:
        _report_untested(memories, budgets, runner, findings)
    return ScenarioReport(
        results=results,
        findings=findings.sorted(),
        observations=tuple(runner.observations),
        memories_count=len(memories),
        memories_read=frozenset(runner.memories_read).intersection(each.name for each in memories),
        budgets_count=len(budgets),
        budgets_exhausted=frozenset(runner.budgets_exhausted).intersection(each.name for each in budgets),
    )


def _declared(ruleset: CompiledRuleset, only: str | None = None) -> tuple[list[Memory], list[Budget]]:
    packs = [pack for pack in ruleset.bundle.packs if only in (None, pack.name)]
    return [each for pack in packs for each in pack.memories], [each for pack in packs for each in pack.budgets]


def _report_untested(memories: list[Memory], budgets: list[Budget], runner: _Runner, findings: Findings) -> None:
    for memory in memories:
        if memory.name not in runner.memories_read:
            message = f"no scenario in which a rule reads memory `{memory.name}` after something has happened"
            findings.warning("untested_memory", memory.location, message)
    for budget in budgets:
        if budget.name not in runner.budgets_exhausted:
            findings.warning("untested_budget", budget.location, f"no scenario that exhausts budget `{budget.name}`")


class _Runner:
    """Runs scenarios, and collects what they show of the rules."""

    def __init__(
        self,
        root: Path,
        codec: Codec,
        ruleset: CompiledRuleset,
        observer: Observer,
        findings: Findings,
    ) -> None:
        self.observations: list[Observation] = []
        self.memories_read: set[str] = set()
        self.budgets_exhausted: set[str] = set()
        self._root = root
        self._codec = codec
        self._observer = observer
        self._findings = findings
        self._gate = GateSettings(root_key=DEVELOPMENT_ROOT_KEY)
        self._memories, self._budgets = _declared(ruleset)
        self._own: dict[str, frozenset[str]] = {}
        for rule in ruleset.rules:
            self._own[rule.rule.pack] = self._own.get(rule.rule.pack, frozenset()) | {rule.rule.id}

    def run(self, scenario: Scenario) -> ScenarioResult | None:
        """Run one scenario; None after an error was reported."""
        self._observer.take()
        if scenario.history is not None:
            return self._run_history(scenario)
        try:
            start_ms = parse_instant(scenario.start or DEFAULT_START)
            entries = self._entries(scenario, start_ms)
        except (MalformedError, CatalogFileError, HistoryError) as error:
            self._findings.error("bad_scenario", scenario.location, f"scenario `{scenario.name}`: {error}")
            return None
        if entries is None:
            return None
        catalog = {tool_key(entry.server_id, entry.name): entry for entry in entries}
        maker = RecordMaker(scenario, self._gate.root_key, catalog)
        problems: list[StepProblem] = []
        with closing(Trial(self._codec, _trusting(self._gate, scenario), start_ms, self._observer.compile)) as trial:
            trial.publish(bundle_of(self._root, self._gate.bundle_name, start_ms, self._observer.compile))
            trial.add_tools((*entries, *derived_report_keys(self._gate, {e.server_id for e in entries}, start_ms)))
            for entity, attributes in scenario.entities.items():
                trial.write(maker.attributes(entity, attributes, start_ms))
            for name in sessions_to_open(scenario):
                trial.write(maker.opened(name, start_ms))
            trial.written()
            run = _SequenceRun(scenario, trial, maker, self._observer)
            for step in scenario.steps:
                problems += self._step(run, step)
        return ScenarioResult(scenario, len(scenario.steps), tuple(problems))

    def _step(self, run: _SequenceRun, step: ScenarioStep) -> Iterator[StepProblem]:
        for count in range(1, step.repeat + 1):
            try:
                happened = run.happen(step)
            except (StepError, HistoryError, RecordError) as error:
                text = error.text if isinstance(error, HistoryError) else str(error)
                yield StepProblem(step.location, _told(step, count), (f"the step can't be made: {text}",))
                return
            self._observe(happened, step.expect)
            differences = compare(step.expect, happened, self._own.get(run.scenario.pack, frozenset()))
            if differences:
                yield StepProblem(step.location, _told(step, count), differences)
                return

    def _entries(self, scenario: Scenario, start_ms: int) -> list[ToolCatalogEntry] | None:
        """Return the catalog of a scenario; None if a step calls a tool that is not in it."""
        entries: list[Record] = [catalog_line(tool, start_ms).record for tool in scenario.tools.values()]
        if scenario.catalog is not None:
            entries += read_catalog(self._beside(scenario, scenario.catalog), start_ms, SOURCE, "")
        found = [entry for entry in entries if isinstance(entry, ToolCatalogEntry)]
        known = {f"{entry.server_id}.{entry.name}" for entry in found}
        unknown = [step for step in scenario.steps if step.verb is Verb.CALL and step.target not in known]
        for step in unknown:
            message = f"the tool `{step.target}` is neither in `tools` nor in the `catalog` of this file"
            self._findings.error("unknown_tool", step.location, message, hint=nearest(step.target, known))
        return None if unknown else found

    def _beside(self, scenario: Scenario, name: str) -> Path:
        """Return the path of a file that a scenario names.

        Raises:
            CatalogFileError: it is outside the folder of the rules.
        """
        path = (self._root / scenario.path).parent / name
        if not path.resolve().is_relative_to(self._root.resolve()):
            raise CatalogFileError(f"`{name}` is outside the folder of the rules")
        return path

    def _run_history(self, scenario: Scenario) -> ScenarioResult | None:
        try:
            history = self._beside(scenario, scenario.history or "")
            catalog = None if scenario.catalog is None else self._beside(scenario, scenario.catalog)
        except CatalogFileError as error:
            self._findings.error("outside", scenario.location, f"scenario `{scenario.name}`: {error}")
            return None
        plan = TryPlan(
            history=history,
            codec=self._codec,
            gate=self._gate,
            starter_rules=self._root,
            catalog=catalog,
            rules=self._root,
        )
        report = TryReport()
        comparison = HistoryComparison(self._observer, scenario.lines, self._own.get(scenario.pack, frozenset()))
        compared: list[ComparedLine] = []
        try:
            for step in run_steps(read_lines(plan, report), plan, report, self._observer.compile):
                happened = comparison.happened(step)
                compared.append(comparison.compared(step, happened))
                found = compared[-1].expected
                self._observe(happened, ExpectedStep() if found is None else found.expect)
        except (HistoryError, CatalogFileError) as error:
            self._findings.error("bad_scenario", scenario.location, f"scenario `{scenario.name}`: {error}")
            return None
        faults = [StepProblem(scenario.location, "history", (str(fault),)) for fault in report.faults]
        problems = [
            StepProblem(line.expected.location if line.expected else scenario.location, line.told, line.differences)
            for line in (*compared, *comparison.missed())
            if line.differences
        ]
        return ScenarioResult(scenario, len(scenario.lines), (*faults, *problems))

    def _observe(self, happened: Happened, expect: ExpectedStep) -> None:
        for evaluation in happened.evaluations:
            stated = expect.own if evaluation.intent_id == happened.own else None
            stated = stated or expect.calls.get(happened.name(evaluation.intent_id))
            errors = frozenset[str]() if stated is None else stated.errors
            self.observations.append(Observation(evaluation.facts, evaluation.result, errors))
            self._note_memories(evaluation)
        for verdict in happened.verdicts().values():
            self.budgets_exhausted.update(each.name for each in self._budgets if is_exhausted(verdict, each.name))

    def _note_memories(self, evaluation: Evaluation) -> None:
        history = evaluation.facts.get("history", {})
        # The memory of an event long ago has a value as well: what matters is that there was one.
        self.memories_read.update(each.name for each in self._memories if history.get(each.name))


class _SequenceRun:
    """One scenario that is running."""

    def __init__(self, scenario: Scenario, trial: Trial, maker: RecordMaker, observer: Observer) -> None:
        self.scenario = scenario
        self._trial = trial
        self._maker = maker
        self._observer = observer
        self._intents: dict[str, Intent] = {}
        self._names: dict[str, str] = {}

    def happen(self, step: ScenarioStep) -> Happened:
        """Let time pass, write the step's record, and return what happened.

        Raises:
            StepError, HistoryError, RecordError: the step's record can't be made or written.
        """
        trial, maker = self._trial, self._maker
        now_ms = trial.now_ms + step.after_ms
        trial.advance(now_ms)
        own = ""
        if step.verb is not Verb.WAIT:
            line = maker.record(step, now_ms)
            if isinstance(line.record, Intent):
                self._intents[line.record.intent_id] = line.record
            trial.write(line)
            made = maker.calls.get(step.call)
            own = "" if made is None else made.intent_id
        self._names |= maker.names()
        happened = Happened(
            written=trial.written(),
            evaluations=self._observer.take(),
            own=own,
            intents=self._intents,
            names=self._names,
            rows=trial,
            now_ms=now_ms,
        )
        self._note_requests(happened)
        return happened

    def _note_requests(self, happened: Happened) -> None:
        asked = {request.intent_id: request for request in happened.requests()}
        for call in self._maker.calls.values():
            call.request = asked.get(call.intent_id, call.request)


def _told(step: ScenarioStep, count: int) -> str:
    """Return which step it is, for a message."""
    what = "time passes" if step.verb is Verb.WAIT else f"{step.verb} {step.target}".strip()
    which = f" `{step.call}`" if step.call and step.call != step.target else ""
    again = f", time {count} of {step.repeat}" if step.repeat > 1 else ""
    return f"step {step.number} ({what}{which}{again})"


def _trusting(gate: GateSettings, scenario: Scenario) -> GateSettings:
    """Return the settings of a gate that trusts the issuers of the scenario's root grants, as `stoplog try` does."""
    issuers = set()
    for step in scenario.steps:
        if step.verb is Verb.RECORD and step.fields.get("record") == "delegation":
            value = step.fields.get("value", {})
            chain = value.get("chain")
            root = chain[0] if isinstance(chain, Sequence) and chain else value
            issuer = root.get("issuer_uid") if isinstance(root, dict) else None
            issuers |= {issuer} if isinstance(issuer, str) else set()
    anchors = TrustAnchors(hmac_issuers=frozenset(issuers))
    return msgspec.structs.replace(gate, trust_anchors=anchors)
