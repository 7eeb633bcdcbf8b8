"""Tokens that can be used once, at services side by side: one log says which use counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.embedded.log import EmbeddedLog
from streams.model.token_reasons import TokenReason
from streams.model.token_use import TokenUse
from streams.model.topics import TOKEN_USED
from streams.model.types import Header
from streams.operations.topics.reader import read_to_end
from streams.ports import LogError, Outgoing, Publisher, Reader, Received, TopicPartition, TopicSpec
from streams.sdk.connection.single_records import outgoing
from streams.sdk.entropy import SYSTEM
from streams.services.sts import used_tokens
from streams.services.sts.errors import RefusedError, StsError
from streams.services.sts.settings import SourceSection, StsSection
from streams.wiring.clock import SystemClock
from tests.unit.services.sts.house import WrappedLog, open_house
from tests.unit.services.sts.used import LIFE_MS, Service, digest, holds_side_by_side, service
from tests.waiting import until

ROUNDS, USES = 10, 8
PATIENT_MS = 60_000
"""For claims that are confirmed, however busy the machine is."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    with_topic = opened(tmp_path / "log.sqlite")
    yield with_topic
    with_topic.close()


def opened(path: Path, partitions: int = 1) -> EmbeddedLog:
    made = EmbeddedLog(path, clock=SystemClock())
    admin = made.admin()
    if not admin.describe([TOKEN_USED.name], ()):
        admin.create([TopicSpec(TOKEN_USED.name, partitions, TOKEN_USED.config())], 1)
    admin.close()
    return made


def write(where: Service, claim: TokenUse) -> None:
    record = outgoing(where.transport, TOKEN_USED, claim.header.id.encode(), claim, claim.header)
    where.transport.store([record], 10_000)


def claim_of(name: str) -> TokenUse:
    header = Header(id=SYSTEM.uuid(), source="x", time=SYSTEM.now_ms(), tenant_uid="acme")
    return TokenUse(header=header, service="x", names=(digest(name),), until=SYSTEM.now_ms() + LIFE_MS)


def test_of_uses_at_once_one_counts_at_services_side_by_side(log: EmbeddedLog, tmp_path: Path) -> None:
    holds_side_by_side(log, tmp_path, rounds=ROUNDS, uses=USES)


def test_a_claim_that_is_stored_twice_counts_once(log: EmbeddedLog, tmp_path: Path) -> None:
    class Twice(Lossy):
        def publish(self, record: Outgoing) -> None:
            self.inner.publish(record)
            self.inner.publish(record)

    with service(Wrapped(log, Twice), tmp_path, "one") as one:
        assert one.use("a")
        assert not one.use("a")
        assert one.use("b")


def test_a_token_counts_as_used_until_it_expires_by_the_log_s_time(log: EmbeddedLog, tmp_path: Path) -> None:
    past_ms = -used_tokens.CLOCKS_APART_MS
    with service(log, tmp_path, "one") as one, service(log, tmp_path, "two") as two:
        assert one.use("lives", life_ms=past_ms + 60_000)
        assert not two.use("lives")
        assert one.use("is over", life_ms=past_ms - 1_000)
        assert two.use("is over")


def test_a_record_that_is_no_claim_is_skipped_and_reported(log: EmbeddedLog, tmp_path: Path) -> None:
    with service(log, tmp_path, "one") as one:
        empty = claim_of("x")
        one.transport.store([Outgoing(TOKEN_USED.name, 0, b"k", value) for value in (b"\x00garbage", None)], 10_000)
        write(one, TokenUse(header=empty.header, service="x", names=(), until=empty.until))
        write(one, TokenUse(header=empty.header, service="x", names=(b"short",), until=empty.until))
        assert one.use("a")
        assert [text.split(" is skipped")[0] for text in one.told] == [
            f"record {offset} of agent.token.used.v1" for offset in range(4)
        ]
        place = one.store.place()
        assert place is not None
        assert place.offset == 4


