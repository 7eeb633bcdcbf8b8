"""How much leaves (`egress`, `new_contact`): mailings, and answers about what a session has looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.watcher import Watcher
from tests.unit.behaviour.kit import AFTER_MS, START_MS, Rows, activity, declared, names_found, observe_all, watcher

LEAVES = declared("egress", 3.5, value="call.bytes", term="dest.domain", half_life_ms=HOUR_MS, min_support=5)
MEETS = declared(
    "new_contact", 4.8, key=("agent.id", "tool.name"), term="dest.domain", value="call.bytes", window_ms=10 * DAY_MS,
    settle_ms=7 * DAY_MS, min_support=5,
)  # fmt: skip
FAN = declared(
    "fan_out", 8, key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5, alerts=False
)
RISK = declared("risk", 1e6, name="session", key=("session.id",), half_life_ms=HOUR_MS // 2)
LETTER, LONG, VERY_LONG = 500, 30_000, 9_000_000
MANY = 60


def usual() -> Iterator[Activity]:
    """Yield 20 days with four tickets each, which are read and answered, some of them of new customers."""
    for day in range(20):
        for at in range(4):
            time_ms, ticket = START_MS + day * DAY_MS + (9 + 2 * at) * HOUR_MS, f"t-{day}-{at}"
            fields = {"session": ticket, "object": ticket}
            yield activity(time_ms, tool="desk.get_ticket", **fields)
            place = f"c-{day}.example" if at == 0 else f"known-{at}.example"
            size = LETTER * (1, 1, 2, 4, 6)[day % 5]
            yield activity(time_ms + 60_000, tool="desk.reply", destination=place, size_bytes=size, **fields)


def taught(*declarations: object) -> tuple[Watcher, Rows]:
    watch, rows = watcher(*declarations, FAN, RISK), Rows()
    assert names_found(observe_all(watch, rows, usual())) == []
    return watch, rows


@pytest.mark.parametrize(
    ("places", "count", "largest", "wanted"),
    [
        (24, 2 * MANY, LETTER, []),
        (1, 4 * MANY, LETTER, ["egress"]),
        # Some places more than usual are no mailing, and a letter that is much longer is no letter of one.
        (6, 4 * MANY, LETTER, ["egress"]),
        (24, MANY, LONG, ["egress"]),
    ],
)
def test_a_mailing_brings_nobody_more_than_a_letter(places: int, count: int, largest: int, wanted: list[str]) -> None:
    watch, rows = taught(LEAVES)
    letters = [
        activity(
            AFTER_MS + at * 10_000, session="mailing", tool="desk.reply", object=f"m-{at}", size_bytes=LETTER,
            destination=f"place-{at % places}.example",
        )
        for at in range(count)
    ]  # fmt: skip
    last = activity(
        AFTER_MS + 500_000, session="mailing", tool="desk.reply", destination="place-0.example", size_bytes=largest
    )
    assert names_found(observe_all(watch, rows, [*letters, last])) == wanted


PEOPLE = declared("cross_owner", 6, name="people", key=("session.id",), peer=("agent.id",), min_support=5)


@pytest.mark.parametrize(
    ("people", "fields", "wanted"),
    [
        (0, {}, []),
        # Of whoever has read what strangers write, and of what is no letter, no second sign is asked for.
        (0, {"is_trusted": False}, ["egress"]),
        (0, {"tool": "web.get_page"}, ["egress"]),
        # Data of several people is one.
        (27, {}, ["egress"]),
    ],
    ids=["a mailing", "untrusted", "no letters", "people"],
)
def test_many_short_letters_need_a_second_sign_or_half_as_many_again(
    people: int, fields: dict[str, object], wanted: list[str]
) -> None:
    watch, rows = taught(LEAVES, PEOPLE)
    reads = [
        activity(AFTER_MS + at * 1_000, session="m", tool="crm.get", object=f"c-{at}", owner=f"o-{at}")
        for at in range(people)
    ]
    letters = [
        activity(
            AFTER_MS + 60_000 + at * 10_000, destination="place.example", size_bytes=LETTER,
            **{"session": "m", "tool": "desk.reply", "object": f"m-{at}", **fields},
        )
        for at in range(MANY)
    ]  # fmt: skip
    assert names_found(observe_all(watch, rows, [*reads, *letters])) == wanted


def answered(size: int, about: str = "t-1", **fields: object) -> list[Activity]:
    """Return a ticket that is read, and a letter."""
    session = {"session": "x", "is_trusted": False}
    return [
        activity(AFTER_MS, tool="desk.get_ticket", object="t-1", **{**session, **fields}),
        activity(
            AFTER_MS + 60_000, tool="desk.reply", destination="fresh.example", object=about, size_bytes=size, **session
        ),
    ]


@pytest.mark.parametrize("it", [LEAVES, MEETS], ids=["egress", "new_contact"])
@pytest.mark.parametrize(
    ("calls", "is_found"),
    [
        (answered(LONG), False),
        (answered(VERY_LONG), True),
        # It is about something else, or about nothing that was really looked at.
        (answered(LONG, "t-2"), True),
        (answered(LONG, outcome="DENY"), True),
        (answered(LONG, destination="fresh.example"), True),
    ],
    ids=["an answer", "far too long", "another ticket", "denied", "only written before"],
)
def test_a_long_answer_about_what_was_looked_at_needs_a_second_sign(
    it: object, calls: list[Activity], *, is_found: bool
) -> None:
    watch, rows = taught(it)
    assert bool(names_found(observe_all(watch, rows, calls))) is is_found


def test_to_have_read_much_is_a_second_sign_for_a_long_answer() -> None:
    watch, rows = taught(LEAVES)
    reads = [
        activity(AFTER_MS - 60_000 + at * 1_000, session="x", tool="crm.get", object=f"c-{at}") for at in range(40)
    ]
    assert names_found(observe_all(watch, rows, [*answered(LETTER)[:1], *reads, *answered(LONG)[1:]])) == ["egress"]
