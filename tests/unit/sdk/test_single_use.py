"""The durable record of used verdicts."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from streams.model.reasons import Refusal
from streams.sdk import Ending, SingleUseError, SingleUseStore
from streams.sdk.executor.single_use import KEEP_MS, PRUNE_EVERY
from streams.sdk.executor.uses import CallRef, End, call_of
from tests.unit.sdk.hands import make_verdict

ROOT = Path(__file__).resolve().parents[3]


def new_call(**changes: object) -> CallRef:
    return call_of(make_verdict(**changes))


def claim(store: SingleUseStore, call: CallRef, now_ms: int = 1_000) -> bool:
    return store.claim(call, now_ms=now_ms, expires_ms=now_ms + 30_000)


def left(store: SingleUseStore, now_ms: int = 2_000, abandoned_after_ms: int = 60_000) -> tuple[list[str], list[str]]:
    begun, uses = store.left_over(now_ms=now_ms, abandoned_after_ms=abandoned_after_ms)
    return [call.verdict_id for call in begun], [use.call.verdict_id for use in uses]


def test_a_verdict_is_claimed_once(tmp_path: Path) -> None:
    call, other = new_call(), new_call()
    with SingleUseStore(tmp_path / "used", "a") as store:
        assert claim(store, call)
        assert not claim(store, call)
        assert claim(store, other)


def test_a_second_verdict_on_an_intent_is_not_claimed_and_nobody_elses_is_used_up(tmp_path: Path) -> None:
    first = make_verdict()
    second = make_verdict(intent_id=first.intent_id)
    other_tenants = make_verdict(
        intent_id=first.intent_id, header=msgspec.structs.replace(first.header, tenant_uid="other")
    )
    other_sessions = make_verdict(intent_id=first.intent_id, session_id="s-2")
    with SingleUseStore(tmp_path / "used", "a") as store:
        assert claim(store, call_of(first))
        assert not claim(store, call_of(second))
        assert claim(store, call_of(other_tenants))
        assert claim(store, call_of(other_sessions))


def test_a_claim_outlives_its_process_and_binds_others(tmp_path: Path) -> None:
    call = new_call()
    with SingleUseStore(tmp_path / "used", "a") as store:
        assert claim(store, call)
    with SingleUseStore(tmp_path / "used", "a") as store, SingleUseStore(tmp_path / "used", "b") as other:
        assert not claim(store, call)
        assert not claim(other, call)


def test_of_many_threads_one_claims(tmp_path: Path) -> None:
    call = new_call()
    stores = [SingleUseStore(tmp_path / "used", f"owner-{number}") for number in range(4)]
    won: list[bool] = []
    barrier = threading.Barrier(8)

    def race(store: SingleUseStore) -> None:
        barrier.wait()
        won.append(claim(store, call))

    threads = [threading.Thread(target=race, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    for store in stores:
        store.close()


CHILD = """
import os, sys
from pathlib import Path
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.uses import CallRef, Ending
import msgspec
store = SingleUseStore(Path(sys.argv[1]), "child")
call = msgspec.json.decode(sys.stdin.buffer.read(), type=CallRef)
assert store.claim(call, now_ms=1_000, expires_ms=31_000)
sys.stdout.write("claimed\\n")
sys.stdout.flush()
os.read(0, 1)
import time
time.sleep(60)
"""


def test_a_claim_survives_kill_9_and_is_left_over(tmp_path: Path) -> None:
    call = new_call()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "used")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(msgspec.json.encode(call))
    child.stdin.close()
    assert child.stdout.readline() == b"claimed\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    with SingleUseStore(tmp_path / "used", "child") as store:
        assert not claim(store, call)
        assert left(store) == ([call.verdict_id], [])


def test_what_is_left_of_ones_own_and_of_those_long_gone(tmp_path: Path) -> None:
    ended, begun = new_call(), new_call()
    with SingleUseStore(tmp_path / "used", "a") as store:
        assert claim(store, ended)
        assert claim(store, begun)
        store.finish(ended, Ending.DONE, now_ms=1_500)
        assert left(store) == ([], []), "what this very store works on is not left over"
        store.release([ended.verdict_id])
        assert left(store) == ([], [ended.verdict_id])
    with SingleUseStore(tmp_path / "used", "b") as other:
        assert left(other) == ([], [])
        assert left(other, now_ms=61_001) == ([begun.verdict_id], [ended.verdict_id])
    with SingleUseStore(tmp_path / "used", "a") as again:
        assert left(again) == ([begun.verdict_id], [ended.verdict_id])
        again.mark_reported([ended.verdict_id])
        assert left(again) == ([begun.verdict_id], [])


def test_an_end_is_recorded_once_and_numbers_the_results_of_its_session(tmp_path: Path) -> None:
    calls = [new_call(), new_call(), new_call(session_id="s-2")]
    with SingleUseStore(tmp_path / "used", "a") as store:
        for call in calls:
            assert claim(store, call)
        first = store.finish(calls[0], Ending.DONE, now_ms=2_000, content_digest=b"\x01" * 32)
        assert store.finish(calls[0], Ending.OUTCOME_UNKNOWN, now_ms=3_000) == first
    with SingleUseStore(tmp_path / "used", "a") as store:
        second = store.finish(calls[1], Ending.TOOL_ERROR, now_ms=4_000)
        third = store.finish(calls[2], Ending.DONE, now_ms=4_000)
    assert (first.sequence, second.sequence, third.sequence) == (0, 1, 0)
    assert (first.ending, first.ended_ms, first.content_digest) == (Ending.DONE, 2_000, b"\x01" * 32)


def test_a_store_knows_since_when_it_keeps_record(tmp_path: Path) -> None:
    with SingleUseStore(tmp_path / "used", "a") as store:
        assert not store.remembers(10**15), "it hasn't begun"
        assert store.begin(1_000) == 1_000
        assert (store.remembers(999), store.remembers(1_000)) == (False, True)
        assert store.begin(5_000) == 1_000
        assert claim(store, new_call())
    with SingleUseStore(tmp_path / "used", "b") as other:
        assert other.begin(9_000) == 1_000
        assert other.remembers(1_000)
    with SingleUseStore(tmp_path / "anew", "a") as anew:
        assert anew.begin(9_000) == 9_000
        assert not anew.remembers(8_999)


def test_an_unclaimed_call_has_no_end(tmp_path: Path) -> None:
    with SingleUseStore(tmp_path / "used", "a") as store, pytest.raises(SingleUseError, match="never claimed"):
        store.finish(new_call(), Ending.DONE, now_ms=1)


def test_uses_are_forgotten_long_after_their_verdicts_ended_but_never_unreported_ones(tmp_path: Path) -> None:
    reported, unreported, fresh = new_call(), new_call(), new_call()
    with SingleUseStore(tmp_path / "used", "a") as store:
        for call in (reported, unreported):
            assert claim(store, call)
            store.finish(call, Ending.DONE, now_ms=1_000)
        store.mark_reported([reported.verdict_id])
        later_ms = 31_001 + KEEP_MS
        assert claim(store, fresh, later_ms - 2)
        for _ in range(PRUNE_EVERY):
            claim(store, fresh, later_ms)
        assert not claim(store, unreported, later_ms)
        assert claim(store, reported, later_ms), "expired for a day: refused before it gets here"


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "used"
    with SingleUseStore(path, "a") as store:
        assert claim(store, new_call())
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE things (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(SingleUseError, match="is not a single-use store"):
        SingleUseStore(path, "a")
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be looked at as one\n" * 50)
    with pytest.raises(SingleUseError):
        SingleUseStore(text, "a")
    assert text.read_text().startswith("not a database")


def test_a_store_that_can_not_be_opened_or_was_made_by_a_later_version_says_so(tmp_path: Path) -> None:
    with pytest.raises(SingleUseError, match="can't be opened"):
        SingleUseStore(tmp_path / "missing" / "used", "a")
    SingleUseStore(tmp_path / "used", "a").close()
    connection = sqlite3.connect(tmp_path / "used")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(SingleUseError, match="version 9"):
        SingleUseStore(tmp_path / "used", "a")


def test_a_closed_store_claims_nothing(tmp_path: Path) -> None:
    store = SingleUseStore(tmp_path / "used", "a")
    store.close()
    with pytest.raises(SingleUseError):
        claim(store, new_call())


class TestManyAtOnce:
    def test_ends_get_their_numbers_in_order(self, tmp_path: Path) -> None:
        calls = [new_call(session_id=name) for name in ("s-1", "s-2", "s-1", "s-1")]
        with SingleUseStore(tmp_path / "used", "a") as store:
            assert all(claim(store, call) for call in calls)
            uses = store.finish_all([End(call=call, ending=Ending.DONE, now_ms=2_000) for call in calls])
            again = store.finish_all([End(call=calls[0], ending=Ending.TOOL_ERROR, now_ms=3_000)])
        assert [use.sequence for use in uses] == [0, 0, 1, 2]
        assert again == uses[:1]

    def test_one_that_was_never_claimed_takes_all_ends_back(self, tmp_path: Path) -> None:
        claimed = new_call()
        with SingleUseStore(tmp_path / "used", "a") as store:
            assert claim(store, claimed)
            with pytest.raises(SingleUseError, match="never claimed"):
                store.finish_all([End(call=each, ending=Ending.DONE, now_ms=2_000) for each in (claimed, new_call())])
            store.release([claimed.verdict_id])
            assert left(store) == ([claimed.verdict_id], [])

    def test_what_is_given_up_is_claimed_and_ended_but_not_what_was_used(self, tmp_path: Path) -> None:
        used, fresh, repeated = new_call(), new_call(), new_call()
        calls = [used, fresh, repeated, repeated]
        ends = [
            End(call=call, ending=Ending.NOT_RUN, now_ms=2_000, refusal=Refusal.VERDICT_EXPIRED, text="late")
            for call in calls
        ]
        with SingleUseStore(tmp_path / "used", "a") as store:
            assert claim(store, used)
            uses = store.give_up_all(ends, [1_500] * 4)
            assert [use is None for use in uses] == [True, False, False, True]
            assert not claim(store, fresh)
            store.release(call.verdict_id for call in calls)
            begun, given_up = left(store)
        assert begun == [used.verdict_id]
        assert sorted(given_up) == sorted([fresh.verdict_id, repeated.verdict_id])
