"""Keep the approvals that people grant for further calls of a session, and use them.

**Idea.** A grant is not a verdict: it answers, in place of a person, the question that the rules would ask. Every call
is judged by all checks and rules first. Only if they ask for an approval is a grant looked for, and the rules are then
evaluated again with this group's approval. So a grant never lifts a denial, and it answers only rules that have asked
when it was given. It is counted when the call is allowed, in the same transaction as the verdict.

A grant can be revoked as any other: by its id, as a delegation. It also ends when one of its approvers is revoked as a
subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from streams.delegation.addresses import of_single_addresses
from streams.delegation.constraints import Room
from streams.delegation.errors import GrantError
from streams.delegation.tools import ANYTHING, GrantedTool, compile_tool
from streams.model.approval import (
    GRANT_PREFIX,
    GRANTED_TOOLS_MAX,
    USES_MAX,
    ApprovalDecision,
    ApprovalGrant,
    GrantScope,
)
from streams.model.canonical import canonical_args
from streams.model.delegation import ToolGrant
from streams.model.intent import Intent
from streams.model.proof import derived_uuid
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import principal_target
from streams.model.types import ToolRef, same_person, tool_text
from streams.model.verdict import Outcome
from streams.policy.ext.emails import is_email_address
from streams.policy.results import ApprovalSettings
from streams.ports.processor import StateView
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.questions import model_bound, question_in, task_of, widest_of
from streams.processors.gate.rules import Ruling, decision_of
from streams.processors.rows import approval_grants_row_key
from streams.processors.session_row import SessionRow
from streams.processors.state import (
    ApprovalGrantRow,
    ApprovalGrantsRow,
    PendingRow,
    QuestionRow,
    decode_approval_grants,
    decode_intent,
    encode_row,
)

GRANTS_PER_SESSION_MAX = 32
GROUPS_MAX = 16
"""So many groups are answered for by grants for one call. Rules that name more groups ask people."""

replace = msgspec.structs.replace
_encode = msgspec.msgpack.Encoder().encode
_SCOPES = frozenset({GrantScope.TASK, GrantScope.SESSION})


class Wanted(NamedTuple):
    """What a grant must fit to approve a call.

    Attributes:
        intent: the call.
        arguments: its arguments, in their canonical reading.
        task: the task of the session that it belongs to.
        group: the group that is asked.
        quorum: how many members of it are asked.
        rules: the rules that ask.
        widest: the widest scope in which they let people approve further calls.
        model: the model of the call, if they bind approvals to it.
    """

    intent: Intent
    arguments: dict[str, object]
    task: bytes
    group: str
    quorum: int
    rules: tuple[str, ...]
    widest: GrantScope
    model: tuple[str, str, str] | None

    @classmethod
    def of_row(cls, row: PendingRow) -> Wanted:
        """Return what a grant must fit to approve a pending intent that people are asked about."""
        question, intent = question_in(row), decode_intent(row.intent)
        arguments, _ = canonical_args(intent.args_json)
        group = row.groups[0] if row.groups else ""
        return cls(intent, arguments, question.task, group, row.quorum, question.rules, question.widest, question.model)


def grants_of(session_key: bytes, state: StateView) -> tuple[ApprovalGrantRow, ...]:
    """Return the grants of a session, also those that are over."""
    found = state.get(approval_grants_row_key(session_key))
    return () if found is None else decode_approval_grants(found).grants


def with_grants(
    case: Case, ruling: Ruling, control: ControlState, state: StateView
) -> tuple[Ruling, tuple[ApprovalGrantRow, ...]]:
    """Return the ruling on a call that needs approval, after the grants of its session; and the grants that count.

    Args:
        case: the call.
        ruling: that it needs approval.
        control: has the revocations and the rules.
        state: the state of the partition.
    """
    grants, used = grants_of(case.asked.session_key, state), list[ApprovalGrantRow]()
    granted_by = dict(case.asked.progress.granted_by)
    ruleset = control.ruleset_for(case.asked.session_key)
    while grants and ruleset is not None and len(used) < GROUPS_MAX:
        policy = ruling.decision.policy
        if ruling.decision.outcome is not Outcome.REQUIRE_APPROVAL or policy is None or policy.approval is None:
            break
        found = answering(grants, wanted_by(case, policy.approval), control.revocations, case.asked.now_ms)
        if found is None:
            break
        used.append(found)
        granted_by[found.group] = max(found.count, granted_by.get(found.group, 0))
        facts = {**ruling.facts, "approval": {"granted": True, "granted_by": dict(granted_by)}}
        ruling = replace(ruling, decision=decision_of(ruleset.evaluate(facts, planned=True)), facts=facts)
    return ruling, tuple(used)


def wanted_by(case: Case, approval: ApprovalSettings) -> Wanted:
    """Return what a grant must fit to approve a case, as the rules ask for it."""
    intent, values = case.asked.intent, case.known_arguments().values
    return Wanted(
        intent,
        values,
        task_of(intent, case.session),
        approval.group,
        approval.quorum,
        approval.rules,
        widest_of(approval),
        model_bound(approval, intent),
    )


def answering(
    grants: Sequence[ApprovalGrantRow], wanted: Wanted, revocations: RevocationSet, now_ms: int
) -> ApprovalGrantRow | None:
    """Return the first grant that approves a call now; None if none does."""
    return next((grant for grant in grants if _approves(grant, wanted, revocations, now_ms)), None)


def _approves(grant: ApprovalGrantRow, wanted: Wanted, revocations: RevocationSet, now_ms: int) -> bool:
    if is_over(grant, wanted.intent.header.tenant_uid, revocations, now_ms):
        return False
    if grant.group != wanted.group or grant.count < wanted.quorum or not wanted.rules:
        return False
    if not set(wanted.rules) <= set(grant.rules) or (grant.scope is GrantScope.TASK and grant.task != wanted.task):
        return False
    if not _is_within(grant.scope, wanted.widest) or grant.model != wanted.model:
        return False
    intent = wanted.intent
    if not {same_person(intent.sub), same_person(intent.act.sub)}.isdisjoint(grant.approvers):
        return False
    return admits(compiled(grant.tools), intent.tool, wanted.arguments)


def admits(tools: Iterable[GrantedTool], called: ToolRef, arguments: Mapping[str, Any]) -> bool:
    """Return whether one of the tools of a grant is called here, with arguments within its bounds."""
    return any(tool.covers(called.server_id, called.name) and tool.fault(arguments) is None for tool in tools)


def _is_within(scope: GrantScope, widest: GrantScope) -> bool:
    return scope is widest or (scope is GrantScope.TASK and widest is GrantScope.SESSION)


def is_over(grant: ApprovalGrantRow, tenant_uid: str, revocations: RevocationSet, now_ms: int) -> bool:
    """Return whether a grant is used up, has ended, or is revoked, itself or by one of its approvers."""
    if grant.uses_left == 0 or (grant.until_ms and grant.until_ms <= now_ms):
        return True
    until_ms = revocations.stopped_until(RevocationKind.DELEGATION, grant.uid)
    if until_ms is not None and now_ms < until_ms:
        return True
    names = {grant.approver.sub, *grant.approvers, *grant.approver_subs}
    return any(is_stopped(name, tenant_uid, revocations, now_ms) for name in names)


def is_stopped(name: str, tenant_uid: str, revocations: RevocationSet, now_ms: int) -> bool:
    """Return whether a person is stopped as a subject, however the name is spelled here and in the stop.

    Args:
        name: the name as it is stated.
        tenant_uid: the tenant.
        revocations: those in force.
        now_ms: stream time.
    """
    until_ms = revocations.person_stopped_until(principal_target(tenant_uid, name))
    return until_ms is not None and now_ms < until_ms


def spend(session_key: bytes, used: Sequence[ApprovalGrantRow], state: StateView) -> tuple[ApprovalGrantRow, ...]:
    """Count one use of each of these grants, and return them as they are afterwards."""
    uids = {grant.uid for grant in used}
    grants = tuple(
        grant if grant.uid not in uids or grant.uses_left is None else replace(grant, uses_left=grant.uses_left - 1)
        for grant in grants_of(session_key, state)
    )
    _store(session_key, grants, state)
    return tuple(grant for grant in grants if grant.uid in uids)


def fault_of(
    decision: ApprovalDecision,
    rows: Sequence[PendingRow],
    grants: Sequence[ApprovalGrantRow],
    now_ms: int,
) -> str | None:
    """Return why the grant of a decision can't be given; None if it can, or if the decision has none.

    Args:
        decision: approves the pending intents.
        rows: the pending intents.
        grants: those of the session that are not over.
        now_ms: stream time.
    """
    grant = decision.grant
    if grant is None:
        return None
    questions = [row.question for row in rows if row.question is not None]
    known = {tool_text(question.call.tool) for question in questions}
    asking = {rule for question in questions for rule in question.rules}
    if grant.scope not in _SCOPES:
        return "its grant is neither for a task nor for a session"
    if not all(_is_within(grant.scope, question.widest) for question in questions):
        return f"the rules let nobody approve further calls of a {grant.scope.value.lower()}"
    if not asking or not set(grant.rules) <= asking:
        return "its grant names rules that have not asked"
    if len(grants) >= GRANTS_PER_SESSION_MAX:
        return f"the session has {GRANTS_PER_SESSION_MAX} grants of people already"
    if grant.uses_max is not None and not 1 <= grant.uses_max <= USES_MAX:
        return f"its grant is for {grant.uses_max} calls, 1 to {USES_MAX} are accepted"
    if grant.until is not None and grant.until <= now_ms:
        return f"its grant was valid until {grant.until}"
    if not 1 <= len(grant.tools) <= GRANTED_TOOLS_MAX:
        return f"its grant names {len(grant.tools)} tools, 1 to {GRANTED_TOOLS_MAX} are accepted"
    if not {f"{tool.server_id}/{tool.name}" for tool in grant.tools} <= known:
        return "its grant names a tool that the question is not about"
    try:
        compiled(grant.tools)
    except GrantError as error:
        return f"its grant has {error}"
    return None


def proposed(row: PendingRow, decision: ApprovalDecision) -> tuple[bytes, str | None]:
    """Return the grant that all approvers of a pending intent have given, encoded, and why that can't be.

    The first approver proposes a grant; the others confirm it by giving the same, or give none.
    """
    given = b"" if decision.grant is None else _encode(decision.grant)
    if not row.approvals or row.question is None:
        return given, None
    if given and given != row.question.grant:
        return given, "its grant is not the one that the first approver has given; confirm that one, or give none"
    return given, None


def made(
    question: QuestionRow,
    grant: ApprovalGrant,
    row: PendingRow,
    decision: ApprovalDecision,
    approvers: tuple[str, ...],
) -> ApprovalGrantRow:
    """Return the grant that approvers have given along with their approval.

    Args:
        question: what they were asked.
        grant: what they have given.
        row: the pending intent that they have approved.
        decision: the decision that made the approval complete.
        approvers: who has approved.
    """
    return ApprovalGrantRow(
        uid=grant_uid(decision),
        scope=grant.scope,
        task=question.task,
        group=row.groups[0] if row.groups else "",
        count=len(approvers),
        rules=grant.rules or question.rules,
        tools=grant.tools,
        uses_left=grant.uses_max,
        until_ms=grant.until or 0,
        approvers=approvers,
        approver=decision.approver,
        decision_id=decision.header.id,
        model=question.model,
        approver_subs=tuple(sorted({decision.approver.sub, *row.approver_subs.values()})),
    )


def grant_uid(decision: ApprovalDecision) -> str:
    """Return the id of the grant that a decision makes complete."""
    made_id = derived_uuid("approval grant", decision.header.tenant_uid, decision.session_id, decision.header.id)
    return f"{GRANT_PREFIX}{made_id}"


def words(grant: ApprovalGrantRow) -> str:
    """Return what a grant approves, in words."""
    calls = "any number of calls" if grant.uses_left is None else f"up to {grant.uses_left} calls"
    tools = "; ".join(_tool_words(tool) for tool in grant.tools)
    until = f", until {grant.until_ms} ms" if grant.until_ms else ""
    rules = ", ".join(grant.rules)
    return f"{grant.approver.sub} grants {calls} of this {grant.scope.value.lower()}: {tools}; for rules {rules}{until}"


def _tool_words(tool: ToolGrant) -> str:
    bounds = ", ".join(f"{each.argument} {each.type.value} {each.value_json}" for each in tool.constraints)
    return f"{tool.server_id}/{tool.name} with {bounds or 'any arguments'}"


def add(session_key: bytes, grants: Sequence[ApprovalGrantRow], new: ApprovalGrantRow, state: StateView) -> None:
    """Store a new grant beside those of the session that are not over; it is stored once."""
    _store(session_key, (*[grant for grant in grants if grant.uid != new.uid], new), state)


def live_grants(
    session_key: bytes, session: SessionRow, tenant_uid: str, control: ControlState, state: StateView, now_ms: int
) -> list[ApprovalGrantRow]:
    """Return the grants of a session that are not over."""
    if session.life.expires_ms and session.life.expires_ms <= now_ms:
        return []
    revocations = control.revocations
    return [each for each in grants_of(session_key, state) if not is_over(each, tenant_uid, revocations, now_ms)]


def _store(session_key: bytes, grants: tuple[ApprovalGrantRow, ...], state: StateView) -> None:
    state.put(approval_grants_row_key(session_key), encode_row(ApprovalGrantsRow(grants)))


def compiled(tools: Sequence[ToolGrant]) -> list[GrantedTool]:
    """Return the tools of a grant as gates read them. Each must be named: approvals don't reach beyond what was asked.

    A pattern of addresses admits one address, as rules read it: what a person writes as `*@corp.example` must not admit
    a list of addresses that ends so.

    Raises:
        GrantError: a bound is not understood.
    """
    room = Room()
    compiled = [compile_tool(tool, room) for tool in tools if ANYTHING not in (tool.server_id, tool.name)]
    return [of_single_addresses(tool, _is_bare_address) for tool in compiled]


def _is_bare_address(text: str) -> bool:
    return "<" not in text and is_email_address(text)
