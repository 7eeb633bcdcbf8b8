"""Runs the whole engine over a history, in the history's own time: no broker, no waiting, the same result each time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streams.audit.report_keys import ReportKey
from streams.codec.avro import Codec
from streams.codec.history import HistoryError, HistoryLine, iter_numbered
from streams.delegation.anchors import TrustAnchors
from streams.model.approval import ApprovalDecision, ApprovalRequest
from streams.model.catalog import ToolCatalogEntry
from streams.model.control import RulesetBundle
from streams.model.delegation import Delegation
from streams.model.errors import InvariantError, RecordError
from streams.model.intent import Intent
from streams.model.keys import tool_key
from streams.model.proof import derived_uuid, make_hmac, proof_message, session_secret
from streams.model.report_keys import REPORT_KEYS_NAME
from streams.model.session import COMPLETIONS, SessionEvent
from streams.model.topics import BUDGET_GRANT, RULESET
from streams.model.types import Header, Proof, ProofAlg
from streams.operations.trial_answers import ROUNDS_MAX, Answers
from streams.operations.trial_engine import Trial, Tried
from streams.policy import compile_bundle, load_bundle
from streams.processors.control.compilation import CompileBundle
from streams.processors.settings import GateSettings
from streams.sdk.mcp.catalog import report_keys_entry
from streams.topology import GATE

if TYPE_CHECKING:
    # Loaded when the watch runs too.
    from streams.processors.watch.behaviour_file import BehaviourFiles

DEVELOPMENT_ROOT_KEY = b"stoplog development root key, public: for histories and demonstrations only"
"""The root key of a history's sessions, unless another is named. Everybody knows it."""

AFTERWARDS_MS = 3_600_000
"""The time that passes after the last record, so that intents that wait for a session, a person or a cancel window are
decided."""

SOURCE = "stoplog-try"
INPUTS = frozenset(topic.name for topic in GATE.read if topic is not BUDGET_GRANT)
"""The topics whose records are processed. The budget allocator of the run gives its own answers; recorded answers are
outputs, as verdicts are."""


class Numbered(NamedTuple):
    """A line of the history, and its number."""

    line_no: int
    line: HistoryLine


@dataclass(frozen=True, kw_only=True)
class TryPlan:
    """The inputs of a run.

    Attributes:
        history: the file.
        codec: uses the committed schemas, because a run needs no deployment.
        gate: the gate's limits, and the root key. The session keys that are derived from it check proofs, and make the
            proofs of intents that have none.
        starter_rules: the directory of the rules to use if neither `rules` nor the history has any.
        catalog: a file of catalog entries to publish before the first record; see `read_catalog`.
        rules: a directory of rules. By default those of the history, or the starter rules if it has none.
        approve: the rules whose questions are answered with yes, by id; see `Answers`.
        watch: what is declared about behaviour, if the watch runs too.
        outputs: the topics of the outputs that are wanted; by default all.
    """

    history: Path
    codec: Codec
    gate: GateSettings
    starter_rules: Path
    catalog: Path | None = None
    rules: Path | None = None
    approve: frozenset[str] = frozenset()
    watch: BehaviourFiles | None = None
    outputs: AbstractSet[str] | None = None


@dataclass
class TryReport:
    """The results of a run besides its outputs.

    Attributes:
        faults: lines that are not a record, or that can't be put on a topic.
        inputs_count: the number of records that were processed.
        outputs_left_out_count: the number of skipped records, of kinds that the engine itself writes.
        rules: which rules were in force at the start.
        answers: the questions to people, and which of them were answered.
    """

    faults: list[HistoryError] = field(default_factory=list)
    inputs_count: int = 0
    outputs_left_out_count: int = 0
    rules: str = "those of the history"
    answers: Answers = field(default_factory=Answers)


def run_history(plan: TryPlan, report: TryReport) -> Iterator[Tried]:
    """Run a history and yield the records that the engine writes, in log order. Blocking.

    Args:
        plan: the inputs.
        report: filled in during the run, and complete at the end.

    Raises:
        HistoryError: the file can't be read, or has no record.
        CatalogFileError: the catalog's file can't be read.
        BundleError, BundleReadError: the rules are invalid, or can't be read.
    """
    return run_lines(read_lines(plan, report), plan, report)


def run_lines(
    lines: Sequence[Numbered],
    plan: TryPlan,
    report: TryReport,
    compile_bundle: CompileBundle = compile_bundle,
) -> Iterator[Tried]:
    """Run the lines of a history that has been read already; see `run_history`.

    Args:
        compile_bundle: compiles a bundle to rules.

    Raises:
        HistoryError: there are no lines.
        CatalogFileError, BundleError, BundleReadError: see `run_history`.
    """
    for step in run_steps(lines, plan, report, compile_bundle):
        yield from step.written


