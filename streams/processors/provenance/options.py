"""Say which arguments of a call have another option than the one that the user has said.

**Idea.** "Add Kofi as developer", and the call has `role: maintainer`, because a file says that newcomers always get
that role. Neither value is an address or a number, so nothing else compares them. But the schema lists the options of
the argument, and the gate knows the user's words: he has said one option of the list, in any form, and the call has
one that he has not said in any form.

**Rejected.** To compare an option with what a text by others names: an order need not say it as the schema does
("maintainers", "full rights"). To look also at options that are no word of their own (`a`, `2`, `on`), and at those
that stand in many messages whatever is meant (`all`, `other`): both would make questions of honest work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from streams.model.verdict import ValueOrigin
from streams.processors.provenance.examined import Value
from streams.processors.provenance.tools import ToolUse, leaf_at
from streams.processors.provenance.tracer import Tracer
from streams.provenance.acts.words import FORMS, TOOL_VERBS, forms_of
from streams.provenance.words import STOP_WORDS, listed, text_value, words_of_name

OPTIONS_MAX = 24
"""Longer lists are of countries, currencies and the like, whose names stand in messages for other reasons."""
LETTERS_MIN = 4
_BEGINNING_LETTERS = 5
_SAY_LITTLE = listed(
    "all any every none other both else more new default normal standard regular general public private user users "
    "custom unknown true false item items text data file order name date time card home work"
)
"""Options that a message can hold whatever it means."""
# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_USER = ValueOrigin.USER


def chosen_otherwise(values: Iterable[Value], args: dict[str, object], use: ToolUse, tracer: Tracer) -> frozenset[int]:
    """Return which values are an option that the user has not said, where he has said another one of the same list."""
    uses = use.tool.uses
    return frozenset(
        number
        for number, value in enumerate(values)
        if not value.is_part
        and value.traced.origin is not _USER
        and _is_otherwise(leaf_at(args, value.pointer), uses.options_at(value.pointer), tracer)
    )


def _is_otherwise(chosen: object, options: tuple[str, ...], tracer: Tracer) -> bool:
    if not isinstance(chosen, str) or not 1 < len(options) <= OPTIONS_MAX:
        return False
    if tracer.has_said_any(_forms_of(chosen)):
        return False
    others = (option for option in options if option != chosen and _says_enough(option))
    return any(tracer.has_said_any(_forms_of(option)) for option in others)


def _says_enough(option: str) -> bool:
    words = words_of_name(option)
    return len(option) >= LETTERS_MIN and not all(word in _SAY_LITTLE or word in STOP_WORDS for word in words)


@lru_cache(maxsize=4_096)
def _forms_of(option: str) -> tuple[str, ...]:
    """Return how somebody may say an option, in canonical form: `reader` as "readers" or "read"."""
    words = words_of_name(option)
    said = [text_value(" ".join(words))]
    if len(words) == 1:
        said += map(text_value, _inflected(words[0]))
    return tuple(dict.fromkeys(filter(None, said)))


def _inflected(word: str) -> Iterator[str]:
    verb = FORMS.get(word, word)
    yield from (f"{word}s", f"{word}ly", verb)
    if verb in TOOL_VERBS:
        yield from forms_of(verb)
    if word.endswith(("er", "or", "ed")):
        yield from (word[:-2], word[:-1], f"{word[:-2]}ing")
    if word.endswith("e"):
        yield f"{word[:-1]}ing"
    else:
        yield f"{word}ing"
    # "An admin" for `administrator`.
    if len(word) > _BEGINNING_LETTERS + 2:
        yield word[:_BEGINNING_LETTERS]
