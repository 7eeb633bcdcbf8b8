"""Make activities of verdicts: what of a call's arguments detectors look at, as files declare it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import NamedTuple

from streams.behaviour.activity import Activity
from streams.behaviour.profiles import Extraction
from streams.model.behaviour import BehaviourEvent, BehaviourScope
from streams.model.ids import audit_id_of
from streams.model.labels import Integrity
from streams.model.types import Header, ToolRef
from streams.model.verdict import Verdict
from streams.processors.call_features import Roles, extracted_by, extractions_for, globs_of
from streams.processors.watch.seen import SeenVerdict

SOURCE = "stoplog/watch"
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_AGENT, _TRUSTED = BehaviourScope.AGENT, Integrity.TRUSTED
NAMES_CACHED_MAX = 4_096
"""Agents of which is remembered what the globs say."""


class Cohort(NamedTuple):
    """Agents that do alike work: globs of their names, and the name of their type."""

    match: tuple[str, ...]
    name: str


class Features(NamedTuple):
    """How activities are made of calls."""

    cohorts: tuple[Cohort, ...] = ()
    extractions: tuple[Extraction, ...] = ()

    def cohort_of(self, agent: str) -> str:
        """Return the type of an agent; empty if no declaration names it."""
        return _cohort_of(self.cohorts, agent)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _cohort_of(cohorts: tuple[Cohort, ...], agent: str) -> str:
    for cohort in cohorts:
        if globs_of(cohort.match).matches(agent):
            return cohort.name
    return ""


def behaviour_of(features: Features, verdict: Verdict | SeenVerdict) -> BehaviourEvent:
    """Return what detectors are told about a verdict.

    Args:
        features: what of its arguments they look at.
        verdict: the verdict, with the call that was judged, or what the watch reads of it.
    """
    tool, path = verdict.tool, verdict.delegation_path
    stated: Roles = tuple([(each.pointer, each.role) for each in verdict.origins])
    found = _extracted(features.extractions, f"{tool.server_id}.{tool.name}", verdict.args_json, stated)
    amount, above = found.get("amount"), verdict.ancestor_actors
    return BehaviourEvent(
        header=Header(
            id=audit_id_of(verdict.verdict_id),
            source=SOURCE,
            time=verdict.evaluated_at,
            tenant_uid=verdict.header.tenant_uid,
        ),
        scope=_AGENT,
        verdict_id=verdict.verdict_id,
        session_id=verdict.session_id,
        sub=verdict.sub,
        act=verdict.act,
        epoch=_model_of(verdict),
        # An agent of no declared type is compared with itself alone, whatever else is on its partition.
        cohort=features.cohort_of(verdict.act.sub) or verdict.act.sub,
        root_uid=path[0] if path else None,
        depth=len(path),
        tool=ToolRef(server_id=tool.server_id, name=tool.name),
        outcome=verdict.outcome,
        reason=verdict.reason,
        args_digest=verdict.args_digest,
        destination=_text(found.get("destination")),
        object=_text(found.get("object")),
        owner=_text(found.get("owner")),
        amount=amount if isinstance(amount, float) else None,
        size_bytes=len(verdict.args_json),
        integrity=verdict.label.integrity,
        # They are in no order, so of several nobody knows which has given the work.
        delegator=above[0] if above and not above[1:] else None,
    )


def activity_of(event: BehaviourEvent) -> Activity:
    """Return a decision in the form in which detectors read it."""
    tool = f"{event.tool.server_id}.{event.tool.name}"
    return Activity(
        event_id=event.header.id,
        time_ms=event.header.time,
        tenant=event.header.tenant_uid,
        agent=event.act.sub,
        epoch=event.epoch,
        cohort=event.cohort,
        session=event.session_id,
        instance=event.act.instance_uid or "",
        user=event.sub,
        root=event.root_uid or "",
        depth=event.depth,
        delegator=event.delegator or "",
        tool=tool,
        outcome=event.outcome._value_,
        reason=event.reason,
        call=f"{tool} {event.args_digest.hex()}",
        destination=event.destination,
        object=event.object,
        owner=event.owner,
        amount=event.amount,
        size_bytes=event.size_bytes,
        is_trusted=event.integrity is _TRUSTED,
    )


def _model_of(verdict: Verdict | SeenVerdict) -> str:
    """Return the name of the model; the audit record adds toolset, system prompt and version of the agent."""
    model = verdict.model
    return "" if model is None else "/".join(filter(None, (model.ai_provider, model.name, model.version)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _extracted(extractions: tuple[Extraction, ...], tool: str, args_json: str, stated: Roles) -> dict[str, str | float]:
    """Return the features of a call; none of one whose arguments can't be read, which the gate has denied."""
    wanted = extractions_for(extractions, tool)
    if not wanted:
        return {}
    try:
        return extracted_by(wanted, tool, json.loads(args_json), stated)
    except ValueError:
        return {}