class Step(NamedTuple):
    """What the engine wrote because of one line, and of the time that passed since the line before.

    Attributes:
        numbered: the line; None for what precedes the first line, and for the time after the last one.
        written: the records, in log order.
        trial: the engine, to look at before the next step.
        is_last: whether this is the time after the last line.
    """

    numbered: Numbered | None
    written: tuple[Tried, ...]
    trial: Trial
    is_last: bool = False


def run_steps(
    lines: Sequence[Numbered],
    plan: TryPlan,
    report: TryReport,
    compile_bundle: CompileBundle = compile_bundle,
) -> Iterator[Step]:
    """Run the lines of a history like `run_lines`, and yield the outcome of each of them.

    Raises:
        HistoryError: there are no lines.
        CatalogFileError, BundleError, BundleReadError: see `run_history`.
    """
    if not lines:
        raise HistoryError(str(plan.history), 0, "has no record that can be processed")
    start_ms = lines[0].line.time_ms
    own = [line.record.name for _, line in lines if isinstance(line.record, RulesetBundle)]
    bundle = None
    if plan.rules is not None or not own:
        bundle = bundle_of(plan.rules or plan.starter_rules, plan.gate.bundle_name, start_ms)
        lines = [numbered for numbered in lines if numbered.line.topic != RULESET.name]
        report.rules = str(plan.rules or "the starter rules")
    name = plan.gate.bundle_name if bundle is not None or plan.gate.bundle_name in own else own[0]
    settings = _gate_settings(plan, name, lines)
    with closing(Trial(plan.codec, settings, start_ms, compile_bundle, plan.watch, plan.outputs)) as trial:
        if bundle is not None:
            trial.publish(bundle)
        catalog = _catalog(plan, start_ms)
        trial.add_tools((*catalog, *_report_keys(plan, lines, catalog, start_ms)))
        yield Step(None, trial.written(), trial)
        yield from _steps(lines, plan, report, trial)
        trial.advance(trial.now_ms + AFTERWARDS_MS)
        yield Step(None, _settled(trial, report.answers), trial, is_last=True)


def _steps(lines: Sequence[Numbered], plan: TryPlan, report: TryReport, trial: Trial) -> Iterator[Step]:
    """Yield the outcome of each line. A decision of a person waits for its question, or for the last line."""
    decisions = [line.record for _, line in lines if isinstance(line.record, ApprovalDecision)]
    answers = report.answers = Answers(decisions, plan.approve)
    waiting: list[Numbered] = []

    def written(numbered: Numbered) -> Iterator[Step]:
        try:
            trial.write(numbered.line)
        except RecordError as error:
            fault = f"can't be processed: {error}"
            report.faults.append(HistoryError(str(plan.history), numbered.line_no, fault))
            return
        report.inputs_count += 1
        yield Step(numbered, _settled(trial, answers), trial)

    def now(numbered: Numbered) -> Numbered:
        return numbered._replace(line=numbered.line._replace(time_ms=max(trial.now_ms, numbered.line.time_ms)))

    for numbered in lines:
        record = numbered.line.record
        if isinstance(record, ApprovalDecision) and not answers.awaits(record):
            waiting.append(numbered)
            continue
        yield from written(numbered)
        while due := next((each for each in waiting if _is_due(each, answers)), None):
            waiting.remove(due)
            yield from written(now(due))
    for numbered in waiting:
        yield from written(now(numbered))


def _is_due(numbered: Numbered, answers: Answers) -> bool:
    return isinstance(numbered.line.record, ApprovalDecision) and answers.awaits(numbered.line.record)


def _settled(trial: Trial, answers: Answers) -> tuple[Tried, ...]:
    """Return what was written, and what follows from answers to the questions in it.

    Raises:
        InvariantError: answers lead to questions without end.
    """
    found = new = trial.written()
    for _ in range(ROUNDS_MAX):
        answers.note(tried.record for tried in new)
        asked = [(each.received.key or b"", each.record) for each in new if isinstance(each.record, ApprovalRequest)]
        lines = list(answers.yes_to(asked, trial.now_ms))
        if not lines:
            return found
        for line in lines:
            trial.write(line)
        new = trial.written()
        found += new
    raise InvariantError(f"the gate asked more than {ROUNDS_MAX} times in one step")


def _gate_settings(plan: TryPlan, bundle_name: str, lines: Sequence[Numbered]) -> GateSettings:
    """Return the gate's settings for a history.

    If they name no trust anchors, the issuers of the history's root grants are trusted for grants that are signed with
    the run's root key. Grants without a proof in the history are signed with it.
    """
    made = plan.gate
    if made.trust_anchors.is_empty:
        grants = (line.record for _, line in lines if isinstance(line.record, Delegation))
        issuers = frozenset((grant.chain[0] if grant.chain else grant).issuer_uid for grant in grants)
        made = msgspec.structs.replace(made, trust_anchors=TrustAnchors(hmac_issuers=issuers))
    return msgspec.structs.replace(made, bundle_name=bundle_name)


