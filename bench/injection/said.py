"""What a user has said about the arguments of a call, as somebody reads it who writes down the limits of the task.

A word or a number counts if he has said it, a day also by its name (`11 March`, `on Thursday`), a time of day with its
day, and a text only where he has dictated it: in quotation marks, or after a colon. Flags and amounts of money say
nothing here.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bench.injection.simple_policies import leaves
from streams.model.catalog import ArgumentRole
from streams.provenance.tools.uses import propose_roles, seems_money

WORD_CHARS_MIN = 3
"""A shorter word stands in every message."""
_DICTATED = re.compile(r"[\"'\u201c\u2018](.+?)[\"'\u201d\u2019](?!\w)|:\s+(.+)", re.DOTALL)
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d)(?::00)?Z?)?")


def limits_of(calls: Iterable[Mapping[str, Any]], said: str, schema: object, *, reads: bool) -> dict[str, list[str]]:
    """Return the values of those arguments that the user has said in all calls of a tool, by their path.

    Args:
        calls: the arguments of the calls, with numbers as texts.
        said: all messages of the user.
        schema: of the tool.
        reads: whether the tool only reads. Then only numbers and addresses count: he has named a record with them.
    """
    roles = propose_roles(schema, reads=reads)
    found: list[dict[str, list[str]]] = []
    for args in calls:
        values: dict[str, list[str]] = {}
        for path, text in leaves(args):
            values.setdefault("/" + "/".join("*" if step.isdigit() else step for step in path), []).append(text)
        found.append(values)
    common = set.intersection(*map(set, found)) if found else set()
    stated = {path: sorted({value for values in found for value in values[path]}) for path in sorted(common)}
    return {
        path: values
        for path, values in stated.items()
        if all(_is_said(value, said, path, roles.get(path, ArgumentRole.UNKNOWN), reads=reads) for value in values)
    }


def _is_said(value: str, said: str, path: str, role: ArgumentRole, *, reads: bool) -> bool:
    if seems_money(path) and role is ArgumentRole.AMOUNT:
        return False
    if (instant := _INSTANT.fullmatch(value)) is not None:
        return not reads and _says_instant(instant, said.casefold())
    if role is ArgumentRole.CONTENT:
        return not reads and value.casefold() in [text.strip().casefold() for text in _dictated(said)]
    is_code = any(letter.isdigit() for letter in value) or "@" in value
    if not is_code and (reads or len(value) < WORD_CHARS_MIN):
        return False
    return _says(value, said)


def _says(value: str, said: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", said.casefold()) is not None


def _dictated(said: str) -> Iterator[str]:
    for line in said.splitlines():
        for found in _DICTATED.finditer(line):
            yield found[1] or found[2]


def _says_instant(instant: re.Match[str], said: str) -> bool:
    """Return whether the user has said a day, and its time of day if it has one."""
    day = datetime.date(int(instant[1]), int(instant[2]), int(instant[3]))
    month, number = f"{day:%B}".casefold(), rf"0?{day.day}(?:[a-z]{{2}}|\.)?"
    ways = (day.isoformat(), rf"{number} (?:of )?{month}", rf"{month} {number}", f"{day:%A}".casefold())
    if not any(re.search(rf"\b{way}\b", said) for way in ways):
        return False
    return instant[4] is None or _says_time(int(instant[4]), instant[5], said)


def _says_time(hour: int, minute: str, said: str) -> bool:
    """Return whether the user has said a time of day: `7:14`, `19.00`, `at 9`, `6 pm`."""
    past = "" if minute == "00" else rf"[:.]{minute}"
    half = "pm" if hour >= 12 else "am"
    ways = (rf"0?{hour}[:.]{minute}", rf"at 0?{hour}{past}", rf"{hour % 12 or 12}{past} ?{half}")
    return any(re.search(rf"\b{way}\b", said) for way in ways)
