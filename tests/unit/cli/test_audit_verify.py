"""`stoplog audit verify` over what a real gate has decided on the embedded log."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from simulation.records import SessionMaker, agent
from streams.audit.signatures import SigningKey
from streams.embedded.file import OFFSET_MASK, PARTITION_SHIFT
from streams.model.audit import AuditEvent, AuditEventType, Seal
from streams.model.keys import partition_for
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, AUDIT_REPORTED, AUDIT_SEAL, REPORT, SEAL_KEY, VERDICT
from streams.model.types import Header
from streams.operations.topics.reader import read_to_end
from streams.ports import Outgoing
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.recorded_site import WAIT_MS, Site, configure, make_site

OTHERS = 5
"""Records of others that each of the two sessions has, one of which nobody can read."""


class WithOthers(Site):
    """A site on whose record an executor puts what it has done; what it can't read, the notary reports itself."""

    def work(self, number: int) -> None:
        super().work(number)
        maker = SessionMaker(f"s-{number}", tenant="default")
        for count in range(OTHERS - 1):
            event = AuditEvent(
                header=Header(
                    id=derived_uuid("test", str(number), str(count)),
                    source="files-executor",
                    time=self.clock.now_ms(),
                    tenant_uid="default",
                ),
                event_type=AuditEventType.OUTCOME,
                session_id=maker.session_id,
                act=agent("assistant"),
                reason="run_done",
                reason_text=f"call {count} of alice has run",
            )
            self.write(AUDIT_REPORTED, maker.key, event)
        partition = partition_for(maker.key, self.settings.topics.partitions)
        self.publisher.publish(Outgoing(AUDIT_REPORTED.name, partition, maker.key, b"not a record"))
        self.publisher.flush(WAIT_MS)
        deadline_ms = self.clock.monotonic_ms() + WAIT_MS
        while self.sealed_count() < (OTHERS + 1) * (number + 1):
            assert self.clock.monotonic_ms() < deadline_ms
            self.clock.sleep_ms(20)

    def sealed_count(self) -> int:
        found = read_to_end(self.log, (AUDIT_SEAL.name,), self.clock)
        seals = (self.codec.decode(each.topic, each.value or b"", each.headers) for each in found)
        return sum(len(seal.kinds) for seal in seals if isinstance(seal, Seal))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    make_site(made, WithOthers)
    return made


