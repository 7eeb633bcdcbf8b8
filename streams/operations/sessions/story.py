"""The story of one intent: what was decided, which values of the call decided it, and where those come from.

It is told from records alone: the verdict has the origin of each value as the gate found it, and the session's events
say what was read. Nothing is computed again, so the story is that of the decision, also if rules have changed since.
(`stoplog rules explain --intent ID` runs the rules again, and shows their conditions.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from streams.audit.content_officers import ContentOfficers
from streams.audit.releasers import Releasers
from streams.codec.avro import Codec
from streams.model.catalog import ArgumentRole
from streams.model.keys import session_key_of
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REPORT, SESSION, VERDICT
from streams.model.verdict import FINAL_OUTCOMES, ArgumentOrigin, Outcome, RuleEffect, RuleHit, ValueOrigin, Verdict
from streams.operations.contents.orders import GivenOrder
from streams.operations.sessions.search import SessionMissingError, Shown, show_session
from streams.operations.topics.decoded import records_of_key
from streams.operations.topics.lookup import Owner
from streams.ports import Clock
from streams.ports.open_log import Log
from streams.provenance.acts.kinds import ActKind
from streams.provenance.pointers import unescaped, values_at
from streams.provenance.tools.kinds import propose_kind

_SINKS = (ArgumentRole.DESTINATION, ArgumentRole.TARGET)
_WORST_FIRST = tuple(ValueOrigin)
_VALUE_CHARS_MAX = 80
_SOURCES_MAX = 3
_DESTINATIONS = {ActKind.SEND: "recipient", ActKind.SHARE: "recipient", ActKind.POST: "recipient", ActKind.PAY: "payee"}


class Value(NamedTuple):
    """A value of the arguments and its origin.

    Attributes:
        name: the argument, as people write it: `to`, `items/2/address`.
        text: the value, shortened; empty if arguments are hidden or erased.
        sources: what held it, in words, such as `mail/read 14`.
        identified: why it counts as the user, in words; empty if he has not identified himself by what it names.
    """

    name: str
    text: str
    role: ArgumentRole
    origin: ValueOrigin
    instructed: bool
    decoded: bool
    sources: tuple[str, ...]
    paths: tuple[str, ...]
    identified: str = ""


class Story(NamedTuple):
    """What is known of one intent.

    Attributes:
        verdict: the last verdict; None if this client may not read verdicts.
        first: the first one, if the call was held before the last.
        outcome, reason, reason_text: of the last verdict or its audit record.
        values: the values of the arguments, those that matter most first; empty if the verdict has no origins.
        answers: what people have answered about the call: `approved by ann`.
        ran: what the executor reported.
        erasure: the order that has erased the content of the call; its arguments are missing from the story then.
        reached: what other sessions have read or written that this one knew something from, in words.
    """

    shown: Shown
    intent_id: str
    tool: str
    judged_ms: int
    verdict: Verdict | None
    first: Verdict | None
    outcome: Outcome
    reason: str
    reason_text: str
    values: tuple[Value, ...]
    answers: tuple[str, ...]
    ran: str
    erasure: GivenOrder | None = None
    reached: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[RuleHit, ...]:
        """The rules that decided: those whose effect is the outcome, or all that matched."""
        hits = () if self.verdict is None else self.verdict.rules
        deciding = tuple(hit for hit in hits if hit.effect is _EFFECTS.get(self.outcome))
        return deciding or hits


_EFFECTS = {
    Outcome.ALLOW: RuleEffect.PERMIT,
    Outcome.DENY: RuleEffect.DENY,
    Outcome.REQUIRE_APPROVAL: RuleEffect.REQUIRE_APPROVAL,
    Outcome.DEFER: RuleEffect.DEFER,
    Outcome.QUARANTINE: RuleEffect.QUARANTINE,
}


def read_story(
    log: Log, codec: Codec, clock: Clock, owner: Owner, releasers: Releasers, officers: ContentOfficers
) -> Story | None:
    """Return the story of an intent; None if no gate has judged it yet. Blocking.

    Args:
        owner: the intent and its session (`streams.operations.topics.lookup.find_intent`).
        officers: whose orders to erase content count.

    Raises:
        SessionMissingError: the log has no record of the session.
        TopicReadError, LogError: the log can't be read.
    """
    shown = show_session(log, codec, owner.tenant_uid, owner.session_id, clock, releasers, officers=officers)
    call = shown.view.intents.get(owner.intent_id or "")
    if call is None:
        return None
    verdicts, events = _records(log, codec, clock, owner)
    last = next((each for each in reversed(verdicts) if each.outcome in FINAL_OUTCOMES), None) or _last(verdicts)
    first = verdicts[0] if verdicts and verdicts[0] is not last else None
    erasure = None if shown.erasure is None else shown.erasure.of_call(call.intent_id, call.judged_ms)
    if last is not None and erasure is not None:
        last = msgspec.structs.replace(last, args_json="")
    readings = _Readings(shown, events)
    reached: tuple[str, ...] = ()
    if last is not None:
        others = {each.event_id: each.session_id for each in last.influences if each.session_id is not None}
        readings = _ReadingsOfSeveral(readings, others, _reader(log, codec, clock, owner, releasers, officers))
        reached = tuple(readings.told(event_id) for event_id in list(others)[:_SOURCES_MAX])
    return Story(
        shown=shown,
        intent_id=call.intent_id,
        tool=call.tool,
        judged_ms=call.judged_ms,
        verdict=last,
        first=first,
        outcome=call.outcome,
        reason=call.reason,
        reason_text=call.text,
        values=() if last is None else _values(last, readings),
        answers=shown.view.answers.get(call.intent_id, ()),
        ran=call.ran,
        erasure=erasure,
        reached=reached,
    )


def sentence(story: Story) -> str:
    """Return the whole story in one sentence: the outcome, the values that it may be about, and the rule that decided.

    Only the rule knows whether it is about the values, so it is always named beside them.
    """
    told, reason = "; ".join(_told(story)), story.reason_text or story.reason
    rule = next((hit for hit in story.rules if hit.effect is _EFFECTS.get(story.outcome)), None)
    decided = reason if rule is None else f"rule {rule.rule_id}: {rule.reason}"
    why = f"{told} ({decided})" if told else reason
    approved = "".join(f", {each}" for each in story.answers) if story.outcome is Outcome.ALLOW else ""
    return f"{_OUTCOME_WORDS[story.outcome]}{approved}: {why}"


_OUTCOME_WORDS = {
    Outcome.ALLOW: "allowed",
    Outcome.DENY: "denied",
    Outcome.REQUIRE_APPROVAL: "waits for a person's approval",
    Outcome.DEFER: "held for a cancel window",
    Outcome.QUARANTINE: "denied, and the session frozen",
}


def told_origin(value: Value) -> str:
    """Return in words where a value comes from."""
    sources = ", ".join(value.sources)
    by = {
        ValueOrigin.USER: "was named by the user",
        ValueOrigin.TRUSTED: f"comes from trusted data{f' ({sources})' if sources else ''}",
        ValueOrigin.FIELD: f"is a field of {sources or 'what others have written'} (untrusted)",
        ValueOrigin.TEXT: f"came only from {sources or 'text that others have written'} (untrusted)",
        ValueOrigin.NOWHERE: "stands in nothing that the user said or the session has read",
    }[value.origin]
    beside = ", beside an instruction" if value.instructed else ""
    hidden = ", in disguise" if value.decoded else ""
    who = f"; it counts as the user: {value.identified}" if value.identified else ""
    return f"{by}{beside}{hidden}{who}"


def _told(story: Story) -> Iterator[str]:
    """Yield what decided, in clauses: the sinks with the worst origins, and what the user did not name."""
    sinks = [value for value in story.values if value.role in _SINKS]
    if not sinks or story.verdict is None:
        return
    good = (ValueOrigin.USER, ValueOrigin.TRUSTED)
    chosen = [value for value in sinks if (value.origin in good) is (story.outcome is Outcome.ALLOW)]
    for value in chosen[:_SOURCES_MAX]:
        shown = f" = {value.text}" if value.text else ""
        yield f"`{value.name}`{shown} {told_origin(value)}"
    for role in _SINKS:
        own = [value for value in sinks if value.role is role]
        if own and chosen and story.outcome is not Outcome.ALLOW and all(v.origin is not ValueOrigin.USER for v in own):
            yield f"the user named no such {_role_word(story, role)}"


def _role_word(story: Story, role: ArgumentRole) -> str:
    if role is ArgumentRole.TARGET:
        return "target"
    return _DESTINATIONS.get(ActKind(propose_kind(story.tool.rpartition("/")[2])), "destination")


class _Readings:
    """Says in words what an event has read."""

    def __init__(self, shown: Shown, events: Mapping[str, SessionEvent]) -> None:
        self._calls = shown.view.intents
        self._events = events

    def told(self, event_id: str) -> str:
        event = self._events.get(event_id)
        intent_id = event_id if event is None else event.intent_id
        call = self._calls.get(intent_id or "")
        if event is None and call is None:
            return f"event {event_id}"
        if event is not None and event.type is SessionEventType.USER_MESSAGE:
            return "a message of the user"
        if event is not None and event.sources:
            return ", ".join(event.sources[:_SOURCES_MAX])
        if call is not None:
            return f"{call.tool} {_arguments(call.args_json)}".strip()
        return "" if event is None else event.type.value.lower().replace("_", " ")

    def identified(self, intent_id: str) -> str:
        """Return in words by what the user has identified himself."""
        call = self._calls.get(intent_id)
        if call is None:
            return f"the user has identified himself by call {intent_id}"
        args = _parsed(call.args_json or "{}")
        if not isinstance(args, dict) or not args:
            return f"the user named that by which {call.tool} found it"
        *others, last = args
        named = f"{', '.join(others)} and {last}" if others else last
        return f"the user named the {named} by which {call.tool} found it"


class _ReadingsOfSeveral(_Readings):
    """Says in words what an event has read or written, also that of another session."""

    def __init__(self, own: _Readings, others: Mapping[str, str], read: Callable[[str], _Readings | None]) -> None:
        """Create it.

        Args:
            own: what the session itself has read.
            others: the sessions of events that are another one's.
            read: reads what another session has read; None if the log has no record of it.
        """
        self._own = own
        self._others = others
        self._read = cache(read)

    def identified(self, intent_id: str) -> str:
        return self._own.identified(intent_id)

    def told(self, event_id: str) -> str:
        other = self._others.get(event_id)
        if other is None:
            return self._own.told(event_id)
        readings = self._read(other)
        told = f"event {event_id}" if readings is None else readings.told(event_id)
        return f"{told} of session {other}"


def _reader(
    log: Log, codec: Codec, clock: Clock, owner: Owner, releasers: Releasers, officers: ContentOfficers
) -> Callable[[str], _Readings | None]:
    def read(session_id: str) -> _Readings | None:
        try:
            shown = show_session(log, codec, owner.tenant_uid, session_id, clock, releasers, officers=officers)
        except SessionMissingError:
            return None
        other = owner._replace(session_id=session_id)
        return _Readings(shown, _records(log, codec, clock, other)[1])

    return read


def _arguments(args_json: str | None) -> str:
    """Return the values of a reading call, which say what was read."""
    values = _parsed(args_json or "{}")
    if not isinstance(values, dict):
        return ""
    return _short(", ".join(str(value) for value in values.values() if isinstance(value, str | int | float)))


def _values(verdict: Verdict, readings: _Readings) -> tuple[Value, ...]:
    args = _parsed(verdict.args_json)
    # A long text has many parts; those of one place that come from the same place are shown once.
    made = dict.fromkeys(_value(origin, args, readings) for origin in verdict.origins)
    return tuple(sorted(made, key=lambda value: (value.role not in _SINKS, _WORST_FIRST.index(value.origin))))


def _value(origin: ArgumentOrigin, args: Any, readings: _Readings) -> Value:
    found = next((value for _, value in values_at(args, origin.pointer)), None)
    return Value(
        name="/".join(unescaped(step) for step in origin.pointer.split("/")[1:]) or "the arguments",
        text="" if found is None else _short(found if isinstance(found, str) else json.dumps(found)),
        role=origin.role,
        origin=origin.origin,
        instructed=origin.instructed,
        decoded=origin.decoded,
        sources=tuple(dict.fromkeys(readings.told(each) for each in origin.event_ids[:_SOURCES_MAX])),
        paths=origin.paths,
        identified="" if origin.identified_by is None else readings.identified(origin.identified_by),
    )


def _records(log: Log, codec: Codec, clock: Clock, owner: Owner) -> tuple[list[Verdict], dict[str, SessionEvent]]:
    """Return the verdicts of the intent in order, and the events of its session by id."""
    key = session_key_of(owner.tenant_uid, owner.session_id)
    verdicts: list[Verdict] = []
    events: dict[str, SessionEvent] = {}
    for _, record in records_of_key(log, codec, clock, (VERDICT, SESSION, REPORT), key):
        if isinstance(record, SessionEvent):
            events[record.header.id] = record
        elif isinstance(record, Verdict) and record.intent_id == owner.intent_id:
            verdicts.append(record)
    return verdicts, events


def _last(verdicts: Sequence[Verdict]) -> Verdict | None:
    return verdicts[-1] if verdicts else None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {}


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _VALUE_CHARS_MAX else f"{line[: _VALUE_CHARS_MAX - 1]}…"
