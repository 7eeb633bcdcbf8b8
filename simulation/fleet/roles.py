"""What kinds of agents a fleet has: their tools, their hours, how much they do, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

OFFICE = tuple(1.0 if 8 <= hour < 18 else 0.02 if 7 <= hour < 20 else 0.0 for hour in range(24))
ALWAYS = tuple(1.0 if 7 <= hour < 21 else 0.45 for hour in range(24))


class Role(NamedTuple):
    """A kind of agent.

    Attributes:
        name: its name, and the type of its agents.
        flow: after which tool comes which, with weights; the key "" begins a session.
        hours: how busy each hour of a weekday is (UTC).
        weekend: how busy weekends are beside weekdays.
        sessions_per_day: how many sessions an agent has on a weekday.
        calls_per_session: how many calls a session has on average.
        regulars_count: how many destinations an agent writes to regularly.
        strangers_share: how often a destination is one that was not written to before.
        amount: median of what its payments move.
        objects_count: how many objects its agents work with.
        helpers: how many sessions a task delegates at most.
    """

    name: str
    flow: Mapping[str, Mapping[str, float]]
    hours: tuple[float, ...]
    weekend: float
    sessions_per_day: float
    calls_per_session: float
    regulars_count: int
    strangers_share: float
    amount: float
    objects_count: int
    helpers: int = 0


def _flow(**rows: Mapping[str, float]) -> Mapping[str, Mapping[str, float]]:
    return MappingProxyType({("" if name == "start" else name.replace("__", ".")): row for name, row in rows.items()})


ROLES: tuple[Role, ...] = (
    Role(
        "support",
        _flow(
            start={"crm.search": 8, "docs.read": 2},
            crm__search={"crm.read": 8, "crm.search": 2},
            crm__read={"docs.read": 3, "mail.send": 4, "pay.refund": 1, "crm.read": 2},
            docs__read={"mail.send": 5, "crm.read": 3, "docs.read": 1},
            mail__send={"crm.search": 4, "crm.read": 1},
            pay__refund={"mail.send": 9, "crm.read": 1},
        ),
        OFFICE,
        0.2,
        9,
        8,
        30,
        0.30,
        4_000,
        4_000,
    ),
    Role(
        "sales",
        _flow(
            start={"crm.search": 6, "web.fetch": 4},
            crm__search={"crm.read": 9, "crm.search": 1},
            crm__read={"web.fetch": 3, "mail.send": 4, "crm.update": 2},
            web__fetch={"web.fetch": 3, "crm.update": 3, "mail.send": 3},
            crm__update={"mail.send": 5, "crm.search": 4},
            mail__send={"crm.search": 6, "crm.read": 2},
        ),
        OFFICE,
        0.02,
        7,
        9,
        40,
        0.15,
        0,
        2_000,
    ),
    Role(
        "finance",
        _flow(
            start={"pay.lookup": 7, "db.query": 3},
            pay__lookup={"docs.read": 4, "pay.transfer": 4, "pay.lookup": 2},
            docs__read={"pay.transfer": 5, "pay.lookup": 3, "mail.send": 2},
            pay__transfer={"mail.send": 5, "pay.lookup": 5},
            db__query={"db.query": 3, "docs.read": 3, "pay.lookup": 4},
            mail__send={"pay.lookup": 8, "db.query": 2},
        ),
        OFFICE,
        0.0,
        6,
        9,
        12,
        0.004,
        20_000,
        800,
    ),
    Role(
        "engineer",
        _flow(
            start={"files.read": 7, "web.fetch": 2, "git.log": 1},
            files__read={"files.read": 5, "files.write": 3, "web.fetch": 1, "git.log": 1},
            files__write={"files.read": 4, "git.commit": 3, "files.write": 2, "files.delete": 0.3},
            files__delete={"git.commit": 5, "files.read": 4},
            web__fetch={"files.read": 6, "web.fetch": 3},
            git__log={"files.read": 9, "git.log": 1},
            git__commit={"files.read": 7, "git.log": 2, "secrets.get": 0.3},
            secrets__get={"files.read": 8, "http.post": 2},
            http__post={"files.read": 9},
        ),
        tuple(1.0 if 9 <= hour < 19 else 0.12 if hour >= 19 or hour < 1 else 0.0 for hour in range(24)),
        0.15,
        6,
        14,
        15,
        0.03,
        0,
        900,
    ),
    Role(
        "operations",
        _flow(
            start={"logs.search": 8, "db.query": 2},
            logs__search={"logs.search": 5, "db.query": 2, "secrets.get": 0.5, "http.post": 1},
            db__query={"logs.search": 5, "db.query": 3, "http.post": 1},
            secrets__get={"http.post": 7, "logs.search": 3},
            http__post={"logs.search": 7, "db.query": 2, "files.delete": 0.3},
            files__delete={"logs.search": 9},
        ),
        ALWAYS,
        0.8,
        10,
        8,
        8,
        0.002,
        0,
        150,
    ),
    Role(
        "analyst",
        _flow(
            start={"db.query": 8, "docs.read": 2},
            db__query={"db.query": 6, "docs.read": 2, "files.write": 1},
            docs__read={"db.query": 6, "docs.read": 2, "mail.send": 1},
            files__write={"mail.send": 5, "db.query": 4},
            mail__send={"db.query": 9},
        ),
        OFFICE,
        0.05,
        5,
        12,
        10,
        0.01,
        0,
        600,
        helpers=3,
    ),
)

DESTINED = frozenset({"mail.send", "web.fetch", "http.post"})
PAYING = frozenset({"pay.refund", "pay.transfer"})
WITH_OBJECT = frozenset(
    {"crm.read", "crm.update", "docs.read", "db.query", "files.read", "files.write", "files.delete", "secrets.get"}
)
OWNED = frozenset({"crm.read", "crm.update", "docs.read"})
BYTES: Mapping[str, float] = MappingProxyType({"mail.send": 900, "http.post": 600, "files.write": 2_500})
