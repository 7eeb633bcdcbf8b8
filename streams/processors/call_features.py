"""Take out of a call's arguments what behaviour is judged by, as files declare it.

The watch learns by these declarations, and publishes them with what it has learned. So gates read calls alike, without
the watch's files.

A declaration names the argument, or its role: what it is for. Roles are facts of the catalog. A verdict states them
where a rule has asked where values come from. Otherwise they are proposed from the names of the arguments, by the
functions that propose them at an import. So a tool that no file names has features as well.

INVARIANT: the gate and the watch find the same features in a call. Both pass the roles that the verdict states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import takewhile
from math import isfinite
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from streams.behaviour.acts import destroys
from streams.behaviour.profiles import ROLE_MARK, Extraction
from streams.model.catalog import ArgumentRole
from streams.policy.language.globs import GlobSet
from streams.provenance.acts.kinds import ActKind
from streams.provenance.pointers import escaped, unescaped
from streams.provenance.tools.kinds import BEFORE_OTHER_THINGS, propose_kind
from streams.provenance.tools.places import words_of
from streams.provenance.tools.uses import Names, is_copy, is_identifier, names_in, owners_of_names, roles_of_names

TEXT_CHARS_MAX = 256
GLOBS_CACHED_MAX = 1_024
NAMES_CACHED_MAX = 4_096
"""Tools of which is remembered what the globs say, and pointers whose names are."""
SHAPES_CACHED_MAX = 512
"""Calls of which is remembered what their arguments seem to be for, by the names of these, which callers choose."""
POINTER_PARTS_MAX = 16
INDEX_DIGITS_MAX = 9
OWNER = "OWNER"
"""What an argument may be declared by beside the roles of the catalog: it says whose data a call is about."""
PUBLISHED_FEATURES = frozenset({"destination", "amount"})
"""Features that published baselines have something to compare with."""

_IDENTIFYING = frozenset({"id", "key", "name", "no", "number", "uid", "uuid"})
"""Words that say of an argument that it identifies something, and not what."""

_PERSONS = frozenset(
    {
        "caller", "candidate", "claimant", "contact", "debtor", "defendant", "donor", "lead", "learner", "prospect",
        "pupil", "respondent", "traveler", "traveller", "voter",
    }
)  # fmt: skip
"""Whom records are about, beside those who own accounts and the like. Rules don't ask whether such data is somebody's
own, but who goes from one person to the next is unusual whatever they are called."""

globs_of = lru_cache(maxsize=GLOBS_CACHED_MAX)(GlobSet)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def extractions_for(extractions: tuple[Extraction, ...], tool: str) -> tuple[Extraction, ...]:
    """Return the declarations that are for a tool."""
    return tuple(each for each in extractions if globs_of(each.tools).matches(tool))


_ABOUT, _UNDECIDED = ArgumentRole.TARGET, ArgumentRole.UNKNOWN

Roles = tuple[tuple[str, ArgumentRole], ...]
"""Pointers of arguments, each with what it is for."""
Pointers = tuple[str, ...]


def extracted(extractions: tuple[Extraction, ...], tool: str, args: Any, stated: Roles = ()) -> dict[str, str | float]:
    """Return the features of a call; the first declaration that finds a value counts.

    Args:
        extractions: where features are found.
        tool: `server.name`.
        args: its arguments.
        stated: the roles of the arguments as the verdict states them; empty if it states none. If the catalog has
            decided on none of them, they are proposed from names, as if none were stated.
    """
    return extracted_by(extractions_for(extractions, tool), tool, args, stated)


def extracted_by(wanted: tuple[Extraction, ...], tool: str, args: Any, stated: Roles = ()) -> dict[str, str | float]:
    """Return what `extracted` does, by the declarations that are for the tool."""
    found: dict[str, str | float] = {}
    names: Names | None = None
    proposed: Mapping[str, tuple[str, ...]] = {}
    for each in wanted:
        if each.feature in found:
            continue
        pointers: tuple[str, ...] = (each.pointer,)
        if each.pointer[:1] == ROLE_MARK:
            role = each.pointer[1:]
            if names is None:
                names = names_in(args)
                stated = tuple([each for each in stated if each[1] is not _UNDECIDED])
                if not stated:
                    proposed = _by_names(tool, names)
            pointers = _with_role(role, names, stated) if stated else proposed.get(role, ())
        for pointer in pointers:
            value = _read(_pointed(args, pointer), each.read_as)
            if value is not None:
                found[each.feature] = value
                break
    return found


@lru_cache(maxsize=SHAPES_CACHED_MAX)
def _by_names(tool: str, names: Names) -> Mapping[str, tuple[str, ...]]:
    """Return, by role, the pointers of the arguments that seem to have it, the most likely first."""
    reads = propose_kind(tool.rpartition(".")[2]) == ActKind.READ
    # What a call is about has a name that says that it identifies something; the cursor of a list does not.
    roles = roles_of_names(names, reads=reads)
    is_undecided = {pointer for pointer, _ in roles}.isdisjoint
    roles = tuple(each for each in roles if each[1] is not _ABOUT or is_identifier(each[0]))
    found = {role: _with_role(role, names, roles) for role in (*ArgumentRole, OWNER)}
    if not reads and (destroys(tool) or not found[_ABOUT]):
        # The pod of `delete_pod`, and not the namespace that it is in. Pages of lists are only read.
        found[_ABOUT] = _named_first(tool, names, found[_ABOUT], is_undecided)
    return MappingProxyType(found)


def _named_first(tool: str, names: Names, about: Pointers, is_undecided: Callable[[Pointers], bool]) -> Pointers:
    """Return what a call is about, with the arguments first that are called as what the tool is about, by its name.

    The first word of a tool's name is a verb, or says how (`force_delete`). So an argument that is called like it comes
    first only if its name says that it identifies something (`branch_delete`), else last.
    """
    words = words_of(tool.rpartition(".")[2])
    # Members are removed from a team, and not teams.
    things = set(takewhile(lambda word: word not in BEFORE_OTHER_THINGS, words[1:]))
    first, last = [], []
    for name, _ in names:
        pointer, thing = f"/{escaped(name)}", _thing_of(name)
        if destroys(thing) or not (is_undecided((pointer,)) or pointer in about):
            continue
        if thing in things or (pointer in about and thing in words[:1]):
            first.append(pointer)
        elif thing in words[:1]:
            last.append(pointer)
    return tuple(dict.fromkeys((*first, *about, *last)))


def _thing_of(name: str) -> str:
    """Return what an argument identifies: the `document` of `document_id`."""
    return "".join([word for word in words_of(name) if word not in _IDENTIFYING][-1:])


def _with_role(role: str, names: Names, roles: Roles) -> tuple[str, ...]:
    """Return the pointers of the arguments with a role, the most likely first.

    What a call is about is also what selects what is read, if its name says that it identifies something. A text that
    is searched for identifies nothing.
    """
    if role == OWNER:
        return owners_of_names(names) or _persons_in(names)
    if role == ArgumentRole.TARGET:
        about = [pointer for pointer, its in roles if its is ArgumentRole.TARGET]
        about += [pointer for pointer, its in roles if its is ArgumentRole.SELECTOR and is_identifier(pointer)]
        return tuple(about)
    return tuple(sorted((pointer for pointer, its in roles if its == role), key=is_copy))


@lru_cache(maxsize=SHAPES_CACHED_MAX)
def _persons_in(names: Names) -> tuple[str, ...]:
    """Return the pointers of the arguments that say, by their names, whom a record is about."""
    return tuple(f"/{escaped(name)}" for name, _ in names if _thing_of(name) in _PERSONS)


def _pointed(value: Any, pointer: str) -> Any:
    """Return what a JSON pointer points to, the first item where it meets a list and names none; None if nothing."""
    for name in _names_in(pointer):
        if type(value) is dict:
            # As almost always. To ask for the abstract class takes longer than all else here.
            value = value.get(name)
            continue
        is_index = name.isascii() and name.isdigit()
        if isinstance(value, list) and not is_index:
            value = value[0] if value else None
        if isinstance(value, list):
            # Python refuses to read thousands of digits, and no list is that long.
            index = int(name) if is_index and len(name) <= INDEX_DIGITS_MAX else len(value)
            value = value[index] if index < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(name)
        else:
            return None
    return value[0] if isinstance(value, list) and value else value


@lru_cache(maxsize=NAMES_CACHED_MAX)
def _names_in(pointer: str) -> tuple[str, ...]:
    """Return the names of a JSON pointer."""
    return tuple(map(unescaped, pointer.split("/")[1:][:POINTER_PARTS_MAX]))


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
