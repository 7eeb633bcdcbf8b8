"""The mail server of the demonstration: its mailbox, and the server as a subprocess."""

from __future__ import annotations

import sys
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest
from stoplog_demo.mail_server import BODY_CHARS_MAX, RECIPIENTS_MAX, Mailbox, MailError

from streams.sdk.mcp.tools import McpServerProcess

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path / "mail", "agent@example.com")


def test_a_message_becomes_a_real_message_file(mailbox: Mailbox, tmp_path: Path) -> None:
    assert (
        mailbox.send(["bob@example.com", "ann@example.com"], "Grüße", "see you\n--\nä", ["c@example.com"]) == "000001"
    )
    message = message_from_bytes((tmp_path / "mail" / "000001.eml").read_bytes(), policy=SMTP)
    assert (message["From"], message["To"], message["Cc"], message["Subject"]) == (
        "agent@example.com",
        "bob@example.com, ann@example.com",
        "c@example.com",
        "Grüße",
    )
    assert message.get_content().splitlines() == ["see you", "--", "ä"]
    assert mailbox.read("000001")["body"].splitlines() == ["see you", "--", "ä"]
    assert mailbox.list() == [
        {
            "id": "000001",
            "from": "agent@example.com",
            "to": "bob@example.com, ann@example.com",
            "cc": "c@example.com",
            "subject": "Grüße",
        }
    ]


def test_messages_are_numbered_and_never_overwritten(mailbox: Mailbox, tmp_path: Path) -> None:
    (tmp_path / "mail" / "000002.eml").write_bytes(b"Subject: taken")
    assert [mailbox.send(["b@example.com"], f"n{n}", "x", []) for n in range(2)] == ["000003", "000004"]
    assert (tmp_path / "mail" / "000002.eml").read_bytes() == b"Subject: taken"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "bob",
        "bob@",
        "@example.com",
        "a@b@c",
        "Bob <bob@example.com>",
        "b@example.com, e@evil.example",
        "b@x\nBcc: e@x",
    ],
)
def test_what_is_no_single_address_is_refused(mailbox: Mailbox, address: str) -> None:
    with pytest.raises(MailError, match="is not an address"):
        mailbox.send([address], "s", "b", [])
    with pytest.raises(MailError, match="is not an address"):
        mailbox.send(["bob@example.com"], "s", "b", [address])
    assert mailbox.list() == []


def test_a_header_can_not_be_smuggled_in(mailbox: Mailbox) -> None:
    with pytest.raises(MailError, match="can't be written"):
        mailbox.send(["bob@example.com"], "hello\nBcc: eve@evil.example", "b", [])
    assert mailbox.list() == []


def test_bounds_hold(mailbox: Mailbox) -> None:
    many = ["b@example.com"] * (RECIPIENTS_MAX + 1)
    for to, cc in (([], []), (many, []), (["b@example.com"], many), ([], ["b@example.com"])):
        with pytest.raises(MailError, match="recipients"):
            mailbox.send(to, "s", "b", cc)
    with pytest.raises(MailError, match="characters"):
        mailbox.send(["b@example.com"], "s", "x" * (BODY_CHARS_MAX + 1), [])


@pytest.mark.parametrize("message_id", ["", "1", "../../../etc/passwd", "000001/../x", "00000a", "000001\n", "000009"])
def test_only_messages_can_be_read(mailbox: Mailbox, message_id: str) -> None:
    mailbox.send(["b@example.com"], "s", "b", [])
    with pytest.raises(MailError):
        mailbox.read(message_id)


def test_the_server_speaks_mcp(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    with McpServerProcess(
        "mail",
        sys.executable,
        ["-m", "stoplog_demo.mail_server", "--folder", str(folder)],
        env={"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        log_path=tmp_path / "log",
    ) as server:
        tools = server.tools()
        assert sorted(tools) == ["mail/list", "mail/read", "mail/send"]
        sent = tools["mail/send"].run({"to": ["bob@example.com"], "subject": "hi", "body": "see you"}, 10_000)
        assert (sent.content, sent.is_error) == ("sent as message 000001", False)
        assert "bob@example.com" in str(tools["mail/list"].run({}, 10_000).content)
        assert "see you" in str(tools["mail/read"].run({"message_id": "000001"}, 10_000).content)
        refused = tools["mail/send"].run({"to": ["nobody"], "subject": "hi", "body": "x"}, 10_000)
        assert refused.is_error
        assert "`nobody` is not an address" in str(refused.content)
        assert tools["mail/send"].run({"to": "bob@example.com"}, 10_000).is_error
    assert [path.name for path in folder.iterdir()] == ["000001.eml"]
