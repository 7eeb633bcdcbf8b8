"""Say what of a call the user has mentioned, beside its values: the tool, its settings, a person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.model.labels import Integrity
from streams.model.verdict import ValueOrigin
from streams.processors.provenance.examined import OF_RECORDS, Examined, Value
from streams.processors.provenance.flow import is_passed_on, personal_words
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.task_scopes import is_of_matters
from streams.processors.provenance.tools import SETTINGS_MAX, ToolUse, leaf_at
from streams.processors.provenance.tracer import Tracer
from streams.processors.provenance.user_words import ASKED_FOR, at_request
from streams.provenance.acts.kinds import DELEGATE, FILL
from streams.provenance.acts.matters import matters_of_name
from streams.provenance.acts.words import CHANGING_VERBS, GENERIC_VERBS, forms_of
from streams.provenance.pointers import escaped, last_name
from streams.provenance.requests.counted import COUNTED, things_like
from streams.provenance.requests.spoken_of import read_matters
from streams.provenance.sources.memory import Seen
from streams.provenance.words import short_value, thing_of

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER, _TRUSTED, _CONTENT = ValueOrigin.USER, Integrity.TRUSTED, ArgumentRole.CONTENT
_INSTRUCTED = Seen.INSTRUCTED
_LEFT = (DELEGATE, FILL)
_WORD = re.compile(r"[^\W\d_]{4,40}")
"""A word that says enough to name something."""
_SAY_LITTLE = frozenset(form for verb in GENERIC_VERBS | CHANGING_VERBS for form in (verb, *forms_of(verb)))
"""Verbs that say nothing of what is changed."""
_ALL_THINGS = ("everything", "alles", "tout", "todo", "tudo", "tutto", "wszystko")
"""Words for whatever there is, in canonical form."""


def is_unspoken(examined: Examined, tracer: Tracer) -> bool:
    """Return whether nothing that the user has said names the tool of a call, what it sets, or a value of it.

    That it acts on himself says nothing: at a desk, every call does.
    """
    for value in examined.values:
        if value.traced.origin is _USER and not value.traced.flags & Seen.SUBJECT:
            return False
    use = examined.use
    if tracer.has_said_any((*use.spoken_of, *use.things_alike, *use.words_of_settings(examined.args))):
        return False
    # "Bring my dog": as the value of a setting, a short word has no source.
    short = [short_value(value) for value in islice(examined.args.values(), SETTINGS_MAX) if isinstance(value, str)]
    return not tracer.has_said_any(filter(None, short))


def counted_elsewhere(values: Iterable[Value], row: ProvenanceRow, memory: Memory) -> frozenset[str]:
    """Return the things that arguments are called after, and of which the user has said in another session how many.

    What he has said to this session itself is in its row.
    """
    called = {thing for value in values for thing in things_like(thing_of(last_name(value.pointer)))}
    return frozenset(
        thing for thing in called if memory.look(ASKED_FOR, at_request(row.asked_s, f"{COUNTED}{thing}")) is not None
    )


def is_worded(values: Iterable[Value], use: ToolUse, tracer: Tracer, *, is_called_for: bool) -> bool:
    """Return whether the user has said the tool's own word.

    It is looked up where he and an instruction of others name one sink, or where an instruction may call for the act.
    """
    for value in values:
        # A loop costs less than a function for each value.
        if value.is_sink and value.traced.origin is _USER and value.traced.flags & _INSTRUCTED:
            is_called_for = True
    return is_called_for and tracer.has_said_any(use.own_words)


def is_mentioned(values: Iterable[Value], args: Mapping[str, Any], tracer: Tracer) -> bool:
    """Return whether the user has said a word of whatever instructions of others name as the target of a call.

    Who has "the Sports option" switched off means `TV-SPORTS`.
    """
    named = [value for value in values if value.is_sink and not value.is_part and value.traced.flags & _INSTRUCTED]
    return bool(named) and all(
        value.traced.origin is _USER
        or tracer.has_said_any(map(str.lower, _WORD.findall(str(leaf_at(args, value.pointer)))))
        for value in named
    )


def is_of_other_thing(use: ToolUse, tracer: Tracer) -> bool:
    """Return whether the user has said no word for what a tool is about: "delete the largest file", and it is mails.

    Who says "cancel everything today" has said a word for whatever there is.
    """
    return bool(use.named) and not tracer.has_said_any((*use.named, *_ALL_THINGS))


def is_of_other_matter(examined: Examined, tracer: Tracer) -> bool:
    """Return whether the user has mentioned other matters than the one that an act changes: of a seat, and it is bags.

    Nothing that he has named, and nothing that a record holds, may be what it sets: who says "make it 70" has said
    enough. What the agent writes, such as a reason, sets nothing. Neither does what only says where or to what.
    """
    use = examined.use
    if not use.matters:
        return False
    stated = next((scope.kind for scope in examined.row.scopes if is_of_matters(scope)), None)
    if stated is None:
        return False
    named, meant = read_matters(stated)
    if not named or not meant.isdisjoint(use.matters):
        return False
    is_set = [name for name, value in islice(examined.args.items(), SETTINGS_MAX) if _sets(name, value, use)]
    if not is_set or not all(meant.isdisjoint(matters_of_name(name)) for name in is_set) or _is_set_by_known(examined):
        return False
    short = [short_value(value) for name in is_set if isinstance(value := examined.args[name], str)]
    own = [word for word in use.own_words if word not in _SAY_LITTLE]
    return not tracer.has_said_any((*own, *use.things_alike, *filter(None, short)))


def _sets(name: str, value: object, use: ToolUse) -> bool:
    """Return whether an argument says what an act sets, and not where, to what, or why."""
    role, is_sink = use.place_of(f"/{escaped(name)}")
    return value is not None and not is_sink and role is not _CONTENT


def _is_set_by_known(examined: Examined) -> bool:
    """Return whether a value that is set is the user's, or all of those that are known are in records."""
    traced = [
        value.traced
        for value in examined.values
        if not value.is_sink and not value.is_part and value.role is not _CONTENT
    ]
    if any(each.origin is _USER and not each.flags & Seen.SUBJECT for each in traced):
        return True
    return bool(traced) and all(each.origin in OF_RECORDS for each in traced)


def is_left_to(row: ProvenanceRow, use: ToolUse, tracer: Tracer) -> bool:
    """Return whether the user leaves acts or values to a content, and speaks of what the tool reads.

    Trusted data can't be what others have written to him. Who speaks of his contacts has pointed at none of them.
    """
    label = use.tool.output_label
    if (label is not None and label.integrity is _TRUSTED) or not any(scope.kind in _LEFT for scope in row.scopes):
        return False
    return tracer.has_said_any(word for word in use.spoken_of if word not in use.own_words)


def tells_person(examined: Examined, tracer: Tracer) -> bool:
    """Return whether a call writes what identifies a person into a text, of which the user has not spoken."""
    for value in examined.values:
        if value.role is not _CONTENT or value.is_sink or not value.is_shaped or not is_passed_on(value.traced):
            continue
        entry, content = value.traced.entry, examined.content_of(value.traced)
        if entry is None or content is None or content.audience_at(entry.path).is_public:
            continue
        for path in content.paths_at(entry.path):
            words = personal_words(path)
            if words and not tracer.has_said_any(words):
                return True
    return False
