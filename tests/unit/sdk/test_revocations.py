"""What has been taken back, as an executor follows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pytest

from simulation.records import RELEASER, STRANGER, release
from streams.audit.releasers import Releasers
from streams.codec.avro import Codec
from streams.embedded.log import EmbeddedLog
from streams.model.keys import revocation_key
from streams.model.reasons import Reason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_targets import Call, session_target
from streams.model.topics import REVOCATION
from streams.model.types import Header
from streams.ports import OpenTransaction, Outgoing, Reader, Received, RetriableLogError, TopicPartition
from streams.sdk import DevTokenService, ExecutorError, RevocationWatch
from streams.sdk.connection.single_records import publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import Entropy, system_monotonic_ms
from streams.wiring.clock import SystemClock
from tests.unit.sdk.hands import ACTOR, CONFIRM_MS, ISSUER, ROOT_KEY, TENANT, TOOL, TransportOf, write
from tests.waiting import until

CALL = Call(tenant_uid=TENANT, session_id="s-1", sub="alice", act=ACTOR, tool=TOOL)
SESSION = session_target(TENANT, "s-1")
NOW_MS = 1_764_061_200_000


@pytest.fixture
def watch(transport: Transport) -> Iterator[RevocationWatch]:
    opened = RevocationWatch(transport)
    yield opened
    opened.close()


def test_nothing_is_known_before_the_start(watch: RevocationWatch) -> None:
    assert watch.is_stale()
    assert not watch.caught_up(1, timeout_ms=1)


def test_what_was_there_before_the_start_is_known_after_it(tokens: DevTokenService, watch: RevocationWatch) -> None:
    tokens.revoke(RevocationKind.SESSION, SESSION, "stolen")
    watch.start()
    assert not watch.is_stale()
    assert watch.reason_against(CALL, NOW_MS) is Reason.SESSION_REVOKED


def test_what_comes_later_is_known_soon_and_can_be_given_back(tokens: DevTokenService, watch: RevocationWatch) -> None:
    watch.start()
    assert watch.reason_against(CALL, NOW_MS) is None
    tokens.revoke(RevocationKind.ALL, "ignored: all has but one target", "stop")
    assert watch.confirm(CONFIRM_MS)
    assert watch.reason_against(CALL, NOW_MS) is Reason.REVOKED_ALL
    assert watch.caught_up(1, timeout_ms=0)
    tokens.release(RevocationKind.ALL, "", "go on")
    assert watch.confirm(CONFIRM_MS)
    assert watch.reason_against(CALL, NOW_MS) is None


def put(transport: Transport, key: bytes, value: bytes | None) -> None:
    publish(transport, [Outgoing(REVOCATION.name, 0, key, value)])


def test_an_unreadable_record_takes_back_what_its_key_names(
    transport: Transport, watch: RevocationWatch, tokens: DevTokenService
) -> None:
    put(transport, b"no key of a revocation", b"\x00garbage")
    put(transport, revocation_key(RevocationKind.SESSION, SESSION), b"\x00garbage")
    watch.start()
    assert watch.reason_against(CALL, NOW_MS) is Reason.SESSION_REVOKED
    other = msgspec.structs.replace(CALL, session_id="s-2")
    assert watch.reason_against(other, NOW_MS) is None
    tokens.release(RevocationKind.SESSION, SESSION, "mended")
    assert watch.confirm(CONFIRM_MS)
    assert watch.reason_against(CALL, NOW_MS) is None


def test_kinds_of_a_later_version_stop_everything_each_under_its_own_key(
    transport: Transport, watch: RevocationWatch
) -> None:
    header = Header(id="0197b8f0-0000-7000-8000-000000000001", source="test", time=NOW_MS, tenant_uid=TENANT)
    made = Revocation(header=header, id="acme|x", effective_at=NOW_MS, reason="later", initiating_entity="test")
    released = msgspec.structs.replace(made, state=RevocationState.RELEASED)
    put(transport, b"FOO:acme|x", b"\x00garbage")
    write(transport, made, b"FOE:acme|x")
    write(transport, released, b"BAR:acme|x")
    write(transport, released, b"FOE:acme|x")
    watch.start()
    assert watch.reason_against(CALL, NOW_MS) is Reason.REVOKED_ALL
    write(transport, released, b"FOO:acme|x")
    assert watch.confirm(CONFIRM_MS)
    assert watch.reason_against(CALL, NOW_MS) is None


def test_a_tombstone_forgets(transport: Transport, watch: RevocationWatch, tokens: DevTokenService) -> None:
    tokens.revoke(RevocationKind.SESSION, SESSION, "stolen")
    put(transport, revocation_key(RevocationKind.SESSION, SESSION), None)
    watch.start()
    assert watch.reason_against(CALL, NOW_MS) is None


def test_a_release_under_another_key_gives_nothing_back(
    transport: Transport, watch: RevocationWatch, tokens: DevTokenService
) -> None:
    made = tokens.revoke(RevocationKind.SESSION, SESSION, "stolen")
    released = msgspec.structs.replace(made, state=RevocationState.RELEASED)
    write(transport, released, b"SESSION:acme|another")
    watch.start()
    assert watch.reason_against(CALL, NOW_MS) is Reason.SESSION_REVOKED


@dataclasses.dataclass
class Line:
    """The connection to the log, which can be cut."""

    cut: bool = False


class CuttableReader:
    def __init__(self, reader: Reader, line: Line) -> None:
        self._reader = reader
        self._line = line

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._reader.assign(positions)

    def poll(self, max_records: int, timeout_ms: int) -> list[Received]:
        return [] if self._line.cut else self._reader.poll(max_records, timeout_ms)

    def position(self, partition: TopicPartition) -> int:
        return self._reader.position(partition)

    def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        if self._line.cut:
            raise RetriableLogError("the broker does not answer")
        return self._reader.end_offsets(partitions)

    def stable_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._reader.stable_offsets(partitions)

    def oldest_transaction(self, partition: TopicPartition) -> OpenTransaction | None:
        return self._reader.oldest_transaction(partition)

    def close(self) -> None:
        self._reader.close()


RELEASERS = Releasers.of({"ann": str(RELEASER.public)}, kinds={"ann": ["ALL", "SESSION"]})


def test_an_executor_ignores_what_is_no_release(log: EmbeddedLog, codec: Codec) -> None:
    """A stop is lifted by who may release it, and by nobody who may only stop."""
    with Transport(log, codec, SystemClock(), RELEASERS) as transport, RevocationWatch(transport) as watch:
        tokens = DevTokenService(transport, ROOT_KEY, issuer=ISSUER, tenant_uid=TENANT)
        tokens.revoke(RevocationKind.ALL, "*", "stop")
        tokens.release(RevocationKind.ALL, "*", "the token service says so")
        put(transport, b"ALL:*", None)
        tokens.revoke(RevocationKind.ALL, "*", "for a moment", until_ms=1)
        _, stranger = release(RevocationKind.ALL, "*", time_ms=transport.now_ms(), lifts_before=99, key=STRANGER)
        write(transport, stranger, b"ALL:*")
        assert watch.confirm(CONFIRM_MS)
        assert watch.reason_against(CALL, NOW_MS) is Reason.REVOKED_ALL
        _, own = release(RevocationKind.ALL, "*", time_ms=transport.now_ms(), lifts_before=99, key=RELEASER)
        write(transport, own, b"ALL:*")
        assert watch.confirm(CONFIRM_MS)
        assert watch.reason_against(CALL, NOW_MS) is None


class CuttableTransport(Transport):
    line = Line()

    def reader(self) -> Reader:
        return CuttableReader(super().reader(), self.line)


def test_what_can_not_be_confirmed_turns_stale_and_recovers(transport_of: TransportOf, tokens: DevTokenService) -> None:
    cuttable = transport_of(CuttableTransport)
    cuttable.line = Line()
    with RevocationWatch(cuttable, stale_after_ms=3_000) as watch:
        assert not watch.is_stale()
        cuttable.line.cut = True
        until(watch.is_stale, "it is stale")
        tokens.revoke(RevocationKind.SESSION, SESSION, "while it could not be read")
        assert not watch.confirm(300)
        cuttable.line.cut = False
        until(lambda: not watch.is_stale(), "it has recovered")
        assert watch.reason_against(CALL, NOW_MS) is Reason.SESSION_REVOKED


def test_a_pause_of_the_whole_process_is_stale_at_once(transport_of: TransportOf) -> None:
    """After a suspend the first check comes before the following thread has asked again."""
    ahead_ms = [0]
    entropy = Entropy(monotonic_ms=lambda: system_monotonic_ms() + ahead_ms[0])
    cuttable = transport_of(CuttableTransport)
    cuttable.line = Line()
    with RevocationWatch(cuttable, entropy=entropy) as watch:
        assert not watch.is_stale()
        cuttable.line.cut = True
        ahead_ms[0] = 60_000
        assert watch.is_stale()


def test_a_start_that_can_not_read_to_the_end_is_an_error(transport_of: TransportOf) -> None:
    cuttable = transport_of(CuttableTransport)
    cuttable.line = Line(cut=True)
    watch = RevocationWatch(cuttable)
    with pytest.raises(ExecutorError, match="could not be read to its end"):
        watch.start(timeout_ms=300)
    assert watch.is_stale()
    watch.close()
    with pytest.raises(ExecutorError, match="closed"):
        watch.start()
