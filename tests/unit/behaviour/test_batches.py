"""What somebody has given a session to do: one thing from its first call on, again and again (`breadth`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from tests.unit.behaviour.kit import AFTER_MS, START_MS, Rows, activity, declared, names_found, observe_all, watcher

FAN = declared(
    "fan_out", 8, name="fan", key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5
)
LONG = declared(
    "fan_out", 12, name="long", key=("agent.id", "tool.name"), term="object.id", window_ms=6 * HOUR_MS, min_support=5
)
RATE = declared("rate_nb", 8, name="rate", peer=("agent.type",), window_ms=HOUR_MS, min_support=24)
LOOP = declared("loop", 10, name="about", key=("session.id",), term="object.id", window_ms=600_000, min_support=5)
HOURS = declared("off_hours", 8, name="hours", peer=("agent.type",), settle_ms=7 * DAY_MS, alerts=False)
RISK = declared("risk", 2, name="session", key=("session.id",), half_life_ms=HOUR_MS // 2, allowance=0.3)
TOOLS = ("crm.get_case", "crm.update_case", "docs.get_page", "db.insert_rows", "vault.get_key", "crm.delete_case")


def everyday() -> Iterator[Activity]:
    """Yield 20 days on which an agent uses all its tools, each for two things."""
    for day in range(20):
        for at in range(48):
            time_ms = START_MS + day * DAY_MS + 8 * HOUR_MS + at * HOUR_MS // 6
            yield activity(time_ms, session=f"d-{day}-{at // 6}", tool=TOOLS[at % 6], object=f"o-{at // 6 % 2}")


def turns(tools: Iterable[str], number: int, every_ms: int = 5_000, **fields: object) -> list[Activity]:
    """Return a session that uses tools in turn, each time about something else."""
    tools = tuple(tools)
    return [
        activity(
            AFTER_MS + at * every_ms,
            **{"session": "x", "tool": tools[at % len(tools)], "object": f"n-{at}", "call": f"c-{at}"} | fields,
        )
        for at in range(number)
    ]


def names_after(calls: Iterable[Activity], *declarations: object) -> set[str]:
    """Return what is found of some calls after everyday work."""
    rows, watch = Rows(), watcher(*declarations)
    assert names_found(observe_all(watch, rows, everyday())) == []
    return {*names_found(observe_all(watch, rows, calls))}


# A session that was about something else before, as one is that somebody takes over.
BEFORE = [
    activity(AFTER_MS - 60_000 + at * 1_000, session="x", tool=tool, object="o-1") for at, tool in enumerate(TOOLS[:3])
]


@pytest.mark.parametrize(
    ("tool", "number", "fields", "before", "wanted"),
    [
        ("crm.get_case", 20, {}, [], set()),
        ("crm.get_case", 20, {}, BEFORE, {"fan"}),
        ("crm.get_case", 20, {"is_trusted": False}, [], {"fan"}),
        ("crm.get_case", 34, {}, [], {"fan"}),
        # What is read elsewhere is known there.
        ("crm.get_case", 20, {"destination": "elsewhere.example"}, [], {"fan"}),
        ("vault.get_key", 12, {}, [], {"fan"}),
        ("crm.delete_case", 12, {}, [], {"fan"}),
    ],
)
def test_a_session_that_does_nothing_else_may_read_more(
    tool: str, number: int, fields: dict[str, object], before: list[Activity], wanted: set[str]
) -> None:
    assert names_after([*before, *turns([tool], number, **fields)], FAN, RISK) == wanted


def test_many_short_sessions_are_no_batch() -> None:
    calls = [
        activity(AFTER_MS + at * 5_000, session=f"x-{at // 4}", tool=TOOLS[0], object=f"n-{at}") for at in range(20)
    ]
    assert names_after(calls, FAN, RISK) == {"fan"}


def test_who_reads_much_at_night_does_not_do_what_somebody_has_given_him() -> None:
    night = [
        activity(each.time_ms + 17 * HOUR_MS, session="x", tool=each.tool, object=each.object)
        for each in turns([TOOLS[0]], 20)
    ]
    assert names_after(night, FAN, HOURS, RISK) >= {"fan"}


@pytest.mark.parametrize(
    ("tools", "before", "wanted"),
    [
        (["docs.get_page", "db.insert_rows"], [], set()),
        (["docs.get_page", "db.insert_rows"], BEFORE, {"fan"}),
        (["vault.get_key", "db.insert_rows"], [], {"fan"}),
        (["docs.get_page", "crm.delete_case"], [], {"fan"}),
    ],
)
def test_who_reads_and_writes_in_turn_may_read_much(tools: list[str], before: list[Activity], wanted: set[str]) -> None:
    assert names_after([*before, *turns(tools, 100, 3_000)], FAN, RISK) == wanted


@pytest.mark.parametrize(
    ("number", "fields", "before", "wanted"),
    [
        (150, {}, [], set()),
        (150, {}, BEFORE, {"rate"}),
        (150, {"is_trusted": False}, [], {"rate"}),
        # Nobody counts what such calls write to.
        (150, {"tool": "crm.update_case", "object": None}, [], {"rate"}),
        (200, {}, [], {"rate"}),
    ],
)
def test_a_session_that_does_nothing_else_may_make_an_hour_busy(
    number: int, fields: dict[str, object], before: list[Activity], wanted: set[str]
) -> None:
    assert names_after([*before, *turns(["crm.get_case"], number, 3_000, **fields)], RATE, RISK) == wanted


def test_a_burst_is_one_whoever_makes_it() -> None:
    minute = declared("rate_nb", 13, name="minute", peer=("agent.type",), window_ms=60_000, min_support=24)
    assert names_after(turns(["crm.get_case"], 60, 300), minute, RISK) == {"minute"}


def test_sessions_of_one_grant_are_counted_in_full() -> None:
    storm = declared("deleg_velocity", 8, name="storm", key=("delegation.root",), window_ms=6 * HOUR_MS, min_support=3)
    calls = [
        activity(AFTER_MS + at * 60_000, session=f"x-{at}", root="g-1", depth=2, tool="crm.update_case", object="o-1")
        for at in range(13)
    ]
    assert names_after(calls, storm) == {"storm"}


@pytest.mark.parametrize(("hours", "wanted"), [(8.0, {"fan"}), (24.0, {"fan"}), (64.0, set())])
def test_an_hour_that_is_a_little_unusual_is_enough_of_a_sign(hours: float, wanted: set[str]) -> None:
    late = [replace(each, time_ms=each.time_ms + 17 * HOUR_MS) for each in turns([TOOLS[0]], 20)]
    assert names_after(late, FAN, replace(HOURS, threshold=hours), replace(RISK, threshold=1e6)) == wanted


def loaded(number: int, before: list[Activity]) -> list[Activity]:
    """Return a session that reads one page after the other, and writes each to one table."""
    return [
        *before,
        *(
            replace(each, object="table") if each.tool == "db.insert_rows" else each
            for each in turns(["docs.get_page", "db.insert_rows"], number, 4_000)
        ),
    ]


@pytest.mark.parametrize(("before", "wanted"), [([], False), (BEFORE, True)])
def test_who_loads_a_table_is_in_no_loop_and_not_odd_in_several_ways(before: list[Activity], wanted: bool) -> None:
    assert bool(names_after(loaded(120, before), FAN, RATE, LOOP, RISK)) is wanted


def test_that_a_batch_is_long_and_busy_is_one_sign() -> None:
    stretch = declared("loop_run", 9, name="run", key=("session.id",), peer=("agent.type",), min_support=100)
    risk = replace(RISK, threshold=0.8)
    calls = turns(["docs.get_page"], 110, 5_000)
    assert names_after(calls, RATE, stretch, risk) == set()
    assert names_after([*BEFORE, *calls], RATE, stretch, risk) != set()


def test_others_are_not_to_blame_for_the_hour_that_a_batch_makes_busy() -> None:
    batch = turns(["crm.get_case"], 150, 3_000)
    others = [
        activity(AFTER_MS + 300_000 + at * 10_000, session=f"y-{at // 4}", tool=TOOLS[at % 4], object="o-1")
        for at in range(12)
    ]
    assert names_after([*batch, *others], RATE, RISK) == set()
    # The session itself is, once it does something else.
    at_ms = batch[-1].time_ms + 1_000
    others = [activity(at_ms, session="x", tool="files.share_file", object="n-1")]
    assert names_after([*batch, *others], RATE, RISK) == {"rate"}


def test_others_are_not_to_blame_for_what_a_batch_has_read() -> None:
    batch = turns(["crm.get_case"], 24, 3_000)
    others = [
        activity(batch[-1].time_ms + 1_000 + at * 2_000, session="y", tool=tool, object=f"m-{at}")
        for at, tool in enumerate([*TOOLS[1:4], *["crm.get_case"] * 5])
    ]
    assert names_after([*batch, *others], FAN, RISK) == set()
    # Whoever reads as much as is unusual by himself is.
    more = [
        replace(each, object=f"{each.object}-{part}", event_id=f"{each.event_id}-{part}")
        for part in range(4)
        for each in others
    ]
    assert names_after([*batch, *more], FAN, RISK) == {"fan"}
    # So is the session itself, once it does something else.
    assert names_after([*batch, *(replace(each, session="x") for each in others)], FAN, RISK) == {"fan"}


def beside(*sessions: str, tool: str = "crm.get_case", number: int = 20) -> list[Activity]:
    """Batches that take turns, call by call, after a dozen calls each about what they know."""
    known = [
        activity(AFTER_MS - 300_000 + at * 2_000, session=session, tool=tool, object="o-1", call=f"w-{session}-{at}")
        for at in range(12)
        for session in sessions
    ]
    return [
        *known,
        *(
            activity(AFTER_MS + at * 2_000, session=sessions[at % len(sessions)], tool=tool, object=f"n-{at}")
            for at in range(number)
        ),
    ]


@pytest.mark.parametrize("batches", [("x",), ("x", "y"), ("x", "y", "z", "v", "w")])
def test_however_many_batches_there_are_they_hide_no_more_than_one(batches: tuple[str, ...]) -> None:
    calls = beside(*batches)
    at_ms = calls[-1].time_ms + 1_000
    tools = [*TOOLS[1:4], *["crm.get_case"] * 20]
    turned = [
        activity(at_ms + at * 1_000, session="turned", tool=tool, object=f"m-{at}", is_trusted=False)
        for at, tool in enumerate(tools)
    ]
    assert names_after([*calls, *turned], FAN, RISK) == {"fan"}
    busy = [
        activity(at_ms + at * 4_000, session="turned", tool=TOOLS[at % 4], object="o-1", is_trusted=False)
        for at in range(100)
    ]
    assert names_after([*calls, *busy], RATE, RISK) == {"rate"}


@pytest.mark.parametrize("tool", ["vault.get_key", "crm.delete_case"])
def test_a_batch_that_fetches_secrets_or_deletes_hides_nobody(tool: str) -> None:
    calls = beside("x", tool=tool, number=2)
    turned = [
        activity(AFTER_MS + 10_000 + at * 1_000, session="y", tool=each, object=f"m-{at}", is_trusted=False)
        for at, each in enumerate([*TOOLS[1:4], *[tool] * 9])
    ]
    assert names_after([*calls, *turned], FAN, RISK) == {"fan"}


def test_the_first_batch_answers_for_itself_though_another_one_has_called_since() -> None:
    calls = beside("x", number=24)
    at_ms = calls[-1].time_ms
    another = activity(at_ms + 500, session="y", tool="crm.get_case", object="o-1", call="other")
    own = [
        activity(at_ms + 1_000 + at * 1_000, session="x", tool=tool, object=f"z-{at}")
        for at, tool in enumerate([*TOOLS[1:4], *["crm.get_case"] * 5])
    ]
    assert names_after([*calls, another, *own], FAN, RISK) == {"fan"}


@pytest.mark.parametrize(
    ("sessions", "tool", "number", "wanted"),
    [
        # As many people ask for the same.
        (20, "crm.update_case", 20, set()),
        (2, "crm.update_case", 20, {"long"}),
        (60, "crm.update_case", 60, {"long"}),
        (20, "crm.delete_case", 20, {"long"}),
        (20, "crm.grant_role", 20, {"long"}),
    ],
)
def test_what_is_written_in_a_session_of_its_own_each_counts_for_half(
    sessions: int, tool: str, number: int, wanted: set[str]
) -> None:
    """Each session has read what somebody has asked for."""
    calls = [
        activity(AFTER_MS + at * 300_000, session=f"x-{at % sessions}", tool=tool, object=f"n-{at}", is_trusted=False)
        for at in range(number)
    ]
    assert names_after(calls, LONG, RISK) == wanted
