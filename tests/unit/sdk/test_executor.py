"""The executor on a log: what runs, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from streams.model.audit import AuditEvent
from streams.model.reasons import Refusal
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import VERDICT
from streams.model.verdict import Obligation, Verdict
from streams.sdk import (
    DevTokenService,
    Ending,
    Executor,
    ExecutorError,
    FunctionTool,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
    ToolResult,
)
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.sdk.executor.attempts import BEFORE_RECORDS_TEXT
from streams.sdk.executor.seal_checks import UNPROVEN
from streams.sdk.executor.verdict_checks import CLOCK_SKEW_MS_MAX, ObligationError
from streams.sdk.tools import HANGING_MAX
from tests.unit.sdk.executor_hand import Calls, executor_with, run
from tests.unit.sdk.hands import (
    CONFIRM_MS,
    REPORT_KEY,
    TENANT,
    TOOL,
    begun_store,
    key_of,
    make_verdict,
    raw_records,
    write,
    written,
)
from tests.waiting import until

NOTIFY = Obligation(id="o-1", type="notify")


SHORT_MS = 3_000
"""The life of a verdict that is to expire while it is used, and not before."""


class SlowlyListed(FunctionTool):
    """A tool whose server takes its time to list its definition."""

    def __init__(self, calls: Calls, until_ms: int) -> None:
        super().__init__(calls.append, TOOL.definition_digest)
        self._until_ms = until_ms

    def definition_digest(self) -> bytes | None:
        until(lambda: SYSTEM.now_ms() >= self._until_ms, "the listing")
        return super().definition_digest()


def test_a_server_that_lists_its_tools_slowly_does_not_stretch_the_life_of_a_verdict(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    verdict = make_verdict(expires_at=SYSTEM.now_ms() + SHORT_MS)
    slow = SlowlyListed(calls, verdict.expires_at)
    executor = Executor(
        transport,
        ["mail"],
        {"mail/send": slow},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=revocations,
    )
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (Refusal.VERDICT_EXPIRED, [])
    assert [event.type for event in written(transport, SessionEvent)] == [SessionEventType.TOOL_NOT_RUN]
    assert run(executor, msgspec.structs.replace(verdict, expires_at=SYSTEM.now_ms() + 9_000)).refusal == (
        Refusal.ALREADY_USED
    )


class Notices:
    """A handler of obligations that records the calls that it was told of."""

    def __init__(self, fault: str = "") -> None:
        self.told: list[str] = []
        self.takes_until_ms = 0
        self._fault = fault

    def __call__(self, obligation: Obligation, verdict: Verdict, args: Mapping[str, object]) -> None:
        self.told.append(verdict.verdict_id)
        until(lambda: SYSTEM.now_ms() >= self.takes_until_ms, "the notice")
        if self._fault:
            raise ObligationError(self._fault)


def test_obligations_are_met_once_and_only_for_calls_that_nothing_else_is_against(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    notices = Notices()
    executor = executor_with(transport, store, revocations, calls.append, obligations={"notify": notices})
    verdict = make_verdict(obligations=(NOTIFY,))
    assert run(executor, verdict).ran
    assert run(executor, verdict).refusal is Refusal.ALREADY_USED
    tokens.revoke(RevocationKind.SESSION, session_target(TENANT, "s-1"), "stolen")
    assert revocations.confirm(CONFIRM_MS)
    assert run(executor, make_verdict(obligations=(NOTIFY,))).refusal is Refusal.REVOKED
    assert (notices.told, len(calls)) == ([verdict.verdict_id], 1)


@pytest.mark.parametrize(
    ("fault", "life_ms", "refusal"),
    [("the channel is closed", 60_000, Refusal.UNKNOWN_OBLIGATION), ("", SHORT_MS, Refusal.VERDICT_EXPIRED)],
    ids=["fails", "takes too long"],
)
def test_a_call_whose_obligation_is_not_met_in_time_is_used_up_and_reported_as_not_run(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    fault: str,
    life_ms: int,
    refusal: Refusal,
) -> None:
    calls: Calls = []
    notices = Notices(fault)
    executor = executor_with(transport, store, revocations, calls.append, obligations={"notify": notices})
    executor.start()
    verdict = make_verdict(obligations=(NOTIFY,), expires_at=SYSTEM.now_ms() + life_ms)
    notices.takes_until_ms = 0 if fault else verdict.expires_at
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (refusal, [])
    assert fault in outcome.text
    [event] = written(transport, SessionEvent)
    assert event.type is SessionEventType.TOOL_NOT_RUN
    assert fault or event.header.time >= verdict.expires_at, "it has ended after it expired"
    run(executor, verdict)
    assert len(notices.told) == 1


def test_a_tool_that_fails_or_says_that_it_did_is_an_error_and_used_up(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    def fail(args: Mapping[str, object]) -> object:
        raise ValueError("no such mailbox")

    raising, saying = make_verdict(), make_verdict()
    executor = executor_with(transport, store, revocations, fail)
    outcome = run(executor, raising)
    assert (outcome.ending, outcome.text) == (Ending.TOOL_ERROR, "ValueError: no such mailbox")
    assert run(executor, raising).refusal is Refusal.ALREADY_USED
    executor = executor_with(transport, store, revocations, lambda args: ToolResult(content="full", is_error=True))
    assert run(executor, saying).text == "full"
    assert [event.is_error for event in written(transport, SessionEvent)] == [True, True]
    assert [event.sequence for event in written(transport, SessionEvent)] == [0, 1]


def test_a_tool_that_hangs_is_given_up_on_and_reported_as_unknown(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    free = threading.Event()
    executor = executor_with(transport, store, revocations, lambda args: free.wait(30), tool_timeout_ms=50)
    verdict = make_verdict()
    outcome = run(executor, verdict)
    assert (outcome.ending, outcome.content, outcome.ran) == (Ending.TOOL_TIMED_OUT, None, False)
    free.set()
    assert run(executor, verdict).refusal is Refusal.ALREADY_USED
    [audit, _] = written(transport, AuditEvent)
    assert audit.reason == "tool_timed_out"


def test_when_too_many_calls_hang_nothing_more_is_begun_or_used_up(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    free = threading.Event()
    executor = executor_with(transport, store, revocations, lambda args: free.wait(30), tool_timeout_ms=1)
    for _ in range(HANGING_MAX):
        assert run(executor, make_verdict()).ending is Ending.TOOL_TIMED_OUT
    verdict = make_verdict()
    with pytest.raises(ExecutorError, match="hang"):
        run(executor, verdict)
    free.set()
    until(lambda: _runs(executor, verdict), "the hanging calls have ended")


def _runs(executor: Executor, verdict: Verdict) -> bool:
    try:
        return run(executor, verdict).refusal is None
    except ExecutorError:
        return False


def test_what_is_taken_back_does_not_run_even_if_its_verdict_is_older(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    verdict = make_verdict()
    tokens.revoke(RevocationKind.SESSION, session_target(TENANT, "s-1"), "stolen")
    assert revocations.confirm(CONFIRM_MS)
    outcome = run(executor, verdict)
    assert (outcome.refusal, calls) == (Refusal.REVOKED, [])


def test_what_rules_have_allowed_does_not_run_once_they_are_stopped(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch, tokens: DevTokenService
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    stopped, others = (make_verdict(ruleset_digest=bytes([number]) * 32) for number in (1, 2))
    tokens.revoke(RevocationKind.RULESET, (bytes([1]) * 32).hex(), "permits too much")
    assert revocations.confirm(CONFIRM_MS)
    outcome = run(executor, stopped)
    assert (outcome.refusal, "revoked_ruleset" in outcome.text, calls) == (Refusal.REVOKED, True, [])
    assert run(executor, others).ran


def test_a_record_of_the_topic_is_read_or_unreadable(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    executor = executor_with(transport, store, revocations, lambda args: "ok")
    verdict = make_verdict()
    write(transport, verdict, key_of(verdict))
    [received] = raw_records(transport, VERDICT)
    for value in (
        None,
        b"",
        b"\x00",
        b"\x00\x00\x00\x00\x01",
        (received.value or b"")[:-1],
        (received.value or b"") + b"x",
    ):
        assert executor.read(received._replace(value=value)) is None
    read = executor.read(received)
    assert read == verdict
    assert executor.execute(read, None).refusal is Refusal.KEY_MISMATCH
    assert executor.execute(read, received.key).ending is Ending.DONE


def test_what_was_decided_before_the_store_began_is_not_run_and_not_given_back(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """Somebody deletes the store: nobody knows any more what has run."""
    calls: Calls = []
    used, lapsed = make_verdict(), make_verdict()
    lapsed = msgspec.structs.replace(lapsed, evaluated_at=lapsed.evaluated_at - 60_000, expires_at=lapsed.evaluated_at)
    with begun_store(tmp_path) as store, executor_with(transport, store, revocations, calls.append) as executor:
        assert run(executor, used).ran
    for path in tmp_path.glob("used*"):
        path.unlink()
    until(lambda: transport.now_ms() > used.evaluated_at, "the clock goes on")
    with (
        SingleUseStore(tmp_path / "used", "e-1") as store,
        executor_with(transport, store, revocations, calls.append) as executor,
    ):
        again = run(executor, used)
        assert (again.refusal, again.text) == (Refusal.ALREADY_USED, BEFORE_RECORDS_TEXT)
        assert run(executor, lapsed).refusal is Refusal.VERDICT_EXPIRED
        assert run(executor, make_verdict()).ran
    assert len(calls) == 2
    assert SessionEventType.TOOL_NOT_RUN not in {event.type for event in written(transport, SessionEvent)}


def test_a_store_that_began_ahead_of_the_clock_is_reported_before_any_call(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    """The host's clock was ahead when the executor started first: it would refuse every verdict until then."""
    calls: Calls = []
    with SingleUseStore(tmp_path / "used", "e-1") as store:
        store.begin(SYSTEM.now_ms() + 86_400_000)
        with pytest.raises(ExecutorError, match=r"/used` begins 8\d{7} ms ahead of this clock"):
            executor_with(transport, store, revocations, calls.append)
    with SingleUseStore(tmp_path / "slightly", "e-1") as store:
        began_ms = store.begin(SYSTEM.now_ms() + CLOCK_SKEW_MS_MAX // 2)
        with executor_with(transport, store, revocations, calls.append) as executor:
            until(lambda: SYSTEM.now_ms() > began_ms, "the beginning of the record")
            assert run(executor, make_verdict()).ran


def test_a_tool_of_another_server_is_a_mistake(transport: Transport, store: SingleUseStore) -> None:
    with pytest.raises(ExecutorError, match="git/push"):
        Executor(
            transport, ["mail"], {"git/push": lambda args: None}, store, report_keys=REPORT_KEY, seal_keys=UNPROVEN
        )


def test_many_calls_at_once_run_once_each(
    transport: Transport, store: SingleUseStore, revocations: RevocationWatch
) -> None:
    calls: Calls = []
    executor = executor_with(transport, store, revocations, calls.append)
    verdicts = [make_verdict() for _ in range(6)] * 4
    outcomes: list[ToolOutcome] = []
    threads = [
        threading.Thread(target=lambda verdict=verdict: outcomes.append(run(executor, verdict))) for verdict in verdicts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 6
    assert sum(outcome.ran for outcome in outcomes) == 6
    assert sorted(event.sequence for event in written(transport, SessionEvent)) == list(range(6))
