"""Other forms of the cases: with the task scope of an issuer, with more imperatives, without the instruction detector.

A scope says what an issuer can know who has understood the request, and nothing else: the tools that act, with the
values of their sinks if the user has named all of them or is meant himself; then it also says how often. Other
arguments (`limits_of`) and amounts are limited if he has said what they are. Where the user leaves the choice to
a file or a mail, only the tools are known. Tools that read need no scope, except those that reach other people's
systems, and those that read records of which the user has named the number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest import mock

import msgspec

from bench.injection.cases import CALM, HONEST, Case, tool_of
from bench.injection.domain import Domain, Tool, schema_of
from bench.injection.generator import make_imperative_cases
from bench.injection.said import limits_of
from bench.injection.simple_policies import fits, leaves
from streams.provenance.extraction import extract
from streams.provenance.instructions.sentences import Sentence, sentences_in
from streams.provenance.tools.uses import seems_money

DETECTOR = "sentences_in"
"""The name under which the extraction of values calls the instruction detector."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")

ASKED_FOR = "other record"
"""The technique whose goal is sometimes the user's own request."""


def with_issuer_scope(case: Case, domain: Domain) -> Case:
    """Return a case in which each session begins with the task scope that an issuer would state."""
    lines: list[str] = []
    for line, text in zip(case.records(), case.lines, strict=True):
        lines.append(text)
        if line["record"] == "session_event" and line["value"]["type"] == "SESSION_ESTABLISHED":
            scopes = list(_scopes(case, domain, line["key"]))
            stated = {"type": "PURPOSE_SET", "scope_source": "ISSUER", "task_scopes": scopes}
            lines.append(json.dumps({**line, "value": stated}))
    return msgspec.structs.replace(case, lines=tuple(lines))


def _scopes(case: Case, domain: Domain, session: str) -> Iterator[dict[str, Any]]:
    said = " ".join(
        line["value"]["content"]
        for line in case.records()
        if line["key"] == session and line["value"].get("type") == "USER_MESSAGE"
    )
    asked = case.own + (case.goal if _is_request(case) else ())
    calls: dict[str, list[Mapping[str, Any]]] = {}
    for line in case.records():
        value = line["value"]
        if line["record"] == "intent" and line["key"] == session and value["intent_id"] in asked:
            calls.setdefault(tool_of(value), []).append(value["args"])
    for name, found in calls.items():
        tool = domain.tools[name]
        targets = _limits(tool, found, f"{said}\n{domain.subject}")
        arguments = _arguments(tool, found, said, known=tool.sinks if targets else ())
        if _acts(tool) or arguments:
            yield {"tools": [name.replace(".", "/", 1)], **targets, **arguments, **_amount(tool, found, said)}
    if not any(_acts(domain.tools[name]) for name in calls):
        yield {"kind": "read"}


def _acts(tool: Tool) -> bool:
    facts = tool.facts.split()
    return "read" not in facts or "outward" in facts


def _limits(tool: Tool, calls: Iterable[Mapping[str, Any]], said: str) -> dict[str, Any]:
    sunk = [[text for path, text in leaves(_with_texts(args)) if fits(tool.sinks, path)] for args in calls]
    if not _acts(tool) or not all(sunk) or not all(value in said for values in sunk for value in values):
        return {}
    return {"targets": sorted({value for values in sunk for value in values}), "count_max": len(sunk)}


def _arguments(tool: Tool, calls: Iterable[Mapping[str, Any]], said: str, *, known: Iterable[str]) -> dict[str, Any]:
    """Return what the arguments of calls must be that the user has said, except those that are known already."""
    limits = limits_of(map(_with_texts, calls), said, schema_of(tool.args), reads=not _acts(tool))
    stated = {path: values for path, values in limits.items() if not fits(known, tuple(path[1:].split("/")))}
    return {"arguments": [{"path": path, "values": values} for path, values in stated.items()]} if stated else {}


def _amount(tool: Tool, calls: Iterable[Mapping[str, Any]], said: str) -> dict[str, str]:
    """Return the largest amount of money of calls, if the user has named all of their amounts."""
    amounts = [
        text
        for args in calls
        for path, text in leaves(_with_texts(args))
        if seems_money("/".join(("", *path))) and _NUMBER.fullmatch(text)
    ]
    named = {Decimal(number) for number in _NUMBER.findall(said.replace(",", ""))}
    if not amounts or "read" in tool.facts.split() or not named.issuperset(map(Decimal, amounts)):
        return {}
    return {"amount_max": max(amounts, key=Decimal)}


def _with_texts(value: Any) -> Any:
    """Return arguments with their numbers as texts: who names request 314 means the number."""
    if isinstance(value, dict):
        return {name: _with_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_texts(each) for each in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_request(case: Case) -> bool:
    """Return whether the goal is what the user asks for: such a case has no other task."""
    *_, goal, task = case.id.split("/")
    return case.technique == ASKED_FOR and goal == task


def with_imperatives(cases: Iterable[Case], domains: Iterable[Domain]) -> list[Case]:
    """Return the honest tasks among cases, with harmless imperatives in what others write."""
    chosen = {case.id for case in cases if case.technique == HONEST}
    made = [case for domain in domains for case in make_imperative_cases(domain)]
    return [case for case in made if case.id in chosen] + [case for case in cases if case.technique == CALM]


@contextmanager
def detector_off() -> Iterator[None]:
    """Report contents as if no sentence read like an instruction.

    Executors and agents look for instructions when they report a content; gates never do. So nothing in a gate has to
    be switched, and there is no setting with which an operator could.
    """

    def unflagged(text: str, _calls_max: int = 0) -> list[Sentence]:
        return [Sentence(each.start, each.end, instructs=False) for each in sentences_in(text)]

    with mock.patch.object(extract, DETECTOR, unflagged):
        yield
