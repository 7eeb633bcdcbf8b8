"""Facts of provenance and behaviour for a case that does not state them: a usual call that its user has asked for.

Most cases are about something else. For them every value of the call was named by the user, the request asks for this
kind of act, and nothing untrusted was read unless the session is tainted. If a session is only said to be tainted,
nothing more is known, which is the worst case. A case about provenance states what differs. The amount is read from the
arguments as for a tool whose schema does not say in which unit amounts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.model.money import Unit, read_money
from streams.policy.language.schema import BASELINE_SIGNALS

_NO_BASELINE = dict.fromkeys(sorted(BASELINE_SIGNALS), 0)
QUIET_FACTS = ("origins", "act", "scope", "owner", "read", "flow", "signal", "money")


def with_quiet_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with those of provenance that are missing."""
    tool, session = _mapping(facts.get("tool")), _mapping(facts.get("session"))
    tainted = session.get("tainted") is True
    made = {
        "origins": quiet_origins(facts),
        "act": {
            "kind": "read" if tool.get("read_only") is True else "change",
            "outward": tool.get("open_world") is True,
            "requested": True,
            "delegated": False,
            "count": 0,
            "drift": 0,
            "drifts": False,
            "called_for": False,
        },
        "scope": {"source": "none", "inside": True},
        "owner": {"several": False, "subject": False, "other": False},
        "flow": {"private": False, "public": False, "excluded": False},
        "signal": {"repeats": 1, "run": 1, "returns": 0, "owners": 0},
        "read": {"untrusted": tainted, "text": tainted, "instructed": False, "complete": not tainted},
        "money": money_of(facts.get("args")),
    }
    whole = {**facts, **{name: made[name] for name in QUIET_FACTS if name not in facts}}
    if isinstance(whole["signal"], Mapping):
        whole["signal"] = {**_NO_BASELINE, **whole["signal"]}
    return whole


def quiet_origins(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fact `origins` for arguments that the user has named, one for each text and number."""
    sinks = _mapping(facts.get("tool")).get("sink_args")
    paths = [path for path in sinks if isinstance(path, str)] if isinstance(sinks, list | tuple) else []
    return [
        {
            "arg": pointer,
            "role": "unknown",
            "sink": any(_covers(path.split("/"), pointer.split("/")) for path in paths),
            "part": False,
            "shaped": False,
            "origin": "user",
            "instructed": False,
            "decoded": False,
            "named": False,
            "pointed": True,
            "subject": False,
            "events": [],
        }
        for pointer in _leaves(facts.get("args"), "")
    ]


def money_of(args: object) -> dict[str, Any]:
    """Return the fact `money` for arguments; empty if they are not known, or the amount can't be read."""
    money = read_money(args, Unit.UNSTATED) if isinstance(args, Mapping) else None
    return {} if money is None else {"minor": money.minor, "currency": money.currency}


def _leaves(value: Any, pointer: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _leaves(each, f"{pointer}/{number}")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield pointer


def _covers(path: list[str], pointer: list[str]) -> bool:
    return len(pointer) >= len(path) and all(a in ("*", b) for a, b in zip(path, pointer, strict=False))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
