"""Who may stop may not thereby release: what lifts a stop, what does not, and that a stop outlives its record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulation.records import release, revocation
from streams.audit.releasers import RELEASE_AGE_MAX_MS, Releasers
from streams.audit.signatures import SigningKey
from streams.model.alert import Alert, Severity
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import GRANT_LIFE_MS_MAX
from streams.model.errors import RecordError
from streams.model.reasons import ControlReason, DeadLetterReason, Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import FOR_GOOD, LAST_END_MS, STOP_WITHOUT_END_MS, RevocationSet
from streams.model.topics import ALERT, REVOCATION
from streams.model.types import Proof, ProofAlg
from streams.model.verdict import Outcome
from streams.ports import Outgoing, TopicPartition
from streams.processors.control import stop_table
from streams.processors.gate.record_checks import NAME_CHARS_MAX
from streams.processors.row_kinds import RowKind
from streams.services.gate.settings import GateSection
from tests.kit import GATE_SETTINGS, MINUTE_MS, GateBench, wire

DAY_MS = 86_400_000
ANN, DESK, EVE = (SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)) for n in (1, 2, 3))
RELEASERS = Releasers.of(
    {"ann": str(ANN.public), "desk": str(DESK.public)}, kinds={"desk": ["SESSION", "SUBJECT"]}, deployment="here"
)
ALL = (RevocationKind.ALL, "*")
ALL_KEY = b"ALL:*"
replace = msgspec.structs.replace

LASTING = [
    (RevocationKind.AGENT, "acme|helper"),
    (RevocationKind.SUBJECT, "acme|bob"),
    (RevocationKind.TOOL, "files/write"),
    (RevocationKind.MODEL, "other/model"),
    (RevocationKind.TENANT, "other"),
    (RevocationKind.RULESET, "ab" * 32),
    ALL,
]
"""Stops without an end of everything that does not end by itself."""


@pytest.fixture
def bench() -> GateBench:
    return GateBench(releasers=RELEASERS, partitions=3)


def stop(bench: GateBench, kind: RevocationKind = ALL[0], target: str = ALL[1], until_ms: int | None = None) -> int:
    """Stop it; returns the offset of the record."""
    record = revocation(kind, target, time_ms=bench.now_ms, until_ms=until_ms)
    return bench.driver.pipe(REVOCATION.name, *record).offset


def lift(
    bench: GateBench,
    key: SigningKey = ANN,
    *,
    what: tuple[RevocationKind, str] = ALL,
    lifts_before: int = 1_000,
    time_ms: int | None = None,
    deployment: str = "here",
) -> Revocation:
    at_ms = bench.now_ms if time_ms is None else time_ms
    return release(*what, time_ms=at_ms, lifts_before=lifts_before, key=key, deployment=deployment)[1]


def is_stopped(bench: GateBench) -> bool:
    verdict = bench.judge()
    assert (verdict.outcome is Outcome.ALLOW) == (verdict.reason != Reason.REVOKED_ALL)
    return verdict.reason == Reason.REVOKED_ALL


def alerts(bench: GateBench) -> list[Alert]:
    return [read.record for read in bench.driver.read(ALERT.name) if isinstance(read.record, Alert)]


def changes(bench: GateBench) -> list[AuditEvent]:
    return bench.audits(AuditEventType.CONTROL)


def rows_of_stops(bench: GateBench) -> int:
    """How many rows of stops the state of partition 0 has, of every kind."""
    return sum(key.startswith((RowKind.STOP.prefix, RowKind.STOP_END.prefix)) for key in bench.driver.disk.rows(0))


def catch_up(bench: GateBench, offset: int) -> None:
    """Let the gate go on until it has read the topic up to an offset, and whatever it writes there itself."""
    while bench.revocations.next_offset < offset:
        bench.driver.settle()
    ends = -1
    while ends != bench.revocations.next_offset:
        ends = bench.revocations.next_offset
        bench.driver.settle()


def known_to_who_starts_now(bench: GateBench) -> RevocationSet:
    """What an instance knows that has no state, and reads what compaction has left of the topic."""
    bench.driver.log.compact(REVOCATION.name)
    known = RevocationSet(RELEASERS)
    for received in bench.driver.log.committed_records(TopicPartition(REVOCATION.name, 0)):
        known.next_offset = received.offset + 1
        with suppress(RecordError):
            if received.value is None:
                known.forget(received.key or b"", received.timestamp_ms)
            else:
                record = wire().decode(REVOCATION.name, received.value, received.headers)
                assert isinstance(record, Revocation)
                known.apply(record, received.key, received.timestamp_ms)
    return known


UNENTITLED: dict[str, Callable[[GateBench], Revocation | None]] = {
    "without a signature": lambda bench: revocation(*ALL, time_ms=bench.now_ms, state=RevocationState.RELEASED)[1],
    "signed by somebody who is no releaser": lambda bench: lift(bench, EVE),
    "signed by a releaser of other kinds": lambda bench: lift(bench, DESK),
    "signed for another deployment": lambda bench: lift(bench, deployment="there"),
    "signed long ago": lambda bench: lift(bench, time_ms=bench.now_ms - RELEASE_AGE_MAX_MS - 1),
    "signed for much later": lambda bench: lift(bench, time_ms=bench.now_ms + RELEASE_AGE_MAX_MS + 1),
    "signed for something else": lambda bench: replace(
        lift(bench, what=(RevocationKind.TENANT, "acme")), kind=ALL[0], id=ALL[1]
    ),
    "with a signature that lifts more than was signed": lambda bench: replace(lift(bench), lifts_before=1 << 40),
    "with an HMAC in place of a signature": lambda bench: replace(
        lift(bench), proof=Proof(alg=ProofAlg.HMAC_SHA256, kid=ANN.public.kid, value=bytes(64))
    ),
}


@pytest.mark.parametrize("how", UNENTITLED)
def test_a_release_without_the_proof_of_a_role_lifts_nothing(bench: GateBench, how: str) -> None:
    stop(bench)
    changes(bench), alerts(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, UNENTITLED[how](bench))
    assert is_stopped(bench)
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.RELEASE_UNPROVEN]
    (change,) = changes(bench)
    assert change.reason == DeadLetterReason.RELEASE_UNPROVEN
    (alert,) = alerts(bench)
    assert (alert.analytic_uid, alert.severity_id) == (DeadLetterReason.RELEASE_UNPROVEN, Severity.CRITICAL)
    assert "ALL:*" in alert.title
    bench.restart()
    assert is_stopped(bench)
    assert (alerts(bench), changes(bench)) == ([], [])


def test_a_release_by_who_is_entitled_lifts_the_stop_and_is_recorded(bench: GateBench) -> None:
    stop(bench)
    changes(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, lift(bench))
    assert not is_stopped(bench)
    (change,) = changes(bench)
    assert change.reason == ControlReason.STOP_RELEASED
    assert change.reason_text is not None
    assert "signed by ann" in change.reason_text
    assert alerts(bench) == []
    bench.restart()
    assert not is_stopped(bench)


def test_who_may_release_some_kinds_releases_these(bench: GateBench) -> None:
    subject = (RevocationKind.SUBJECT, "acme|alice")
    stop(bench, *subject)
    assert bench.judge().reason == Reason.REVOKED_SUBJECT
    bench.driver.pipe(REVOCATION.name, b"SUBJECT:acme|alice", lift(bench, DESK, what=subject))
    assert bench.judge().outcome is Outcome.ALLOW


def test_an_earlier_release_lifts_no_later_stop(bench: GateBench) -> None:
    offset = stop(bench)
    earlier = lift(bench, lifts_before=offset + 1)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, earlier)
    assert not is_stopped(bench)
    stop(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, earlier)
    assert is_stopped(bench)
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.RELEASE_OUTDATED]


def test_a_copy_of_what_was_released_before_does_not_take_the_place_of_a_stop(bench: GateBench) -> None:
    """Stop and release are written once more, after a stop that was meant to last."""
    copied = revocation(*ALL, time_ms=bench.now_ms)
    offset = bench.driver.pipe(REVOCATION.name, *copied).offset
    earlier = lift(bench, lifts_before=offset + 1)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, earlier)
    stop(bench)
    bench.driver.pipe(REVOCATION.name, *copied)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, earlier)
    assert is_stopped(bench)


def test_a_tombstone_on_a_stop_in_force_is_ignored_and_reported(bench: GateBench) -> None:
    stop(bench)
    changes(bench), alerts(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
    assert is_stopped(bench)
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.STOP_DELETED]
    assert [change.reason for change in changes(bench)] == [DeadLetterReason.STOP_DELETED]
    assert [alert.analytic_uid for alert in alerts(bench)] == [DeadLetterReason.STOP_DELETED]


def test_a_tombstone_on_a_stop_that_is_over_is_nobodys_business(bench: GateBench) -> None:
    stop(bench, until_ms=bench.now_ms + 1_000)
    bench.wait(1_000)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
    assert not is_stopped(bench)
    assert (bench.dead_letters(REVOCATION.name), alerts(bench)) == ([], [])


def test_a_stop_is_not_shortened_by_another_one(bench: GateBench) -> None:
    stop(bench)
    changes(bench)
    until_ms = bench.now_ms + 1
    stop(bench, until_ms=until_ms)
    bench.wait(10_000)
    assert is_stopped(bench)
    assert alerts(bench) == []
    (change,) = changes(bench)
    assert change.reason == ControlReason.STOP_NOT_SHORTENED
    assert change.act is not None
    assert change.act.sub == "admin"
    assert str(until_ms) in (change.reason_text or "")
    bench.restart()
    assert changes(bench) == []


def test_a_stop_that_ends_later_or_at_the_same_time_is_nothing_to_report(bench: GateBench) -> None:
    changes(bench)
    ends_ms = [bench.now_ms + 10_000, bench.now_ms + 10_000, bench.now_ms + 20_000, None]
    for until_ms in ends_ms:
        stop(bench, until_ms=until_ms)
    assert (changes(bench), alerts(bench)) == ([], [])


PUSHED_OUT: dict[str, Callable[[GateBench], Revocation | None]] = {
    "a tombstone": lambda bench: None,
    "a release that does not count": lambda bench: lift(bench, EVE),
    "a release that came too late": lambda bench: lift(bench, lifts_before=0),
    "a stop that ends earlier": lambda bench: revocation(*ALL, time_ms=bench.now_ms, until_ms=bench.now_ms + 1)[1],
}


class TestCompaction:
    """The topic keeps the newest record of a key, also one that does not count."""

    @pytest.mark.parametrize("how", PUSHED_OUT)
    def test_who_never_read_the_stop_knows_it(self, bench: GateBench, how: str) -> None:
        stop(bench)
        bench.driver.pipe(REVOCATION.name, ALL_KEY, PUSHED_OUT[how](bench))
        known = known_to_who_starts_now(bench)
        assert known.stopped_until(*ALL) == FOR_GOOD

    @pytest.mark.parametrize("how", PUSHED_OUT)
    def test_what_no_gate_has_seen_is_in_the_state(self, bench: GateBench, how: str) -> None:
        """All gates are down while the stop is pushed out, and until the topic is compacted."""
        stop(bench)
        alerts(bench), changes(bench)
        record = PUSHED_OUT[how](bench)
        value = None if record is None else wire().encode(REVOCATION.name, record)
        bench.driver.log.append(Outgoing(REVOCATION.name, 0, ALL_KEY, value), timestamp_ms=bench.now_ms)
        assert known_to_who_starts_now(bench).stopped_until(*ALL) != FOR_GOOD
        bench.restart()
        bench.wait(10_000)
        assert is_stopped(bench)
        assert known_to_who_starts_now(bench).stopped_until(*ALL) == FOR_GOOD
        if record is None or record.state is RevocationState.RELEASED:
            assert ControlReason.STOP_RESTORED in [alert.analytic_uid for alert in alerts(bench)]
            assert ControlReason.STOP_RESTORED in [change.reason for change in changes(bench)]

    @pytest.mark.parametrize(
        ("kind", "target"),
        [
            (RevocationKind.AGENT, "acme|" + "\U0001f600" * NAME_CHARS_MAX),
            (RevocationKind.TOOL, "\U0001f600" * NAME_CHARS_MAX + "/" + "\U0001f600" * NAME_CHARS_MAX),
            (RevocationKind.MODEL, "\u0390" * NAME_CHARS_MAX + "/" + "\u0390" * NAME_CHARS_MAX),
        ],
    )
    def test_a_stop_of_the_longest_name_outlives_its_record(
        self, bench: GateBench, kind: RevocationKind, target: str
    ) -> None:
        record = revocation(kind, target, time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, *record)
        bench.driver.log.append(Outgoing(REVOCATION.name, 0, record[0], None), timestamp_ms=bench.now_ms)
        bench.restart()
        bench.wait(10_000)
        assert known_to_who_starts_now(bench).stopped_until(kind, target) == FOR_GOOD

    def test_a_stop_that_is_written_again_can_be_released(self, bench: GateBench) -> None:
        stop(bench)
        bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
        bench.driver.pipe(REVOCATION.name, ALL_KEY, lift(bench))
        assert not is_stopped(bench)
        bench.restart()
        assert not is_stopped(bench)

    def test_it_is_written_again_once(self, bench: GateBench) -> None:
        stop(bench)
        bench.driver.read(REVOCATION.name)
        bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
        stop(bench, RevocationKind.TENANT, "other")
        bench.wait(10_000)
        written = [read.record for read in bench.driver.read(REVOCATION.name)]
        assert [one.initiating_entity for one in written if isinstance(one, Revocation)] == ["stoplog/gate", "admin"]


@pytest.mark.parametrize("weakened_by", ["a shorter stop", "a tombstone"])
def test_a_stop_from_the_last_year_of_the_calendar_does_not_keep_others_from_being_written_again(
    bench: GateBench, weakened_by: str
) -> None:
    name = (RevocationKind.SESSION, "acme|s-9")
    key, far = revocation(*name, time_ms=LAST_END_MS)
    bench.driver.pipe(REVOCATION.name, key, far)
    bench.driver.settle()
    nearer = revocation(*name, time_ms=bench.now_ms, until_ms=bench.now_ms + 1)[1]
    bench.driver.pipe(REVOCATION.name, key, nearer if weakened_by == "a shorter stop" else None)
    catch_up(bench, 1)
    # Another stop, which has only its row to outlive the tombstone.
    stop(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
    catch_up(bench, 1)
    newest = {record.key: record.value for record in bench.driver.read_raw(REVOCATION.name)}
    assert None not in (newest[key], newest[ALL_KEY])
    again = wire().decode(REVOCATION.name, newest[key] or b"")
    assert isinstance(again, Revocation)
    assert again.until == LAST_END_MS
    assert is_stopped(bench)


@pytest.mark.parametrize("why", ["they are over", "their keys are too long"])
def test_stops_that_are_not_written_again_do_not_keep_others_from_it(
    bench: GateBench, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(stop_table, "STOPS_PER_STEP_MAX", 3)
    past_ms = bench.now_ms - MINUTE_MS
    until_ms, length = (past_ms + 1, 1) if why == "they are over" else (None, stop_table.KEY_BYTES_MAX)
    for number in range(7):
        key, record = revocation(
            RevocationKind.SESSION, f"acme|s-{number:0{length}}", time_ms=past_ms, until_ms=until_ms
        )
        for value in (wire().encode(REVOCATION.name, record), None):
            bench.driver.log.append(Outgoing(REVOCATION.name, 0, key, value), timestamp_ms=past_ms)
    stop(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, None)
    catch_up(bench, 1)
    newest = {record.key: record.value for record in bench.driver.read_raw(REVOCATION.name)}
    assert newest[ALL_KEY] is not None


@pytest.mark.parametrize("key", [b"SESSION:acme|s-9", b"DELEGATION:g-9", b"AGENT:acme|helper", b"TENANT:acme"])
def test_a_stop_that_can_not_be_read_is_written_again_once(bench: GateBench, key: bytes) -> None:
    bench.driver.pipe(REVOCATION.name, key, b"\xff\xff")
    bench.driver.settle()
    bench.driver.pipe(REVOCATION.name, key, None)
    catch_up(bench, 1)
    bench.restart()
    for _ in range(10):
        bench.wait(MINUTE_MS)
    values = [record.value for record in bench.driver.read_raw(REVOCATION.name) if record.key == key]
    assert len(values) == 3
    assert values[-1] is not None


def test_without_a_releaser_nothing_is_released() -> None:
    bench = GateBench(releasers=Releasers.of({}))
    stop(bench)
    bench.driver.pipe(REVOCATION.name, ALL_KEY, lift(bench))
    assert is_stopped(bench)


class TestWhatIsLongOver:
    """Stops of what is over are dropped: from memory, from the state and from the topic."""

    COUNT = 10_000

    def test_old_stops_leave_nothing(self) -> None:
        bench = GateBench(releasers=RELEASERS)
        until_ms = bench.now_ms + 1_000
        for number in range(self.COUNT):
            key, record = revocation(
                RevocationKind.SESSION, f"acme|old-{number}", time_ms=bench.now_ms, until_ms=until_ms
            )
            value = wire().encode(REVOCATION.name, record)
            bench.driver.log.append(Outgoing(REVOCATION.name, 0, key, value), timestamp_ms=bench.now_ms)
        catch_up(bench, stop(bench, RevocationKind.TENANT, "other") + 1)
        revocations = bench.revocations
        assert len(revocations) == self.COUNT + 1
        assert rows_of_stops(bench) == 2 * self.COUNT + 1
        bench.wait(1_000 + DAY_MS + 1)
        bench.judge()
        catch_up(bench, stop(bench, RevocationKind.TENANT, "another") + 1)
        assert len(revocations) == 2
        assert rows_of_stops(bench) == 2  # those of tenants, which have no end
        bench.driver.log.compact(REVOCATION.name)
        records = bench.driver.log.committed_records(TopicPartition(REVOCATION.name, 0))
        assert sum(record.value is not None for record in records) == 2
        assert alerts(bench) == []

    def test_they_are_still_known_while_anything_can_refer_to_them(self, bench: GateBench) -> None:
        stop(bench, RevocationKind.SESSION, "acme|s-9", until_ms=bench.now_ms + 1_000)
        bench.wait(DAY_MS)
        bench.judge()
        stop(bench, RevocationKind.TENANT, "other")
        assert bench.revocations.stopped_until(RevocationKind.SESSION, "acme|s-9") is not None

    def test_a_release_is_dropped_as_well(self, bench: GateBench) -> None:
        stop(bench)
        what = (RevocationKind.AGENT, "acme|helper")
        stop(bench, *what)
        bench.driver.pipe(REVOCATION.name, b"AGENT:acme|helper", lift(bench, what=what))
        bench.wait(DAY_MS + 1)
        bench.judge()
        stop(bench, RevocationKind.TENANT, "other")
        bench.driver.log.compact(REVOCATION.name)
        records = bench.driver.log.committed_records(TopicPartition(REVOCATION.name, 0))
        assert {r.key for r in records if r.value is not None} == {ALL_KEY, b"TENANT:other"}
        assert bench.revocations.stopped_until(*ALL) == FOR_GOOD

    @pytest.mark.parametrize(
        ("kind", "target"), [(RevocationKind.SESSION, "acme|s-9"), (RevocationKind.DELEGATION, "g-9")]
    )
    def test_what_names_a_session_or_a_grant_does_not_last_for_ever(
        self, bench: GateBench, kind: RevocationKind, target: str
    ) -> None:
        stop(bench, kind, target)
        assert bench.revocations.stopped_until(kind, target) == bench.now_ms + STOP_WITHOUT_END_MS

    @pytest.mark.parametrize(("behind_ms", "of_the_writer_ms"), [(0, 300 * DAY_MS), (300 * DAY_MS, 0)])
    def test_no_clock_that_is_behind_ends_it_early(self, behind_ms: int, of_the_writer_ms: int) -> None:
        now_ms = 500 * DAY_MS
        stops = RevocationSet(RELEASERS)
        _, record = revocation(RevocationKind.DELEGATION, "g-9", time_ms=now_ms - of_the_writer_ms)
        stops.apply(record, appended_ms=now_ms - behind_ms)
        assert stops.stopped_until(RevocationKind.DELEGATION, "g-9") == now_ms + STOP_WITHOUT_END_MS

    def test_no_setting_lets_a_session_outlive_its_stop(self) -> None:
        with pytest.raises(ValueError, match="`session_age_max_ms` must not be longer"):
            replace(GATE_SETTINGS, session_age_max_ms=GRANT_LIFE_MS_MAX + 1)
        with pytest.raises(ValueError, match="session_age_max_ms"):
            GateSection(session_age_max_ms=GRANT_LIFE_MS_MAX + 1)
        assert replace(GATE_SETTINGS, session_age_max_ms=GRANT_LIFE_MS_MAX).session_age_max_ms < STOP_WITHOUT_END_MS

    def test_what_has_no_end_of_its_own_is_never_dropped(self) -> None:
        """Neither from memory, nor from the state, nor from the topic, and by no gate that starts later."""
        bench = GateBench(releasers=RELEASERS)
        for kind, target in [*LASTING, (RevocationKind.SESSION, "acme|s-9")]:
            stop(bench, kind, target)
        for _ in range(2):
            bench.wait(10 * 365 * DAY_MS)
            bench.judge()
            bench.revocations._tidied_at = 0
            catch_up(bench, stop(bench, RevocationKind.TENANT, "another") + 1)
            assert {*bench.revocations.all_keys()} == {*LASTING, (RevocationKind.TENANT, "another")}
            known = known_to_who_starts_now(bench)
            assert {*known.all_keys()} == {*LASTING, (RevocationKind.TENANT, "another")}
            assert {known.stopped_until(*each) for each in LASTING} == {FOR_GOOD}
            bench.restart()
        assert {bench.revocations.stopped_until(*each) for each in LASTING} == {FOR_GOOD}
        assert rows_of_stops(bench) == len(LASTING) + 1
        assert alerts(bench) == []
