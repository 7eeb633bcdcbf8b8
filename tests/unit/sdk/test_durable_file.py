"""Several writers of one file: what each is told is on disk, and one's mistake is nobody else's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from streams.sdk.errors import SingleUseError
from streams.sdk.executor.durable_file import DurableFile

WRITERS = 8
CHANGES = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[DurableFile]:
    with closing(DurableFile(path)) as opened:
        opened.write(lambda connection: connection.execute("CREATE TABLE t (value INTEGER PRIMARY KEY)").rowcount)
        yield opened


def insert(connection: sqlite3.Connection, value: int) -> int:
    return connection.execute("INSERT INTO t VALUES (?)", (value,)).rowcount


def values_in(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as other:
        return [value for (value,) in other.execute("SELECT value FROM t ORDER BY value")]


def test_what_a_writer_was_told_is_there_for_others_at_once(file: DurableFile, path: Path) -> None:
    missed: list[int] = []

    def work(writer: int) -> None:
        with closing(sqlite3.connect(path)) as other:
            for number in range(CHANGES):
                value = writer * CHANGES + number
                assert file.write(lambda connection, value=value: insert(connection, value)) == 1
                if other.execute("SELECT count(*) FROM t WHERE value = ?", (value,)).fetchone() != (1,):
                    missed.append(value)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(work, range(WRITERS)))
    assert missed == []
    assert values_in(path) == list(range(WRITERS * CHANGES))


def test_a_change_that_fails_undoes_itself_alone(file: DurableFile, path: Path) -> None:
    def half(connection: sqlite3.Connection, value: int) -> int:
        insert(connection, value)
        msg = "half way"
        raise SingleUseError(msg)

    def work(number: int) -> bool:
        if number % 3:
            return file.write(lambda connection: insert(connection, number)) == 1
        with pytest.raises(SingleUseError, match="half way"):
            file.write(lambda connection: half(connection, number))
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert all(pool.map(work, range(WRITERS * CHANGES)))
    assert values_in(path) == [number for number in range(WRITERS * CHANGES) if number % 3]


def test_an_error_of_the_file_reaches_everyone_who_waited_and_the_next_one_works(file: DurableFile, path: Path) -> None:
    holds, waits = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        holds.set()
        waits.wait(10)
        return insert(connection, 1)

    with ThreadPoolExecutor(WRITERS) as pool:
        first = pool.submit(file.write, slow)
        holds.wait(10)
        second = [pool.submit(file.write, lambda connection: insert(connection, 1)) for _ in range(3)]
        waits.set()
        assert first.result(10) == 1
        for each in second:
            with pytest.raises(SingleUseError, match="UNIQUE"):
                each.result(10)
    assert file.write(lambda connection: insert(connection, 2)) == 1
    assert values_in(path) == [1, 2]


def test_what_one_change_raises_is_its_writers_alone(file: DurableFile, path: Path) -> None:
    def too_large(connection: sqlite3.Connection) -> int:
        return insert(connection, 2**70)

    def work(number: int) -> bool:
        if number % 2:
            return file.write(lambda connection: insert(connection, number)) == 1
        with pytest.raises(OverflowError):
            file.write(too_large)
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert all(pool.map(work, range(WRITERS * CHANGES)))
    assert values_in(path) == list(range(1, WRITERS * CHANGES, 2))


def test_of_more_than_a_batch_each_is_made_before_its_writer_goes_on(
    file: DurableFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.sdk.executor.durable_file.CHANGES_PER_TRANSACTION_MAX", 1)
    holds, waits = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        holds.set()
        waits.wait(10)
        return insert(connection, -1)

    with ThreadPoolExecutor(2 * WRITERS) as pool:
        first = pool.submit(file.write, slow)
        holds.wait(10)
        others = [
            pool.submit(file.write, lambda connection, number=number: insert(connection, number))
            for number in range(WRITERS)
        ]
        waits.set()
        assert [each.result(10) for each in (first, *others)] == [1] * (WRITERS + 1)
    assert values_in(path) == list(range(-1, WRITERS))


def test_a_closed_file_is_refused(path: Path) -> None:
    file = DurableFile(path)
    file.close()
    with pytest.raises(SingleUseError, match=r"file\.sqlite"):
        file.write(lambda connection: insert(connection, 1))
