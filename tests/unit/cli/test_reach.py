"""`stoplog reach` as a child process on the embedded log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.records import SessionMaker, entry_key, revocation
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.model.delegation import Delegation
from streams.model.keys import partition_for
from streams.model.revocation import RevocationKind
from streams.model.topics import CATALOG, DELEGATION, REVOCATION, Topic
from streams.model.types import Record
from streams.ports import Outgoing
from streams.wiring.clock import SystemClock
from tests.kit import FILES_READ, MAIL_SEND, WEB_FETCH
from tests.unit.delegation.family import MAIL_INSIDE, tool, tools

REPOSITORY = Path(__file__).resolve().parents[3]
SETTINGS = """
tenant = "acme"
[topics]
partitions = 2
[catalog]
allow_unsigned = true
[gate.trust_anchors]
"https://issuer.example" = "hmac"
"""


class Deployment:
    """A folder with topics and a root key; what is written to its log, and what the command says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stoplog.toml").write_text(SETTINGS)
        self.run("topics", "apply")
        self.run("keys", "new")
        self.root_key = (folder / ".stoplog" / "root.key").read_bytes()
        self.now_ms = SystemClock().now_ms()
        self._codec = Codec(CommittedSchemas.load())

    def run(self, *args: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("STOPLOG_")}
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *args],
            cwd=self.folder,
            env={**clean, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done
        assert "Traceback" not in done.stderr
        return done

    def reach(self, *args: str) -> list[dict[str, object]]:
        done = self.run("reach", "--agent", "writer", "--user", "alice", *args, "--json")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def write(self, topic: Topic, *records: tuple[bytes, Record]) -> None:
        log = EmbeddedLog(self.folder / ".stoplog" / "log.sqlite", clock=SystemClock())
        publisher = log.publisher()
        for key, record in records:
            count = 2 if topic is DELEGATION else 1
            value = self._codec.encode(topic.name, record)
            publisher.publish(Outgoing(topic.name, partition_for(key, count), key, value))
        publisher.flush(10_000)
        publisher.close()
        log.close()


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def grants(deployment: Deployment) -> list[tuple[bytes, Delegation]]:
    """A mother's, and two of her daughters', one of which has expired."""
    now_ms, root_key = deployment.now_ms, deployment.root_key
    mother = SessionMaker("s-1", act="planner", root_key=root_key)
    daughter = SessionMaker("s-2", act="writer", root_key=root_key)
    gone = SessionMaker("s-3", act="writer", root_key=root_key)
    root = mother.grant("g-1", now_ms - 10, authorization_details=tools(MAIL_INSIDE, tool("files", "*")))
    hop = mother.handed_on(root, "g-2", now_ms, daughter)
    over = mother.handed_on(root, "g-3", now_ms - 5, gone, exp=now_ms - 1)
    return [(mother.key, root), (daughter.key, hop), (gone.key, over)]


def test_it_tells_tools_bounds_and_grants(deployment: Deployment) -> None:
    entries = [(entry_key(entry), entry) for entry in (FILES_READ, MAIL_SEND, WEB_FETCH)]
    deployment.write(CATALOG, *entries)
    deployment.write(DELEGATION, *grants(deployment))
    files, mail, dead = deployment.reach()
    assert (files["tool"], files["constraints"], files["delegation_path"]) == ("files/read", [], ["g-1", "g-2"])
    assert mail["tool"] == "mail/send"
    assert [bound["argument"] for bound in mail["constraints"]] == ["/to", "/text"]
    assert (files["unbounded"], files["unbounded_arguments"]) == (["arguments", "calls", "amount"], ["*"])
    # The grant names `/text`, but admits any value.
    assert mail["unbounded_arguments"] == ["/text"]
    assert (dead["delegation_uid"], dead["reason"]) == ("g-3", "delegation_expired")
    table = deployment.run("reach", "--agent", "writer", "--user", "alice", "--no-json").stdout
    assert "/to wildcard" in table
    assert "g-1 > g-2" in table
    assert "/text any" in table
    assert "no limit" in table
    assert "sessions without a grant" not in table
    assert not deployment.reach("--tenant", "other")
    deployment.write(REVOCATION, revocation(RevocationKind.DELEGATION, "g-1", time_ms=deployment.now_ms))
    assert {str(record["reason"]) for record in deployment.reach()} == {"revoked_delegation", "delegation_expired"}


@pytest.mark.parametrize("anchors", [True, False])
def test_sessions_without_a_grant_are_unbounded_where_they_are_accepted(deployment: Deployment, anchors: bool) -> None:
    settings = SETTINGS if anchors else SETTINGS[: SETTINGS.index("[gate.")]
    accepting = settings.replace("[catalog]", "[gate]\nrequire_delegation = false\n[catalog]") if anchors else settings
    (deployment.folder / "stoplog.toml").write_text(accepting)
    (said,) = deployment.reach()
    assert said == {"sessions_without_grant": "accepted", "unbounded": ["tools", "arguments", "calls", "amount"]}
    told = " ".join(deployment.run("reach", "--agent", "writer", "--user", "alice", "--no-json").stdout.split())
    assert told.startswith("no grant in force lets this agent call a tool for this user")
    assert "sessions without a grant are not limited by this" in told


def test_what_can_not_be_read_is_left_out_and_told(deployment: Deployment) -> None:
    deployment.write(CATALOG, (entry_key(FILES_READ), FILES_READ))
    (_, root), (key, hop), _ = grants(deployment)
    assert root.uid == "g-1"
    deployment.write(DELEGATION, (key, hop))
    log = EmbeddedLog(deployment.folder / ".stoplog" / "log.sqlite", clock=SystemClock())
    publisher = log.publisher()
    publisher.publish(Outgoing(DELEGATION.name, 0, b"acme|s-9", b"nonsense"))
    publisher.flush(10_000)
    publisher.close()
    log.close()
    assert [record["tool"] for record in deployment.reach()] == ["files/read"]


def test_without_a_root_key_nothing_can_be_told(deployment: Deployment) -> None:
    (deployment.folder / ".stoplog" / "root.key").unlink()
    done = deployment.run("reach", "--agent", "writer", "--user", "alice", status=1)
    assert "copy that of the gates of this log" in done.stderr
    assert "keys new" not in done.stderr
