"""Much that is read needs a second sign (`breadth`), and what is new by nature is no sweep (`novel_cusum`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from streams.behaviour.activity import DAY_MS, HOUR_MS, Activity
from streams.behaviour.watcher import Watcher
from tests.unit.behaviour.kit import AFTER_MS, START_MS, Rows, activity, declared, names_found, observe_all, watcher

FAN = declared(
    "fan_out", 8, name="fan", key=("agent.id", "tool.name"), term="object.id", window_ms=600_000, min_support=5
)
DEST = declared("new_terms", 7, name="dest", term="dest.domain", min_support=30, alerts=False)
OWNERS = declared("cross_owner", 3, name="owners", key=("session.id",), peer=("agent.id",), min_support=5, alerts=False)
RISK = declared("risk", 1e6, name="session", key=("session.id",), half_life_ms=HOUR_MS // 2)
MUCH, TWICE, FOUR_TIMES, VERY_MUCH = 12, 20, 34, 120
BUSY_CALLS = 40


def usual(tool: str) -> Iterator[Activity]:
    """Yield 20 days on which an agent uses a tool for two things, and writes to one place."""
    for day in range(20):
        for at in range(4):
            time_ms = START_MS + day * DAY_MS + 9 * HOUR_MS + at * HOUR_MS
            yield activity(time_ms, session=f"d-{day}", tool=tool, object=f"o-{at % 2}", owner="ann")
            yield activity(time_ms + 60_000, session=f"d-{day}", tool="mail.send", destination="known.example")


def taught(tool: str) -> tuple[Watcher, Rows]:
    watch, rows = watcher(FAN, DEST, OWNERS, RISK), Rows()
    assert names_found(observe_all(watch, rows, usual(tool))) == []
    return watch, rows


def much(tool: str, count: int, **fields: object) -> list[Activity]:
    """Return calls about different things, one after the other."""
    return [
        activity(AFTER_MS + at * 1_000, **{"session": "x", "tool": tool, "object": f"n-{at}", "owner": "ann", **fields})
        for at in range(count)
    ]


@pytest.mark.parametrize(
    ("tool", "count", "fields", "wanted"),
    [
        ("crm.get_case", MUCH, {}, []),
        # A session that does nothing else may read more than one that has done other work before.
        ("crm.get_case", TWICE, {}, []),
        ("crm.get_case", FOUR_TIMES, {}, ["fan"]),
        ("crm.get_case", MUCH, {"is_trusted": False}, ["fan"]),
        ("crm.do_case", MUCH, {}, ["fan"]),
        ("crm.update_case", TWICE, {}, []),
        ("crm.update_case", VERY_MUCH, {}, ["fan"]),
        ("crm.update_case", MUCH, {"is_trusted": False}, ["fan"]),
        ("crm.delete_case", MUCH, {}, ["fan"]),
        ("crm.grant_role", MUCH, {}, ["fan"]),
        ("vault.get_key", MUCH, {}, ["fan"]),
        ("vault.create_key", MUCH, {}, ["fan"]),
    ],
)
def test_much_that_is_read_is_twice_as_much_or_has_a_second_sign(
    tool: str, count: int, fields: dict[str, object], wanted: list[str]
) -> None:
    watch, rows = taught(tool)
    assert names_found(observe_all(watch, rows, much(tool, count, **fields))) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"tool": "mail.send", "destination": "unknown.example"}, ["fan"]),
        ({"tool": "mail.send", "destination": "known.example"}, []),
        # Another session has nothing to do with it.
        ({"tool": "mail.send", "destination": "unknown.example", "session": "y"}, []),
    ],
)
def test_what_was_unusual_in_the_session_before_is_a_second_sign(fields: dict[str, object], wanted: list[str]) -> None:
    watch, rows = taught("crm.get_case")
    watch.observe(rows, activity(AFTER_MS - 60_000, **{"session": "x", **fields}))
    assert names_found(observe_all(watch, rows, much("crm.get_case", MUCH))) == wanted


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("vault.rotate_key", []),
        ("vault.update_key", []),
        # It changes nothing, or it is about something else.
        ("vault.list_keys", ["fan"]),
        ("mail.send_letter", ["fan"]),
        ("vault.delete_key", ["fan"]),
    ],
)
def test_secrets_that_are_read_and_changed_in_turn_are_a_rotation(change: str, wanted: list[str]) -> None:
    watch, rows = taught("vault.read_secret")
    keys = much("vault.read_secret", MUCH)
    calls = [call for key in keys for call in (key, changed_at(key, change))]
    assert names_found(observe_all(watch, rows, calls)) == wanted


def changed_at(key: Activity, tool: str) -> Activity:
    """Return a call about the same thing, half a second later."""
    return activity(key.time_ms + 500, session=key.session, tool=tool, object="o-0", owner="ann")


def test_to_write_about_many_people_is_no_reading_of_their_data() -> None:
    it = declared("cross_owner", 3, name="owners", key=("session.id",), peer=("agent.id",), min_support=5)
    for tool, wanted in (("pay.adjust_salary", []), ("pay.get_salary", ["owners"]), ("pay.delete_salary", ["owners"])):
        rows, watch = Rows(), watcher(it, RISK)
        observe_all(watch, rows, usual(tool))
        calls = [of_somebody(each, at) for at, each in enumerate(much(tool, MUCH))]
        assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("tool", "change", "wanted"),
    [
        ("crm.get_contact", "crm.delete_contact", []),
        ("crm.get_contact", "crm.update_contact", []),
        ("crm.get_contact", "mail.send_letter", ["owners"]),
        ("crm.get_contact", "crm.grant_access", ["owners"]),
        ("vault.get_password", "vault.delete_password", ["owners"]),
    ],
)
def test_people_whose_records_are_worked_on_one_by_one_need_a_second_sign(
    tool: str, change: str, wanted: list[str]
) -> None:
    it = declared("cross_owner", 3, name="owners", key=("session.id",), peer=("agent.id",), min_support=5)
    rows, watch = Rows(), watcher(it, RISK)
    observe_all(watch, rows, usual(tool))
    first, *records = [of_somebody(each, at) for at, each in enumerate(much(tool, MUCH))]
    calls = [call for each in records for call in (each, replace(each, time_ms=each.time_ms + 500, tool=change))]
    in_turn = [first, replace(first, time_ms=first.time_ms + 500, tool=change), *calls]
    assert (
        names_found(observe_all(watch, rows, [replace(each, event_id=f"e-{at}") for at, each in enumerate(in_turn)]))
        == wanted
    )


@pytest.mark.parametrize(("returns_max", "wanted"), [(3, []), (2, ["fan"])])
def test_a_batch_of_writes_needs_a_sign_that_is_nearly_an_alert(returns_max: int, wanted: list[str]) -> None:
    places = declared("two_places", returns_max, key=("session.id",), window_ms=DAY_MS, alerts=False)
    watch, rows = watcher(FAN, places, RISK), Rows()
    observe_all(watch, rows, usual("crm.update_case"))
    # The session comes back to an instance twice.
    for at, instance in enumerate("abab"):
        watch.observe(rows, activity(AFTER_MS - 60_000 + at, session="x", tool="crm.look", instance=instance))
    assert names_found(observe_all(watch, rows, much("crm.update_case", MUCH))) == wanted


def test_data_of_many_people_is_a_second_sign() -> None:
    watch, rows = taught("crm.get_case")
    reads = [of_somebody(each, at) for at, each in enumerate(much("crm.get_case", MUCH))]
    assert names_found(observe_all(watch, rows, reads)) == ["fan"]


def of_somebody(each: Activity, at: int) -> Activity:
    return activity(each.time_ms, session="x", tool=each.tool, object=each.object, owner=f"person-{at}")


SWEEP = declared("novel_cusum", 21, term="object.id", key=("agent.id", "tool.name"), min_support=10, allowance=2)


def ci_runs(day: int, names: list[str], each: int) -> list[Activity]:
    """Return a day's tests of branches, some times of each."""
    begin_ms = START_MS + day * DAY_MS + 9 * HOUR_MS
    return [
        activity(begin_ms + at * 600_000, session=f"d-{day}", tool="ci.run_tests", object=name)
        for at, name in enumerate(name for name in names for _ in range(each))
    ]


