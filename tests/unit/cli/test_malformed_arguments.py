"""Malformed arguments: each ends with status 2, says what is wrong with it, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stoplog

WHY = ("--why", "x")
KEY = "ed25519:short"

MALFORMED = [
    # Stops.
    ("kill", "--session", " ", *WHY),
    ("kill", "--agent", "", *WHY),
    ("kill", "--tool", "send", *WHY),
    ("kill", "--tool", "/send", *WHY),
    ("kill", "--model", "m", *WHY),
    ("kill", "--rules", "default", *WHY),
    ("kill", "--all", *WHY, "--until", "soon"),
    ("kill", "--all", "--why", " "),
    ("kill", "--all", *WHY, "--as", " "),
    ("release", "--tool", "send", *WHY),
    ("release", "--rules", "5e0c", *WHY),
    # Questions.
    ("approvals", "approve", "q-1", "--for", "ever"),
    ("approvals", "approve", "q-1", "--for", "task", "--times", "0"),
    ("approvals", "approve", "q-1", "--times", "3"),
    ("approvals", "approve", "q-1", "--revision", "-1"),
    ("approvals", "approve", "q-1", "--as", ""),
    ("approvals", "serve", "--port", "65536"),
    ("approvals", "revoke", "g-1", "--why", ""),
    # Alerts.
    ("alerts", "list", "--severity", "loud"),
    ("alerts", "list", "--max", "0"),
    ("alerts", "ack", "a-1", "--why", ""),
    ("alerts", "close", "a-1", "--why", ""),
    # Entities.
    ("attributes", "show", "customer"),
    ("attributes", "show", "Customer/C-1"),
    ("attributes", "show", "customer/C-1", "--tenant", "a|b"),
    ("attributes", "remove", "customer/"),
    ("attributes", "set", "customer/C-1", "tier"),
    ("attributes", "set", "customer/C-1", "limit:=x"),
    ("attributes", "set", "customer/C-1", "tier=gold", "--observed", "yesterday"),
    # Tools.
    ("catalog", "import", "a/b", "--file", "tools.json"),
    ("catalog", "import", "mail.eu", "--file", "tools.json"),
    ("catalog", "import", "", "--file", "tools.json"),
    ("catalog", "import", "mail", "--url", "nonsense"),
    ("catalog", "import", "mail", "--url", "ftp://host"),
    ("catalog", "import", "mail", "--url", "https://host:x/"),
    ("catalog", "import", "mail", "--url", "https://host", "--header", "Authorization"),
    ("catalog", "review", "send"),
    ("catalog", "review", "mail/send@short"),
    ("catalog", "list", "--at", "noon"),
    ("catalog", "list", "--expiring", "-1"),
    ("catalog", "show", "send"),
    ("catalog", "approve", "mail/send"),
    ("catalog", "approve", f"mail/send@{'0' * 40}", "--fact", "odd=1"),
    ("catalog", "approve", f"mail/send@{'0' * 40}", "--expires", "soon"),
    ("catalog", "reject", "mail/send", *WHY),
    ("catalog", "block", "send", *WHY),
    ("catalog", "deprecate", "send", *WHY),
    ("catalog", "report-keys", "a/b", "--add", KEY),
    ("catalog", "report-keys", "mail", "--add", KEY),
    # Keys.
    ("keys", "server", "new", "a/b", "--out", "new.pem"),
    ("keys", "seal", "list", "keys.json", "--add", "gates"),
    ("keys", "seal", "list", "keys.json", "--add", f"gates={KEY}"),
    ("audit", "verify", "--holder", f"ann={KEY}"),
    ("audit", "verify", "--keys", "keys.json", "--holder", f"ann={KEY}"),
    ("audit", "check-receipt", "receipt.json", "--key", KEY),
    ("audit", "check-receipt", "receipt.json"),
    # The audit log.
    ("audit", "read", "s-1", "--why", ""),
    ("audit", "erase", "--session", "s-1", "--user", "u", *WHY, "--dry-run"),
    ("audit", "erase", *WHY, "--dry-run"),
    ("audit", "hold", "set", *WHY),
    ("audit", "rewrap", *WHY, "--from", "somewhere", "--dry-run"),
    ("audit", "query", "select 1", "--max", "0"),
    # Stretches of time, and other numbers.
    ("replay", "--from", "noon"),
    ("replay", "--from", "2025-11-25T09:00:00Z", "--to", "2025-11-25T09:00:00Z"),
    ("rules", "backtest", "rules", "--to", "noon"),
    ("session", "show", "s-1", "--max", "0"),
    ("session", "list", "--state", "asleep"),
    ("tail", "verdict"),
    ("tail", "verdicts", "--max", "0"),
    ("contain", "s-1", "--result", "x"),
    ("contain", "s-1", "--token-service", "nonsense"),
    # Rules.
    ("rules", "new", "Pack"),
    ("rules", "new", "pack", "--tool", "send"),
    ("rules", "explain", "--history", "history.jsonl", "--line", "0"),
    ("rules", "publish", "rules", "--canary", "all"),
    ("rules", "publish", "rules", "--serial", "0"),
    ("rules", "rollback", "--to", "0"),
    # Services and the log.
    ("sts", "--port", "-1"),
    ("ssf", "--port", "65536"),
    ("doctor", "--log", "paper"),
]


@pytest.mark.parametrize("line", MALFORMED, ids=" ".join)
def test_a_malformed_argument_ends_with_status_2_and_changes_nothing(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, home: Path, line: tuple[str, ...]
) -> None:
    for section in ("RULES", "CATALOG", "RELEASE", "ATTRIBUTES", "ALERTS", "CONTENT"):
        monkeypatch.setenv(f"STOPLOG_{section}__ALLOW_UNSIGNED", "true")
    for name in ("receipt.json", "history.jsonl"):
        (home / name).write_text("{}")
    (home / "tools.json").write_text('{"tools": []}')
    assert stoplog("keys", "new").status == 0
    assert stoplog("topics", "apply").status == 0
    before = sorted(home.rglob("*"))
    result = stoplog(*line)
    assert (result.status, result.out) == (2, ""), result.err
    assert result.err.startswith("error: ")
    assert sorted(home.rglob("*")) == before
    assert stoplog("tail", "revocations", "--no-follow").records == []


@pytest.mark.parametrize(
    "line",
    [
        ("catalog", "list", "--at", "noon"),
        ("catalog", "show", "mail/send", "--at", "noon"),
        ("catalog", "approve", f"mail/send@{'0' * 40}", "--expires", "noon"),
        ("attributes", "set", "customer/C-1", "tier=gold", *WHY, "--observed", "noon"),
        ("replay", "--from", "noon"),
        ("replay", "--to", "noon"),
    ],
    ids=" ".join,
)
def test_what_is_no_instant_is_told_with_its_option(stoplog: Stoplog, line: tuple[str, ...]) -> None:
    told = stoplog(*line).err
    assert line[-2] in told, told
    assert "`noon` is not an RFC 3339 date-time such as `2025-11-25T09:00:00Z`" in told, told


def test_what_is_well_formed_and_not_there_ends_with_status_1(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0
    for line in (
        ("session", "show", "s-1"),
        ("explain", "01a21dde"),
        ("catalog", "show", "mail/send"),
        ("catalog", "review", f"mail/send@{'0' * 40}"),
        ("attributes", "show", "customer/C-1"),
        ("alerts", "show", "8ec7b7a0"),
        ("approvals", "show", "8ec7b7a0"),
        ("rules", "check", "nowhere"),
        ("audit", "check-receipt", "nothing.json", "--keys", "nothing.json"),
    ):
        result = stoplog(*line)
        assert result.status == 1, (line, result.err)
