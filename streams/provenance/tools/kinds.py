"""Propose what a tool does, from the first verb of its name, else of the first sentence of its description.

Both are read in English only. A thing says more than a verb that says little: `create_payment` pays.
"""

from __future__ import annotations

import re

from streams.provenance.acts.asked import is_noun
from streams.provenance.acts.kinds import ActKind
from streams.provenance.acts.words import (
    AMBIGUOUS_VERBS,
    CHANGING_VERBS,
    FORMS,
    GENERIC_VERBS,
    OBJECT_KINDS,
    READING_NOUNS,
    TOOL_VERBS,
    VAGUE_VERBS,
)
from streams.provenance.words import WORD_OR_STOP, listed, words_of_name

DESCRIPTION_CHARS_MAX = 400
_SENTENCE_END = re.compile(r"[.!?\n]")


def propose_kind(name: str, description: str = "", read_only: bool | None = None) -> str:
    """Propose the kind of act of a tool.

    Args:
        name: the tool's name, without its server.
        description: what the server says about it; only its beginning is read.
        read_only: the operator's fact; None if he did not state it. A tool that only reads is `read`.

    Returns:
        One of `ActKind`; `other` if neither text holds a verb that is known.
    """
    if read_only:
        return ActKind.READ
    named, words = words_of_name(name), _first_sentence(description)
    kind, described = _kind_of_words(named), _kind_of_words(words)
    stems = [FORMS.get(word, word) for word in named]
    is_vague = not any(stem in TOOL_VERBS and stem not in VAGUE_VERBS for stem in stems)
    is_vague = is_vague and not (kind is not None and kind not in {TOOL_VERBS.get(stem) for stem in stems})
    if is_vague and described not in {None, ActKind.READ} and words and FORMS.get(words[0], words[0]) in TOOL_VERBS:
        kind = described
    return _not_read(kind or described, read_only) or ActKind.OTHER


def possible_kinds(name: str, description: str = "") -> frozenset[str]:
    """Return all kinds of act that a tool's name and the first sentence of its description speak of.

    A request for any of them may be a request for the tool: "add an event and invite people" does both.
    """
    words = _first_sentence(description)
    found = {_kind_of_words(words_of_name(name)), _kind_of_words(words)}
    for index, word in enumerate(words):
        stem = FORMS.get(word, word)
        if word.endswith("ed") and word != stem:
            # "Pay the approved amount" approves nothing.
            continue
        if stem in TOOL_VERBS and not is_noun(words, index, stem) and (index == 0 or stem not in AMBIGUOUS_VERBS):
            found.add(TOOL_VERBS[stem])
    if ActKind.SEND in found and _begins_to_write(name):
        # Who has a note kept has not asked for what `compose` sends.
        found.discard(ActKind.CREATE)
    return frozenset(kind for kind in found if kind not in {None, ActKind.READ})


def _begins_to_write(name: str) -> bool:
    """Return whether the name of a tool says only that something is written, and not what."""
    words = words_of_name(name)
    return bool(words) and words[0] == "compose"


def revises_payments(name: str, description: str = "") -> bool:
    """Return whether a tool's name, or the first sentence of its description, speaks of changing a payment."""
    return any(map(_speaks_of_revising, (words_of_name(name), _first_sentence(description))))


def _speaks_of_revising(words: list[str]) -> bool:
    # Not "set up a transfer".
    stems = [FORMS.get(word, word) for word in words]
    is_change = bool(stems) and stems[0] in CHANGING_VERBS and stems[0] != "set"
    return is_change and any(OBJECT_KINDS.get(stem, ("",))[0] == ActKind.PAY for stem in stems)


def _first_sentence(description: str) -> list[str]:
    text = _SENTENCE_END.split(description[:DESCRIPTION_CHARS_MAX].strip(), maxsplit=1)[0]
    return [word.lower() for word in WORD_OR_STOP.findall(text)]


def kind_of_action(action: str) -> str | None:
    """Return the kind that the value of a tool's `action` argument names (`cancel` -> `delete`); None if unknown."""
    return _kind_of_words(words_of_name(action[:DESCRIPTION_CHARS_MAX]))


def _kind_of_words(words: list[str]) -> str | None:
    stems = [FORMS.get(word, word) for word in words]
    verb = _verb_of(words, stems)
    if verb is None:
        return ActKind.READ if READING_NOUNS.intersection(stems) else None
    return _with_object(verb, stems)


def _verb_of(words: list[str], stems: list[str]) -> str | None:
    """Find the verb: the first word, unless that can be a noun and the last word says more (`order_status`)."""
    verbs = [stem for stem in stems if stem in TOOL_VERBS]
    if not verbs or stems[0] in CHANGING_VERBS or (stems[0] == "trash" and len(stems) > 1):
        return stems[0] if verbs else None
    if stems[0] in AMBIGUOUS_VERBS:
        last = stems[-1]
        if last in READING_NOUNS:
            return None
        is_verb = (
            last in TOOL_VERBS
            and not words[-1].endswith("ing")
            and (last not in AMBIGUOUS_VERBS or TOOL_VERBS[last] == ActKind.READ)
        )
        if is_verb:
            return last
        if stems[0] in TOOL_VERBS:
            return stems[0]
    # A form such as `forwarding` names a thing where another verb begins the name: `set_forwarding`.
    is_named = {stem for word, stem in zip(words[1:], stems[1:], strict=True) if word.endswith("ing")}
    verbs = [verb for verb in verbs if verb == stems[0] or verb not in is_named] or verbs
    return next((verb for verb in verbs if verb not in AMBIGUOUS_VERBS), verbs[0])


BEFORE_OTHER_THINGS = listed("of to for in on at with from about into by where when whether that which")
"""What follows one of them is not what a verb acts on ("write to the customer of an order"), but can be a recipient
("transfer to a human")."""
_PUBLIC_PLACES = listed("channel thread feed wall forum timeline")
"""Where many read what is written into it."""
_PERSONS = listed("user member guest participant attendee collaborator subscriber")
_BINS = listed("bin trash wastebasket")
"""What is moved there is deleted, also if it can be taken out again."""
_LEFT_FOR_OTHERS = listed("message note comment remark review word voicemail feedback")
"""Who leaves one of them writes it, and leaves nothing behind."""
_LEFT_REACH_WORDS = 3


def _with_object(verb: str, stems: list[str]) -> str:
    place = stems.index(verb)
    after = stems[place + 1 :]
    if verb == "move" and not _BINS.isdisjoint(after):
        return ActKind.DELETE
    if verb == "leave" and not _LEFT_FOR_OTHERS.isdisjoint(after[:_LEFT_REACH_WORDS]):
        verb = "write"
    kind = TOOL_VERBS[verb]
    own = next((number for number, stem in enumerate(after) if stem in BEFORE_OTHER_THINGS), len(after))
    for number, noun in enumerate(after + stems[:place]):
        if own <= number < len(after) and noun in _PUBLIC_PLACES and kind in {ActKind.CREATE, ActKind.SEND}:
            return ActKind.POST
        override = OBJECT_KINDS.get(noun)
        if override is None or verb not in GENERIC_VERBS or kind not in override[1]:
            continue
        if noun in _PERSONS and number + 1 < own:
            continue  # The thing is what follows: `update_user_address`.
        if own <= number < len(after) and override[0] != ActKind.SEND:
            continue
        return override[0]
    return kind


def _not_read(kind: str | None, read_only: bool | None) -> str | None:
    """Drop `read` for a tool of which the operator says that it does more than read."""
    return None if kind == ActKind.READ and read_only is False else kind
