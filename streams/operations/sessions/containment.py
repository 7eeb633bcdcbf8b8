"""What a session did since it first read untrusted data, and what of that can be undone.

**Idea.** Every verdict has the label of what its session had read by then, and every ALLOW the call that undoes it. So
the acts of a hijacked session are its allowed calls under an untrusted label, and those of sessions that descend from
it. The arguments of the undoing call come from the verdict's own arguments. What stands in a result only is named as
missing: results are not on the log, and whoever has them (the executor's system) can give them.

**Rejected.** To start from the alert that exposed the session: what happened before the first denied call would be left
out, and that is what did harm. To believe the labels that events claim: a verdict has the label that the gate decided.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from streams.model.canonical import CanonicalError, canonical, sha256
from streams.model.catalog import ToolCatalogEntry
from streams.model.errors import StoplogError
from streams.model.labels import Integrity
from streams.model.topics import VERDICT
from streams.model.types import ToolRef, tool_text
from streams.model.verdict import Outcome, Verdict
from streams.operations.catalog.history import CatalogHistory, ToolName, read_catalog_history, tool_name
from streams.operations.contents.erased import SessionErasure
from streams.operations.operator import Operator
from streams.operations.sessions.reached_from import Source, find_source
from streams.operations.sessions.search import SessionMissingError, Shown, show_session
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import hidden_topics, read_to_end
from streams.processors.control.tool_uses import ToolUses, undoing_arguments

ACTS_MAX = 10_000
"""Acts that are listed; a session with more is undone by hand, from the systems that it acted on."""


class ContainmentError(StoplogError):
    """It is not known what a session did; says why."""


class Remedy(StrEnum):
    """What can be done about an act."""

    CALL = "call"
    """A call undoes it, and all its arguments are known."""
    INCOMPLETE = "incomplete"
    """A call undoes it, but arguments of that call are missing."""
    BY_HAND = "by_hand"
    """It can be undone, but the catalog names no call that does."""
    NONE = "none"
    """It can't be undone."""
    UNDONE = "undone"
    """The call that undoes it has been allowed since."""
    NOT_NEEDED = "not_needed"
    """Its executor has not run it."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """An allowed call that may have changed something while its session was untrusted.

    Attributes:
        ran: what its executor reported: `ran`, `failed`, `not run` or `refused ...`; empty if nothing is known.
        args_json: its arguments; empty if they were erased.
        undoing_tool: the tool that undoes it, as `server/name`; empty if there is none.
        undoing: the known arguments of the undoing call.
        missing: what the undoing call lacks: sources such as `/result/id`, or what else in words.
        undone_by: the intent that has undone it.
    """

    intent_id: str
    session_id: str
    tool: str
    judged_ms: int
    ran: str
    args_json: str
    remedy: Remedy
    undoing_tool: str = ""
    undoing: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    undone_by: str = ""


@dataclass(frozen=True)
class Containment:
    """What a session, and those that descend from it, did since it first read untrusted data.

    Attributes:
        shown: the session.
        others: the sessions that descend from it and acted.
        source: what made it untrusted; None if it was never untrusted, or if that is not on the log.
        acts: in the order of time.
        reads: how many allowed calls only read.
        was_untrusted: whether any of its calls was judged under an untrusted label.
        undoing_tools: the tools of undoing calls, as the catalog has them now.
    """

    shown: Shown
    others: tuple[Shown, ...]
    source: Source | None
    acts: tuple[Act, ...]
    reads: int
    was_untrusted: bool
    undoing_tools: tuple[ToolRef, ...]

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes of all its sessions: what its acts needed at most."""
        return tuple(sorted({scope for shown in (self.shown, *self.others) for scope in shown.view.scopes}))