def read_lines(plan: TryPlan, report: TryReport) -> list[Numbered]:
    """Return the inputs of the history. Intents without a definition digest get that of the catalog.

    A record that is earlier than one before it is a fault: on the log, no time goes back.

    The file is read a second time without a key, to find out which intents have a proof of their own.
    """
    catalog = _catalog(plan, 0)
    pinned: dict[bytes, ToolCatalogEntry] = {tool_key(entry.server_id, entry.name): entry for entry in catalog}
    lines: list[Numbered] = []
    latest_ms = 0
    proven = iter_numbered(plan.history, plan.gate.root_key, report.faults.append, plan.gate.deployment, catalog)
    bare = iter_numbered(plan.history, None, lambda _: None)
    for (line_no, line), (_, unproven) in zip(proven, bare, strict=True):
        if line.topic not in INPUTS:
            report.outputs_left_out_count += 1
            continue
        if line.time_ms < latest_ms:
            text = f"`time_ms` goes back by {latest_ms - line.time_ms} ms: sort the lines by their time"
            report.faults.append(HistoryError(str(plan.history), line_no, text))
            continue
        latest_ms, record = line.time_ms, line.record
        if isinstance(record, ToolCatalogEntry):
            pinned[tool_key(record.server_id, record.name)] = record
        if isinstance(record, Intent) and isinstance(unproven.record, Intent) and unproven.record.proof is None:
            record = _pin(record, pinned, plan.gate.root_key)
        lines.append(Numbered(line_no, line._replace(record=record)))
    return lines


def _pin(intent: Intent, pinned: dict[bytes, ToolCatalogEntry], root_key: bytes) -> Intent:
    """Return the intent that an agent would have made that has read the catalog's definition of the tool."""
    entry = pinned.get(tool_key(intent.tool.server_id, intent.tool.name))
    if entry is None or intent.tool.definition_digest is not None or intent.proof is None:
        return intent
    tool = msgspec.structs.replace(intent.tool, definition_digest=entry.definition_digest)
    intent = msgspec.structs.replace(intent, tool=tool)
    secret = session_secret(root_key, intent.header.tenant_uid, intent.session_id)
    proof = Proof(alg=ProofAlg.HMAC_SHA256, value=make_hmac(secret, proof_message(intent)))
    return msgspec.structs.replace(intent, proof=proof)


def _report_keys(
    plan: TryPlan, lines: Sequence[Numbered], catalog: Sequence[ToolCatalogEntry], start_ms: int
) -> Iterator[ToolCatalogEntry]:
    """Yield entries of the derived keys that sign the reports of a history, for servers of which it has no entry."""
    entries = [*catalog, *(line.record for _, line in lines)]
    stated = {e.server_id for e in entries if isinstance(e, ToolCatalogEntry) and e.name == REPORT_KEYS_NAME}
    reports = (line.record for _, line in lines if isinstance(line.record, SessionEvent))
    servers = {report.tool.server_id for report in reports if report.type in COMPLETIONS and report.tool is not None}
    yield from derived_report_keys(plan.gate, servers - stated, start_ms)


def derived_report_keys(gate: GateSettings, servers: Collection[str], start_ms: int) -> Iterator[ToolCatalogEntry]:
    """Yield catalog entries of the derived keys with which the reports of some servers are signed."""
    for server_id in sorted(servers):
        key = ReportKey.derived(gate.root_key, server_id)
        made_id = derived_uuid("tried report keys", server_id)
        header = Header(id=made_id, source=SOURCE, time=start_ms, tenant_uid="")
        yield report_keys_entry(server_id, [str(key.public)], header=header, reviewed_by=SOURCE)


def _catalog(plan: TryPlan, start_ms: int) -> list[ToolCatalogEntry]:
    if plan.catalog is None:
        return []
    from streams.operations.catalog.files import read_catalog  # noqa: PLC0415 - most runs are without a file

    return read_catalog(plan.catalog, start_ms, SOURCE, "")


def bundle_of(
    directory: Path, name: str, start_ms: int, compile_bundle: CompileBundle = compile_bundle
) -> RulesetBundle:
    """Return an unsigned publication of a directory of rules. Blocking.

    Args:
        directory: the directory with `bundle.yaml`.
        name: the name under which it is published.
        start_ms: the time of its record.
        compile_bundle: compiles the files.

    Raises:
        BundleError, BundleReadError: the rules are invalid, or can't be read.
    """
    from streams.operations.rules.publication import make_bundle  # noqa: PLC0415 - loads what publishes

    source = load_bundle(directory)
    compiled = compile_bundle(source)
    return make_bundle(
        source,
        header=Header(
            id=derived_uuid("tried bundle", source.digest.hex()), source=SOURCE, time=start_ms, tenant_uid=""
        ),
        name=name,
        version=compiled.version,
        serial=1,
        published_by=SOURCE,
    )
