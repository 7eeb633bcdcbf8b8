"""`stoplog keys server` and `stoplog catalog report-keys`: from a new key to one that counts, and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.sdk import SigningKeyError, load_report_key
from tests.unit.cli.conftest import Result, Stoplog

SETTINGS = """
[catalog.reviewers]
rita = "{rita}"
"""


@pytest.fixture
def reviewed(stoplog: Stoplog, home: Path) -> Stoplog:
    """A log on which one reviewer decides."""
    (made,) = stoplog("keys", "reviewer", "new", "--out", "rita.pem", "--json").records
    (home / "stoplog.toml").write_text(SETTINGS.format(rita=made["public_key"]))
    assert stoplog("topics", "apply").status == 0
    return stoplog


def new_key(stoplog: Stoplog, name: str) -> str:
    result = stoplog("keys", "server", "new", "mail", "--out", name, "--json")
    assert result.status == 0, result.err
    return str(result.records[0]["public_key"])


def propose(stoplog: Stoplog, *args: str) -> str:
    result = stoplog("catalog", "report-keys", "mail", *args, "--as", "paul", "--json")
    assert result.status == 0, result.err
    return str(result.records[0]["proposed"])


def in_force(stoplog: Stoplog) -> list[str]:
    (record,) = stoplog("catalog", "report-keys", "mail", "--json").records
    return list(record["report_keys"])


def decide(stoplog: Stoplog, *args: str) -> Result:
    return stoplog("catalog", *args, "--key", "rita.pem", "--as", "rita")


def test_a_key_counts_once_it_is_approved_and_can_be_replaced_and_blocked(reviewed: Stoplog, home: Path) -> None:
    old, new = new_key(reviewed, "old.pem"), new_key(reviewed, "new.pem")
    assert in_force(reviewed) == []
    proposed = propose(reviewed, "--add", old)
    assert in_force(reviewed) == []
    assert proposed.startswith("mail/@reports@")
    shown = reviewed("catalog", "review").out
    assert old in shown
    assert decide(reviewed, "approve", proposed).status == 0
    assert in_force(reviewed) == [old]
    assert str(load_report_key(home / "old.pem").public) == old

    assert decide(reviewed, "approve", propose(reviewed, "--add", new)).status == 0
    assert in_force(reviewed) == [old, new]
    assert decide(reviewed, "approve", propose(reviewed, "--remove", old)).status == 0
    assert in_force(reviewed) == [new]
    assert reviewed("catalog", "block", "mail/@reports", "--why", "stolen").status == 0
    assert in_force(reviewed) == []


@pytest.mark.parametrize(
    ("args", "status", "told"),
    [
        (("--add", "ed25519:short"), 2, "is not a public key"),
        (("--remove", "ed25519:short"), 1, "is not a key of `mail` in force"),
    ],
)
def test_what_can_not_be_proposed_is_told(reviewed: Stoplog, args: tuple[str, ...], status: int, told: str) -> None:
    result = reviewed("catalog", "report-keys", "mail", *args)
    assert result.status == status
    assert told in result.err


def test_the_last_key_is_blocked_not_removed(reviewed: Stoplog) -> None:
    key = new_key(reviewed, "mail.pem")
    assert decide(reviewed, "approve", propose(reviewed, "--add", key)).status == 0
    result = reviewed("catalog", "report-keys", "mail", "--remove", key)
    assert (result.status, "stoplog catalog block mail/@reports" in result.err) == (1, True)


def test_an_import_leaves_the_keys_alone_and_refuses_a_tool_of_their_name(reviewed: Stoplog, home: Path) -> None:
    key = new_key(reviewed, "mail.pem")
    assert decide(reviewed, "approve", propose(reviewed, "--add", key)).status == 0
    (home / "tools.json").write_text(
        '[{"name": "send", "description": "Send mail.", "inputSchema": {"type": "object"}}]'
    )
    imported = reviewed("catalog", "import", "mail", "--file", "tools.json", "--json").records
    assert [each["tool"] for each in imported] == ["mail/send"]
    (home / "tools.json").write_text('[{"name": "@reports", "inputSchema": {"type": "object"}}]')
    result = reviewed("catalog", "import", "mail", "--file", "tools.json")
    assert (result.status, "stands for its report keys" in result.err) == (1, True)
    assert in_force(reviewed) == [key]


def test_a_key_that_others_can_read_is_refused(stoplog: Stoplog, home: Path) -> None:
    new_key(stoplog, "mail.pem")
    (home / "mail.pem").chmod(0o644)
    with pytest.raises(SigningKeyError, match="can be read by others"):
        load_report_key(home / "mail.pem")


@pytest.mark.parametrize(("settings", "key"), [("", " --key FILE"), ("[catalog]\nallow_unsigned = true\n", "")])
def test_a_review_shows_the_commands_that_decide_as_they_count(
    stoplog: Stoplog, home: Path, settings: str, key: str
) -> None:
    (home / "stoplog.toml").write_text(settings)
    assert stoplog("topics", "apply").status == 0
    proposed = propose(stoplog, "--add", new_key(stoplog, "mail.pem"))
    lines = [line.strip() for line in stoplog("catalog", "review", "--no-json").out.splitlines()]
    assert f"stoplog catalog approve {proposed}{key}" in lines
    assert f"stoplog catalog reject {proposed}{key} --why TEXT" in lines
