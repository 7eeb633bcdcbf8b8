"""The pages for privacy officers and for auditors, followed on the log of one demonstration that captures content.

Each command is taken from its page, with what the page leaves open put in.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.page import text_of
from tests.integration.test_triage_page import Shell

_COMMAND = re.compile(r"^ +((?:stoplog|export) .+)$", re.MULTILINE)
KEEP, READ = "keep-and-erase-content.md", "read-the-record.md"
BOB = "bob@example.com"
"""Whose session is hijacked."""

Run = Callable[..., list[dict[str, Any]]]


def found_on(page: str, beginning: str) -> str:
    """Return the first command of a page that begins so; fails if there is none."""
    found = [each for each in _COMMAND.findall(text_of(page)) if each.startswith(beginning)]
    assert found, f"{page} has no command that begins with `{beginning}`"
    return str(found[0])


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A shell after the commands of "Try it on this machine"."""
    made = Shell(tmp_path_factory.mktemp("officer"), {})
    text = text_of(KEEP)
    section = text[text.index("## Try it on this machine") : text.index("## Switch it on")]
    public = ""
    for command in _COMMAND.findall(section):
        for told in made.run(command.replace("ed25519:...", public)):
            public = told.get("public_key", public)
    assert made.exported["STOPLOG_SETTINGS"] == "trial/stoplog.toml"
    return made


@pytest.fixture
def run(shell: Shell) -> Run:
    """Runs a command of a page, with texts that stand for others replaced: `run(page, beginning, SESSION="s-1")`."""

    def call(page: str, beginning: str, **places: str) -> list[dict[str, Any]]:
        command = found_on(page, beginning)
        for name, value in places.items():
            assert name in command, (name, command)
            command = command.replace(name, value)
        return shell.run(command)

    return call


def sessions(run: Run) -> dict[str, str]:
    """Return a session of each user, with its tenant."""
    return {
        each["sub"]: shlex.quote(f"{each['tenant_uid']}|{each['session_id']}") for each in run(KEEP, "stoplog session")
    }


def denied(run: Run, session: str) -> str:
    story = run(READ, "stoplog audit session SESSION", SESSION=session)
    return next(str(each["intent_id"]) for each in story if each["what"].startswith("denied mail/send"))


def test_an_auditor_reads_and_proves_the_record(run: Run, shell: Shell) -> None:
    session = sessions(run)[BOB]
    run(READ, "stoplog audit session SESSION --html", SESSION=session)
    assert "docs/vendor-notes.md" in (shell.folder / "story.html").read_text("utf-8")
    intent, keys = denied(run, session), "trial/seal-keys.json"
    (cause,) = run(READ, "stoplog audit why INTENT", INTENT=intent)
    assert {each["because"] for each in cause["causes"]} == {
        "it held `subject`, `to/0`",
        "it held `body`",
        "what the user had asked for",
    }
    assert run(READ, "stoplog audit export audit-archive")[-1]["records"] > 0
    tools = run(READ, 'stoplog audit query "select * from tools_by_agent')
    assert tools[0]["denied"] == max(each["denied"] for each in tools)
    given = {"seal-keys.json": keys}
    assert run(READ, "stoplog audit verify --keys", **given)[-1]["offences"] == 0
    assert run(READ, "stoplog audit export audit-archive --raw")[-1]["copied"] > 0
    assert run(READ, "stoplog audit verify --archive", **given)[-1]["offences"] == 0
    (made,) = run(READ, "stoplog audit prove", INTENT=intent, **given)
    (checked,) = run(READ, "stoplog audit check-receipt", **{"ed25519:...": made["key"]})
    assert (checked["holds"], checked["is_within"]) == (True, False)
    (incident,) = shell.run(f"stoplog incident export {session} --out tests/incidents")
    shell.run(incident["test"])


def test_a_privacy_officer_reads_moves_holds_and_erases(run: Run, shell: Shell) -> None:
    session = sessions(run)[BOB]
    tenant = shlex.split(session)[0].partition("|")[0]
    texts = [each["text"] for each in run(KEEP, "stoplog audit read", SESSION=session)]
    assert any("drop@collector.evil.example" in text for text in texts)
    # The secret of the demonstration is taken out before it is encrypted.
    assert any("DEPLOY_TOKEN=[secret: value]" in text for text in texts)

    run(KEEP, "stoplog keys content new", **{"acme.pem": "acme-2027.pem"})
    shell.exported["STOPLOG_CONTENT__KEYS"] = '{"*": "acme-2027.pem.pub"}'
    rewrapped = run(
        KEEP, "stoplog audit rewrap --tenant acme --key acme.pem", **{"--tenant acme": f"--tenant {tenant}"}
    )
    assert (rewrapped[-1]["left"], rewrapped[-1]["keys"] > 0) == ({}, True)
    read = run(KEEP, "stoplog audit read", SESSION=session, **{"acme.pem": "acme-2027.pem"})
    assert [each["text"] for each in read] == texts

    hold = {"ID": session}
    run(KEEP, "stoplog audit hold set", **hold)
    assert [each["id"] for each in run(KEEP, "stoplog audit hold list")] == [shlex.split(session)[0].partition("|")[2]]
    (held,) = run(KEEP, 'stoplog audit erase --user alice --why "request of 3 March" --dry-run', alice=BOB)
    assert held["record"] == "held"
    run(KEEP, "stoplog audit hold lift", **hold)
    run(KEEP, "stoplog audit erase --expired")

    erase = found_on(KEEP, 'stoplog audit erase --user alice --why "request of 3 March" --key').replace("alice", BOB)
    assert shell.run(f"{erase} --yes")[-1]["keys"] == 1
    story = run(READ, "stoplog audit session SESSION", SESSION=session)
    erased = [each["details"]["captured"] for each in story if each["details"].get("captured")]
    assert len(erased) == 6
    assert all(re.fullmatch(r"erased on \S+ \S+ by ann: request of 3 March", each) for each in erased)
    assert run(READ, "stoplog audit verify --keys", **{"seal-keys.json": "trial/seal-keys.json"})[-1]["offences"] == 0
