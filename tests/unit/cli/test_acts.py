"""Revocations, approvals, rules, catalog and keys at the command line: what is asked for, and what is refused."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.codec.instants import format_instant
from streams.codec.ocsf import detection_finding, ocsf_bytes
from streams.embedded.log import EmbeddedLog
from streams.model.topics import ALERT_OCSF
from streams.ports import Outgoing
from streams.wiring import operators as wiring_operators
from streams.wiring.clock import SystemClock
from tests.unit.cli.conftest import Stoplog
from tests.unit.codec.test_ocsf import FULL
from tests.waiting import until

RULES = str(Path(__file__).parents[2] / "golden" / "try" / "rules")


class AnHourBehind(SystemClock):
    """A machine's clock that is wrong."""

    def now_ms(self) -> int:
        return super().now_ms() - 3_600_000


@pytest.fixture
def deployed(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> Stoplog:
    monkeypatch.setenv("STOPLOG_RULES__ALLOW_UNSIGNED", "true")
    monkeypatch.setenv("STOPLOG_RELEASE__ALLOW_UNSIGNED", "true")
    assert stoplog("topics", "apply").status == 0
    return stoplog


@pytest.fixture
def releaser(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The file of a releaser's key. Releases need a signature."""
    path = tmp_path / "ann.key"
    monkeypatch.setenv("STOPLOG_RULES__ALLOW_UNSIGNED", "true")
    (made,) = stoplog("keys", "releaser", "new", "--out", str(path)).records
    monkeypatch.setenv("STOPLOG_RELEASE__RELEASERS", json.dumps({"ann": made["public_key"]}))
    assert stoplog("topics", "apply").status == 0
    return str(path)


class TestRelease:
    def test_with_the_key_of_a_releaser(self, stoplog: Stoplog, releaser: str) -> None:
        stoplog("kill", "--all", "--why", "because")
        (record,) = stoplog("release", "--all", "--why", "over", "--key", releaser).records
        assert (record["kind"], record["state"]) == ("ALL", "RELEASED")
        stored = stoplog("tail", "revocations", "--no-follow").records[-1]["value"]
        assert stored["lifts_before"] == 1
        assert stored["proof"]["alg"] == "ED25519"

    def test_a_longer_stop_counts_though_a_shorter_one_of_the_name_has_ended(
        self, stoplog: Stoplog, releaser: str
    ) -> None:
        stoplog("kill", "--agent", "helper", "--why", "x")
        (short,) = stoplog("kill", "--agent", "helper", "--why", "x", "--until", "1s").records
        until(lambda: SystemClock().now_ms() > short["until_ms"])
        result = stoplog("release", "--agent", "helper", "--why", "over", "--key", releaser)
        assert ([record["was_stopped"] for record in result.records], result.err) == ([True], "")

    def test_without_a_key_nothing_is_written(self, stoplog: Stoplog, releaser: str) -> None:
        stoplog("kill", "--all", "--why", "because")
        result = stoplog("release", "--all", "--why", "over")
        assert result.status == 1
        assert "give the key with `--key FILE`" in result.err
        assert len(stoplog("tail", "revocations", "--no-follow").records) == 1

    def test_with_the_key_of_somebody_else(self, stoplog: Stoplog, releaser: str, tmp_path: Path) -> None:
        path = str(tmp_path / "eve.key")
        stoplog("keys", "releaser", "new", "--out", path)
        result = stoplog("release", "--all", "--why", "over", "--key", path)
        assert result.status == 1
        assert "is not the key of a releaser" in result.err
        assert stoplog("tail", "revocations", "--no-follow").records == []

    def test_of_a_kind_that_the_releaser_may_not_release(
        self, stoplog: Stoplog, releaser: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STOPLOG_RELEASE__KINDS", json.dumps({"ann": ["SESSION"]}))
        result = stoplog("release", "--all", "--why", "over", "--key", releaser)
        assert result.status == 1
        assert "may not release that" in result.err
        stoplog("kill", "--session", "s-1", "--why", "because")
        assert stoplog("release", "--session", "s-1", "--why", "over", "--key", releaser).status == 0


class TestKill:
    @pytest.mark.parametrize(
        ("options", "kind", "target"),
        [
            (("--session", "s-1"), "SESSION", "default|s-1"),
            (("--session", "default|s|1"), "SESSION", "default|s|1"),
            (("--agent", "helper"), "AGENT", "default|helper"),
            (("--user", "default|alice"), "SUBJECT", "default|alice"),
            (("--tool", "mail/send"), "TOOL", "mail/send"),
            (("--tool", "mail/*"), "TOOL", "mail/*"),
            (("--model", "lab/m"), "MODEL", "lab/m"),
            (("--tenant", "acme"), "TENANT", "acme"),
            (("--delegation", "d-1"), "DELEGATION", "d-1"),
            (("--rules", "ab" * 32), "RULESET", "ab" * 32),
            (("--all",), "ALL", "*"),
        ],
    )
    def test_what_is_taken_back_and_given_back(
        self, deployed: Stoplog, options: tuple[str, ...], kind: str, target: str
    ) -> None:
        for command, state in (("kill", "REVOKED"), ("release", "RELEASED")):
            (record,) = deployed(command, *options, "--why", "because", "--as", "ann").records
            assert (record["kind"], record["id"], record["state"]) == (kind, target, state)
            assert (record["reason"], record["by"]) == ("because", "ann")
        stored = deployed("tail", "revocations", "--no-follow").records
        assert [record["value"]["state"] for record in stored] == ["REVOKED", "RELEASED"]
        assert {record["key"] for record in stored} == {f"{kind}:{target}"}

    def test_a_release_of_what_was_never_stopped_says_so(self, deployed: Stoplog) -> None:
        deployed("kill", "--agent", "helper", "--why", "x")
        assert deployed("release", "--agent", "helper", "--why", "x").err == ""
        # Nothing lists all models, so whether there is one of this name is not known.
        for again in (("--agent", "helper"), ("--model", "lab/m"), ("--all",)):
            result = deployed("release", *again, "--why", "x")
            assert result.status == 0
            assert "was in force by this name" in result.err
            assert "stoplog tail revocations --no-follow" in result.err

    @pytest.mark.parametrize(
        "option",
        [
            ("--session", "s-12345678"),
            ("--agent", "halper"),
            ("--user", "nobody"),
            ("--tool", "a/b"),
            ("--tenant", "t"),
        ],
    )
    def test_a_release_of_a_name_of_which_there_is_nothing_fails(
        self, deployed: Stoplog, option: tuple[str, str]
    ) -> None:
        result = deployed("release", *option, "--why", "x")
        assert (result.status, result.out) == (1, "")
        assert "error: nothing is released: the embedded log in " in result.err
        assert "stoplog tail revocations --no-follow" in result.err
        assert deployed("tail", "revocations", "--no-follow").records == []

    def test_a_release_of_a_misspelled_name_names_the_stop_that_may_be_meant(self, deployed: Stoplog) -> None:
        for name in ("helper", "mailer"):
            deployed("kill", "--agent", name, "--why", "x")
        deployed("release", "--agent", "mailer", "--why", "x")
        failed = deployed("release", "--agent", "halper", "--why", "it's over")
        assert failed.status == 1
        # What is not stopped can't be meant.
        (command,) = failed.err.splitlines()[1:]
        meant = deployed(*shlex.split(command)[1:])
        assert [(each["id"], each["was_stopped"]) for each in meant.records] == [("default|helper", True)]

    def test_a_release_of_a_stop_that_has_ended_by_itself_says_so(self, deployed: Stoplog) -> None:
        (stop,) = deployed("kill", "--agent", "helper", "--why", "x", "--until", "1s").records
        until(lambda: SystemClock().now_ms() > stop["until_ms"])
        result = deployed("release", "--agent", "helper", "--why", "x")
        assert result.status == 0
        assert f"the last one ended by itself at {format_instant(stop['until_ms'])}" in result.err
        assert [record["was_stopped"] for record in result.records] == [False]
        deployed("kill", "--agent", "helper", "--why", "x", "--until", "1h")
        in_force = deployed("release", "--agent", "helper", "--why", "x")
        assert ([record["was_stopped"] for record in in_force.records], in_force.err) == ([True], "")

    def test_only_what_was_stopped_is_told_to_be_released(self, deployed: Stoplog) -> None:
        deployed("kill", "--agent", "helper", "--why", "x")
        first, again = (deployed("release", "--agent", "helper", "--why", "x", "--no-json").out for _ in range(2))
        assert "agent default|helper is released" in first
        assert "is released" not in again
        assert "no stop of it was in force" in again

    def test_a_name_that_could_be_of_another_tenant_is_not_guessed_at(self, deployed: Stoplog) -> None:
        result = deployed("kill", "--user", "auth0|5f7c", "--why", "because")
        assert result.status == 1
        assert "write `default|auth0|5f7c`" in result.err
        assert deployed("tail", "revocations", "--no-follow").records == []

    @pytest.mark.parametrize("options", [(), ("--all", "--session", "s"), ("--tool", "a/b", "--tenant", "c")])
    def test_one_thing_is_named(self, deployed: Stoplog, options: tuple[str, ...]) -> None:
        result = deployed("kill", *options, "--why", "x")
        assert result.status == 2
        assert "give exactly one of --session" in result.err

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--tool", "send"), ("--tool", "/send"), ("--session", " "), ("--model", "m"), ("--rules", "default")],
    )
    def test_a_name_that_is_none(self, deployed: Stoplog, option: str, value: str) -> None:
        result = deployed("kill", option, value, "--why", "x")
        assert result.status == 2
        assert deployed("tail", "revocations", "--no-follow").records == []

    @pytest.mark.parametrize(("stated", "meant"), [("mail.send", "mail/send"), ("mail.*", "mail/*")])
    def test_a_tool_as_rules_write_it_is_told_as_stops_do(self, deployed: Stoplog, stated: str, meant: str) -> None:
        result = deployed("kill", "--tool", stated, "--why", "x")
        assert (result.status, f"did you mean `{meant}`?" in result.err) == (2, True)

    @pytest.mark.parametrize(("until", "ahead_ms"), [("30m", 1_800_000), ("2d", 172_800_000)])
    def test_it_goes_on_by_itself(self, deployed: Stoplog, until: str, ahead_ms: int) -> None:
        (record,) = deployed("kill", "--all", "--why", "x", "--until", until).records
        assert record["until_ms"] - record["effective_ms"] == pytest.approx(ahead_ms, abs=5_000)
        (stored,) = deployed("tail", "revocations", "--no-follow").records
        assert stored["value"]["until"] == record["until_ms"]
        assert deployed("kill", "--all", "--why", "x", "--until", "2999-01-01T00:00:00Z").status == 0

    def test_an_end_that_is_over_by_the_time_of_the_log_is_an_error(
        self, deployed: Stoplog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The clock of the machine where somebody stops something can be behind."""
        monkeypatch.setattr(wiring_operators, "SystemClock", AnHourBehind)
        ended = deployed("kill", "--all", "--why", "x", "--until", "30m")
        assert ended.status == 1
        assert "nothing is stopped: the stop ends at" in ended.err
        assert "set the clock of this machine" in ended.err
        early = deployed("kill", "--all", "--why", "x", "--until", "2h")
        assert early.status == 0
        assert "warning: the stop ends at" in early.err
        assert "set the clock of this machine" not in deployed("kill", "--all", "--why", "x").err

    @pytest.mark.parametrize("until", ["soon", "0m", "2001-01-01T00:00:00Z", "1y", ""])
    def test_an_end_that_is_none(self, deployed: Stoplog, until: str) -> None:
        result = deployed("kill", "--all", "--why", "x", "--until", until)
        assert result.status == 2
        assert deployed("tail", "revocations", "--no-follow").records == []

    def test_a_person_is_told_how_to_undo_it(self, deployed: Stoplog) -> None:
        out = deployed("kill", "--session", "s-1", "--why", "x", "--no-json").out
        assert "session default|s-1 is stopped" in out
        assert "stoplog release --session 'default|s-1' --why TEXT" in out

    def test_a_key_is_named_where_a_release_needs_one(self, stoplog: Stoplog, releaser: str) -> None:
        out = stoplog("kill", "--session", "s-1", "--why", "x", "--no-json").out
        assert "stoplog release --session 'default|s-1' --key FILE --why TEXT" in out

    def test_the_command_to_undo_it_runs_nothing_else(self, deployed: Stoplog) -> None:
        out = deployed("kill", "--agent", "x'; rm -rf '", "--why", "x", "--no-json").out
        (command,) = (line for line in out.splitlines() if line.startswith("to undo: "))
        words = shlex.split(command.removeprefix("to undo: "))
        assert words == ["stoplog", "release", "--agent", "default|x'; rm -rf '", "--why", "TEXT"]


class TestRules:
    def test_publish_counts_up_and_refuses_what_gates_would(self, deployed: Stoplog, home: Path) -> None:
        for is_new in (True, False):
            (record,) = deployed("rules", "publish", RULES).records
            assert (record["serial"], record["published"]) == (1, is_new)
        shipped = str(Path(__file__).parents[3] / "rules")
        assert deployed("rules", "publish", shipped).records[0]["serial"] == 2
        assert deployed("rules", "publish", RULES).records[0]["serial"] == 3
        assert deployed("rules", "publish", RULES, "--name", "other").records[0]["serial"] == 1
        (home / "bundle.yaml").write_text("rules: [")
        (home / "p").mkdir()
        (home / "p" / "p.rules.yaml").write_text("rules: []")
        result = deployed("rules", "publish", str(home))
        assert result.status == 1
        assert "bundle rejected" in result.err
        assert (
            "enforce bundle `default`, not this one"
            in deployed("rules", "publish", RULES, "--name", "o", "--no-json").out
        )


class TestKeys:
    def test_a_key_is_made_once_and_for_its_owner_alone(self, stoplog: Stoplog, home: Path) -> None:
        assert stoplog("keys", "new").records == [{"root_key": ".stoplog/root.key"}]
        key = home / ".stoplog" / "root.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        content = key.read_bytes()
        assert len(content) == 64
        again = stoplog("keys", "new")
        assert again.status == 1
        assert "exists already" in again.err
        assert key.read_bytes() == content
        assert stoplog("keys", "new", "--out", "other.key").records == [{"root_key": "other.key"}]


class TestGate:
    def test_without_a_key_it_says_what_to_do(self, deployed: Stoplog) -> None:
        result = deployed("gate")
        assert result.status == 1
        assert result.err.endswith("create it with `stoplog keys new`, or copy that of the other gates\n")

    def test_without_a_log_it_says_what_to_do(self, stoplog: Stoplog) -> None:
        stoplog("keys", "new")
        result = stoplog("gate")
        assert result.status == 1
        assert "`stoplog topics apply`" in result.err


class TestTail:
    def test_a_topic_that_is_not_there(self, stoplog: Stoplog, home: Path) -> None:
        (home / ".stoplog").mkdir()
        result = stoplog("tail", "verdicts", "--no-follow")
        assert result.status == 1
        assert "`stoplog topics apply`" in result.err

    def test_a_subject_that_is_none(self, deployed: Stoplog) -> None:
        result = deployed("tail", "verdict")
        assert result.status == 2
        assert "`verdicts`" in result.err

    def test_nothing_is_nothing(self, deployed: Stoplog) -> None:
        for subject in (
            "verdicts",
            "audit",
            "alerts",
            "ocsf",
            "intents",
            "sessions",
            "approvals",
            "deadletters",
            "checkpoints",
        ):
            result = deployed("tail", subject, "--no-follow")
            assert (result.status, result.out, result.err) == (0, "", "")
        assert deployed("tail", "audit", "--no-follow", "--no-json").out.endswith("\nthere is no record\n")
        none = deployed("tail", "audit", "--no-follow", "--no-json", "--session", "nobody-knows-it").out
        assert none.endswith("\nno record matches\n")

    def test_events_of_ocsf_are_printed_as_they_are(self, deployed: Stoplog, home: Path) -> None:
        (event, text), other = event_of("s-1"), event_of("s-2")[1]
        put_events(home, [text, other, b"nonsense", b"[]"])
        result = deployed("tail", "ocsf", "--no-follow")
        assert result.out.splitlines()[:2] == [text.decode(), other.decode()]
        faults = [record["value"]["fault"] for record in result.records if record.get("record") == "unreadable"]
        assert len(faults) == 2
        for session in ("s-1", "acme|s-1"):
            assert deployed("tail", "ocsf", "--no-follow", "--session", session).records == [event]
        assert deployed("tail", "ocsf", "--no-follow", "--tenant", "other").records == []


def event_of(session_id: str) -> tuple[dict[str, Any], bytes]:
    """An event, and its text."""
    alert = msgspec.structs.replace(FULL, session_id=session_id)
    return detection_finding(alert), ocsf_bytes(alert)


def put_events(home: Path, values: list[bytes]) -> None:
    put(home, [Outgoing(ALERT_OCSF.name, 0, b"key", value, ()) for value in values])


def put(home: Path, records: list[Outgoing]) -> None:
    log = EmbeddedLog(home / ".stoplog" / "log.sqlite", clock=SystemClock())
    publisher = log.publisher()
    for record in records:
        publisher.publish(record)
    publisher.flush(10_000)
    publisher.close()
    log.close()


class TestSsf:
    def test_with_nobody_to_hear_and_nobody_to_tell_it_does_not_run(self, deployed: Stoplog) -> None:
        deployed("keys", "new")
        result = deployed("ssf", "--port", "0")
        assert result.status == 1
        assert "`[ssf.transmitters.NAME]`" in result.err

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("STOPLOG_SSF__HOST", "0.0.0.0", "in the clear"),  # noqa: S104 - refused
            ("STOPLOG_SSF__RECEIVERS", '{"soc": {"url": "http://soc.example", "audience": "a"}}', "use https"),
            ("STOPLOG_SSF__RECEIVERS", '{"soc": {"url": "soc", "audience": "a"}}', "must be a URL"),
        ],
    )
    def test_settings_that_make_no_sense(
        self, deployed: Stoplog, monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str
    ) -> None:
        monkeypatch.setenv(name, value)
        result = deployed("ssf")
        assert result.status == 2
        assert text in result.err
