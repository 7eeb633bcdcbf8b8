"""Follows a call back to what the user asked for: what it was made of, and by which calls the session came to have it.

The causes of a call are what its values come from, as far as the verdict says, or else everything that the session had
read by then. A result that was read is the end of an earlier call, which has causes of its own. The chain ends with the
user's message, or the opening of the session where nobody wrote one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from streams.model.errors import StoplogError
from streams.model.intent import Intent
from streams.model.session import SessionEvent, SessionEventType
from streams.model.verdict import Verdict
from streams.operations.approvals.given import Given, given_in
from streams.operations.timeline.entries import Entry, Who, entries_of
from streams.operations.timeline.records import SessionRecords

CAUSES_MAX = 12
"""How many causes of one call are followed; the last ones."""

DEPTH_MAX = 40


class CauseError(StoplogError):
    """The call can't be followed back."""


class Cause(NamedTuple):
    """An entry of the timeline, and what it comes from.

    Attributes:
        because: how the entry above comes from this one, in words; empty for the call itself.
        arguments: those of a call, if this client may read them.
        answers: what people have answered about a call.
        known: whether it stands elsewhere in the chain already; its causes are not repeated.
        left_out_count: how many causes are not shown.
    """

    entry: Entry
    because: str
    arguments: str = ""
    answers: tuple[Given, ...] = ()
    causes: tuple[Cause, ...] = ()
    known: bool = False
    left_out_count: int = 0

    def fields(self) -> dict[str, Any]:
        """Return the chain as JSON."""
        return {
            **self.entry.fields(),
            "because": self.because or None,
            "arguments": self.arguments or None,
            "answers": [given._asdict() for given in self.answers],
            "known": self.known,
            "left_out": self.left_out_count,
            "causes": [cause.fields() for cause in self.causes],
        }


def causes_of(records: SessionRecords, intent_id: str) -> Cause:
    """Return a call with the chain of its causes.

    Raises:
        CauseError: this client may read neither the call nor its verdict.
    """
    chain = _Chain(records)
    found = chain.call(intent_id, "", frozenset(), 0)
    if found is None:
        raise CauseError(f"intent `{intent_id}` is not among the records that this client may read")
    return found


class _Chain:
    def __init__(self, records: SessionRecords) -> None:
        self._records = records
        self._events = {event.header.id: event for event in records.events()}
        self._entries: dict[str, Entry] = {}
        self._times: dict[str, int] = {}
        self._decisions: dict[str | None, Entry] = {}
        for entry in entries_of(records):
            self._entries.setdefault(entry.event_id, entry)
            self._times[entry.event_id] = entry.time_ms
            if entry.who is Who.GATE and dict(entry.details).get("reason"):
                self._decisions[entry.intent_id] = entry
        self._answers = given_in(line.record for line in records.lines)
        self._shown: set[str] = set()

    def call(self, intent_id: str, because: str, above: frozenset[str], depth: int) -> Cause | None:
        """Return a call and its causes; None if nothing is known of it."""
        entry = self._decision(intent_id) or self._asked(intent_id)
        if entry is None:
            return None
        arguments = self._arguments(intent_id)
        if intent_id in above or intent_id in self._shown or depth >= DEPTH_MAX:
            return Cause(entry, because, arguments, known=True)
        self._shown.add(intent_id)
        asked = self._asked(intent_id) or entry
        inputs = list(self._inputs(intent_id))
        shown = inputs[-CAUSES_MAX:]
        made = [self._read(event_id, why, above | {intent_id}, depth + 1) for event_id, why in shown]
        causes = [cause for cause in made if cause is not None]
        said = self._said_before(asked.time_ms)
        if said is not None and all(cause.entry.event_id != said.event_id for cause in causes):
            causes.append(Cause(said, "what the user had asked for", known=said.event_id in self._shown))
            self._shown.add(said.event_id)
        answers = self._answers.get(intent_id, ())
        return Cause(entry, because, arguments, answers, tuple(causes), left_out_count=len(inputs) - len(shown))

    def _read(self, event_id: str, why: str, above: frozenset[str], depth: int) -> Cause | None:
        """Return what was read: the call that read it, or the event itself."""
        event = self._events.get(event_id)
        if event is None:
            # A call whose result had not been reported: the session may have read it.
            return self.call(event_id, why, above, depth)
        entry = self._of_event(event_id)
        if entry is None:
            return None
        if event_id in self._shown:
            return Cause(entry, why, known=True)
        self._shown.add(event_id)
        if event.intent_id is None:
            return Cause(entry, why)
        call = self.call(event.intent_id, "the call that returned it", above, depth + 1)
        return Cause(entry, why, causes=() if call is None else (call,))

    def _inputs(self, intent_id: str) -> Iterator[tuple[str, str]]:
        """Yield the ids of what a call was made of, each with how."""
        verdicts = self._records.of_intent(intent_id)
        if not verdicts:
            return
        verdict = verdicts[0]
        named = dict(_origins(verdict))
        if named:
            yield from named.items()
            return
        for influence in verdict.influences:
            pointers = f" for {', '.join(influence.arg_pointers)}" if influence.arg_pointers else ""
            origin = influence.origin.value.lower()
            yield influence.event_id, f"the session had read it{pointers} ({origin})"

    def _arguments(self, intent_id: str) -> str:
        if self._records.is_erased(intent_id):
            return ""
        intent = self._records.intent(intent_id)
        if intent is not None:
            return intent.args_json
        return next((verdict.args_json for verdict in self._records.of_intent(intent_id)), "")

    def _decision(self, intent_id: str) -> Entry | None:
        return self._decisions.get(intent_id)

    def _asked(self, intent_id: str) -> Entry | None:
        intent: Intent | None = self._records.intent(intent_id)
        return None if intent is None else self._of_event(intent.header.id)

    def _of_event(self, event_id: str) -> Entry | None:
        return self._entries.get(event_id)

    def _said_before(self, time_ms: int) -> Entry | None:
        """Return the user's last message before an instant, or the opening of the session."""
        kinds = (SessionEventType.USER_MESSAGE, SessionEventType.SESSION_ESTABLISHED)
        for kind in kinds:
            said = [event for event in self._events.values() if event.type is kind and self._is_before(event, time_ms)]
            if said:
                return self._of_event(said[-1].header.id)
        return None

    def _is_before(self, event: SessionEvent, time_ms: int) -> bool:
        return self._times.get(event.header.id, 0) <= time_ms


def _origins(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Yield what held the values of a call, each with the arguments that it held."""
    held: dict[str, list[str]] = {}
    for origin in verdict.origins:
        for event_id in origin.event_ids:
            held.setdefault(event_id, []).append(origin.pointer.lstrip("/") or "the arguments")
    for event_id, names in held.items():
        yield event_id, f"it held `{'`, `'.join(dict.fromkeys(names))}`"
