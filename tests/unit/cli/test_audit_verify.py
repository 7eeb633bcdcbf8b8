"""`stoplog audit verify` over what a real gate has decided on the embedded log."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from streams.audit.signatures import SigningKey
from streams.embedded.file import OFFSET_MASK, PARTITION_SHIFT
from streams.model.topics import AUDIT, REPORT
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.recorded_site import configure, make_site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site")
    make_site(made)
    return made


@pytest.fixture
def site(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Stoplog:
    configure(monkeypatch, folder)
    return stoplog


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
    assert "8 verdicts, 9 audit records and 6 reports and session events under " in result.out
    assert "seals: nothing was changed" in result.out
    *partitions, summary = site("audit", "verify", "--json").records
    assert [each["partition"] for each in partitions] == [0, 1, 2]
    assert (summary["verdicts"], summary["audit_records"], summary["offences"]) == (8, 9, 0)


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
    assert "8 verdicts and 9 audit records under " in result.out
    assert "seals: nothing was changed" in result.out
    assert "6 reports and session events could not be compared" in result.out
    nothing = site("audit", "verify", "--archive", "nothing", "--keys", "keys.json")
    assert "`stoplog audit export nothing --raw`" in nothing.err


def test_says_where_a_record_was_changed(site: Stoplog, copied: sqlite3.Connection) -> None:
    place = tamper(copied, AUDIT.name, 4, b"alice", b"mallo")
    result = site("audit", "verify", "--no-json")
    assert result.status == 1
    assert f"changed at {place}" in result.out
    assert "it is not what the gate has written or read" in result.out


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
