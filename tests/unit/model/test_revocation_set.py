"""The set of what was taken back, against what its records say one by one."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from simulation.records import agent, revocation
from streams.audit.releasers import Releasers
from streams.model.keys import revocation_key
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import PAST_KEPT_MS, TIDIED_MIN, RevocationSet
from streams.model.revocation_targets import Call
from streams.model.types import Model, ToolRef

NOW_MS = 1_000
NAMES: dict[RevocationKind, list[str]] = {
    RevocationKind.ALL: ["*", "whatever"],
    RevocationKind.TENANT: ["acme", "other"],
    RevocationKind.SESSION: ["acme|s-1", "acme|s-0", "other|s-1"],
    RevocationKind.AGENT: ["acme|assistant", "acme|alice", "acme|helper", "other|planner"],
    RevocationKind.SUBJECT: ["acme|alice", "acme|assistant"],
    RevocationKind.TOOL: ["mail/send", "mail/*", "mail/read"],
    RevocationKind.MODEL: ["Lab/M", "lab/n"],
    RevocationKind.DELEGATION: ["g-0", "g-1", "g-9"],
    RevocationKind.UNKNOWN: ["something"],
    RevocationKind.RULESET: ["ab" * 32, "cd" * 32, "default"],
}
STOPPED_BY: dict[RevocationKind, tuple[set[str], Reason]] = {
    RevocationKind.ALL: ({"*", "whatever"}, Reason.REVOKED_ALL),
    RevocationKind.TENANT: ({"acme"}, Reason.REVOKED_TENANT),
    RevocationKind.SESSION: ({"acme|s-1"}, Reason.SESSION_REVOKED),
    RevocationKind.AGENT: ({"acme|assistant", "acme|helper"}, Reason.REVOKED_AGENT),
    RevocationKind.SUBJECT: ({"acme|alice"}, Reason.REVOKED_SUBJECT),
    RevocationKind.TOOL: ({"mail/send", "mail/*"}, Reason.REVOKED_TOOL),
    RevocationKind.MODEL: ({"Lab/M"}, Reason.REVOKED_MODEL),
    RevocationKind.DELEGATION: ({"g-0", "g-1"}, Reason.REVOKED_DELEGATION),
    RevocationKind.RULESET: ({"ab" * 32}, Reason.REVOKED_RULESET),
}
CALL = Call(
    tenant_uid="acme",
    session_id="s-1",
    sub="alice",
    act=agent("assistant"),
    delegation_uids=("g-0", "g-1"),
    tool=ToolRef(server_id="mail", name="send"),
    model=Model(ai_provider="LAB", name="m"),
    ancestor_session_ids=("s-0",),
    ancestor_actors=("planner", "helper"),
    ruleset_digest=bytes.fromhex("ab" * 32),
)


@st.composite
def records(draw: st.DrawFn) -> Revocation:
    kind = draw(st.sampled_from(sorted(NAMES)))
    return revocation(
        kind,
        draw(st.sampled_from(NAMES[kind])),
        time_ms=draw(st.sampled_from([0, 5_000])),
        state=draw(st.sampled_from([RevocationState.REVOKED, RevocationState.REVOKED, RevocationState.RELEASED])),
        until_ms=draw(st.sampled_from([None, NOW_MS, NOW_MS + 1])),
    )[1]


def expected(said: list[Revocation], named_model: bool) -> Reason | None:
    newest: dict[tuple[RevocationKind, str], Revocation] = {}
    for record in said:
        target = "*" if record.kind is RevocationKind.ALL else record.id
        newest[(record.kind, target)] = record
    live = {
        (kind, record.id)
        for (kind, _), record in newest.items()
        if record.state is RevocationState.REVOKED and (record.until is None or record.until > NOW_MS)
    }
    for kind, (names, reason) in STOPPED_BY.items():
        if kind is RevocationKind.MODEL and not named_model:
            continue
        if any((kind, name) in live for name in names):
            return reason
    if (RevocationKind.SESSION, "acme|s-0") in live:
        return Reason.SESSION_PARENT_ENDED
    if any(kind is RevocationKind.UNKNOWN for kind, _ in live) or (RevocationKind.RULESET, "default") in live:
        return Reason.REVOKED_ALL
    if not named_model and any(kind is RevocationKind.MODEL for kind, _ in live):
        return Reason.REVOKED_MODEL
    return None


@given(st.lists(records(), max_size=8), st.booleans())
def test_it_stops_what_its_records_say(said: list[Revocation], named_model: bool) -> None:
    revoked = RevocationSet()
    for record in said:
        revoked.apply(record)
    call = (
        CALL
        if named_model
        else Call(**{name: getattr(CALL, name) for name in CALL.__struct_fields__} | {"model": None})
    )
    assert revoked.reason_against(call, NOW_MS) == expected(said, named_model)


@given(st.lists(records(), max_size=8))
def test_its_length_is_that_of_what_is_in_it(said: list[Revocation]) -> None:
    revoked = RevocationSet()
    keys = set()
    for record in said:
        revoked.apply(record)
        key = (record.kind, "*" if record.kind is RevocationKind.ALL else record.id.casefold())
        keys.add(key) if record.state is RevocationState.REVOKED else keys.discard(key)
        assert len(revoked) == len(keys)
    for record in said:
        revoked.forget(revocation_key(record.kind, record.id))
    assert len(revoked) == 0
    assert revoked.reason_against(CALL, NOW_MS) is None


SPELLINGS = ("acme|lena", "acme|Lena", "acme| LENA", "acme|\uff2cena\u200b", "acme|liam", "other|Lena")


@given(st.lists(st.tuples(st.sampled_from(SPELLINGS), st.sampled_from(["stop", "release", "delete"])), max_size=8))
def test_a_person_is_stopped_until_no_stop_in_any_spelling_of_the_name_is_left(said: list[tuple[str, str]]) -> None:
    revoked, ends = RevocationSet(), dict[str, int]()
    for end_ms, (target, what) in enumerate(said, NOW_MS):
        if what == "stop":
            revoked.apply(revocation(RevocationKind.SUBJECT, target, time_ms=0, until_ms=end_ms)[1])
            ends[target] = end_ms
            continue
        if what == "release":
            revoked.apply(
                revocation(RevocationKind.SUBJECT, target, time_ms=0, state=RevocationState.RELEASED)[1],
            )
        else:
            revoked.forget(revocation_key(RevocationKind.SUBJECT, target))
        ends.pop(target, None)
    lena = [end_ms for target, end_ms in ends.items() if target in SPELLINGS[:4]]
    for spelling in SPELLINGS[:4]:
        assert revoked.person_stopped_until(spelling) == max(lena, default=None)
    assert revoked.person_stopped_until("other|lena") == ends.get("other|Lena")


def test_kinds_of_a_later_version_do_not_release_each_other() -> None:
    """They are all read as the same kind; their records' keys tell them apart."""
    revoked = RevocationSet()
    _, record = revocation(RevocationKind.UNKNOWN, "acme|x", time_ms=0)
    released = msgspec.structs.replace(record, state=RevocationState.RELEASED)
    revoked.apply(record, b"FOO:acme|x")
    revoked.apply(record, b"FOE:acme|x")
    for key in (b"BAR:acme|x", b"UNKNOWN:acme|x"):
        revoked.apply(released, key)
        revoked.forget(key)
    assert len(revoked) == 2
    revoked.apply(released, b"FOO:acme|x")
    assert revoked.reason_against(CALL, NOW_MS) is Reason.REVOKED_ALL
    revoked.forget(b"FOE:acme|x")
    assert revoked.reason_against(CALL, NOW_MS) is None


