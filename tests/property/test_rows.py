"""No two rows of any kind share a key, and a scan of one session's rows returns its own only, whatever names are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from streams.engine.broadcasts import _EVENT_KEY
from streams.engine.state import timer_key
from streams.model.budget import family_of, keyed, request_key
from streams.model.errors import RecordError
from streams.model.keys import session_key_of
from streams.policy.errors import Location
from streams.policy.language.bundle import Budget, MeasureKind, Per
from streams.policy.runtime.memory_values import digest_of
from streams.ports.processor import BROADCAST_KEY_PREFIX, MEMORY_KEY, STREAM_TIME_KEY, V1_MEMORY_KEY
from streams.processors import rows
from streams.processors.budgets.charges import budget_key
from streams.processors.row_kinds import RowKind
from streams.processors.rows import TimerKind, timer_payload

PIECES = ("", "\x00", "|", "[", '"', '["refunds","sum","user","acme","auth0', 'alice"]', "a", "aa", "ä", "\x01", "ÿ")
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=4).map("".join) | st.sampled_from(
    ("a" * 400, "a" * 401, "\U0010ffff" * 50)
)
TENANT = TEXT.map(lambda text: text.replace("|", "").replace("\x00", ""))
SESSION = st.builds(session_key_of, TENANT, TEXT)
DIGEST = st.sampled_from((b"", bytes(16), b"\x00" * 15 + b"\x01", b"\xff" * 16)) | st.binary(min_size=16, max_size=16)
CHECKSUM = st.integers(0, 2**32 - 1)
INSTANT = st.integers(0, 2**64 - 1)
TOPIC = st.sampled_from(("a", "aa", "a.b", "agent.catalog.v1", "x-agent.catalog.v1"))

Named = tuple[RowKind, tuple[Any, ...]]
BUILDERS: dict[RowKind, tuple[Callable[..., bytes], tuple[st.SearchStrategy[Any], ...]]] = {
    RowKind.SESSION: (rows.session_row_key, (SESSION,)),
    RowKind.VERDICT: (rows.verdict_row_key, (SESSION, TEXT)),
    RowKind.PENDING: (rows.pending_row_key, (SESSION, TEXT)),
    RowKind.EFFECTS: (rows.effects_row_key, (SESSION, TEXT)),
    RowKind.MEMORY_HEAD: (rows.head_row_key, (SESSION, TEXT)),
    RowKind.MEMORY_CELL: (rows.cell_row_key, (SESSION, TEXT, DIGEST)),
    RowKind.SPEND: (rows.spend_row_key, (SESSION, TEXT)),
    RowKind.DESCENDANT: (rows.descendant_row_key, (SESSION,)),
    RowKind.VERDICT_BYTES: (rows.segment_row_key, (INSTANT, st.integers(0, 2**32 - 1))),
    RowKind.VERDICT_BYTES_HEAD: (lambda: rows.VERDICT_BYTES_HEAD_KEY, ()),
    RowKind.UNPROVEN_FLOOD: (lambda: rows.UNPROVEN_FLOOD_KEY, ()),
    RowKind.UNPROVEN: (rows.unproven_row_key, (SESSION,)),
    RowKind.GRANT: (rows.grant_row_key, (SESSION,)),
    RowKind.APPROVAL_GRANTS: (rows.approval_grants_row_key, (SESSION,)),
    RowKind.LEASE: (rows.lease_row_key, (TEXT,)),
    RowKind.REQUEST_SERIAL: (lambda: rows.REQUEST_SERIAL_KEY, ()),
    RowKind.ROUND_TRIP: (lambda: rows.ROUND_TRIP_KEY, ()),
    RowKind.REVOCATION_SWEEP: (lambda: rows.REVOCATION_SWEEP_KEY, ()),
    RowKind.STOP: (rows.stop_row_key, (st.binary(max_size=40),)),
    RowKind.STOP_END: (rows.stop_end_row_key, (INSTANT, st.binary(max_size=40))),
    RowKind.STOPS_FOLLOWED: (lambda: rows.STOPS_FOLLOWED_KEY, ()),
    RowKind.ALLOCATION: (rows.allocation_row_key, (TEXT, INSTANT)),
    RowKind.ALERT: (rows.alert_row_key, (st.binary(min_size=16, max_size=16),)),
    RowKind.OPEN_ALERTS: (lambda: rows.OPEN_ALERTS_KEY, ()),
    RowKind.PROVENANCE: (rows.provenance_row_key, (SESSION,)),
    RowKind.ATOMS: (rows.atoms_row_key, (SESSION, st.integers(0, 63))),
    RowKind.CONTENT: (rows.content_row_key, (SESSION, st.integers(0, 255))),
    RowKind.APPROVAL_GRANTS: (rows.approval_grants_row_key, (SESSION,)),
    RowKind.SIGNALS: (rows.signals_row_key, (SESSION,)),
    RowKind.HALF: (rows.half_row_key, (TEXT,)),
    RowKind.BEHAVIOUR_WAITING: (rows.behaviour_waiting_key, (INSTANT, TEXT, CHECKSUM)),
    RowKind.BEHAVIOUR_PACK: (
        lambda time_ms, event_id, checksum: rows.behaviour_pack_key(
            rows.behaviour_waiting_key(time_ms, event_id, checksum)
        ),
        (INSTANT, TEXT, CHECKSUM),
    ),
    RowKind.BEHAVIOUR: (rows.behaviour_row_key, (st.binary(max_size=40),)),
    RowKind.BEHAVIOUR_EXPIRY: (rows.behaviour_expiry_key, (st.integers(0, 2**31), st.binary(max_size=40))),
    RowKind.CARRIED: (rows.carried_row_key, (TEXT,)),
    RowKind.CARRIED_QUESTION: (rows.carried_question_row_key, (TEXT,)),
    RowKind.TALLY: (rows.tally_row_key, (TEXT,)),
    RowKind.KEY_COUNT: (rows.key_count_row_key, (TEXT, INSTANT)),
    RowKind.SEALED: (lambda: rows.SEALED_KEY, ()),
    RowKind.CONTENT_KEYS: (rows.content_keys_row_key, (SESSION,)),
    RowKind.WATCHED_LOG: (lambda: rows.WATCHED_LOG_KEY, ()),
    RowKind.HORIZON: (lambda: rows.HORIZON_KEY, ()),
    RowKind.LAYOUT: (lambda: rows.LAYOUT_KEY, ()),
    RowKind.STREAM_TIME: (lambda: STREAM_TIME_KEY, ()),
    RowKind.TIMER: (
        lambda due_ms, kind, key, intent: timer_key(due_ms, timer_payload(kind, key, intent)),
        (INSTANT, st.sampled_from(TimerKind), SESSION, TEXT),
    ),
    RowKind.BROADCAST: (
        lambda what, topic: {"*": V1_MEMORY_KEY, "+": MEMORY_KEY, "!": _EVENT_KEY + topic.encode()}.get(
            what, BROADCAST_KEY_PREFIX + topic.encode()
        ),
        (st.sampled_from("*+!."), TOPIC),
    ),
}
OF_A_SESSION = (
    RowKind.VERDICT,
    RowKind.PENDING,
    RowKind.EFFECTS,
    RowKind.MEMORY_HEAD,
    RowKind.MEMORY_CELL,
    RowKind.SPEND,
)


@st.composite
def named_rows(draw: st.DrawFn, kinds: tuple[RowKind, ...] = tuple(RowKind)) -> Named:
    """A kind of row, and the names in its key."""
    kind = draw(st.sampled_from(kinds))
    return kind, tuple(draw(part) for part in BUILDERS[kind][1])


def key_of(named: Named) -> bytes:
    """The key; a row that the registry does not accept is none."""
    kind, names = named
    try:
        return BUILDERS[kind][0](*names)
    except RecordError:
        assume(False)
        raise


def same(first: Named, second: Named) -> bool:
    """Whether both name the same row: two reports of what control state remembers are, whatever topic is named."""
    if first[0] is RowKind.BROADCAST and second[0] is RowKind.BROADCAST and first[1][0] in "*+":
        return first[1][0] == second[1][0]
    return first == second


def test_every_kind_is_covered() -> None:
    assert set(BUILDERS) == set(RowKind)


@given(first=named_rows(), second=named_rows())
@example(
    first=(RowKind.GRANT, (session_key_of('["refunds","sum","user","acme","auth0', 'alice"]'),)),
    second=(RowKind.LEASE, ('["refunds","sum","user","acme","auth0|alice"]',)),
)
def test_no_two_rows_share_a_key(first: Named, second: Named) -> None:
    assert (key_of(first) == key_of(second)) == same(first, second)


@given(data=st.data(), kind=st.sampled_from(tuple(RowKind)))
def test_nor_do_two_rows_of_one_kind(data: st.DataObject, kind: RowKind) -> None:
    first, second = (data.draw(named_rows((kind,))) for _ in range(2))
    assert (key_of(first) == key_of(second)) == same(first, second)


@given(kind=st.sampled_from(OF_A_SESSION), own=st.data(), tenant=TENANT, session_id=TEXT, longer=TEXT)
def test_a_scan_of_a_session_returns_its_rows_and_no_others(
    kind: RowKind, own: st.DataObject, tenant: str, session_id: str, longer: str
) -> None:
    session_key = session_key_of(tenant, session_id)
    others = st.sampled_from((session_key, session_key_of(tenant, session_id + longer), session_key[:-1])) | SESSION
    try:
        start, end = rows.rows_of_session(kind, session_key)
    except RecordError:
        assume(False)
        raise
    names = (own.draw(others), *(own.draw(part) for part in BUILDERS[kind][1][1:]))
    other = own.draw(st.just((kind, names)) | named_rows())
    is_own = other[0] is kind and other[1][0] == session_key
    assert (start <= key_of(other) < end) == is_own


@given(kind=st.sampled_from(tuple(RowKind)), other=named_rows())
def test_a_scan_of_a_kind_returns_no_other_kind(kind: RowKind, other: Named) -> None:
    start, end = rows.all_rows(kind)
    assert (start <= key_of(other) < end) == (other[0] is kind)


@given(session_key=SESSION, name=TEXT, memory=TEXT, budget=TEXT, start_ms=INSTANT)
def test_names_come_back_as_they_were(session_key: bytes, name: str, memory: str, budget: str, start_ms: int) -> None:
    key = key_of((RowKind.VERDICT, (session_key, name)))
    assert rows.name_in(RowKind.VERDICT, session_key, key) == name
    assert rows.parse_timer(timer_payload(TimerKind.PENDING, session_key, name)) == (
        TimerKind.PENDING, session_key, name,
    )  # fmt: skip
    assert rows.budget_of_lease(rows.lease_row_key(budget)) == budget
    assert rows.budget_of_allocation(key_of((RowKind.ALLOCATION, (budget, start_ms)))) == budget


VALUE = st.text(max_size=4) | st.integers() | st.sampled_from((*PIECES, "1", 1, 2**63, -1))


@given(
    sharers=st.tuples(TEXT, TEXT),
    values=st.tuples(VALUE, VALUE),
    limits=st.tuples(st.booleans(), st.booleans()),
)
@example(sharers=("alice", 'alice"]#' + "0" * 32), values=("1", 1), limits=(True, False))
def test_each_value_of_a_key_has_a_lease_of_its_own(
    sharers: tuple[str, str], values: tuple[str | int, str | int], limits: tuple[bool, bool]
) -> None:
    budget = Budget("b", Location("r.yaml", 1, 1), "p", Per.USER, MeasureKind.SUM, None, None, None, 1, 1)

    def key(number: int) -> str:
        family = budget_key(budget, "acme", (sharers[number],))
        return keyed(family, digest_of(values[number])) if limits[number] else family

    def named(number: int) -> tuple[object, ...]:
        value = (type(values[number]), values[number]) if limits[number] else None
        return (sharers[number], value)

    assert (rows.lease_row_key(key(0)) == rows.lease_row_key(key(1))) == (named(0) == named(1))
    assert [bool(family_of(key(number))) for number in (0, 1)] == list(limits)
    if limits == (True, True):
        assert (request_key(key(0)) == request_key(key(1))) == (sharers[0] == sharers[1])


@given(session_key=SESSION, memory=TEXT, other=TEXT, digest=DIGEST)
def test_a_scan_of_a_memory_returns_its_cells_and_no_others(
    session_key: bytes, memory: str, other: str, digest: bytes
) -> None:
    key = key_of((RowKind.MEMORY_CELL, (session_key, other, digest)))
    try:
        start, end = rows.cells_of_memory(session_key, memory)
    except RecordError:
        assume(False)
        raise
    assert (start <= key < end) == (other == memory)
