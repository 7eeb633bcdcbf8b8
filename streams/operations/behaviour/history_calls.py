"""Makes the records of a declared history: of each call its verdict and its audit record, as a gate writes them.

Nothing is drawn from a source of random numbers. A draw is a digest of the history's name, the call and what is drawn,
so a history is the same on every machine, and a change of one block leaves the others as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b, sha256
from math import exp, log
from typing import NamedTuple

from streams.behaviour.activity import DAY_MS
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase
from streams.model.ids import audit_id_of, verdict_id_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import derived_uuid
from streams.model.types import Actor, Header, Model, ToolRef
from streams.model.verdict import Outcome, Verdict, VerdictMode
from streams.operations.behaviour.history_file import (
    PER_SESSION,
    RANGE_PATTERN,
    WORD_PATTERN,
    Between,
    Block,
    History,
    Length,
    Rising,
    Value,
)

START_MS = 1_767_571_200_000
"""Monday, 2026-01-05, 00:00 UTC: day 0 of every history."""
WEEK_DAYS = 7
WORKING_DAYS = 5
TENANT = "acme"
SOURCE = "stoplog-rules-test"
VALID_MS = 30_000
_DRAW_BYTES = 8
_DENIED = {Outcome.DENY: "no_grant", Outcome.QUARANTINE: "rule_quarantined"}


class Call(NamedTuple):
    """One call of a history."""

    time_ms: int
    verdict: Verdict
    audit: AuditEvent


class _Place(NamedTuple):
    """Where a call stands.

    Attributes:
        name: tells the call apart from all others of the history.
        number: which call of the session it is, counted from 1; `of_block` counts those of the block from 0, and
            `share` says how much of the block is over.
    """

    agent: str
    day: int
    session: str
    name: str
    number: int
    of_block: int
    share: float


def calls_of(history: History) -> list[Call]:
    """Return the calls of a history in the order of their time."""
    found = [call for at, block in enumerate(history.blocks) for call in _block_calls(history, block, at)]
    return sorted(found, key=lambda call: (call.time_ms, call.verdict.intent_id))


def count_of(history: History) -> int:
    """Return how many calls a history has."""
    return sum(len(_working_days(block)) * len(block.agents) * block.sessions * block.count for block in history.blocks)


def _working_days(block: Block) -> list[int]:
    days = range(block.first_day, block.last_day + 1)
    return [day for day in days if block.weekends or day % WEEK_DAYS < WORKING_DAYS]


def _block_calls(history: History, block: Block, index: int) -> Iterator[Call]:
    days = _working_days(block)
    total = max(1, len(days) * block.sessions * block.count - 1)
    for agent in block.agents:
        of_block = 0
        for day in days:
            for turn in range(block.sessions):
                session = _session_name(block, index, agent, day, turn)
                time_ms = START_MS + day * DAY_MS + _begins_ms(history, block, session, turn)
                for number in range(1, block.count + 1):
                    name = f"{index}/{agent}/{session}/{number}"
                    place = _Place(agent, day, session, name, number, of_block, of_block / total)
                    yield _call(history, block, place, time_ms)
                    of_block += 1
                    time_ms += _pause_ms(history, block, place)


def _session_name(block: Block, index: int, agent: str, day: int, turn: int) -> str:
    if not block.session:
        return f"{agent}-{day}-{index}-{turn}"
    # A name is one session, however many there are: those after the first are distinguished.
    is_only = len(block.agents) == 1 and block.first_day == block.last_day and block.sessions == 1
    return block.session if is_only else f"{block.session}-{agent}-{day}-{turn}"


def _begins_ms(history: History, block: Block, session: str, turn: int) -> int:
    if block.until_ms <= block.at_ms:
        return block.at_ms + turn * block.every_ms
    share = (turn + drawn(history.name, "begin", session)) / block.sessions
    return block.at_ms + int(share * (block.until_ms - block.at_ms))


def _pause_ms(history: History, block: Block, place: _Place) -> int:
    if block.is_steady:
        return block.every_ms
    return int(block.every_ms * (0.5 + drawn(history.name, "pause", place.name)))


def drawn(*names: str) -> float:
    """Return a number from 0 up to 1 that depends on the names alone."""
    digest = blake2b("\x00".join(names).encode(), digest_size=_DRAW_BYTES).digest()
    return int.from_bytes(digest, "big") / 2.0 ** (8 * _DRAW_BYTES)


def _call(history: History, block: Block, place: _Place, time_ms: int) -> Call:
    seed = (history.name, place.name)
    at = (place.number - 1) % len(block.tools)
    if block.is_drawn:
        at = int(drawn(*seed, "tool") * len(block.tools))
    tool = block.tools[at]
    values = {**history.calls.get(tool, {}), **block.args.get(tool, {})}
    args = {name: _value(value, place, (*seed, name)) for name, value in values.items()}
    args_json = json.dumps(args, ensure_ascii=False)
    verdict = _verdict(history, block, place, tool, args_json, time_ms)
    return Call(time_ms, verdict, _audit(verdict, block))


def _value(value: Value, place: _Place, seed: tuple[str, ...]) -> object:
    if isinstance(value, Between):
        return round(value.low * exp(drawn(*seed) * log(value.high / value.low)), 2)
    if isinstance(value, Rising):
        return round(value.first * exp(place.share * log(value.last / value.first)), 2)
    if isinstance(value, Length):
        return "x" * max(1, int(value.chars * 2 ** (drawn(*seed) - 0.5)))
    if not isinstance(value, str):
        return value
    plain = {"n": str(place.of_block + 1), "day": str(place.day), "agent": place.agent, "session": place.session}
    texts: list[str] = []
    end = 0
    for match in WORD_PATTERN.finditer(value):
        word = plain.get(match[1])
        texts += [value[end : match.start()], _drawn_word(match[1], place, seed) if word is None else word]
        end = match.end()
    return "".join((*texts, value[end:]))


def _drawn_word(word: str, place: _Place, seed: tuple[str, ...]) -> str:
    if word.endswith(PER_SESSION):
        # The same word means the same value in all calls of a session, whatever argument it stands in.
        word, seed = word.removesuffix(PER_SESSION), (seed[0], place.session)
    share = drawn(*seed, word)
    of_range = RANGE_PATTERN.match(word)
    if of_range:
        low, high = int(of_range[1]), int(of_range[2])
        return str(low + int(share * (high - low + 1)))
    choices = word.split("|")
    return choices[int(share * len(choices))]


def _verdict(history: History, block: Block, place: _Place, tool: str, args_json: str, time_ms: int) -> Verdict:
    intent_id = derived_uuid("behaviour history", history.name, place.name)
    server, _, name = tool.partition(".")
    root = block.grant or f"grant-{place.session}"
    is_untrusted = 0 < block.untrusted_from <= place.number
    instance = block.instances[(place.number - 1) % len(block.instances)] if block.instances else f"{place.agent}/1"
    return Verdict(
        header=_header(derived_uuid("behaviour history verdict", intent_id), time_ms),
        verdict_id=verdict_id_of(TENANT, place.session, intent_id, block.outcome),
        intent_id=intent_id,
        session_id=place.session,
        outcome=block.outcome,
        reason=block.reason or _DENIED.get(block.outcome, "permitted"),
        reason_text="declared",
        sub=block.user or f"user-of-{place.session}",
        act=Actor(iss="https://history.example", sub=place.agent, instance_uid=instance),
        delegation_path=(root, *(f"{root}-{depth}" for depth in range(1, block.depth))),
        ancestor_actors=(block.delegator,) if block.delegator else (),
        model=Model(ai_provider="example", name=block.model),
        tool=ToolRef(server_id=server, name=name),
        args_json=args_json,
        args_digest=sha256(args_json.encode()).digest(),
        label=Label(
            integrity=Integrity.UNTRUSTED if is_untrusted else Integrity.TRUSTED,
            confidentiality=Confidentiality.PRIVATE,
        ),
        session_sequence=place.number,
        revocation_offset=0,
        evaluated_at=time_ms,
        expires_at=time_ms + VALID_MS,
        mode=VerdictMode.ENFORCE,
    )


def _audit(verdict: Verdict, block: Block) -> AuditEvent:
    return AuditEvent(
        header=_header(audit_id_of(verdict.verdict_id), verdict.evaluated_at),
        event_type=AuditEventType.VERDICT,
        phase=AuditPhase.PRE_EXECUTION,
        outcome=verdict.outcome,
        session_id=verdict.session_id,
        intent_id=verdict.intent_id,
        verdict_id=verdict.verdict_id,
        sub=verdict.sub,
        act=verdict.act,
        agent_version=block.version or None,
        model=verdict.model,
        tool=verdict.tool,
        reason=verdict.reason,
        system_prompt_fingerprint=sha256(block.prompt.encode()).digest() if block.prompt else None,
    )


def _header(record_id: str, time_ms: int) -> Header:
    return Header(id=record_id, source=SOURCE, time=time_ms, tenant_uid=TENANT)
