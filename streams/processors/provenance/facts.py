"""Make the facts of provenance from what is known about a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.drift import drift_of, is_drift
from streams.processors.provenance.examined import OF_RECORDS, Examined, Value, is_pointed
from streams.processors.provenance.flow import is_passed_on, is_public_place, leaves_readers
from streams.processors.provenance.requested import (
    covers,
    exceeds_sum,
    is_agreed,
    is_counted_otherwise,
    is_one,
    is_requested,
    is_stated,
    is_widened,
    limits_reads,
    values_in_place_of_his,
)
from streams.processors.provenance.rows import Amounts
from streams.provenance.acts.calls import SENDING, SETTING, Calls, compare
from streams.provenance.acts.kinds import DELEGATE, FILL, REVISE, SUM
from streams.provenance.contents.leaves import leaves_of
from streams.provenance.requests.counted import COUNTED
from streams.provenance.requests.languages import FOREIGN
from streams.provenance.requests.object_named import OBJECTS
from streams.provenance.requests.scope import DERIVED, SOURCES
from streams.provenance.sources.memory import Seen

_WORDS = {origin: origin.value.lower() for origin in ValueOrigin}
_ROLE_WORDS = {role: role.value.lower() for role in ArgumentRole}
_SOURCE_WORDS = tuple(source.value.lower() for source in SOURCES)
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_AMOUNT, _CONTENT, _TIME = ArgumentRole.AMOUNT, ArgumentRole.CONTENT, ArgumentRole.TIME
_NOWHERE = ValueOrigin.NOWHERE
_NUMBERS = (_AMOUNT, _TIME)
_RESEMBLES = Seen.ALIKE | Seen.ALIKE_KNOWN | Seen.NOT_COMPARED


def origins_facts(examined: Examined) -> list[dict[str, Any]]:
    """Return the fact `origins`."""
    facts = [_origin_fact(value, examined) for value in examined.values]
    row = examined.row
    if not row.has_pointed_text and not examined.use.is_read:
        _point_at_any(facts, examined)
    counted = set(examined.counted)
    for scope in row.scopes:
        if scope.source == DERIVED and scope.kind.startswith(COUNTED):
            counted.add(scope.kind.removeprefix(COUNTED))
    if counted:
        for value, fact in zip(examined.values, facts, strict=True):
            if is_counted_otherwise(value, examined, counted):
                fact["otherwise"] = True
    if not examined.use.is_read:
        for number in values_in_place_of_his(examined):
            facts[number]["instead"] = True
    if not examined.is_complete:
        facts.append(_NOT_LOOKED_AT)
    return facts


def _point_at_any(facts: list[dict[str, Any]], examined: Examined) -> None:
    """Let text count as pointed at that the user leaves values to.

    He has pointed at no content, so he may mean any that was read: who has the electricity bill paid does not say which
    of ten mails it is in.
    """
    for fact in facts:
        if fact["origin"] == "text" and not fact["pointed"]:
            fact["pointed"] = _is_delegated(examined, {scope.kind for scope in examined.row.scopes})


def _is_delegated(examined: Examined, stated: set[str]) -> bool:
    """Return whether the user leaves an act, or values of it, to a content."""
    return DELEGATE in stated or (FILL in stated and _names_kind(examined, stated))


def _origin_fact(value: Value, examined: Examined) -> dict[str, Any]:
    traced = value.traced
    flags, is_instructed = traced.flags, traced.is_instructed
    content = examined.content_of(traced)
    fact: dict[str, Any] = {
        "arg": value.pointer,
        "role": _ROLE_WORDS[value.role],
        "sink": value.is_sink,
        "part": value.is_part,
        "shaped": value.is_shaped,
        "origin": _WORDS[traced.origin],
        "instructed": is_instructed,
        "decoded": traced.is_decoded,
        "named": bool(flags & Seen.NAMED),
        "pointed": is_pointed(traced),
        "subject": bool(flags & Seen.SUBJECT),
        "events": [] if content is None else [content.event_id],
    }
    is_money = value.role is _AMOUNT and not value.is_part and examined.use.tool.uses.is_money(value.pointer)
    if is_instructed:
        is_content = not value.is_sink and (value.is_part or value.role is _CONTENT)
        # "I need 600, send it to me": who sends an amount pays it. And "enter 25" is said of any call.
        near = SENDING if is_money else 0
        if value.role in _NUMBERS and not is_one(value, examined):
            near |= SETTING
        calls_for = compare(traced.calls_for, examined.kinds, is_content=is_content, near=near)
        if is_content and not value.is_part and calls_for != Calls.THIS and not examined.has_sinks:
            # Of a call without a target, what it writes is all that it is about.
            calls_for = compare(traced.calls_for, examined.kinds, is_content=False, near=near)
        if value.role is _TIME and traced.origin is _NOWHERE and calls_for != Calls.THIS:
            # Half of all mails name a day beside something polite, and no act is about that.
            return {**fact, "instructed": False}
        fact["calls_for"] = calls_for
    if flags & Seen.BUILT:
        fact["composed"] = True
    if flags & Seen.EXCLUDED and value.is_sink:
        fact["excluded"] = True
    if flags & _RESEMBLES:
        fact["resembles"] = "known" if flags & Seen.ALIKE_KNOWN else "other" if flags & Seen.ALIKE else "unknown"
    if is_money:
        fact["money"] = True
    if flags & Seen.SHOWN and traced.origin in OF_RECORDS and not fact["pointed"]:
        fact["shown"] = True
    if flags & Seen.SOLE:
        fact["sole"] = True
    if value.proposed:
        fact["proposed"] = value.proposed
    return fact


_NOT_LOOKED_AT: dict[str, Any] = {
    "arg": "",
    "role": "unknown",
    "sink": True,
    "part": False,
    "shaped": True,
    "origin": "text",
    "instructed": True,
    "decoded": False,
    "named": True,
    "pointed": False,
    "subject": False,
    "events": [],
    "calls_for": Calls.UNKNOWN,
}
"""Stands for the values of a call that has more of them than are looked at."""


def read_facts(examined: Examined) -> dict[str, bool]:
    """Return the fact `read`: what the session has read as a whole."""
    row = examined.row
    may_have_read = examined.is_tainted or examined.awaits
    facts = {
        "untrusted": row.has_untrusted or may_have_read,
        "text": row.has_text or (may_have_read and not row.has_untrusted),
        "instructed": row.is_instructed or (may_have_read and not row.has_untrusted),
        "complete": row.is_complete,
    }
    if row.lacks_words:
        facts["lacks_words"] = True
    return facts


def act_facts(examined: Examined) -> dict[str, Any]:
    """Return the fact `act`: the kind of act, whether the user asked for such a one, and what the session has done."""
    row, kind, use = examined.row, examined.kind, examined.use
    stated = {scope.kind for scope in row.scopes}
    requested = is_requested(examined)
    calls_for = compare(row.calls_for, examined.kinds, is_content=False) if row.calls_for else None
    facts: dict[str, Any] = {
        "kind": kind,
        "outward": use.is_outward,
        "requested": requested,
        # As `_is_delegated`, without a call: every examined call needs it.
        "delegated": DELEGATE in stated or (FILL in stated and _names_kind(examined, stated)),
        "count": row.acts.get(kind, 0),
        "drift": drift_of(examined),
        "drifts": is_drift(examined),
        "called_for": calls_for == Calls.THIS,
        **(_UNCALLED if calls_for == Calls.OTHER else {}),
        **(_PRICED if row.amounts == Amounts.SHOWN else {}),
        **(_UNSPOKEN if examined.is_unspoken else {}),
        **(_EXCEEDS if SUM in stated and exceeds_sum(examined) else {}),
        **(_WORDED if examined.is_worded else {}),
        **(_MENTIONED if examined.is_mentioned else {}),
        **(_OTHER_THING if examined.is_of_other_thing else {}),
        **(_OTHER_MATTER if examined.is_of_other_matter and not _is_answered(examined) else {}),
        **(_FILLED if use.is_read and FILL in stated else {}),
        **(_WIDENED if not stated.isdisjoint(OBJECTS) and requested and is_widened(examined, stated) else {}),
    }
    if not requested:
        if FOREIGN in stated:
            facts["foreign"] = True
        if is_agreed(examined):
            facts["agreed"] = True
        if is_stated(examined):
            facts["stated"] = True
    return facts


_PRICED = {"priced": True}
_FILLED = {"filled": True}
_OTHER_THING = {"other_thing": True}
_OTHER_MATTER = {"other_matter": True}
_UNCALLED = {"uncalled": True}
_UNSPOKEN = {"unspoken": True}
_EXCEEDS = {"exceeds": True}
_WORDED = {"worded": True}
_MENTIONED = {"mentioned": True}
_WIDENED = {"widened": True}


def _is_answered(examined: Examined) -> bool:
    """Return whether the user has agreed to an act, or has stated where it goes.

    Rules don't learn it of an act that was asked for: others read `agreed` and `stated`, too, and would lift denials.
    """
    return is_agreed(examined) or is_stated(examined)


def _names_kind(examined: Examined, stated: set[str]) -> bool:
    """Return whether the request names the very kind of an act, not only another one that it may be asked for as."""
    if examined.use.is_read:
        return False
    return examined.kind in stated or examined.is_named or (REVISE in stated and REVISE in examined.kinds)


def scope_facts(examined: Examined) -> dict[str, Any]:
    """Return the fact `scope`: who has limited the session to its task, and whether the call is inside.

    The scope of the issuer or of a person counts, and only where there is none the derived one. Reads that leave
    nothing are inside of every scope that does not limit them.
    """
    scopes = examined.row.scopes
    weightiest = max([scope.source for scope in scopes], default=None)
    if weightiest is None:
        return {"source": "none", "inside": True}
    own = [scope for scope in scopes if scope.source == weightiest]
    # As `covers`, without a call: most scopes are of other kinds, or say something else of the user's words.
    kinds = examined.kinds
    covering = [scope for scope in own if (not scope.kind or scope.kind in kinds) and covers(scope, examined)]
    inside = bool(covering)
    if examined.use.is_read and not any(limits_reads(scope, examined) for scope in own):
        inside = inside or not examined.use.is_outward or weightiest == DERIVED
    facts: dict[str, Any] = {"source": _SOURCE_WORDS[weightiest], "inside": inside}
    return {**facts, "amount": True} if covering and all(scope.amount_max for scope in covering) else facts


def owner_facts(examined: Examined) -> dict[str, Any]:
    """Return the fact `owner`: whose data the call is about."""
    owners = examined.owners
    facts: dict[str, Any] = {
        "several": examined.use.has_owners or owners.age_ms is not None,
        "subject": owners.is_subject,
        "other": owners.is_other,
    }
    if owners.age_ms is not None:
        facts["age_ms"] = owners.age_ms
    if owners.is_unread:
        facts["unread"] = True
    return facts


def flow_facts(examined: Examined) -> dict[str, bool]:
    """Return the fact `flow`: whether private data go where more people see them. A read inside passes nothing on."""
    use, values = examined.use, examined.values
    if use.is_read and not use.is_outward:
        return _NO_FLOW
    traced = [value.traced for value in values if value.is_shaped and (value.is_part or not value.is_sink)]
    passed_on = [each for each in (*traced, *examined.pieces) if is_passed_on(each)]
    audiences = [each for each in map(examined.audience_of, passed_on) if not each.is_public]
    is_limited = any(each.readers is not None for each in audiences)
    recipients = _recipients(examined) if is_limited or examined.tells_person else None
    facts = {
        "private": bool(audiences) or not examined.is_complete,
        "public": is_public_place(use, examined.kind),
        "excluded": is_limited and leaves_readers(audiences, recipients, is_outward=use.is_outward),
    }
    # What goes to the user himself tells nobody.
    return {**facts, "personal": True} if examined.tells_person and recipients != [] else facts


_NO_FLOW = {"private": False, "public": False, "excluded": False}


def _recipients(examined: Examined) -> list[str] | None:
    """Return what the sinks of a call name, except the subject; None if it has no sinks."""
    sinks = examined.use.tool.uses.sinks
    named = [leaf for leaf in leaves_of(examined.args) if sinks.cover(leaf.path)]
    own = {value.pointer for value in examined.values if value.traced.flags & Seen.SUBJECT and not value.is_part}
    return [str(leaf.value) for leaf in named if leaf.path not in own] if named else None


PROVENANCE_MAKERS: dict[str, Callable[[Examined], Any]] = {
    "origins": origins_facts,
    "act": act_facts,
    "scope": scope_facts,
    "owner": owner_facts,
    "flow": flow_facts,
    "read": read_facts,
}
"""The makers by top-level name of `streams.policy.language.schema.FACTS`."""
