"""Make the facts that rules read: from state, never from what an agent says about itself.

Only the top-level facts that the rules of the tool read are made (`needs`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams.model.labels import Confidentiality, Integrity
from streams.processors.control.state import ControlState
from streams.processors.gate.case import FIRST_TIME, Case, Progress
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.session_row import OTHER_CURRENCIES, OpenedWith
from streams.processors.sessions.lifecycle import changes
from streams.processors.sessions.risk import risk_of

NEEDS_CACHED_MAX = 1_024
"""Sets of needed facts whose makers are cached. Many tools need the same set."""

_MS_PER_DAY = 86_400_000
_MS_PER_HOUR = 3_600_000
_MS_PER_MINUTE = 60_000
_PROGRESS_FACTS = frozenset({"approval", "deferral"})
_CONFIDENTIALITY = {each: each.value.lower() for each in Confidentiality}
_TRUST = {each: "trusted" if each is Integrity.TRUSTED else "untrusted" for each in Integrity}
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED = Integrity.TRUSTED
_THURSDAY = 3  # 1970-01-01, counted from Monday 0


def build_facts(case: Case, control: ControlState, progress: Progress, needs: frozenset[str]) -> dict[str, Any]:
    """Return the facts named in `needs`, and those that count towards the outcome by themselves.

    Args:
        progress: what the facts `approval` and `deferral` tell.
        needs: names of top-level facts; a name without a maker is left out.
    """
    facts: dict[str, Any] = {}
    for name, maker in _makers_of(needs if progress is FIRST_TIME else needs | _PROGRESS_FACTS):
        facts[name] = maker(case, control, progress)
    if case.authority is None:
        # A missing chain must not be taken for a short one: a rule that reads it is in error, which denies.
        facts.pop("delegation", None)
    return facts


def _intent(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    intent = case.asked.intent
    return {
        "id": intent.intent_id,
        "turn": intent.turn,
        "age_ms": case.asked.now_ms - case.asked.received_ms,
        "claimed_sources": list(intent.claimed_sources),
    }


def _agent(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    act = case.asked.intent.act
    agent = {"id": act.sub}
    if act.instance_uid is not None:
        agent["instance"] = act.instance_uid
    return agent


def effective_scopes(case: Case) -> list[str]:
    """Return the scopes of the session that its grant, if it has one, conveys too."""
    scopes = case.session.identity.scopes
    if case.authority is None:
        return list(scopes)
    conveyed = case.authority.row.scopes
    return [scope for scope in scopes if scope in conveyed]


def _delegation(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    """Describe the chain of grants, root first."""
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
                "expires_in_ms": hop.expires_ms - case.asked.now_ms,
            }
            for hop in row.hops
        ],
    }


def _model(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    model = case.asked.intent.model
    if model is None:
        return {}
    facts = {"provider": model.ai_provider, "name": model.name}
    if model.version is not None:
        facts["version"] = model.version
    return facts


def _session(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    row = case.session
    label = case.label()
    changed = row.identity.changed if row.identity.opened_with is None else changes(row, case.asked.intent)
    facts = {
        "fingerprint_changed": bool(changed),
        "changed": changed,
        "id": case.asked.intent.session_id,
        "age_ms": case.asked.now_ms - row.life.established_ms,
        "attended": row.life.attended,
        "intents": row.counters.intents_count,
        "allowed": row.counters.allowed_count,
        "denied": row.counters.denied_count,
        "calls": row.counters.calls,
        "tainted": label.integrity is not _TRUSTED,
        "confidentiality": _CONFIDENTIALITY[label.confidentiality],
        "risk": 0 if row.identity.risk_level is None else risk_of(row.identity.risk_level),
    }
    if not row.counters.is_spent_unclear:
        # Otherwise a rule that reads what was spent is in error, which denies.
        facts["spent"] = row.counters.spent_minor
        if OTHER_CURRENCIES not in row.counters.spent_in:
            # Otherwise what was spent in a currency may be counted with others, and a rule would find nothing of it.
            facts["spent_in"] = _in_all_spellings(row.counters.spent_in, case.known_arguments().values.get("currency"))
    return facts if row.identity.opened_with is None else facts | _opened_with(row.identity.opened_with)


def _in_all_spellings(spent_in: dict[str, int], stated: object) -> dict[str, int]:
    """Return what was spent by currency, with the sum of all spellings of a currency under each of them.

    `eur` and `EUR` are the same money to most tools: otherwise each spelling would have a limit of its own. The one in
    capitals is always there: a rule that names `EUR` must find what was spent as `eur`.

    Args:
        spent_in: what was spent in each spelling.
        stated: the currency of this call.
    """
    if not spent_in:
        return spent_in
    sums: dict[str, int] = {}
    for name, minor in spent_in.items():
        code = name.strip().casefold()
        sums[code] = sums.get(code, 0) + minor
    names = (*spent_in, stated) if isinstance(stated, str) else spent_in
    codes = {code.upper(): code for code in sums} | {name: name.strip().casefold() for name in names}
    return {name: sums[code] for name, code in codes.items() if code in sums}


def _opened_with(opened_with: OpenedWith) -> dict[str, str]:
    facts = {}
    if opened_with.model is not None:
        facts["model"] = "/".join(opened_with.model[:2])
    if opened_with.system_prompt_digest is not None:
        facts["system_prompt_digest"] = opened_with.system_prompt_digest.hex()
    if opened_with.toolset_digest is not None:
        facts["toolset_digest"] = opened_with.toolset_digest.hex()
    return facts


def _tool(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    return {} if case.tool is None else case.tool.facts


def _money(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    """Tell the call's amount; without one that can be read, a rule that compares it is in error, which denies."""
    values = case.known_arguments().values
    money = None if case.tool is None else case.tool.uses.money_of(values, case.currency_unstated)
    return {} if money is None else {"minor": money.minor, "currency": money.currency}