def read_containment(operator: Operator, tenant_uid: str, session_id: str, results: Mapping[str, Any]) -> Containment:
    """Return what a session did since it first read untrusted data. Blocking; reads all verdicts.

    Of calls whose content was erased, the arguments are left out, and so undoing calls lack what they need of them.

    Args:
        results: results of calls by intent, as JSON values; they complete undoing calls.

    Raises:
        SessionMissingError: the log has no record of the session.
        ContainmentError: this client may not read verdicts.
        TopicReadError, LogError: the log can't be read.
    """
    log, codec, clock = operator.log, operator.codec, operator.clock
    releasers, officers = operator.deployment.release.trusted(), operator.deployment.content.trusted()
    if VERDICT.name in hidden_topics(log, [VERDICT.name]):
        raise ContainmentError(
            f"this client may not read `{VERDICT.name}`, which has the arguments of calls; ask for the role `auditor`"
        )
    shown = show_session(log, codec, tenant_uid, session_id, clock, releasers, officers=officers)
    allowed, tainted_ms = _allowed(operator, tenant_uid, session_id)
    others = []
    for other in dict.fromkeys(each.verdict.session_id for each in allowed if each.verdict.session_id != session_id):
        try:
            others.append(show_session(log, codec, tenant_uid, other, clock, releasers, officers=officers))
        except SessionMissingError:
            continue
    ran = {call.intent_id: call.ran for each in (shown, *others) for call in each.view.intents.values()}
    erasures = {each.view.session_id: each.erasure for each in (shown, *others) if each.erasure is not None}
    verdicts = [_without_erased(each, erasures) for each in allowed]
    catalog = _Catalog(read_catalog_history(operator), clock.now_ms())
    acts = [
        catalog.act(verdict, ran.get(verdict.intent_id, ""), results.get(verdict.intent_id))
        for verdict in verdicts
        if not catalog.only_reads(verdict)
    ]
    made = _with_undone(operator, acts, since_ms=verdicts[0].evaluated_at) if acts else []
    first = next((each for each in verdicts if each.session_id == session_id), None)
    source = None if first is None else find_source(operator, shown.view, first, catalog.returns_untrusted, tainted_ms)
    reads = len(verdicts) - len(acts)
    tools = catalog.refs({act.undoing_tool for act in made if act.undoing_tool})
    return Containment(shown, tuple(others), source, tuple(made), reads, bool(verdicts), tools)


class _Allowed(NamedTuple):
    """The verdict that allowed a call, and when a gate first decided it: earlier, if the call was held."""

    verdict: Verdict
    judged_ms: int


def _allowed(operator: Operator, tenant_uid: str, session_id: str) -> tuple[list[_Allowed], int]:
    """Return the calls of a session and of its descendants that were allowed while untrusted, by time.

    The other one is when the first call of the session itself was judged as untrusted, also if it was not allowed.
    """
    found: dict[str, Verdict] = {}
    judged_ms: dict[str, int] = {}
    tainted_ms = 0
    own = session_id.encode()
    for verdict in _verdicts_with(operator, (own,)):
        is_own = verdict.session_id == session_id or session_id in verdict.ancestor_session_ids
        if verdict.header.tenant_uid != tenant_uid or not is_own:
            continue
        judged_ms.setdefault(verdict.intent_id, verdict.evaluated_at)
        if verdict.label.integrity is Integrity.TRUSTED:
            continue
        if verdict.session_id == session_id:
            tainted_ms = min(tainted_ms or verdict.evaluated_at, verdict.evaluated_at)
        if verdict.outcome is not Outcome.ALLOW:
            continue
        found.setdefault(verdict.intent_id, verdict)
        if len(found) > ACTS_MAX:
            raise ContainmentError(f"the session made more than {ACTS_MAX} calls while it was untrusted; stop it first")
    by_time = sorted(found.values(), key=lambda verdict: (verdict.evaluated_at, verdict.session_sequence))
    return [_Allowed(each, judged_ms[each.intent_id]) for each in by_time], tainted_ms


def _without_erased(allowed: _Allowed, erasures: Mapping[str, SessionErasure]) -> Verdict:
    """Return a verdict, without its arguments if the content of the call was erased."""
    verdict = allowed.verdict
    erasure = erasures.get(verdict.session_id)
    if erasure is None or erasure.of_call(verdict.intent_id, allowed.judged_ms) is None:
        return verdict
    return msgspec.structs.replace(verdict, args_json="")


def _verdicts_with(operator: Operator, parts: Sequence[bytes]) -> Iterator[Verdict]:
    """Yield verdicts that hold one of some byte strings. Others are not decoded, because the topic is long."""
    for received in read_to_end(operator.log, (VERDICT.name,), operator.clock):
        value = received.value
        if value is None or not any(part in value or part in (received.key or b"") for part in parts):
            continue
        record = decoded(operator.codec, received)
        if isinstance(record, Verdict):
            yield record


