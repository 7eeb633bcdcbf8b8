"""The archive of the audit log holds every record once, whatever happens to who writes it, and answers in SQL."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from streams.inmemory.clients import MemoryReader
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.topics import AUDIT, AUDIT_REPORTED
from streams.model.verdict import Outcome
from streams.operations.archive.export import compact, export_audit
from streams.operations.archive.files import ends_of, files_in
from streams.operations.archive.query import VIEWS, QueryError, ask
from streams.operations.archive.writer import ArchiveError
from streams.ports import Received, TopicPartition
from tests.kit import wire
from tests.recorded_run import MemoryAsLog, RecordedRun

ACTS = 150
DAY_MS = 86_400_000
ALL = 'select topic, "partition", "offset", event_id, event_type, outcome, untrusted_inputs from audit'


@pytest.fixture
def run() -> RecordedRun:
    return RecordedRun(1, ACTS)


def export(run: RecordedRun, folder: Path) -> int:
    log = MemoryAsLog(run.bench.driver.log)
    done = export_audit(log, wire(), run.bench.driver.clock, folder)
    assert done.unreadable_count == 0
    return done.records_count


def on_log(run: RecordedRun) -> list[tuple[str, int, int, AuditEvent]]:
    log = run.bench.driver.log
    found = []
    for topic in (AUDIT.name, AUDIT_REPORTED.name):
        for number in range(log.partition_count(topic)):
            for received in log.committed_records(TopicPartition(topic, number)):
                record = wire().decode(topic, received.value or b"", received.headers)
                assert isinstance(record, AuditEvent)
                found.append((topic, number, received.offset, record))
    return found


def rows(folder: Path, sql: str = ALL) -> list[tuple[object, ...]]:
    return list(ask(folder, sql).rows)


def assert_complete(run: RecordedRun, folder: Path) -> None:
    expected = Counter((topic, number, offset, record.header.id) for topic, number, offset, record in on_log(run))
    assert Counter(row[:4] for row in rows(folder)) == expected
    assert max(expected.values()) == 1


class TestExport:
    def test_every_record_is_there_once(self, run: RecordedRun, tmp_path: Path) -> None:
        assert export(run, tmp_path) == len(on_log(run)) > 50
        assert_complete(run, tmp_path)

    def test_it_goes_on_where_it_ended(self, run: RecordedRun, tmp_path: Path) -> None:
        export(run, tmp_path)
        assert export(run, tmp_path) == 0
        before = len(on_log(run))
        for _ in range(20):
            run.propose()
        assert export(run, tmp_path) == len(on_log(run)) - before > 0
        assert_complete(run, tmp_path)

    def test_it_reads_nothing_that_is_archived(
        self, run: RecordedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        export(run, tmp_path)
        before = len(on_log(run))
        for _ in range(20):
            run.propose()
        read: list[Received] = []
        poll = MemoryReader.poll

        def counted(reader: MemoryReader, max_records: int, timeout_ms: int) -> list[Received]:
            found = poll(reader, max_records, timeout_ms)
            read.extend(found)
            return found

        archived = {file.place for file in files_in(tmp_path)}
        monkeypatch.setattr(MemoryReader, "poll", counted)
        assert export(run, tmp_path) == len(on_log(run)) - before > 0
        # And once more the last one of each partition that has new ones, which shows that it is still the same log.
        seen = Counter((each.topic, each.partition, each.offset) for each in read)
        continued = {TopicPartition(each.topic, each.partition) for each in read} & archived
        assert len(seen) == len(on_log(run)) - before + len(continued)
        assert max(seen.values()) == 2

    def test_a_crash_leaves_a_file_complete_or_not_at_all(self, run: RecordedRun, tmp_path: Path) -> None:
        export(run, tmp_path)
        last = max(files_in(tmp_path), key=lambda file: file.end).path(tmp_path)
        content = last.read_bytes()
        last.unlink()
        last.with_name(f".{last.name}.part").write_bytes(content[: len(content) // 2])
        export(run, tmp_path)
        assert_complete(run, tmp_path)

    def test_each_day_has_files_of_its_own(self, run: RecordedRun, tmp_path: Path) -> None:
        run.bench.wait(DAY_MS)
        maker = run.sessions[0]
        run.bench.propose(session=maker)
        export(run, tmp_path)
        assert len({file.day for file in files_in(tmp_path)}) == 2
        assert_complete(run, tmp_path)


class TestAnotherLog:
    """A log that was restored from a backup has other records under offsets that are archived."""

    @pytest.fixture
    def archived(self, run: RecordedRun, tmp_path: Path) -> set[Path]:
        """The files of an archive that goes further than the backup, in which the run ends."""
        ahead = RecordedRun(1, ACTS)
        for _ in range(20):
            ahead.propose()
        export(ahead, tmp_path)
        run.bench.wait(60_000)
        return set(tmp_path.rglob("*.parquet"))

    def test_one_that_is_shorter_is_refused(self, run: RecordedRun, archived: set[Path], tmp_path: Path) -> None:
        with pytest.raises(ArchiveError, match=r"archive of another log, or this log was restored.* the log ends at"):
            export(run, tmp_path)
        assert set(tmp_path.rglob("*.parquet")) == archived

    def test_one_that_has_grown_longer_is_refused(self, run: RecordedRun, archived: set[Path], tmp_path: Path) -> None:
        for _ in range(100):
            run.propose()
        before = archived & set(tmp_path.rglob("*.parquet"))
        with pytest.raises(ArchiveError, match=r"the record \S+ is not the one of the archive"):
            export(run, tmp_path)
        assert set(tmp_path.rglob("*.parquet")) == before == archived

    def test_one_that_only_some_partitions_tell_from_it_gets_nothing(self, tmp_path: Path) -> None:
        # In its first partitions, a marker of a transaction stands where the archive ends.
        archived = RecordedRun(1, 40)
        archived.propose()
        export(archived, tmp_path)
        files = set(tmp_path.rglob("*.parquet"))
        other = RecordedRun(2, 43)
        for _ in range(60):
            other.propose()
        with pytest.raises(ArchiveError, match=r"the record \S+ is not the one of the archive"):
            export(other, tmp_path)
        assert set(tmp_path.rglob("*.parquet")) == files


class TestRetention:
    def test_what_is_deleted_between_two_runs_is_told(self, run: RecordedRun, tmp_path: Path) -> None:
        export(run, tmp_path)
        ends = ends_of(files_in(tmp_path))
        for _ in range(40):
            run.propose()
        log = run.bench.driver.log
        place = max(ends, key=lambda each: log.partition(each).last_stable_offset - ends[each])
        kept = log.committed_records(place)[-1].offset
        log.partition(place).truncate(kept)
        done = export_audit(MemoryAsLog(log), wire(), run.bench.driver.clock, tmp_path)
        assert done.missed == {place: (ends[place], kept)}

    def test_what_is_deleted_after_it_was_archived_is_not(self, run: RecordedRun, tmp_path: Path) -> None:
        export(run, tmp_path)
        log = run.bench.driver.log
        for place, end in ends_of(files_in(tmp_path)).items():
            log.partition(place).truncate(end)
        for _ in range(40):
            run.propose()
        before = len(rows(tmp_path))
        done = export_audit(MemoryAsLog(log), wire(), run.bench.driver.clock, tmp_path)
        assert (done.missed, done.records_count) == ({}, len(rows(tmp_path)) - before)
        assert done.records_count > 0


class TestCompaction:
    def test_it_keeps_every_record_in_fewer_files(self, run: RecordedRun, tmp_path: Path) -> None:
        for _ in range(3):
            run.propose()
            export(run, tmp_path)
        before = len(files_in(tmp_path))
        removed = compact(tmp_path)
        assert removed > 0
        assert len(files_in(tmp_path)) < before
        assert_complete(run, tmp_path)
        assert compact(tmp_path) == 0
        assert export(run, tmp_path) == 0

    def test_a_crash_before_the_merged_files_are_gone_changes_nothing(self, run: RecordedRun, tmp_path: Path) -> None:
        folder, kept = tmp_path / "archive", tmp_path / "kept"
        for _ in range(3):
            for _ in range(10):
                run.propose()
            export(run, folder)
        shutil.copytree(folder, kept)
        compact(folder)
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        assert_complete(run, folder)
        assert export(run, folder) == 0
        assert compact(folder) > 0
        assert_complete(run, folder)


class TestQuery:
    @pytest.fixture
    def folder(self, run: RecordedRun, tmp_path: Path) -> Path:
        export(run, tmp_path)
        return tmp_path

    def test_calls_have_each_intent_once_with_its_last_verdict(self, run: RecordedRun, folder: Path) -> None:
        last: dict[tuple[str, str | None], Outcome | None] = {}
        for _, _, _, record in on_log(run):
            if record.event_type is AuditEventType.VERDICT:
                last[record.session_id, record.intent_id] = record.outcome
        found = rows(folder, "select session_id, intent_id, outcome from calls")
        assert len(found) == len(last)
        assert {(session, intent): outcome for session, intent, outcome in found} == last
        denied = sum(outcome in (Outcome.DENY, Outcome.QUARANTINE) for outcome in last.values())
        assert rows(folder, "select count(*) from denials") == [(denied,)]
        assert rows(folder, "select sum(calls), sum(denied) from sessions") == [(len(last), denied)]
        assert rows(folder, "select sum(calls), sum(denied) from tools_by_agent") == [(len(last), denied)]

    def test_every_view_answers(self, folder: Path) -> None:
        assert all(ask(folder, f"from {view} limit 1").columns for view in VIEWS)
        assert rows(folder, "select count(*) from approvals where approver in ('ann', 'ben')") > [(0,)]

    def test_labels_of_inputs_can_be_asked_for(self, run: RecordedRun, folder: Path) -> None:
        tainted = sum(
            any(label.integrity.value == "UNTRUSTED" for label in record.input_labels)
            for _, _, _, record in on_log(run)
        )
        assert rows(folder, "select count(*) from audit where untrusted_inputs > 0") == [(tainted,)] > [(0,)]

    @pytest.mark.parametrize(
        "sql",
        [
            "select * from read_csv('/etc/passwd')",
            "select * from read_text('/etc/hostname')",
            "copy (select 1) to 'out.csv'",
            "attach 'other.db'",
            "install httpfs",
            "set enable_external_access = true",
            "select 1; select 2",
            "select nonsense from calls",
            "",
        ],
    )
    def test_a_query_reads_the_archive_and_nothing_else(self, folder: Path, sql: str) -> None:
        with pytest.raises(QueryError):
            list(ask(folder, sql).rows)

    def test_a_table_that_is_not_there_is_an_error_with_those_that_are(self, folder: Path) -> None:
        with pytest.raises(QueryError, match="does not exist! An archive has the tables `audit`, `calls`, ") as caught:
            ask(folder, "select * from nothing")
        assert "Did you mean" not in str(caught.value)

    def test_without_an_archive_it_says_how_to_make_one(self, tmp_path: Path) -> None:
        with pytest.raises(QueryError, match="has no record yet; `stoplog audit export"):
            ask(tmp_path, "select 1")
        with pytest.raises(QueryError, match=r"there is no archive in `.*/none`; `stoplog audit export"):
            ask(tmp_path / "none", "select 1")