@pytest.mark.parametrize(("is_new_each_day", "wanted"), [(True, []), (False, ["novel_cusum"])])
def test_what_is_new_every_day_is_no_sweep(*, is_new_each_day: bool, wanted: list[str]) -> None:
    watch, rows = watcher(SWEEP), Rows()
    for day in range(20):
        names = [f"branch-{day}-{at}" if is_new_each_day and day > 3 else f"main-{at}" for at in range(2)]
        assert names_found(observe_all(watch, rows, ci_runs(day, names, 3))) == []
    many = ci_runs(20, [f"fresh-{at}" for at in range(6)], 1)
    assert names_found(observe_all(watch, rows, many)) == wanted


def test_a_sweep_does_not_explain_itself() -> None:
    watch, rows = watcher(SWEEP), Rows()
    for day in range(20):
        observe_all(watch, rows, ci_runs(day, ["main-0", "main-1"], 3))
    found = [bool(each.findings) for each in observe_all(watch, rows, ci_runs(20, [f"x-{at}" for at in range(9)], 1))]
    # As early as if nothing of that day had been learned.
    assert found.index(True) == 5


PATIENT = declared(
    "novel_cusum", 21, term="object.id", key=("agent.id", "tool.name"), min_support=10, settle_ms=8 * DAY_MS,
    half_life_ms=12 * HOUR_MS, allowance=2,
)  # fmt: skip


