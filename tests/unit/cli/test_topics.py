"""`stoplog topics` on the embedded log."""

from __future__ import annotations

import re
from pathlib import Path

from streams.embedded import EmbeddedLog
from streams.model.topics import GATE_CHANGELOG, TOPICS
from streams.ports import Outgoing, TopicSpec
from streams.ports.processor import STREAM_TIME_KEY
from streams.wiring.clock import SystemClock
from tests.unit.cli.conftest import Stoplog


def test_apply_makes_every_topic_says_each_and_can_be_repeated(stoplog: Stoplog) -> None:
    result = stoplog("topics", "apply")
    assert result.status == 0
    assert {record["done"].split("`")[1] for record in result.records} == {
        *(topic.name for topic in TOPICS),
        "agent.outcome.default.v1",
    }
    again = stoplog("topics", "apply", "--no-json")
    assert again.status == 0
    assert again.out.startswith(f"nothing to do: all {len(TOPICS) + 1} topics of the embedded log")
    assert stoplog("topics", "check").status == 0


def test_apply_tells_a_person_how_many_topics_it_has_made_and_names_them_where_others_were_there(
    stoplog: Stoplog, home: Path
) -> None:
    where = "on the embedded log in .stoplog/log.sqlite"
    assert stoplog("topics", "apply", "--no-json").out.splitlines() == [f"{len(TOPICS) + 1} topics created {where}"]
    assert stoplog("topics", "apply", "--tenant", "acme", "--no-json").out.splitlines() == [
        "done: create topic `agent.outcome.acme.v1` with 6 partitions",
        f"1 topic created {where}",
    ]
    (home / ".stoplog" / "log.sqlite").unlink()
    assert len(stoplog("topics", "apply", "--verbose", "--no-json").out.splitlines()) == len(TOPICS) + 2


def test_check_says_what_differs_and_apply_mends_what_it_can(stoplog: Stoplog, home: Path) -> None:
    (home / ".stoplog").mkdir()
    log = EmbeddedLog(home / ".stoplog" / "log.sqlite", clock=SystemClock())
    log.admin().create(
        [
            TopicSpec("agent.intent.v1", 6, {"message.timestamp.type": "CreateTime"}),
            TopicSpec("agent.session.v1", 3, {}),
            TopicSpec("agent.revocation.v1", 2, {"cleanup.policy": "compact"}),
        ],
        1,
    )
    log.close()
    result = stoplog("topics", "check")
    assert result.status == 1
    differs = [record["differs"] for record in result.records if "differs" in record]
    assert "set `message.timestamp.type` of topic `agent.intent.v1` from `CreateTime` to `LogAppendTime`" in differs
    assert "create topic `agent.verdict.v1` with 6 partitions" in differs
    applied = stoplog("topics", "apply")
    assert applied.status == 1
    troubles = [record["trouble"] for record in applied.records if "trouble" in record]
    assert len(troubles) == 2
    assert any("3: agent.session.v1" in trouble for trouble in troubles)
    assert any("`agent.revocation.v1` has 2 partitions instead of 1" in trouble for trouble in troubles)
    rest = stoplog("topics", "check")
    assert rest.status == 1
    assert ["trouble" in record for record in rest.records] == [True, True]


def test_each_tenant_that_is_named_gets_a_topic(stoplog: Stoplog) -> None:
    stoplog("topics", "apply")
    assert stoplog("topics", "check", "--tenant", "acme").status == 1
    applied = stoplog("topics", "apply", "--tenant", "acme", "--tenant", "a.b c")
    assert [record["done"] for record in applied.records] == [
        "create topic `agent.outcome.acme.v1` with 6 partitions",
        "create topic `agent.outcome.a_2eb_20c.v1` with 6 partitions",
    ]
    assert stoplog("topics", "check", "--tenant", "acme").status == 0


def test_show_needs_no_log(stoplog: Stoplog, home: Path) -> None:
    result = stoplog("topics", "show")
    assert result.status == 0
    assert [record["topic"] for record in result.records] == [
        *(topic.name for topic in TOPICS),
        "agent.outcome.<tenant>.v1",
    ]
    assert list(home.iterdir()) == []
    table = stoplog("topics", "show", "--no-json").out
    assert all(topic.name in table for topic in TOPICS)


def test_looking_never_makes_a_log(stoplog: Stoplog, home: Path) -> None:
    assert stoplog("topics", "check").status == 1
    assert list(home.iterdir()) == []


def test_an_unknown_role_in_the_settings_is_told(stoplog: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text('[topics.principals]\ngatee = ["User:g"]')
    stoplog("topics", "apply")
    result = stoplog("topics", "check")
    assert result.status == 1
    assert "did you mean `gate`?" in result.err


def test_principals_on_a_log_without_access_control_are_told(stoplog: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text(
        '[topics.principals]\ngate = ["User:g"]\n[topics.instances]\n"User:g" = ["gate-1"]\n'
    )
    result = stoplog("topics", "apply")
    assert result.status == 1
    assert "no authorizer" in result.records[-1]["trouble"]


def test_time_shows_a_partition_that_is_far_ahead_and_says_what_to_do(stoplog: Stoplog, home: Path) -> None:
    assert stoplog("topics", "apply").status == 0
    assert stoplog("topics", "time", "--no-json").out == "no partition has had input yet\n"
    clock = SystemClock()
    log = EmbeddedLog(home / ".stoplog" / "log.sqlite", clock=clock)
    publisher = log.publisher()
    for partition, ahead_ms in ((0, 0), (1, 30 * 24 * 3_600_000)):
        row = (clock.now_ms() + ahead_ms).to_bytes(8, "big")
        publisher.publish(Outgoing(GATE_CHANGELOG.name, partition, STREAM_TIME_KEY, row))
    publisher.flush(10_000)
    log.close()
    result = stoplog("topics", "time")
    assert result.status == 1
    assert [(record["partition"], record["far_ahead"]) for record in result.records] == [(0, False), (1, True)]
    table = stoplog("topics", "time", "--no-json")
    assert re.search(r"\b(29|30) days ahead +far ahead", table.out)
    assert re.search(r"\b\d+ s behind", table.out)
    assert "--reset-time" in table.out
