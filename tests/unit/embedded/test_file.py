"""The file itself: strangers, versions, locks, room, and a handle that is closed while others use it."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from streams.embedded import (
    DamagedFileError,
    EmbeddedLog,
    FileVersionError,
    ForeignFileError,
    LockedLogError,
    LogFullError,
    TopicError,
    UnknownTopicError,
)
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    LogError,
    Outgoing,
    RetriableLogError,
    TopicPartition,
    TopicSpec,
)
from tests.contract.log_under_test import Recorder, WallClock
from tests.unit.embedded.reading_writing import ManualClock, create, put, read_all, write

ROOM_BYTES = 400_000


def test_its_files_are_its_owners_alone(path: Path, clock: ManualClock) -> None:
    before = os.umask(0o022)
    try:
        with closing(EmbeddedLog(path, clock=clock)) as log, closing(log.reader()):
            # The reader holds a connection: without one SQLite removes its files beside the log.
            create(log, "t")
            write(log, [Outgoing("t", 0, b"k", b"v")])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.glob(f"{path.name}*")}
    finally:
        os.umask(before)
    assert modes == {f"{path.name}{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}


def test_everything_is_there_after_reopening(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock)
    at = create(log, "t", 2, {"retention.ms": "-1"})
    write(log, [Outgoing("t", 0, b"k", b"v", (("h", b"1"),))])
    consumer = log.consumer("group", "a")
    consumer.subscribe(["t"], Recorder())
    consumer.poll(1, 0)
    producer = log.producer("other")
    producer.init_transactions()
    producer.begin()
    producer.send_offsets({at: 1}, consumer.group_metadata())
    producer.commit()
    log.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    log = EmbeddedLog(path, clock=clock)
    (received,) = read_all(log, at)
    assert (received.key, received.value, received.headers) == (b"k", b"v", (("h", b"1"),))
    assert log.consumer("group", "a").committed([at]) == {at: 1}
    log.close()


@pytest.mark.parametrize("content", [b"dear sirs, " * 1000, b"x", b"SQLite format 3\x00" + b"\xff" * 5000])
def test_file_of_something_else_is_refused_and_left_alone(path: Path, clock: ManualClock, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises((ForeignFileError, DamagedFileError), match="stop"):
        EmbeddedLog(path, clock=clock)
    assert path.read_bytes() == content


def test_database_of_something_else_is_refused(path: Path, clock: ManualClock) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE letters (text)")
    connection.commit()
    connection.close()
    with pytest.raises(ForeignFileError, match="not a stoplog log file"):
        EmbeddedLog(path, clock=clock)


def test_newer_version_is_refused(path: Path, clock: ManualClock) -> None:
    EmbeddedLog(path, clock=clock).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(FileVersionError, match="version 2"):
        EmbeddedLog(path, clock=clock)


def test_damaged_file_is_an_error_that_says_so(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock)
    at = create(log, "t")
    write(log, [put(at, None, "x" * 500)] * 500)
    log.close()
    content = bytearray(path.read_bytes())
    content[8 * 4096 :] = b"\xaa" * (len(content) - 8 * 4096)
    path.write_bytes(bytes(content))
    log = EmbeddedLog(path, clock=clock)
    with pytest.raises(DamagedFileError, match="damaged"):
        read_all(log, at)
    log.close()


def test_folder_must_exist(tmp_path: Path, clock: ManualClock) -> None:
    with pytest.raises(FatalLogError, match="does not exist"):
        EmbeddedLog(tmp_path / "nowhere" / "stop.log", clock=clock)
    with pytest.raises(FatalLogError):
        EmbeddedLog(tmp_path, clock=clock)


def test_empty_file_becomes_a_log(path: Path, clock: ManualClock) -> None:
    path.touch()
    log = EmbeddedLog(path, clock=clock)
    create(log, "t")
    log.close()


def test_file_locked_for_too_long_is_retriable(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock(), lock_timeout_ms=100)
    at = create(log, "t")
    producer = log.producer("writer")
    producer.init_transactions()
    producer.begin()
    producer.send(put(at, None, "once"))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    start_s = time.monotonic()
    with pytest.raises(LockedLogError, match="100 ms"):
        producer.commit()
    assert time.monotonic() - start_s < 5
    # Readers don't wait for writers.
    assert read_all(log, at) == []
    holder.execute("ROLLBACK")
    holder.close()
    producer.commit()
    assert [one.value for one in read_all(log, at)] == [b"once"]
    log.close()


def test_a_disk_without_room_for_the_files_beside_it_is_named(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmbeddedLog(path, clock=clock).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for free, is_named in ((0, True), (1 << 30, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: (1 << 40, 1 << 40, free))
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
        try:
            with pytest.raises(FatalLogError, match="failed: disk I/O error") as raised:
                EmbeddedLog(path, clock=clock)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert ("its disk is full: make room on it" in str(raised.value)) is is_named


def test_full_file_refuses_and_recovers(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock, size_bytes_max=ROOM_BYTES)
    at = create(log, "t", config={"retention.ms": "1000"})
    producer = log.producer("writer")
    producer.init_transactions()

    def fill() -> None:
        for _ in range(ROOM_BYTES):
            producer.begin()
            producer.send(put(at, None, "x" * 5000))
            producer.commit()

    with pytest.raises(LogFullError, match="no room"):
        fill()
    kept = len(read_all(log, at))
    assert kept > 10
    assert path.stat().st_size <= ROOM_BYTES
    clock.advance(1_001)
    log.clean()
    producer.commit()
    assert [one.offset for one in read_all(log, at)] == [kept]
    log.close()


def test_publisher_names_what_it_could_not_store(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock, size_bytes_max=ROOM_BYTES)
    at = create(log, "t")
    publisher = log.publisher()
    publisher.publish(put(at, None, "x" * 500_000))
    publisher.publish(Outgoing("nowhere", 0, None, b"v"))
    with pytest.raises(LogError, match=r"1 of topic `nowhere`.*does not exist.*1 of topic `t`.*no room"):
        publisher.flush(10_000)
    publisher.publish(put(at, None, "small"))
    publisher.flush(10_000)
    publisher.close()
    with pytest.raises(FatalLogError, match="closed"):
        publisher.publish(put(at, None, "late"))
    assert [one.value for one in read_all(log, at)] == [b"small"]
    log.close()


def test_flush_gives_up_in_time_and_the_record_comes_through_later(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock(), lock_timeout_ms=5_000)
    at = create(log, "t")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    publisher = log.publisher()
    publisher.publish(put(at, None, "held up"))
    with pytest.raises(RetriableLogError, match="1 record not yet"):
        publisher.flush(100)
    holder.execute("ROLLBACK")
    holder.close()
    publisher.flush(10_000)
    assert [one.value for one in read_all(log, at)] == [b"held up"]
    log.close()


def test_unknown_topics_are_made_where_that_is_the_mode(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock, auto_partitions=3)
    write(log, [Outgoing("sent", 2, None, b"1")])
    reader = log.reader()
    assert set(reader.end_offsets([TopicPartition("looked-at", 2)]).values()) == {0}
    consumer = log.consumer("group", "a")
    recorder = Recorder()
    consumer.subscribe(["wanted"], recorder)
    consumer.poll(1, 0)
    assert len(recorder.assigned) == 3
    publisher = log.publisher()
    publisher.publish(Outgoing("published", 0, None, b"1"))
    publisher.flush(5_000)
    admin = log.admin()
    states = admin.describe(["sent", "looked-at", "wanted", "published"], [])
    assert {name: state.partitions for name, state in states.items()} == {
        "sent": 3,
        "looked-at": 3,
        "wanted": 3,
        "published": 3,
    }
    publisher.publish(Outgoing("no spaces", 0, None, b"bad"))
    publisher.publish(Outgoing("published", 0, None, b"2"))
    with pytest.raises(LogError, match="1 of topic `no spaces`: topic name"):
        publisher.flush(5_000)
    assert [one.value for one in read_all(log, TopicPartition("published", 0))] == [b"1", b"2"]
    with pytest.raises(AbortableTransactionError, match="topic name `no spaces`"):
        write(log, [Outgoing("no spaces", 0, None, b"1")])
    with pytest.raises(AbortableTransactionError, match="has no partition 3"):
        write(log, [Outgoing("sent", 3, None, b"1")])
    log.close()


def test_unknown_topics_are_errors_otherwise(log: EmbeddedLog) -> None:
    with pytest.raises(AbortableTransactionError, match="`nowhere` does not exist"):
        write(log, [Outgoing("nowhere", 0, None, b"1")])
    reader = log.reader()
    with pytest.raises(UnknownTopicError):
        reader.assign({TopicPartition("nowhere", 0): 0})


def test_topics_are_made_all_or_none(log: EmbeddedLog) -> None:
    create(log, "there")
    admin = log.admin()
    with pytest.raises(TopicError, match="already exists"):
        admin.create([TopicSpec("new", 1, {}), TopicSpec("there", 1, {})], 1)
    assert admin.describe(["new"], []) == {}
    with pytest.raises(TopicError, match="0 partitions"):
        admin.create([TopicSpec("none", 0, {})], 1)


def test_keyless_record_for_a_compacted_topic_is_refused(log: EmbeddedLog) -> None:
    at = create(log, "table", config={"cleanup.policy": "compact"})
    with pytest.raises(AbortableTransactionError, match="without a key"):
        write(log, [put(at, None, "v")])


def test_size_limit_is_the_topics_and_can_be_raised(log: EmbeddedLog) -> None:
    at = create(log, "t")
    large = put(at, None, "x" * 2_000_000)
    with pytest.raises(AbortableTransactionError, match="is over"):
        write(log, [large])
    admin = log.admin()
    admin.alter_config("t", {"max.message.bytes": "2000000"})
    write(log, [large])
    assert [len(one.value or b"") for one in read_all(log, at)] == [2_000_000]


def test_failed_transaction_stays_failed_until_it_is_aborted(log: EmbeddedLog) -> None:
    at = create(log, "t")
    producer = log.producer("writer")
    producer.init_transactions()
    producer.begin()
    producer.send(put(at, None, "good"))
    producer.send(put(TopicPartition("nowhere", 0), None, "bad"))
    for call in (producer.commit, producer.commit, lambda: producer.send(put(at, None, "more"))):
        with pytest.raises(AbortableTransactionError):
            call()
    producer.abort()
    write(log, [put(at, None, "next")], "another")
    producer.begin()
    producer.send(put(at, None, "again"))
    producer.commit()
    assert [one.value for one in read_all(log, at)] == [b"next", b"again"]


def test_large_polls_are_bounded_by_bytes(log: EmbeddedLog) -> None:
    at = create(log, "t", config={"max.message.bytes": "10000000"})
    for _ in range(8):
        write(log, [put(at, None, "x" * 9_000_000)])
    reader = log.reader()
    reader.assign({at: 0})
    sizes = []
    while batch := reader.poll(100, 0):
        sizes.append(len(batch))
    assert sizes == [4, 4]


def test_timestamps_never_go_back(log: EmbeddedLog, clock: ManualClock) -> None:
    at = create(log, "t")
    write(log, [put(at, None, "1")])
    clock.wall_ms -= 5_000
    write(log, [put(at, None, "2")])
    clock.wall_ms += 6_000
    write(log, [put(at, None, "3")])
    stamps = [one.timestamp_ms for one in read_all(log, at)]
    assert stamps == [clock.wall_ms - 1_000, clock.wall_ms - 1_000, clock.wall_ms]


def test_poll_on_a_clock_that_stands_still_ends(log: EmbeddedLog) -> None:
    at = create(log, "t")
    reader = log.reader()
    reader.assign({at: 0})
    start_s = time.monotonic()
    assert reader.poll(1, 200) == []
    assert 0.15 < time.monotonic() - start_s < 5


def test_closing_the_handle_closes_what_it_made(path: Path, clock: ManualClock) -> None:
    others = set(threading.enumerate())
    log = EmbeddedLog(path, clock=clock)
    at = create(log, "t")
    publisher, producer = log.publisher(), log.producer("writer")
    recorder = Recorder()
    consumer = log.consumer("group", "a")
    consumer.subscribe(["t"], recorder)
    consumer.poll(1, 0)
    producer.init_transactions()
    producer.begin()
    producer.send(put(at, None, "open"))
    publisher.publish(put(at, None, "queued"))
    log.close()
    assert recorder.kinds() == ["assigned", "revoked"]
    assert set(threading.enumerate()) <= others
    log = EmbeddedLog(path, clock=clock)
    assert [one.value for one in read_all(log, at)] == [b"queued"]
    log.close()


def test_a_call_after_the_log_was_closed_says_what_to_do(path: Path, clock: ManualClock) -> None:
    log = EmbeddedLog(path, clock=clock)
    at = create(log, "t")
    reader = log.reader()
    reader.assign({at: 0})
    log.close()
    with pytest.raises(FatalLogError, match="close it after the threads that use it"):
        reader.poll(1, 0)


# Closes a log 60 times while readers and a writer are within statements. In a process of its own, for a crash ends it.
CLOSER = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from streams.embedded import EmbeddedLog
from streams.ports import LogError, Outgoing, TopicPartition
from tests.contract.log_under_test import WallClock

at = TopicPartition("t", 0)
ended = []

def read(reader):
    reader.assign({at: 0})
    while True:
        reader.end_offsets([at])
        reader.poll(10, 0)

def write(producer):
    producer.init_transactions()
    while True:
        producer.begin()
        producer.send(Outgoing("t", 0, None, b"value"))
        producer.commit()

def until_closed(use, adapter):
    try:
        use(adapter)
    except LogError as error:
        ended.append(error)

for _ in range(60):
    log = EmbeddedLog(Path(sys.argv[1]), clock=WallClock(), auto_partitions=1)
    uses = [(read, log.reader()), (read, log.reader()), (write, log.producer("writer"))]
    threads = [threading.Thread(target=until_closed, args=use) for use in uses]
    for thread in threads:
        thread.start()
    time.sleep(0.005)
    log.close()
    for thread in threads:
        thread.join()
print(len(ended))
"""


def test_closing_the_log_ends_the_calls_of_other_threads_with_an_error(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSER, str(path), ROOT], capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, [b"180"]), done.stderr.decode()


ROOT = str(Path(__file__).parents[3])