def secrets_of(
    days: range, each_day: int, *, name: str = "new", tools: tuple[str, ...] = ("vault.get",)
) -> Iterator[Activity]:
    """Yield days on which sessions read a secret each, with other work of the agent before and after it."""
    for day in days:
        for at in range(each_day):
            time_ms = START_MS + day * DAY_MS + (9 + at) * HOUR_MS
            for step, tool in enumerate(("crm.get", *tools, "crm.get")):
                thing = f"{name}-{day}-{at}" if tool in tools else "case"
                yield activity(time_ms + step * 1_000, session=f"{name}-{day}-{at}", tool=tool, object=thing)


def reader() -> tuple[Watcher, Rows]:
    """An agent that has read one secret, once."""
    watch, rows = watcher(PATIENT), Rows()
    assert names_found(observe_all(watch, rows, secrets_of(range(19), 4, tools=("crm.read",)))) == []
    assert names_found(observe_all(watch, rows, secrets_of(range(4, 5), 1))) == []
    return watch, rows


@pytest.mark.parametrize(
    ("each_day", "days", "tools", "wanted"),
    [
        (4, 2, ("vault.get",), ["novel_cusum"]),
        (4, 2, ("crm.open",), []),
        (2, 2, ("vault.get",), []),
        (1, 8, ("vault.get",), []),
    ],
    ids=["patient", "records", "some", "one a day"],
)
def test_secrets_that_are_read_one_in_each_session_are_a_sweep(
    each_day: int, days: int, tools: tuple[str, ...], wanted: list[str]
) -> None:
    watch, rows = reader()
    calls = secrets_of(range(20, 20 + days), each_day, name="other", tools=tools)
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(("tool", "wanted"), [("vault.rotate", []), ("vault.list", ["novel_cusum"])])
def test_new_secrets_that_are_changed_one_by_one_are_a_rotation(tool: str, wanted: list[str]) -> None:
    watch, rows = reader()
    keys = much("vault.get", 9)
    calls = [call for key in keys for call in (key, replace(key, event_id=f"{tool}-{key.object}", tool=tool))]
    assert names_found(observe_all(watch, rows, calls)) == wanted


