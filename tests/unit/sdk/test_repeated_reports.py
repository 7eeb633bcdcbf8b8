"""A call that is reported again, after an error or by another executor, is reported in the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.model.topics import AUDIT_REPORTED, REPORT, Topic
from streams.model.verdict import Verdict
from streams.ports import FatalLogError, Outgoing, Publisher
from streams.sdk import Executor, ExecutorError, ReportError, SingleUseStore
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.executor import ABANDONED_AFTER_MS
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.executor.types import ExecutorSettings
from streams.sdk.executor.uses import call_of
from streams.sdk.tools import FunctionTool
from streams.wiring.clock import SystemClock
from tests.unit.sdk.hands import LIFE_MS, REPORT_KEY, TOOL, TransportOf, begun_store, key_of, make_verdict, raw_records

LATER_MS = ExecutorSettings().tool_timeout_ms + ABANDONED_AFTER_MS + 60_000


class UnconfirmedPublisher:
    """Stores records and never says so, as a cluster does that has lost its quorum meanwhile."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def publish(self, record: Outgoing) -> None:
        self._publisher.publish(record)

    def flush(self, timeout_ms: int) -> None:
        self._publisher.flush(timeout_ms)
        raise FatalLogError("it is not known whether they are stored")

    def close(self) -> None:
        self._publisher.close()


class UnconfirmedTransport(Transport):
    def publisher(self) -> Publisher:
        return UnconfirmedPublisher(super().publisher())


class LaterClock(SystemClock):
    def now_ms(self) -> int:
        return super().now_ms() + LATER_MS


def send(args: Mapping[str, object]) -> object:
    return "sent"


def fail(args: Mapping[str, object]) -> object:
    raise OSError("no route to the mail server")


def executor(
    transport: Transport, store: SingleUseStore, tool: FunctionTool | None = None, source: str | None = None
) -> Executor:
    tools = {"mail/send": tool or FunctionTool(send, TOOL.definition_digest)}
    return Executor(transport, ["mail"], tools, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN, source=source)


def stored(transport: Transport, topic: Topic) -> list[tuple[bytes | None, bytes | None, object]]:
    return [(each.key, each.value, each.headers) for each in raw_records(transport, topic)]


def traced(verdict: Verdict) -> Verdict:
    """With everything that a header can have, and with a key for the atoms of the result."""
    header = replace(verdict.header, traceparent=f"00-{'a' * 32}-{'b' * 16}-01", tracestate="vendor=1")
    return replace(verdict, header=header, atom_key=b"k" * 32)


@pytest.mark.parametrize("tool", [send, fail], ids=["done", "tool_error"])
@pytest.mark.parametrize("expired_ms", [0, 2 * LIFE_MS], ids=["run", "not_run"])
@pytest.mark.parametrize("source", [None, "https://mail.example/executor"])
@pytest.mark.parametrize("heir", ["e-1", "e-2"], ids=["restarted", "another"])
def test_a_report_that_was_not_confirmed_is_repeated_in_the_same_bytes(
    transport: Transport,
    transport_of: TransportOf,
    tmp_path: Path,
    *,
    heir: str,
    source: str | None,
    expired_ms: int,
    tool: object,
) -> None:
    verdict = traced(make_verdict())
    verdict = replace(
        verdict, evaluated_at=verdict.evaluated_at - expired_ms, expires_at=verdict.expires_at - expired_ms
    )
    runner = FunctionTool(tool, TOOL.definition_digest)
    with (
        begun_store(tmp_path) as store,
        transport_of(UnconfirmedTransport) as unconfirmed,
        executor(unconfirmed, store, runner, source) as first,
    ):
        try:
            first.execute(verdict, key_of(verdict))
        except ReportError:
            assert not expired_ms
    assert store.unreported_count == 1
    with (
        transport_of(Transport, LaterClock()) as later,
        SingleUseStore(tmp_path / "used", heir) as store,
        executor(later, store, source=source and f"{source}-{heir}"),
    ):
        assert store.unreported_count == 0
    for topic in (REPORT, AUDIT_REPORTED):
        once, again = stored(transport, topic)
        assert again == once


def test_what_another_executor_has_found_unknown_is_reported_as_that_by_all(
    transport: Transport, transport_of: TransportOf, tmp_path: Path
) -> None:
    verdict = make_verdict()
    with begun_store(tmp_path) as store:
        store.claim(call_of(verdict), now_ms=SystemClock().now_ms(), expires_ms=verdict.expires_at)
    with (
        SingleUseStore(tmp_path / "used", "e-2") as store,
        transport_of(UnconfirmedTransport, LaterClock()) as unconfirmed,
        pytest.raises(ExecutorError, match="can't be reported"),
        executor(unconfirmed, store),
    ):
        pass
    with begun_store(tmp_path) as store, executor(transport, store):
        pass
    for topic in (REPORT, AUDIT_REPORTED):
        once, again = stored(transport, topic)
        assert again == once
