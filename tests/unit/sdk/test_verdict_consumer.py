"""An executor that reads the verdict topic itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from streams.model.audit import AuditEvent, AuditEventType
from streams.model.canonical import sha256
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import VERDICT
from streams.model.verdict import Outcome, Verdict, VerdictMode
from streams.ports import Outgoing
from streams.sdk import LoopSettings, RevocationWatch, SingleUseStore
from streams.sdk.connection.single_records import publish
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.durable_file import DurableFile
from streams.sdk.executor.uses import call_of
from tests.unit.sdk.hands import begun_store, make_verdict, write, written
from tests.unit.sdk.loop_hand import Running, ids, others, put, put_many, reported
from tests.waiting import until


def test_allowed_calls_run_once_and_are_reported_with_their_places(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    verdicts = [put(transport, make_verdict(session_id=f"s-{n % 5}")) for n in range(20)]
    put(transport, verdicts[0])
    with begun_store(tmp_path) as store:
        with Running(transport, store, revocations, calls.append) as running:
            until(lambda: len(running.outcomes) == 20, "all have run")
            late = put(transport, make_verdict())
            until(lambda: len(running.outcomes) == 21, "what comes later has run, too")
        assert running.error is None
        with Running(transport, store, revocations, calls.append) as again:
            last = put(transport, make_verdict())
            until(lambda: len(again.outcomes) == 1, "a new start goes on behind what is done")
    assert len(calls) == 22
    assert reported(transport) == ids(*verdicts, late, last)
    assert all(event.event_type is AuditEventType.OUTCOME for event in written(transport, AuditEvent))
    assert all(outcome.ran for _, outcome in running.outcomes)


def test_what_is_none_of_its_business_leaves_no_trace_and_what_is_refused_does(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    with (
        begun_store(tmp_path) as store,
        Running(transport, store, revocations, calls.append) as running,
    ):
        for changes in ({"outcome": Outcome.DENY}, {"mode": VerdictMode.SHADOW}, {"audience": "git"}):
            put(transport, make_verdict(**changes))
        publish(transport, [Outgoing(VERDICT.name, n, b"k", v) for n in (0, 1) for v in (None, b"", b"garbage")])
        write(transport, make_verdict(), b"acme|s-another")
        tampered = put(transport, make_verdict(args_json="{}"))
        sound = put(transport, make_verdict())
        until(lambda: len(written(transport, AuditEvent)) == 2, "both are on record")
    assert [verdict.verdict_id for verdict, _ in running.outcomes] == [sound.verdict_id]
    by_id = {event.verdict_id: event for event in written(transport, AuditEvent)}
    assert by_id[tampered.verdict_id].reason == "args_digest_mismatch"
    assert by_id[sound.verdict_id].reason == "done"
    assert len(calls) == 1


def expired(**changes: object) -> Verdict:
    fresh = make_verdict(**changes)
    return msgspec.structs.replace(fresh, expires_at=fresh.evaluated_at - 1_000)


def test_a_new_group_passes_over_a_history_that_has_expired_but_a_known_one_records_it(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    for _ in range(5):
        put(transport, expired())
    with begun_store(tmp_path) as store:
        with Running(transport, store, revocations, calls.append) as running:
            put(transport, make_verdict())
            until(lambda: len(running.outcomes) == 1, "the live one has run")
        missed = put(transport, expired())
        with Running(transport, store, revocations, calls.append):
            until(lambda: len(written(transport, AuditEvent)) == 2, "the missed one is on record")
    [refused] = [event for event in written(transport, AuditEvent) if event.event_type is AuditEventType.REFUSAL]
    assert (refused.verdict_id, refused.reason) == (missed.verdict_id, "verdict_expired")
    assert len(calls) == 1


def test_no_more_calls_run_at_once_than_allowed_and_all_run(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    lock = threading.Lock()
    now_count, most_count = 0, 0
    free = threading.Event()

    def slow(args: Mapping[str, object]) -> object:
        nonlocal now_count, most_count
        with lock:
            now_count += 1
            most_count = max(most_count, now_count)
        free.wait(20)
        with lock:
            now_count -= 1
        return "ok"

    verdicts = [put(transport, make_verdict(session_id=f"s-{number}")) for number in range(20)]
    settings = LoopSettings(concurrency=3, in_flight_max=5)
    with (
        begun_store(tmp_path) as store,
        Running(transport, store, revocations, slow, settings=settings) as running,
    ):
        until(lambda: now_count == 3, "three run")
        free.set()
        until(lambda: len(running.outcomes) == 20, "all have run")
    assert most_count == 3
    assert reported(transport) == ids(*verdicts)


def test_calls_of_one_session_run_one_after_the_other_in_the_logs_order(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    ran: list[tuple[object, object]] = []
    busy: set[object] = set()

    def run(args: Mapping[str, object]) -> object:
        assert args["session"] not in busy, "two calls of one session at once"
        busy.add(args["session"])
        time.sleep(0.002)
        busy.discard(args["session"])
        ran.append((args["session"], args["n"]))
        return "ok"

    for number in range(10):
        for session in ("a", "b", "c"):
            args_json = f'{{"n":{number},"session":"{session}"}}'
            digest = sha256(args_json.encode())
            put(transport, make_verdict(session_id=session, args_json=args_json, args_digest=digest))
    with begun_store(tmp_path) as store, Running(transport, store, revocations, run) as running:
        until(lambda: len(running.outcomes) == 30, "all have run")
    for session in ("a", "b", "c"):
        assert [n for who, n in ran if who == session] == list(range(10))
    assert all(outcome.ran for _, outcome in running.outcomes)


def test_a_stop_waits_for_what_runs_and_reports_it(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    running_now, free = threading.Event(), threading.Event()

    def slow(args: Mapping[str, object]) -> object:
        running_now.set()
        free.wait(20)
        return "ok"

    with begun_store(tmp_path) as store:
        running = Running(transport, store, revocations, slow)
        verdict = put(transport, make_verdict())
        assert running_now.wait(20)
        threading.Timer(0.3, free.set).start()
        running.stop()
        assert running.error is None
        assert reported(transport) == [verdict.verdict_id]
        assert store.left_over(now_ms=0, abandoned_after_ms=0) == ([], [])


def test_a_second_member_takes_partitions_over_without_running_anything_twice(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    calls: list[Mapping[str, object]] = []
    verdicts: list[Verdict] = []
    first_store, second_store = SingleUseStore(tmp_path / "used", "e-1"), SingleUseStore(tmp_path / "used", "e-2")
    with Running(transport, first_store, revocations, calls.append) as first:
        verdicts += [put(transport, make_verdict(session_id=f"s-{number}")) for number in range(10)]
        with Running(transport, second_store, revocations, calls.append, instance="e-2") as second:

            def both_work() -> bool:
                verdicts.append(put(transport, make_verdict(session_id=f"s-{len(verdicts)}")))
                return bool(second.outcomes)

            until(both_work, "the second has partitions")
        until(lambda: len(reported(transport)) == len(verdicts), "all are reported")
        assert (first.error, second.error) == (None, None)
    assert len(calls) == len(verdicts)
    assert reported(transport) == ids(*verdicts)
    first_store.close()
    second_store.close()


def test_the_bounds_count_own_calls_alone(transport: Transport, revocations: RevocationWatch, tmp_path: Path) -> None:
    """While as many own calls run as may be in flight, others' verdicts are read, and one call that ends makes room."""
    free, begun = threading.Event(), threading.Semaphore(0)
    ran: list[object] = []

    def call(args: Mapping[str, object]) -> object:
        begun.release()
        if args["n"] == 0:
            free.wait(20)
        ran.append(args["n"])
        return "ok"

    def numbered(number: int) -> Verdict:
        args_json = f'{{"n":{number}}}'
        return make_verdict(session_id=f"s-{number}", args_json=args_json, args_digest=sha256(args_json.encode()))

    put_many(transport, [numbered(0), numbered(1), *others(5_000), numbered(2)])
    settings = LoopSettings(concurrency=2, in_flight_max=2)
    with (
        begun_store(tmp_path) as store,
        Running(transport, store, revocations, call, settings=settings) as running,
    ):
        until(lambda: sorted(map(str, ran)) == ["1", "2"], "the others have run while the first one still does")
        free.set()
        until(lambda: len(running.outcomes) == 3, "all are reported")
    assert running.error is None