def test_and_the_report_is_on_the_audit_log(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        house.transport.store([Outgoing(TOKEN_USED.name, 0, b"k", b"\x00garbage")], 10_000)
        audit = house.new_audit(set())
        assert audit.reason == "claim_unreadable"
        assert audit.reason_text is not None
        assert audit.reason_text.startswith("record 0 of agent.token.used.v1 is skipped: ")
        house.granted()


def test_a_service_reads_on_where_it_stopped(log: EmbeddedLog, tmp_path: Path) -> None:
    with service(log, tmp_path, "one") as one:
        for number in range(5):
            assert one.use(f"t {number}")
    counted = Counted(log)
    with service(counted, tmp_path, "one") as one:
        assert not one.use("t 0")
    # The last record from before, and its own.
    assert counted.offsets == [4, 5]


class TestAnotherLog:
    """The file knows a topic that is not there any more."""

    @pytest.mark.parametrize("others", [0, 2, 8])
    def test_all_of_it_is_read(self, tmp_path: Path, others: int) -> None:
        first = opened(tmp_path / "first.sqlite")
        with service(first, tmp_path, "one") as one:
            for number in range(5):
                assert one.use(f"t {number}")
        first.close()
        second = opened(tmp_path / "second.sqlite")
        with service(second, tmp_path, "two") as two:
            for number in range(others):
                assert two.use(f"other {number}")
        with service(second, tmp_path, "one") as one:
            for number in range(others):
                assert not one.use(f"other {number}")
            assert one.use("new")
            assert not one.use("t 0")
        second.close()


class TestALogThatDoesNotAnswer:
    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(used_tokens, "CLAIM_TIMEOUT_MS", 700)

    def test_for_a_claim_the_request_is_refused_and_the_token_may_be_used_up(
        self, log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with service(log, tmp_path, "one") as one, service(Wrapped(log, Lossy), tmp_path, "two") as two:
            until(lambda: not two.used.is_stale())
            with pytest.raises(RefusedError, match="has not confirmed in time") as raised:
                two.use("a")
            assert (raised.value.reason, raised.value.status) == (TokenReason.LOG_UNAVAILABLE, 503)
            assert raised.value.retry_after_ms == 1_000
            monkeypatch.setattr(used_tokens, "CLAIM_TIMEOUT_MS", PATIENT_MS)
            assert one.use("a")
            until(lambda: two.knows("a"))

    def test_nor_is_one_written_before_everything_is_read(
        self, log: EmbeddedLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deaf = Wrapped(log, make_reader=Deaf)
        with service(deaf, tmp_path, "one") as one:
            with pytest.raises(RefusedError, match="are not known") as raised:
                one.use("a")
            assert raised.value.reason is TokenReason.LOG_UNAVAILABLE
            assert list(read_to_end(log, (TOKEN_USED.name,), SystemClock())) == []
            assert one.used.is_stale()
            deaf.make_reader = None
            until(lambda: not one.used.is_stale())
            monkeypatch.setattr(used_tokens, "CLAIM_TIMEOUT_MS", PATIENT_MS)
            assert one.use("a")

    def test_a_failure_of_the_writer_is_told_at_once(self, log: EmbeddedLog, tmp_path: Path) -> None:
        with service(Wrapped(log, Failing), tmp_path, "one") as one, pytest.raises(RefusedError, match="be written"):
            one.use("a")

    def test_a_service_says_that_it_is_not_ready(self, tmp_path: Path) -> None:
        with open_house(tmp_path, lambda log: Wrapped(log, make_reader=DeafToClaims)) as house:
            assert house.running.health().waits_for == ("the log: it is not confirmed that all used tokens are read",)
            assert house.refused() == ("temporarily_unavailable", "log_unavailable")


def test_a_full_memory_refuses_before_anything_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.services.sts.store.USED_MAX", 3)
    monkeypatch.setattr("streams.services.sts.store.FORGET_EVERY", 1)
    with open_house(tmp_path) as house:
        house.granted()
        house.granted()
        before = list(read_to_end(house.log, (TOKEN_USED.name,), SystemClock()))
        assert house.refused() == ("temporarily_unavailable", "log_unavailable")
        assert list(read_to_end(house.log, (TOKEN_USED.name,), SystemClock())) == before
        monkeypatch.setattr("streams.services.sts.store.USED_MAX", 100)
        house.granted()


def test_the_order_needs_one_partition(tmp_path: Path) -> None:
    log = opened(tmp_path / "log.sqlite", partitions=2)
    with pytest.raises(StsError, match="has 2 partitions instead of 1"), service(log, tmp_path, "one"):
        pass
    log.close()


def test_claims_are_kept_longer_than_any_token_can_be_used() -> None:
    [life_ms] = [m.le for m in SourceSection.model_fields["life_max_ms"].metadata if hasattr(m, "le")]
    [skew_ms] = [m.le for m in StsSection.model_fields["skew_ms"].metadata if hasattr(m, "le")]
    assert TOKEN_USED.retention_ms is not None
    assert TOKEN_USED.retention_ms >= life_ms + 2 * skew_ms + used_tokens.CLOCKS_APART_MS


class Lossy:
    """A publisher that stores nothing."""

    def __init__(self, inner: Publisher) -> None:
        self.inner = inner

    def publish(self, record: Outgoing) -> None:
        pass

    def flush(self, timeout_ms: int) -> None:
        self.inner.flush(timeout_ms)

    def close(self) -> None:
        self.inner.close()


class Failing(Lossy):
    def flush(self, timeout_ms: int) -> None:
        raise LogError("no broker")


class Deaf:
    """A reader whose log does not answer."""

    def __init__(self, inner: Reader) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def end_offsets(self, partitions: Any) -> Any:
        raise LogError("no broker")


class DeafToClaims(Deaf):
    def end_offsets(self, partitions: Any) -> Any:
        if partitions == [TopicPartition(TOKEN_USED.name, 0)]:
            raise LogError("no broker")
        return self.inner.end_offsets(partitions)


class Wrapped(WrappedLog):
    """A log whose publishers and readers are others."""

    def __init__(self, log: Any, make_publisher: Any = None, make_reader: Any = None) -> None:
        super().__init__(log, lambda producer: producer)
        self.make_publisher = make_publisher
        self.make_reader = make_reader

    def publisher(self) -> Publisher:
        made = super().publisher()
        return made if self.make_publisher is None else self.make_publisher(made)

    def reader(self) -> Reader:
        made = super().reader()
        return made if self.make_reader is None else self.make_reader(made)


class Counted(Wrapped):
    """Remembers what was read."""

    def __init__(self, log: Any) -> None:
        super().__init__(log, make_reader=self._counting)
        self.offsets: list[int] = []

    def _counting(self, inner: Reader) -> Any:
        offsets = self.offsets

        class Counting(Deaf):
            def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
                found = self.inner.poll(max_records, timeout_ms)
                offsets.extend(received.offset for received in found)
                return found

            def end_offsets(self, partitions: Any) -> Any:
                return self.inner.end_offsets(partitions)

        return Counting(inner)
