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
from streams.model.approval import ApprovalDecision, ApprovalRequest, ApprovalStatus
from streams.model.bundle_signature import publication_key
from streams.model.errors import InvariantError
from streams.model.proof import derived_uuid
from streams.model.topics import APPROVAL_DECISION, RULESET
from streams.model.types import Actor, Header, SubProfile
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.operations.trial import (
    DEVELOPMENT_ROOT_KEY,
    Numbered,
    Step,
    TryPlan,
    TryReport,
    bundle_of,
    read_lines,
    run_steps,
)
from streams.policy import CompiledRuleset, compile_bundle
from streams.policy.language.bundle import BUNDLE_FILE, RULES_SUFFIX, BundleSource
from streams.processors.control.compilation import CompileBundle
from streams.processors.settings import GateSettings
from streams.wiring.codecs import build_offline_codec

PERMITS = Path(__file__).with_name("bench_permits")
ANSWERS_MAX = 100
_INLINE_PACKS = re.compile(r"^packs: *\[", re.MULTILINE)
_LISTED_PACKS = re.compile(r"^packs:[ \t]*\n(?P<indent> *)- ", re.MULTILINE)
_SOURCE = "bench-injection"


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
            )
            report = TryReport()
            lines = self._published(read_lines(plan, report))
            for step in run_steps(lines, plan, report, self._compile):
                yield from _records(step, answer=answer)
        if report.faults:
            raise InvariantError(f"{case.id}: {report.faults[0]}")

    def _published(self, lines: list[Numbered]) -> list[Numbered]:
        """Return the lines after a publication of the rules, which is read and compiled once for all cases."""
        bundle = self._bundle
        line = HistoryLine("ruleset", RULESET.name, publication_key(bundle), lines[0].line.time_ms, bundle)
        return [Numbered(0, line), *lines]

    def _fates(self, case: Case, *, answer: bool) -> tuple[dict[str, Fate], int]:
        outcomes: dict[str, Outcome] = {}
        questions_count = 0
        for record in self.verdicts(case, answer=answer):
            if isinstance(record, Verdict):
                outcomes[record.intent_id] = record.outcome
            else:
                questions_count += 1
        asked = {name: outcomes.get(named_uuid(name)) for name in (*case.own, *case.goal)}
        return {name: _fate(outcome) for name, outcome in asked.items()}, questions_count


def _fate(outcome: Outcome | None) -> Fate:
    if outcome is Outcome.ALLOW:
        return Fate.RUN
    return Fate.STOPPED if outcome is None or outcome in FINAL_OUTCOMES else Fate.WAITS


def _records(step: Step, *, answer: bool) -> Iterator[Verdict | ApprovalRequest]:
    """Yield what the gate wrote in a step; if it asks, answer, and go on with what it writes then."""
    written = step.written
    for _ in range(ANSWERS_MAX):
        requests = []
        for tried in written:
            if isinstance(tried.record, Verdict):
                yield tried.record
            elif isinstance(tried.record, ApprovalRequest):
                yield tried.record
                requests.append((tried.received.key or b"", tried.record))
        if not answer or not requests:
            return
        for key, request in requests:
            for number in range(request.quorum):
                decision = _yes(request, number, step.trial.now_ms)
                line = HistoryLine("approval_decision", APPROVAL_DECISION.name, key, step.trial.now_ms, decision)
                step.trial.write(line)
        written = step.trial.written()
    raise InvariantError(f"the gate asked more than {ANSWERS_MAX} times in one step")


def _yes(request: ApprovalRequest, number: int, now_ms: int) -> ApprovalDecision:
    decision_id = derived_uuid("bench approval", request.task_id, str(number))
    header = Header(id=decision_id, source=_SOURCE, time=now_ms, tenant_uid=request.header.tenant_uid)
    return ApprovalDecision(
        header=header,
        task_id=request.task_id,
        intent_id=request.intent_id,
        session_id=request.session_id,
        status=ApprovalStatus.APPROVED,
        approver=Actor(iss=_SOURCE, sub=f"approver-{number}", sub_profile=SubProfile.USER),
        approver_groups=request.eligible_approvers,
        args_digest=request.args_digest,
    )


@contextmanager
def _with_permits(rules: Path) -> Iterator[Path]:
    """A copy of a bundle's rules with the pack `bench_permits`."""
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
