"""What an executor's servers list, watched; and what becomes of a change: a blocked tool and an alert."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.audit.signatures import SigningKey
from streams.model.alert import Alert
from streams.model.audit import AuditEvent
from streams.model.catalog import EntryState
from streams.model.topics import ALERT, AUDIT_REPORTED
from streams.operations.catalog.decision import draft_approval, publish_decisions, sign_entry
from streams.operations.catalog.definition_change import watch_reports
from streams.operations.catalog.history import read_catalog_history
from streams.operations.catalog.proposal import import_tools
from streams.operations.operator import Operator
from streams.operations.signing_keys import make_key_file
from streams.operations.topics.application import carry_out, make_plan
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import PublishError
from streams.sdk.mcp.definition_watch import DefinitionWatch
from streams.sdk.mcp.tools import McpServerProcess
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings
from tests.unit.sdk.raw_mcp_server import command_of, lists, tool
from tests.waiting import until

NAME = ("raw", "echo")


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return make_key_file(tmp_path / "ann.pem")


@pytest.fixture
def operator(tmp_path: Path, key: SigningKey) -> Iterator[Operator]:
    settings = Settings(
        state_dir=tmp_path / "state", topics={"partitions": 2}, catalog={"reviewers": {"ann": str(key.public)}}
    )
    with open_log(settings) as log:
        admin = log.admin()
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
        admin.close()
    with open_operator(settings, "carol") as made:
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[McpServerProcess]:
    lists(tmp_path, tool("echo"), tool("other"))
    with McpServerProcess("raw", sys.executable, command_of(tmp_path)) as running:
        yield running


@pytest.fixture
def approved(operator: Operator, server: McpServerProcess, key: SigningKey) -> None:
    import_tools(operator, "raw", server.list_tools(), {})
    history = read_catalog_history(operator)
    (listed,) = history.open_proposals(NAME)
    publish_decisions(operator, [sign_entry(draft_approval(operator, history, listed), key)])


def watched(operator: Operator, server: McpServerProcess, poll_ms: int = 3_600_000) -> DefinitionWatch:
    transport = Transport(operator.log, operator.codec, operator.clock)
    return DefinitionWatch(transport, [server], source="executor/raw", tenant_uid="default", poll_ms=poll_ms)


def state(operator: Operator) -> EntryState | None:
    entry = read_catalog_history(operator).in_force.get(NAME)
    return None if entry is None else entry.state


def alerts(operator: Operator) -> list[Alert]:
    return [found.record for found in operator.find(ALERT) if isinstance(found.record, Alert)]


@pytest.mark.usefixtures("approved")
def test_a_change_is_reported_blocked_and_told_once(
    operator: Operator, server: McpServerProcess, tmp_path: Path, key: SigningKey
) -> None:
    with watched(operator, server) as watch:
        assert watch.look() == 0
        lists(tmp_path, tool("echo", description="now something else"), tool("other"))
        assert watch.look() == 1
        assert watch.look() == 0
    assert state(operator) is EntryState.APPROVED
    (blocked,) = watch_reports(operator, follows=False)
    assert blocked.reported_by == "executor/raw"
    assert state(operator) is EntryState.BLOCKED
    (alert,) = alerts(operator)
    assert (alert.types, alert.attacks[0].technique_uid) == (("ASI04",), "AML.T0109")
    assert json.loads(alert.ocsf_json or "")["class_uid"] == 2004
    assert list(watch_reports(operator, follows=False)) == []
    assert len(alerts(operator)) == 1
    # What was reported before somebody approved it again is over.
    history = read_catalog_history(operator)
    listed = history.approved(NAME)
    assert listed is not None
    publish_decisions(operator, [sign_entry(draft_approval(operator, history, listed), key)])
    assert list(watch_reports(operator, follows=False)) == []
    assert state(operator) is EntryState.APPROVED


@pytest.mark.usefixtures("approved")
def test_a_server_that_says_so_is_looked_at_at_once(
    operator: Operator, server: McpServerProcess, tmp_path: Path
) -> None:
    with watched(operator, server):
        lists(tmp_path, tool("echo", description="now something else"), tool("other"))
        server.call("tell_changed", {})
        until(lambda: any(isinstance(found.record, AuditEvent) for found in operator.find(AUDIT_REPORTED)))
    assert len(list(watch_reports(operator, follows=False))) == 1


def test_a_server_that_always_says_so_does_not_take_the_processor(operator: Operator, tmp_path: Path) -> None:
    # It takes a while to digest so many numbers, and after each listing the server says that it has changed.
    numbers = [[0.1] * 1_000 for _ in range(20)]
    lists(tmp_path, *(tool(f"t{number}", annotations={"numbers": numbers}) for number in range(4)))
    listings = tmp_path / "listings"
    listings.touch()
    with (
        McpServerProcess("raw", sys.executable, command_of(tmp_path)) as running,
        watched(operator, running) as watch,
    ):
        began_s = time.monotonic()
        watch.look()
        look_s = time.monotonic() - began_s
        window_s = max(3.0, 6 * look_s)
        before = len(listings.read_text())
        time.sleep(window_s)
        looks = len(listings.read_text()) - before
    # One may be under way at each end.
    assert looks <= 2 + window_s / (9 * look_s)


@pytest.mark.usefixtures("approved")
def test_one_that_says_nothing_is_asked_now_and_then(
    operator: Operator, server: McpServerProcess, tmp_path: Path
) -> None:
    with watched(operator, server, poll_ms=50):
        lists(tmp_path, tool("echo", description="now something else"), tool("other"))
        until(lambda: any(isinstance(found.record, AuditEvent) for found in operator.find(AUDIT_REPORTED)))


@pytest.mark.usefixtures("approved")
def test_what_could_not_be_reported_is_with_the_next_look(
    operator: Operator, server: McpServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it could not."""
    monkeypatch.setattr("streams.sdk.mcp.definition_watch.REPORTS_PER_SERVER_MAX", 2)

    def fails(*_: object) -> None:
        raise PublishError("the log is away")

    with watched(operator, server) as watch:
        lists(tmp_path, tool("echo", description="now something else"), tool("other"))
        with monkeypatch.context() as broken:
            broken.setattr("streams.sdk.mcp.definition_watch.publish", fails)
            for _ in range(5):
                with pytest.raises(PublishError):
                    watch.look()
        assert watch.look() == 1
    assert len(list(watch_reports(operator, follows=False))) == 1


@pytest.mark.usefixtures("approved")
def test_reports_about_other_tools_stop_nothing(operator: Operator, server: McpServerProcess, tmp_path: Path) -> None:
    with watched(operator, server) as watch:
        lists(tmp_path, tool("echo"), tool("other", description="never approved"))
        watch.look()
        lists(tmp_path, tool("echo"))
        assert watch.look() == 1
        lists(tmp_path, tool("echo", description="x"))
        watch.look()
        lists(tmp_path, tool("echo"))
        watch.look()
    # Of the last two the first is a change and the second the way back; only the change stops.
    assert [blocked.entry.name for blocked in watch_reports(operator, follows=False)] == ["echo"]
    assert len(alerts(operator)) == 1