def test_what_ended_long_ago_takes_no_room_for_ever() -> None:
    """Gates stop every session that ends and could give something on, each until its grant would have ended."""
    revoked = RevocationSet()
    for number in range(10 * TIDIED_MIN):
        now_ms = number * 60_000
        _, stop = revocation(RevocationKind.SESSION, f"acme|s-{number}", time_ms=now_ms, until_ms=now_ms + 60_000)
        revoked.apply(stop)
        revoked.forget_past(now_ms)
    assert len(revoked) <= 2 * TIDIED_MIN
    assert revoked.stopped_until(RevocationKind.SESSION, f"acme|s-{number}") is not None


def test_what_has_no_end_or_ended_of_late_is_kept() -> None:
    revoked = RevocationSet()
    ends = {number: None if number % 2 else PAST_KEPT_MS - 1 + number % 4 for number in range(2 * TIDIED_MIN)}
    for number, until_ms in ends.items():
        revoked.apply(revocation(RevocationKind.SESSION, f"s-{number}", time_ms=0, until_ms=until_ms)[1])
    revoked.forget_past(2 * PAST_KEPT_MS)
    kept = {number for number in ends if revoked.stopped_until(RevocationKind.SESSION, f"s-{number}") is not None}
    assert kept == {number for number, until_ms in ends.items() if until_ms is None or until_ms >= PAST_KEPT_MS}
    assert len(revoked) == len(kept)


def test_a_release_is_told_by_the_order_of_the_log() -> None:
    revoked = RevocationSet()
    revoked.next_offset = 8
    revoked.apply(revocation(RevocationKind.SESSION, "acme|s-1", time_ms=0, state=RevocationState.RELEASED)[1])
    assert revoked.released_since(RevocationKind.SESSION, "acme|s-1", 7)
    assert not revoked.released_since(RevocationKind.SESSION, "acme|s-1", 8)
    revoked.apply(revocation(RevocationKind.SESSION, "acme|s-1", time_ms=0)[1])
    assert not revoked.released_since(RevocationKind.SESSION, "acme|s-1", 7)


def test_a_hundred_thousand_old_stops_leave_nothing() -> None:
    revoked = RevocationSet(Releasers.of({}))
    for number in range(100_000):
        revoked.next_offset = number + 1
        _, stop = revocation(RevocationKind.SESSION, f"acme|s-{number}", time_ms=0, until_ms=1_000)
        revoked.apply(stop, appended_ms=1)
    assert len(revoked) == len(revoked.all_keys()) == 100_000
    revoked.forget_past(1_000 + PAST_KEPT_MS + 1)
    assert (len(revoked), revoked.all_keys(), revoked.weakened) == (0, [], {})
    assert revoked.stopped_at((RevocationKind.SESSION, "acme|s-7")) == -1


def test_old_releases_leave_nothing() -> None:
    revoked = RevocationSet()
    for number in range(TIDIED_MIN):
        record = revocation(RevocationKind.SESSION, f"acme|s-{number}", time_ms=0, state=RevocationState.RELEASED)[1]
        revoked.apply(record, appended_ms=1_000)
    assert revoked.released_since(RevocationKind.SESSION, "acme|s-1", -10)
    revoked.forget_past(1_000 + PAST_KEPT_MS + 1)
    assert revoked.all_keys() == []