def test_many_expired_calls_are_used_up_together_and_reported_each(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Mapping[str, object]] = []
    with begun_store(tmp_path) as store:
        with Running(transport, store, revocations, calls.append) as running:
            for number in range(4):
                put(transport, make_verdict(session_id=f"s-{number}"))
            until(lambda: len(running.outcomes) == 4, "the group is known on both partitions")
        late = [expired(session_id=f"s-{number % 30}") for number in range(600)]
        used = late[0]
        store.claim(call_of(used), now_ms=used.evaluated_at, expires_ms=used.expires_at)
        put_many(transport, [*late, late[1], make_verdict()])
        changes_count = 0
        write = DurableFile.write

        def counted(file: DurableFile, change: Callable[..., object]) -> object:
            nonlocal changes_count
            changes_count += 1
            return write(file, change)

        monkeypatch.setattr(DurableFile, "write", counted)
        with Running(transport, store, revocations, calls.append) as again:
            until(lambda: len(again.outcomes) == 1, "the live one has run")
            until(lambda: len(written(transport, AuditEvent)) >= 606, "all are on record")
        assert again.error is None
    refused = [event for event in written(transport, AuditEvent) if event.event_type is AuditEventType.REFUSAL]
    ended = [event for event in written(transport, SessionEvent) if event.type is SessionEventType.TOOL_NOT_RUN]
    # The one that was claimed before, and the one that came twice, are refused as expired, but not used up again.
    assert sorted(str(event.verdict_id) for event in ended) == ids(*late[1:])
    assert {event.reason for event in refused} == {"verdict_expired"}
    assert len(calls) == 5
    # One change for each few hundred, and one for each commit of their reports: how many these are takes time decides.
    assert changes_count < len(late) // 2


def test_a_stop_leaves_what_has_not_begun_to_the_next_start(
    transport: Transport, revocations: RevocationWatch, tmp_path: Path
) -> None:
    free, begun = threading.Event(), threading.Event()
    calls: list[Mapping[str, object]] = []

    def call(args: Mapping[str, object]) -> object:
        calls.append(args)
        begun.set()
        free.wait(20)
        return "ok"

    verdicts = [make_verdict(session_id=f"s-{number % 3}") for number in range(30)]
    put_many(transport, verdicts)
    settings = LoopSettings(concurrency=1, in_flight_max=10)
    with begun_store(tmp_path) as store:
        running = Running(transport, store, revocations, call, settings=settings)
        assert begun.wait(20)
        running.ask_to_stop()
        until(lambda: bool(running.loop._assigned.leaving), "nothing more begins")
        free.set()
        running.stop()
        assert running.error is None
        assert len(calls) == 1
        assert len(reported(transport)) == 1
        with Running(transport, store, revocations, call, settings=settings) as again:
            until(lambda: len(again.outcomes) == 29, "the rest has run")
        assert again.error is None
    assert len(calls) == 30
    assert reported(transport) == ids(*verdicts)