def test_whoever_reads_new_secrets_every_day_sweeps_nothing() -> None:
    watch, rows = watcher(PATIENT), Rows()
    assert names_found(observe_all(watch, rows, secrets_of(range(30), 2))) == []


def test_after_a_sweep_over_secrets_the_next_new_one_is_none() -> None:
    watch, rows = reader()
    assert names_found(observe_all(watch, rows, secrets_of(range(20, 22), 6, name="other"))) == ["novel_cusum"]
    assert names_found(observe_all(watch, rows, secrets_of(range(23, 26), 1, name="later"))) == []


@pytest.mark.parametrize(
    ("count", "looks", "wanted"),
    [(MUCH, False, ["fan"]), (MUCH, True, []), (TWICE, True, ["fan"])],
    ids=["deletes", "looks first", "twice as many"],
)
def test_deletions_after_a_look_at_each_are_a_request(count: int, *, looks: bool, wanted: list[str]) -> None:
    watch, rows = taught("crm.delete_case")
    deleted = much("crm.delete_case", count)
    looked = [activity(each.time_ms - 500, session="x", tool="crm.get_case", object=each.object) for each in deleted]
    calls = [each for pair in zip(looked, deleted, strict=True) for each in (pair if looks else pair[1:])]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ("jobs.get_status", []),
        ("jobs.run_job", ["rate"]),
    ],
)
def test_a_busy_hour_of_one_tool_that_reads_is_somebody_who_waits(tool: str, wanted: list[str]) -> None:
    it = declared("rate_nb", 8, name="rate", peer=("agent.type",), window_ms=HOUR_MS, min_support=24)
    rows, watch = Rows(), watcher(it, RISK)
    observe_all(watch, rows, usual("crm.get_case"))
    calls = [activity(AFTER_MS + at * 15_000, session="x", tool=tool) for at in range(BUSY_CALLS)]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(("place", "wanted"), [(None, []), ("unknown.example", ["rate"])])
def test_that_a_list_is_read_with_a_tool_that_is_new_is_no_second_sign(place: str | None, wanted: list[str]) -> None:
    it = declared("rate_nb", 8, name="rate", peer=("agent.type",), window_ms=HOUR_MS, min_support=24)
    tool = declared("new_terms", 7, name="tool", term="tool.name", min_support=30, alerts=False)
    met = declared(
        "new_contact", 1, name="met", term="dest.domain", window_ms=10 * DAY_MS, settle_ms=7 * DAY_MS, alerts=False
    )
    rows, watch = Rows(), watcher(it, tool, met, RISK)
    observe_all(watch, rows, usual("crm.get_case"))
    if place is not None:
        letters = [activity(AFTER_MS + at, session="x", tool="mail.send", destination=place) for at in range(6)]
        observe_all(watch, rows, letters)
    calls = [activity(AFTER_MS + at * 15_000, session="x", tool="crm.list_cases") for at in range(1, BUSY_CALLS)]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("count", "end", "wanted"),
    [
        (20, "files.delete_file", []),
        (20, "files.share_file", ["rate"]),
        (20, "mail.delete_mail", ["rate"]),
        (60, "files.delete_file", ["rate"]),
    ],
    ids=["a move", "something else at the end", "another server", "twice as busy"],
)
def test_who_moves_things_one_by_one_tidies_up_at_the_end(count: int, end: str, wanted: list[str]) -> None:
    it = declared("rate_nb", 8, name="rate", peer=("agent.type",), window_ms=HOUR_MS, min_support=24)
    rows, watch = Rows(), watcher(it, RISK)
    observe_all(watch, rows, usual("crm.get_case"))
    tools = [*("files.get_file", "files.put_file") * count, end]
    calls = [activity(AFTER_MS + at * 10_000, session="x", tool=tool) for at, tool in enumerate(tools)]
    assert names_found(observe_all(watch, rows, calls)) == wanted


