"""Runs cases through the gate of `stoplog try`, and answers its questions with yes if that is wanted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.injection.cases import Case, catalog_path
from bench.injection.results import Fate, Judged
from streams.codec.history import HistoryLine
from streams.codec.jsonform import named_uuid
from streams.model.approval import ApprovalRequest
from streams.model.bundle_signature import publication_key
from streams.model.errors import InvariantError
from streams.model.topics import RULESET
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.operations.trial import (
    DEVELOPMENT_ROOT_KEY,
    Numbered,
    TryPlan,
    TryReport,
    bundle_of,
    read_lines,
    run_steps,
)
from streams.operations.trial_answers import EVERY_RULE
from streams.policy import CompiledRuleset, compile_bundle
from streams.policy.language.bundle import BUNDLE_FILE, RULES_SUFFIX, BundleSource
from streams.processors.control.compilation import CompileBundle
from streams.processors.settings import GateSettings
from streams.wiring.codecs import build_offline_codec

PERMITS = Path(__file__).with_name("bench_permits")
_INLINE_PACKS = re.compile(r"^packs: *\[", re.MULTILINE)
_LISTED_PACKS = re.compile(r"^packs:[ \t]*\n(?P<indent> *)- ", re.MULTILINE)


class Runner:
    """Judges cases by one bundle of rules.

    Args:
        rules: the directory of the bundle, which gets the pack `bench_permits` in addition.
    """

    def __init__(self, rules: Path) -> None:
        self._codec = build_offline_codec()
        self._gate = GateSettings(root_key=DEVELOPMENT_ROOT_KEY)
        with _with_permits(rules) as directory:
            self._bundle = bundle_of(directory, self._gate.bundle_name, 0)
        self._compile = _compiled_once()

    def judge(self, case: Case) -> Judged:
        """Run a case twice: without answers, and with a yes to every question."""
        unanswered, _ = self._fates(case, answer=False)
        approved, questions_count = self._fates(case, answer=True)
        return Judged(case, unanswered, approved, questions_count)

    def verdicts(self, case: Case, *, answer: bool) -> Iterator[Verdict | ApprovalRequest]:
        """Run a case, and yield the verdicts and the questions of the gate.

        Args:
            answer: whether every question gets a yes, from as many people as it asks for.

        Raises:
            InvariantError: the history has a fault.
        """
        with TemporaryDirectory() as folder:
            history = Path(folder) / "case.jsonl"
            history.write_text("\n".join(case.lines) + "\n", "utf-8")
            plan = TryPlan(
                history=history,
                codec=self._codec,
                gate=self._gate,
                starter_rules=Path(),
                catalog=catalog_path(case.domain),
                approve=frozenset({EVERY_RULE} if answer else ()),
            )
            report = TryReport()
            lines = self._published(read_lines(plan, report))
            for step in run_steps(lines, plan, report, self._compile):
                for tried in step.written:
                    if isinstance(tried.record, Verdict | ApprovalRequest):
                        yield tried.record
        if report.faults:
            raise InvariantError(f"{case.id}: {report.faults[0]}")

    def _published(self, lines: list[Numbered]) -> list[Numbered]:
        """Return the lines after a publication of the rules, which is read and compiled once for all cases."""
        bundle = self._bundle
        line = HistoryLine("ruleset", RULESET.name, publication_key(bundle), lines[0].line.time_ms, bundle)
        return [Numbered(0, line), *lines]

    def _fates(self, case: Case, *, answer: bool) -> tuple[dict[str, Fate], int]:
        outcomes: dict[str, Outcome] = {}
        questions: set[str] = set()
        for record in self.verdicts(case, answer=answer):
            if isinstance(record, Verdict):
                outcomes[record.intent_id] = record.outcome
            else:
                # A question that further calls have joined is written again.
                questions.add(record.task_id)
        asked = {name: outcomes.get(named_uuid(name)) for name in (*case.own, *case.goal, *case.needs)}
        return {name: _fate(outcome) for name, outcome in asked.items()}, len(questions)


def _fate(outcome: Outcome | None) -> Fate:
    if outcome is Outcome.ALLOW:
        return Fate.RUN
    return Fate.STOPPED if outcome is None or outcome in FINAL_OUTCOMES else Fate.WAITS


@contextmanager
def _with_permits(rules: Path) -> Iterator[Path]:
    """Return a copy of a bundle's rules with the pack `bench_permits`."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        text = (rules / BUNDLE_FILE).read_text("utf-8")
        text = _INLINE_PACKS.sub(f"packs: [{PERMITS.name}, ", text)
        text = _LISTED_PACKS.sub(rf"packs:\n\g<indent>- {PERMITS.name}\n\g<indent>- ", text)
        (root / BUNDLE_FILE).write_text(text, "utf-8")
        for path in sorted(rules.rglob(f"*{RULES_SUFFIX}")):
            copied = root / path.relative_to(rules)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
        shutil.copytree(PERMITS, root / PERMITS.name)
        yield root


def _compiled_once() -> CompileBundle:
    compiled: dict[bytes, CompiledRuleset] = {}

    def compile_once(source: BundleSource) -> CompiledRuleset:
        if source.digest not in compiled:
            compiled[source.digest] = compile_bundle(source)
        return compiled[source.digest]

    return compile_once