def _provenance(case: Case, _control: ControlState, _progress: Progress) -> list[dict[str, Any]]:
    row, trust = case.session, _TRUST
    reads = row.trust
    return [
        *[{"source": source.event_id, "trust": trust[source.label.integrity]} for source in reads.sources],
        *[{"source": pending.intent_id, "trust": trust[pending.label.integrity]} for pending in reads.pending_reads],
        *_provenance_of_others(case.seen),
    ]


def _provenance_of_others(seen: ProvenanceRow | None) -> list[dict[str, Any]]:
    """Return what other sessions have read or written that makes the session count as untrusted."""
    if seen is None or not seen.is_tainted:
        return []
    # Notes of earlier versions name no source, and nothing does where a session reads too many stores.
    sources = [each.event_id for each in seen.carried] or [""]
    return [{"source": source, "trust": "untrusted"} for source in sources]


def _label(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    if case.tool is None:
        return {}
    label = case.tool.uses.worst_label
    return {"integrity": _TRUST[label.integrity], "confidentiality": _CONFIDENTIALITY[label.confidentiality]}


def _now(case: Case, _control: ControlState, _progress: Progress) -> dict[str, Any]:
    now_ms = case.asked.now_ms
    return {
        "ms": now_ms,
        "hour": now_ms % _MS_PER_DAY // _MS_PER_HOUR,
        "minute": now_ms % _MS_PER_HOUR // _MS_PER_MINUTE,
        "weekday": (now_ms // _MS_PER_DAY + _THURSDAY) % 7 + 1,
    }


_Maker = Callable[[Case, ControlState, Progress], Any]

_MAKERS: dict[str, _Maker] = {
    "intent": _intent,
    "args": lambda case, _control, _progress: case.known_arguments().values,
    "agent": _agent,
    "model": _model,
    "user": lambda case, _control, _progress: {"id": case.asked.intent.sub, "scopes": effective_scopes(case)},
    "tenant": lambda case, _control, _progress: case.asked.intent.header.tenant_uid,
    "session": _session,
    "delegation": _delegation,
    "tool": _tool,
    "money": _money,
    "catalog": lambda _case, control, _progress: control.catalog.facts,
    "provenance": _provenance,
    "label": _label,
    # What the tool's rules ask for is added in `rules.facts_for`.
    "entities": lambda _case, _control, _progress: {},
    "approval": lambda _case, _control, progress: {
        "granted": bool(progress.granted_by),
        "granted_by": dict(progress.granted_by),
    },
    "deferral": lambda _case, _control, progress: {"waited_ms": progress.waited_ms},
    "now": _now,
}
"""The makers by top-level name of `streams.policy.language.schema.FACTS`. A fact without a maker is absent, so that a
rule that reads it is in error, which denies."""


@lru_cache(maxsize=NEEDS_CACHED_MAX)
def _makers_of(needs: frozenset[str]) -> tuple[tuple[str, _Maker], ...]:
    return tuple((name, _MAKERS[name]) for name in sorted(needs & _MAKERS.keys()))
