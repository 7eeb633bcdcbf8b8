"""The facts that rules see, made from state and never from what an agent says of itself.

Built lazily: only the top-level names that the rules of the tool use (`needs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from streams.model.labels import Confidentiality, Integrity
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.sessions.lifecycle import changes
from streams.processors.state import OpenedWith

NEEDS_KEPT_MAX = 1_024
"""What tools' rules read is much the same for many: so many sets of facts are kept ready."""

RISK_LEVELS = {"LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
_RISK_UNKNOWN = 4
_MS_PER_DAY = 86_400_000
_MS_PER_HOUR = 3_600_000
_MS_PER_MINUTE = 60_000
_STANDING_FACTS = frozenset({"approval", "deferral"})
_CLOSENESS = {each: each.value.lower() for each in Confidentiality}
_TRUST = {each: "trusted" if each is Integrity.TRUSTED else "untrusted" for each in Integrity}
_THURSDAY = 3  # 1970-01-01, counted from Monday 0


class ApprovalProgress(NamedTuple):
    """What the intent has been through already: approvals by group, time waited in a cancel window, and the groups
    that have approved just now."""

    granted_by: Mapping[str, int] = {}
    waited_ms: int = 0
    approved_now: tuple[str, ...] | None = None


FIRST_TIME = ApprovalProgress()


def build_facts(case: Case, control: ControlState, progress: ApprovalProgress, needs: frozenset[str]) -> dict[str, Any]:
    """The facts named in `needs`, and what counts towards the outcome by itself."""
    facts: dict[str, Any] = {}
    for name, maker in _makers_of(needs if progress is FIRST_TIME else needs | _STANDING_FACTS):
        facts[name] = maker(case, control, progress)
    if case.authority is None:
        # A chain that isn't there must not be taken for a short one.
        facts.pop("delegation", None)
    return facts


def _intent(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    intent = case.intent
    return {
        "id": intent.intent_id,
        "turn": intent.turn,
        "age_ms": case.now_ms - case.received_ms,
        "claimed_sources": list(intent.claimed_sources),
    }


def _agent(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    act = case.intent.act
    agent = {"id": act.sub}
    if act.instance_uid is not None:
        agent["instance"] = act.instance_uid
    return agent


def effective_scopes(case: Case) -> list[str]:
    """What the session has of its subject's rights, as far as its grant conveys them, too."""
    scopes = case.session.scopes
    if case.authority is None:
        return list(scopes)
    conveyed = case.authority.row.scopes
    return [scope for scope in scopes if scope in conveyed]


def _delegation(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    """The chain, root first."""
    if case.authority is None:
        return {}
    row = case.authority.row
    return {
        "depth": row.depth,
        "root_issuer": row.hops[0].issuer,
        "hops": [
            {
                "uid": hop.uid,
                "issuer": hop.issuer,
                "sub": hop.sub,
                "actor": hop.actor,
                "depth": hop.depth,
                "scopes": list(hop.scopes),
                "expires_in_ms": hop.expires_ms - case.now_ms,
            }
            for hop in row.hops
        ],
    }


def _model(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    model = case.intent.model
    if model is None:
        return {}
    facts = {"provider": model.ai_provider, "name": model.name}
    if model.version is not None:
        facts["version"] = model.version
    return facts


def _session(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    row = case.session
    label = case.label()
    changed = row.changed if row.opened_with is None else changes(row, case.intent)
    facts = {
        "fingerprint_changed": bool(changed),
        "changed": changed,
        "id": case.intent.session_id,
        "age_ms": case.now_ms - row.established_ms,
        "attended": row.attended,
        "intents": row.intents_count,
        "allowed": row.allowed_count,
        "denied": row.denied_count,
        "spent": row.spent_minor,
        "calls": row.calls,
        "tainted": label.integrity is not Integrity.TRUSTED,
        "confidentiality": _CLOSENESS[label.confidentiality],
        "risk": 0 if row.risk_level is None else risk_of(row.risk_level),
    }
    return facts if row.opened_with is None else facts | _opened_with(row.opened_with)


def _opened_with(opened_with: OpenedWith) -> dict[str, str]:
    facts = {}
    if opened_with.model is not None:
        facts["model"] = "/".join(opened_with.model[:2])
    if opened_with.system_prompt_digest is not None:
        facts["system_prompt_digest"] = opened_with.system_prompt_digest.hex()
    if opened_with.toolset_digest is not None:
        facts["toolset_digest"] = opened_with.toolset_digest.hex()
    return facts


def risk_of(level: str | None) -> int:
    """A level of risk by name: 0 where none was stated; one that is not known counts as the highest."""
    return 0 if level is None else RISK_LEVELS.get(level, _RISK_UNKNOWN)


def _tool(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    return {} if case.tool is None else case.tool.facts


def _provenance(case: Case, _control: ControlState, _progress: ApprovalProgress) -> list[dict[str, Any]]:
    row, trust = case.session, _TRUST
    return [
        *[{"source": source.event_id, "trust": trust[source.label.integrity]} for source in row.sources],
        *[{"source": pending.intent_id, "trust": trust[pending.label.integrity]} for pending in row.pending_reads],
    ]


def _label(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    if case.tool is None:
        return {}
    label = case.tool.output_label
    return {"integrity": _TRUST[label.integrity], "confidentiality": _CLOSENESS[label.confidentiality]}


def _now(case: Case, _control: ControlState, _progress: ApprovalProgress) -> dict[str, Any]:
    now_ms = case.now_ms
    return {
        "ms": now_ms,
        "hour": now_ms % _MS_PER_DAY // _MS_PER_HOUR,
        "minute": now_ms % _MS_PER_HOUR // _MS_PER_MINUTE,
        "weekday": (now_ms // _MS_PER_DAY + _THURSDAY) % 7 + 1,
    }


_Maker = Callable[[Case, ControlState, ApprovalProgress], Any]

_MAKERS: dict[str, _Maker] = {
    "intent": _intent,
    "args": lambda case, _control, _progress: case.args,
    "agent": _agent,
    "model": _model,
    "user": lambda case, _control, _progress: {"id": case.intent.sub, "scopes": effective_scopes(case)},
    "tenant": lambda case, _control, _progress: case.intent.header.tenant_uid,
    "session": _session,
    "delegation": _delegation,
    "tool": _tool,
    "catalog": lambda _case, control, _progress: control.catalog.facts,
    "provenance": _provenance,
    "label": _label,
    "signals": lambda _case, _control, _progress: [],
    "approval": lambda _case, _control, progress: {
        "granted": bool(progress.granted_by),
        "granted_by": dict(progress.granted_by),
    },
    "deferral": lambda _case, _control, progress: {"waited_ms": progress.waited_ms},
    "now": _now,
}
"""By top-level name of `streams.policy.language.schema.FACTS`. A name without a maker stays absent, so that a rule that
reads it is in error, which fails closed."""


@lru_cache(maxsize=NEEDS_KEPT_MAX)
def _makers_of(needs: frozenset[str]) -> tuple[tuple[str, _Maker], ...]:
    return tuple((name, _MAKERS[name]) for name in sorted(needs & _MAKERS.keys()))