@pytest.mark.parametrize(
    ("tool", "fields", "wanted"),
    [
        ("crm.get_case", {}, []),
        ("crm.get_case", {"is_trusted": False}, ["sweep"]),
        ("crm.get_case", {"hour": 14}, ["sweep"]),
        ("crm.do_case", {}, ["sweep"]),
        ("vault.get_key", {}, ["sweep"]),
    ],
)
def test_new_things_that_are_only_read_need_a_second_sign(tool: str, fields: dict[str, int], wanted: list[str]) -> None:
    """An audit reads what nobody reads otherwise."""
    sweep = declared(
        "novel_cusum", 21, name="sweep", term="object.id", min_support=10, half_life_ms=12 * HOUR_MS, allowance=2
    )
    hours = declared("off_hours", 8, name="hours", min_support=5, settle_ms=7 * DAY_MS, alerts=False)
    watch, rows = watcher(sweep, hours, RISK), Rows()
    assert names_found(observe_all(watch, rows, usual(tool))) == []
    later_ms = fields.pop("hour", 0) * HOUR_MS
    calls = [replace(each, time_ms=each.time_ms + later_ms) for each in much(tool, MUCH, **fields)]
    assert names_found(observe_all(watch, rows, calls)) == wanted


def test_who_reads_one_new_thing_days_after_a_sweep_is_not_blamed_for_it() -> None:
    sweep = declared(
        "novel_cusum", 21, name="sweep", term="object.id", min_support=10, half_life_ms=12 * HOUR_MS, allowance=2
    )
    watch, rows = watcher(sweep, RISK), Rows()
    observe_all(watch, rows, usual("crm.get_case"))
    assert names_found(observe_all(watch, rows, much("crm.get_case", 400))) == ["sweep"]
    later = AFTER_MS + 32 * HOUR_MS
    one = activity(later, session="honest", tool="crm.get_case", object="n-500", owner="ann")
    assert names_found([watch.observe(rows, one)]) == []
    again = [
        replace(each, session="again", object=f"{each.object}-b", time_ms=later + at * 1_000)
        for at, each in enumerate(much("crm.get_case", 60), 1)
    ]
    assert names_found(observe_all(watch, rows, again)) == ["sweep"]


@pytest.mark.parametrize(
    ("tool", "thing", "wanted"),
    [
        ("files.read", "prod/{}/.env", ["sweep"]),
        ("files.read", "/srv/u{}/.ssh/id_rsa", ["sweep"]),
        ("files.read", "srv{}/tls.pem", ["sweep"]),
        ("files.read", "Zugangsdaten {}.xlsx", ["sweep"]),
        ("iam.get_access_key", "k-{}", ["sweep"]),
        ("keyvault.get_item", "k-{}", ["sweep"]),
        ("files.read", "reports/{}.xlsx", []),
        ("files.read", "minutes of the secretary {}.docx", []),
        # The form for a password holds none.
        ("files.read", "src/{}/password_form.tsx", []),
    ],
)
def test_secrets_that_are_read_one_by_one_need_no_second_sign_wherever_they_are(
    tool: str, thing: str, wanted: list[str]
) -> None:
    sweep = declared(
        "novel_cusum", 21, name="sweep", term="object.id", min_support=10, half_life_ms=12 * HOUR_MS, allowance=2
    )
    watch, rows = watcher(sweep, RISK), Rows()
    assert names_found(observe_all(watch, rows, usual(tool))) == []
    calls = [replace(each, object=thing.format(at)) for at, each in enumerate(much(tool, MUCH))]
    assert names_found(observe_all(watch, rows, calls)) == wanted