@pytest.fixture
def copied(site: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> sqlite3.Connection:
    """A copy of the embedded log, which the command then reads."""
    shutil.copytree(folder / "state", tmp_path / "copy" / "state")
    configure(monkeypatch, tmp_path / "copy")
    (file,) = (each for each in (tmp_path / "copy" / "state").rglob("*") if each.suffix in (".db", ".sqlite"))
    return sqlite3.connect(file)


def test_a_log_is_as_it_was_written(site: Stoplog) -> None:
    result = site("audit", "verify", "--no-json", "--whole")
    assert result.status == 0, result.out + result.err
    told = "8 verdicts, 9 audit records, 6 reports and session events and 12 records of others under "
    assert told in " ".join(result.out.split())
    assert "seals: nothing was changed" in " ".join(result.out.split())
    assert "not checked" not in result.out
    *partitions, summary = site("audit", "verify", "--json").records
    assert [(each["record"], each["partition"]) for each in partitions] == [
        (name, number) for name in ("partition", "reported") for number in (0, 1, 2)
    ]
    assert (summary["verdicts"], summary["audit_records"], summary["offences"]) == (8, 9, 0)
    assert summary["reported_records"] == sum(each["records"] for each in partitions[3:]) == 12
    assert summary["not_checked"] == []


@pytest.mark.parametrize("content", [b'{"\xff": 1}', b'{"heads": {"0": "\xff"}}', b'{"x": ' + b"[" * 50_000])
def test_heads_that_nobody_can_read_are_an_error(site: Stoplog, home: Path, content: bytes) -> None:
    (home / "strange.json").write_bytes(content)
    result = site("audit", "verify", "--since", "strange.json")
    assert result.status == 1
    assert "the file of heads is malformed" in result.err


def test_heads_take_the_place_of_earlier_ones_at_once(site: Stoplog, home: Path) -> None:
    """What shows whether the end of the log was cut off is never half written, not even on a disk that is full."""
    kept = home / "heads.json"
    assert site("audit", "verify", "--heads", "heads.json").status == 0
    kept.write_bytes(kept.read_bytes() + b"\n")
    before = kept.read_bytes()
    with kept.open("rb") as reader:
        assert site("audit", "verify", "--since", "heads.json", "--heads", "heads.json").status == 0
        assert reader.read() == before
    assert kept.read_bytes() == before[:-1]
    assert [path.name for path in home.glob("heads*")] == ["heads.json"]


def test_heads_that_were_kept_are_compared(site: Stoplog, home: Path) -> None:
    assert site("audit", "verify", "--heads", "heads.json").status == 0
    assert site("audit", "verify", "--since", "heads.json").status == 0
    kept = json.loads((home / "heads.json").read_text())
    number, note = next(iter(kept["heads"].items()))
    origin, size, *rest = note.split("\n")
    kept["heads"][number] = "\n".join((origin, str(int(size) + 1), *rest))
    (home / "more.json").write_text(json.dumps(kept))
    result = site("audit", "verify", "--since", "more.json", "--no-json")
    assert result.status == 1
    assert f"partition {number}: truncated at agent.verdict.v1/{number}/" in result.out


def test_the_keys_of_a_list_count_alone(site: Stoplog, home: Path) -> None:
    public = site("keys", "seal", "show", "--json").records[0]["public_key"]
    assert site("keys", "seal", "list", "keys.json", "--add", f"gates={public}").status == 0
    assert site("audit", "verify", "--keys", "keys.json").status == 0
    assert site("keys", "seal", "list", "keys.json", "--revoke", "gates").status == 0
    result = site("audit", "verify", "--keys", "keys.json", "--no-json")
    assert result.status == 1
    assert "the key `gates`" in result.out
    stranger = SigningKey.made().public
    unsigned = site("audit", "verify", "--keys", "keys.json", "--holder", f"ann={stranger}")
    assert "not signed by any of its holders" in unsigned.err


def test_without_the_secret_key_it_asks_for_the_list(site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_ROOT_KEY_FILE", "nowhere.key")
    result = site("audit", "verify")
    assert result.status == 1
    assert "name the list of the gates' public keys with `--keys FILE`" in result.err
    assert "stoplog keys new" not in result.err


def test_it_names_the_whole_path_of_a_key_that_is_missing(site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_ROOT_KEY_FILE", "nowhere; not here.key")
    result = site("audit", "verify")
    assert result.status == 1
    assert "(there is no root key at `nowhere; not here.key`)" in result.err


@pytest.mark.parametrize("options", [(), ("--compact",)])
def test_a_copy_has_arguments_and_is_its_owners_alone(site: Stoplog, home: Path, options: tuple[str, ...]) -> None:
    old_mask = os.umask(0o022)
    try:
        assert site("audit", "export", "archive", "--raw", *options).status == 0
    finally:
        os.umask(old_mask)
    modes: dict[str, set[int]] = {}
    for path in (home / "archive").rglob("*.*"):
        if path.is_file():
            modes.setdefault(path.relative_to(home / "archive").parts[0], set()).add(stat.S_IMODE(path.stat().st_mode))
    # The table has no arguments, and others may query it.
    assert modes == {"copies": {0o600}, "audit": {0o644}}


def test_a_copy_is_checked_without_the_log(site: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = site("keys", "seal", "show", "--json").records[0]["public_key"]
    site("keys", "seal", "list", "keys.json", "--add", f"gates={public}")
    (export,) = site("audit", "export", "archive", "--raw", "--compact", "--json").records
    assert export["copied"] > 8 + 9 + 9
    (again,) = site("audit", "export", "archive", "--raw", "--json").records
    assert again["copied"] == 0
    # Neither the log nor a secret key is there.
    monkeypatch.setenv("STOPLOG_STATE_DIR", str(home / "nothing"))
    monkeypatch.setenv("STOPLOG_ROOT_KEY_FILE", "nowhere.key")
    result = site("audit", "verify", "--archive", "archive", "--keys", "keys.json", "--whole", "--no-json")
    assert result.status == 0, result.out + result.err
    assert "8 verdicts, 9 audit records and 12 records of others under " in result.out
    assert "seals: nothing was changed" in " ".join(result.out.split())
    assert "6 reports and session events could not be compared" in result.out
    nothing = site("audit", "verify", "--archive", "nothing", "--keys", "keys.json")
    assert "`stoplog audit export nothing --raw`" in nothing.err


def test_says_where_a_record_was_changed(site: Stoplog, copied: sqlite3.Connection) -> None:
    place = tamper(copied, AUDIT.name, 4, b"alice", b"mallo")
    result = site("audit", "verify", "--no-json")
    assert result.status == 1
    assert f"changed at {place}" in result.out
    assert "it is not what it was when it was sealed" in result.out


def test_says_where_a_report_was_changed(site: Stoplog, copied: sqlite3.Connection) -> None:
    """As somebody would who wants to have a session look as if it had read something else."""
    place = tamper(copied, REPORT.name, 0, b"s-", b"x-")
    result = site("audit", "verify", "--whole", "--no-json")
    assert result.status == 1
    assert f"changed at {place}" in result.out
    assert "the report here is not the next one that seal" in result.out


def test_says_from_where_on_a_report_is_gone(site: Stoplog, copied: sqlite3.Connection) -> None:
    with copied:
        (row, _), *_ = rows_of(copied, REPORT.name)
        copied.execute("DELETE FROM records WHERE id = ?", (row,))
    copied.close()
    result = site("audit", "verify", "--whole", "--no-json")
    assert result.status == 1
    assert "missing at agent." in result.out or "truncated at agent." in result.out


def test_says_where_what_others_put_on_the_record_was_changed(site: Stoplog, copied: sqlite3.Connection) -> None:
    place = tamper(copied, AUDIT_REPORTED.name, 1, b"alice", b"mallo")
    result = site("audit", "verify", "--no-json")
    assert result.status == 1
    assert f"changed at {place}" in result.out
    assert "of `agent.audit.seal.v1` has" in result.out
    assert "1 of 3 partitions can't be relied on" in " ".join(result.out.split())
    offences = [each["offence"] for each in site("audit", "verify", "--json").records if each.get("offence")]
    assert [(each["kind"], each["topic"]) for each in offences] == [("changed", AUDIT_REPORTED.name)]


def test_says_that_what_others_put_on_the_record_is_gone(site: Stoplog, home: Path, copied: sqlite3.Connection) -> None:
    assert site("audit", "verify", "--heads", "heads.json").status == 0
    with copied:
        for topic in (AUDIT_REPORTED.name, AUDIT_SEAL.name):
            for row, _ in rows_of(copied, topic):
                copied.execute("DELETE FROM records WHERE id = ?", (row,))
    copied.close()
    # As if nobody had ever put anything on the record: only who has kept the heads can tell.
    assert site("audit", "verify", "--no-json").status == 0
    result = site("audit", "verify", "--since", "heads.json", "--no-json")
    assert result.status == 1
    assert "truncated at agent.audit.seal.v1/" in result.out
    assert json.loads((home / "heads.json").read_text())["reported"]


def test_a_log_of_before_there_were_notaries_is_checked_without_them(site: Stoplog, copied: sqlite3.Connection) -> None:
    with copied:
        copied.execute("DELETE FROM topics WHERE name = ?", (AUDIT_SEAL.name,))
    copied.close()
    result = site("audit", "verify", "--no-json")
    assert result.status == 0, result.out + result.err
    assert "not checked: what others put on the record (`agent.audit.reported.v1`)" in " ".join(result.out.split())
    assert site("audit", "verify", "--json").records[-1]["not_checked"] == [AUDIT_REPORTED.name]


def test_a_log_without_a_seal_proves_nothing(site: Stoplog, home: Path, copied: sqlite3.Connection) -> None:
    """As somebody leaves it who deletes all seals, or a gate that has never sealed."""
    with copied:
        for topic in (VERDICT.name, AUDIT_SEAL.name, AUDIT_CHECKPOINT.name):
            delete_seals(copied, topic)
    copied.close()
    result = site("audit", "verify", "--heads", "heads.json", "--no-json")
    assert result.status == 3
    assert "NOT PROVEN: nothing is sealed on this log" in " ".join(result.out.split())
    assert "nothing was changed" not in result.out
    assert not (home / "heads.json").exists()
    summary = site("audit", "verify", "--json").records[-1]
    assert (summary["seals"], summary["offences"], summary["proven"]) == (0, 0, False)
    assert summary["unsealed_verdicts"] == 8
    assert site("audit", "verify", "--whole").status == 1, "who knows the log as whole knows that seals are missing"


def test_an_empty_log_proves_nothing(stoplog: Stoplog) -> None:
    stoplog("keys", "new")
    stoplog("topics", "apply")
    result = stoplog("audit", "verify", "--json")
    assert (result.status, result.records[-1]["proven"]) == (3, False)


def test_a_partition_without_a_seal_proves_nothing_though_others_have_some(
    site: Stoplog, home: Path, copied: sqlite3.Connection
) -> None:
    partition = partition_for(SessionMaker("s-0", tenant="default").key, 3)
    assert partition != partition_for(SessionMaker("s-1", tenant="default").key, 3)
    with copied:
        for topic in (VERDICT.name, AUDIT_CHECKPOINT.name):
            delete_seals(copied, topic, partition)
    copied.close()
    result = site("audit", "verify", "--heads", "heads.json", "--no-json")
    assert result.status == 3, result.out
    told = f"NOT PROVEN: 4 verdicts on partitions without a seal ({partition})"
    assert told in " ".join(result.out.split())
    assert str(partition) not in json.loads((home / "heads.json").read_text())["heads"]
    assert site("audit", "verify", "--json").records[-1]["proven"] is False


def delete_seals(log: sqlite3.Connection, topic: str, partition: int | None = None) -> None:
    """Delete the seals or heads on a topic of an embedded log: of one partition, or of all."""
    (first,) = log.execute("SELECT first_part FROM topics WHERE name = ?", (topic,)).fetchone()
    for row, key in keys_of(log, topic):
        is_seal = topic != VERDICT.name or key == SEAL_KEY
        if is_seal and partition in (None, (row >> PARTITION_SHIFT) - first):
            log.execute("DELETE FROM records WHERE id = ?", (row,))


def keys_of(log: sqlite3.Connection, topic: str) -> list[tuple[int, bytes]]:
    """The keys of the records of a topic, by the ids of their rows."""
    first, count = log.execute("SELECT first_part, partitions FROM topics WHERE name = ?", (topic,)).fetchone()
    bounds = first << PARTITION_SHIFT, (first + count) << PARTITION_SHIFT
    return log.execute("SELECT id, key FROM records WHERE id >= ? AND id < ? ORDER BY id", bounds).fetchall()


def rows_of(log: sqlite3.Connection, topic: str) -> list[tuple[int, bytes]]:
    """The records of a topic on an embedded log, by the ids of their rows."""
    first, count = log.execute("SELECT first_part, partitions FROM topics WHERE name = ?", (topic,)).fetchone()
    bounds = first << PARTITION_SHIFT, (first + count) << PARTITION_SHIFT
    return log.execute("SELECT id, value FROM records WHERE id >= ? AND id < ? ORDER BY id", bounds).fetchall()


def tamper(log: sqlite3.Connection, topic: str, number: int, old: bytes, new: bytes) -> str:
    """Change a record, close the log, and return the place."""
    with log:
        (first,) = log.execute("SELECT first_part FROM topics WHERE name = ?", (topic,)).fetchone()
        row, value = rows_of(log, topic)[number]
        assert value != value.replace(old, new)
        log.execute("UPDATE records SET value = ? WHERE id = ?", (value.replace(old, new), row))
    log.close()
    return f"{topic}/{(row >> PARTITION_SHIFT) - first}/{row & OFFSET_MASK}"
