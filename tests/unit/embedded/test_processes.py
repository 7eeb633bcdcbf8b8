"""The file of a log that several processes use at once, or that one leaves when it is killed."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from streams.embedded import EmbeddedLog
from streams.ports import TopicPartition
from tests.contract.log_under_test import Recorder, WallClock, poll_values
from tests.unit.embedded.reading_writing import create, read_all
from tests.waiting import until

ROOT = str(Path(__file__).parents[3])


# Writes transactions of 50 records over 5 partitions, each with its number, and with the offset of the same number.
WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from streams.embedded import EmbeddedLog
from streams.ports import Outgoing
from tests.contract.log_under_test import Recorder, WallClock
log = EmbeddedLog(Path(sys.argv[1]), clock=WallClock(), lease_ms=int(sys.argv[3]))
consumer = log.consumer("group", "writer")
recorder = Recorder()
consumer.subscribe(["t"], recorder)
while not recorder.assigned:
    # Others have to give them up first.
    consumer.poll(1, 20)
at = recorder.assigned[0]
first = consumer.committed([at])[at] or 0
producer = log.producer("writer")
producer.init_transactions()
for number in range(first, first + 100_000):
    producer.begin()
    for index in range(50):
        producer.send(Outgoing("t", index % 5, None, b"%d" % number + b"." * 500))
    producer.send_offsets({at: number + 1}, consumer.group_metadata())
    producer.commit()
    print(number, flush=True)
"""
LEASE_MS = 5_000
"""A member that lives has a turn within this on a busy machine, too."""


def writer(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", WRITER, str(path), ROOT, str(LEASE_MS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_writer_killed_amid_commits_leaves_whole_transactions(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock())
    create(log, "t", 5)
    at = TopicPartition("t", 0)
    for round_number in range(3):
        child = writer(path)
        assert child.stdout is not None
        reported = -1
        for _ in range(5 + 7 * round_number):
            reported = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        numbers = [
            [int((one.value or b"").rstrip(b".")) for one in read_all(log, TopicPartition("t", number))]
            for number in range(5)
        ]
        committed = log.consumer("group", "looker").committed([at])[at]
        assert committed is not None
        # What was reported is there; what was not reported is there as a whole or not at all.
        assert committed > reported
        assert numbers == [[number for number in range(committed) for _ in range(10)]] * 5
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
    log.close()


def test_reader_follows_a_writer_in_another_process(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock())
    create(log, "t", 5)
    reader = log.reader()
    reader.assign({TopicPartition("t", 4): 0})
    child = writer(path)
    try:
        found = poll_values(reader, 200)
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    assert [int((value or b"").rstrip(b".")) for value in found[:200]] == [n for n in range(20) for _ in range(10)]
    log.close()


def test_many_processes_may_make_the_file_at_once(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from streams.embedded import EmbeddedLog; from tests.contract.log_under_test import WallClock;"
        "EmbeddedLog(Path(sys.argv[1]), clock=WallClock()).close()"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), ROOT]) for _ in range(4)]
    assert [child.wait() for child in children] == [0, 0, 0, 0]


def test_group_spans_processes(path: Path) -> None:
    log = EmbeddedLog(path, clock=WallClock(), lease_ms=LEASE_MS)
    create(log, "t", 5)
    recorder = Recorder()
    consumer = log.consumer("group", "here")
    consumer.subscribe(["t"], recorder)
    consumer.poll(1, 0)
    assert len(recorder.assigned) == 5

    def has(count: int) -> bool:
        consumer.poll(10, 50)
        return len(recorder.assigned) == count

    child = writer(path)
    try:
        until(lambda: has(3), "the other process has its share")
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    # The dead process's lease runs out, and its share comes back.
    until(lambda: has(5), "it has all of them again")
    assert recorder.kinds() == ["assigned", "revoked", "assigned", "revoked", "assigned"]
    log.close()
