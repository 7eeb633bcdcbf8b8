"""Make activities of verdicts: what of a call's arguments detectors look at, as files declare it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from streams.behaviour.activity import Activity
from streams.model.behaviour import BehaviourEvent, BehaviourScope
from streams.model.ids import audit_id_of
from streams.model.labels import Integrity
from streams.model.types import Header, ToolRef
from streams.model.verdict import Verdict
from streams.policy.language.globs import GlobSet
from streams.provenance.pointers import unescaped

SOURCE = "stoplog/watch"
TEXT_CHARS_MAX = 256
GLOBS_CACHED_MAX = 1_024
NAMES_CACHED_MAX = 4_096
"""Tools and agents of which is remembered what the globs say."""
POINTER_PARTS_MAX = 16

globs_of = lru_cache(maxsize=GLOBS_CACHED_MAX)(GlobSet)


class Cohort(NamedTuple):
    """Agents that do alike work: globs of their names, and the name of their type."""

    match: tuple[str, ...]
    name: str


class Extraction(NamedTuple):
    """Where a feature is found: globs of tools, a JSON pointer (RFC 6901) into the arguments, and how it is read."""

    feature: str
    tools: tuple[str, ...]
    pointer: str
    read_as: str


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


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _extractions_for(extractions: tuple[Extraction, ...], tool: str) -> tuple[Extraction, ...]:
    return tuple(each for each in extractions if globs_of(each.tools).matches(tool))


def behaviour_of(features: Features, verdict: Verdict) -> BehaviourEvent:
    """Return what detectors are told about a verdict.

    Args:
        features: what of its arguments they look at.
        verdict: the verdict, with the call that was judged.
    """
    tool, path = verdict.tool, verdict.delegation_path
    found = _extracted(features, f"{tool.server_id}.{tool.name}", verdict.args_json)
    amount = found.get("amount")
    return BehaviourEvent(
        header=Header(
            id=audit_id_of(verdict.verdict_id),
            source=SOURCE,
            time=verdict.evaluated_at,
            tenant_uid=verdict.header.tenant_uid,
        ),
        scope=BehaviourScope.AGENT,
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
        tool=tool,
        outcome=event.outcome.value,
        reason=event.reason,
        call=f"{tool} {event.args_digest.hex()}",
        destination=event.destination,
        object=event.object,
        owner=event.owner,
        amount=event.amount,
        size_bytes=event.size_bytes,
        is_trusted=event.integrity is Integrity.TRUSTED,
    )


def _model_of(verdict: Verdict) -> str:
    """Return the name of the model; the audit record adds toolset, system prompt and version of the agent."""
    model = verdict.model
    return "" if model is None else "/".join(filter(None, (model.ai_provider, model.name, model.version)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _extracted(features: Features, tool: str, args_json: str) -> dict[str, str | float]:
    """Return the features of a call; the first declaration that finds a value counts."""
    wanted = _extractions_for(features.extractions, tool)
    if not wanted:
        return {}
    try:
        args = json.loads(args_json)
    except ValueError:
        # The gate has denied a call like that.
        return {}
    found: dict[str, str | float] = {}
    for each in wanted:
        if each.feature not in found:
            value = _read(_pointed(args, each.pointer), each.read_as)
            if value is not None:
                found[each.feature] = value
    return found


def _pointed(value: Any, pointer: str) -> Any:
    """Return what a JSON pointer points to, the first item where it meets a list and names none; None if nothing."""
    for part in pointer.split("/")[1:][:POINTER_PARTS_MAX]:
        name = unescaped(part)
        if isinstance(value, list):
            index = int(name) if name.isascii() and name.isdigit() else 0
            value = value[index] if index < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(name)
        else:
            return None
    return value[0] if isinstance(value, list) and value else value


def _read(value: Any, read_as: str) -> str | float | None:
    if value is None or isinstance(value, bool):
        return None
    if read_as == "number":
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
        return number if isfinite(number) else None
    if not isinstance(value, str | int | float):
        return None
    text = str(value)[:TEXT_CHARS_MAX]
    return domain_of(text) if read_as == "domain" else text


def domain_of(text: str) -> str:
    """Return the host of an address, of mail or of the web; the text itself if it is neither."""
    if "://" in text:
        try:
            return (urlsplit(text).hostname or text).lower()
        except ValueError:
            return text.lower()
    return text.rpartition("@")[2].strip("<> ").lower()