class _Catalog:
    """Finds the entries by which calls were judged, and says how calls are undone."""

    def __init__(self, history: CatalogHistory, now_ms: int) -> None:
        self._history = history
        self._now_ms = now_ms

    def only_reads(self, verdict: Verdict) -> bool:
        entry = self._entry(verdict.tool)
        return entry is not None and entry.read_only

    def returns_untrusted(self, tool: ToolRef) -> bool:
        """Return whether others may write anything that a tool returns, as its entry has it."""
        entry = self._entry(tool)
        return entry is not None and ToolUses(entry).returns_untrusted

    def act(self, verdict: Verdict, ran: str, result: Any) -> Act:
        entry, (name, args, missing) = self._entry(verdict.tool), self._undoing(verdict, result)
        if ran == "not run" or ran.startswith("refused"):
            remedy = Remedy.NOT_NEEDED
        elif name:
            remedy = Remedy.INCOMPLETE if missing else Remedy.CALL
        else:
            remedy = Remedy.BY_HAND if entry is not None and entry.reversible else Remedy.NONE
        return Act(
            intent_id=verdict.intent_id,
            session_id=verdict.session_id,
            tool=tool_text(verdict.tool),
            judged_ms=verdict.evaluated_at,
            ran=ran,
            args_json=verdict.args_json,
            remedy=remedy,
            undoing_tool=name,
            undoing=args,
            missing=missing,
        )

    def _undoing(self, verdict: Verdict, result: Any) -> tuple[str, dict[str, Any], tuple[str, ...]]:
        """Return the undoing tool, its known arguments, and the sources of the others.

        The entry that judged the call comes first. One that names no undoing call may have been reviewed since.
        """
        judged, now = self._entry(verdict.tool), self._history.in_force.get(_key(verdict.tool))
        entry = next((each for each in (judged, now) if each is not None and each.compensating_tool), None)
        if entry is None or entry.compensating_tool is None:
            return "", {}, ()
        known: dict[str, Any] = {"args": _parsed(verdict.args_json)}
        if result is not None:
            known["result"] = result
        named = entry.compensating_tool
        args, missing = undoing_arguments(entry, known)
        name = named if "/" in named else f"{verdict.tool.server_id}/{named}"
        if not entry.compensating_args:
            missing = (f"the arguments: the catalog does not say which `{name}` needs",)
        if not self._history.is_callable(tool_name(name), self._now_ms):
            missing = (*missing, f"an approval of `{name}` in the catalog")
        return name, args, missing

    def refs(self, names: Iterable[str]) -> tuple[ToolRef, ...]:
        """Return the tools of these names that are in force."""
        entries = [self._history.in_force.get(tool_name(name)) for name in sorted(names)]
        return tuple(
            ToolRef(
                server_id=entry.server_id,
                name=entry.name,
                definition_digest=entry.definition_digest,
                catalog_version=entry.catalog_version,
            )
            for entry in entries
            if entry is not None
        )

    def _entry(self, tool: ToolRef) -> ToolCatalogEntry | None:
        listed = [each.entry for each in self._history.of_tool(_key(tool)) if not each.fault]
        judged = [each for each in listed if each.catalog_version == tool.catalog_version]
        same = [each for each in judged if each.definition_digest == tool.definition_digest]
        return next(iter([*same, *judged]), None) or self._history.in_force.get(_key(tool))


def _with_undone(operator: Operator, acts: Sequence[Act], since_ms: int) -> list[Act]:
    """Mark the acts whose undoing call has been allowed since."""
    wanted: dict[bytes, list[int]] = {}
    for place, act in enumerate(acts):
        if act.remedy is Remedy.CALL and (digest := args_digest(act.undoing)) is not None:
            wanted.setdefault(digest, []).append(place)
    made = list(acts)
    if not wanted:
        return made
    for verdict in _verdicts_with(operator, tuple(wanted)):
        if verdict.outcome is not Outcome.ALLOW or verdict.evaluated_at < since_ms:
            continue
        for place in wanted.get(verdict.args_digest, ()):
            act = made[place]
            is_later = verdict.evaluated_at >= act.judged_ms and verdict.intent_id != act.intent_id
            if is_later and act.remedy is Remedy.CALL and tool_text(verdict.tool) == act.undoing_tool:
                made[place] = replace(act, remedy=Remedy.UNDONE, undone_by=verdict.intent_id)
                break
    return made


def args_digest(args: Mapping[str, Any]) -> bytes | None:
    """Return the digest that an intent with these arguments has; None if they have no canonical form."""
    try:
        return sha256(canonical(dict(args)))
    except CanonicalError:
        return None


def _parsed(args_json: str) -> Any:
    try:
        return json.loads(args_json)
    except (ValueError, RecursionError):
        return {}


def _key(tool: ToolRef) -> ToolName:
    return tool.server_id, tool.name
