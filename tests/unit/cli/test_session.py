"""`stoplog session` over what gates, executors and token services have written."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import Mock

import msgspec
import pytest

from simulation.records import UNTRUSTED, SessionMaker, agent, header
from streams.cli.terminal import screen
from streams.embedded.reader import EmbeddedReader
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.delegation import ArgumentConstraint, AuthorizationDetail, ConstraintType, GrantBody, ToolGrant
from streams.model.reasons import Reason
from streams.model.session import SessionEventType
from streams.model.topics import AUDIT, AUDIT_REPORTED, REPORT, SESSION, VERDICT
from streams.model.types import Proof, ProofAlg, Record
from streams.model.verdict import Outcome
from streams.operations.sessions.search import SHORT_CHARS_MIN
from streams.operations.short_ids import short_ids
from streams.operations.topics.reader import TopicReadError
from streams.ports import TopicPartition
from streams.sdk.errors import PublishError
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.kit import FILES_READ, WEB_FETCH
from tests.records import BY_RECORD
from tests.unit.cli.conftest import Stoplog
from tests.unit.sdk.hands import verdict_on

replace = msgspec.structs.replace
HOUR_MS = 3_600_000


@pytest.fixture
def deployed(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> Stoplog:
    monkeypatch.setenv("STOPLOG_RELEASE__ALLOW_UNSIGNED", "true")
    assert stoplog("topics", "apply").status == 0
    return stoplog


class Writer:
    """Writes records of sessions on the log of the settings."""

    def __init__(self) -> None:
        self.operator = open_operator(load_settings())
        self.now_ms = self.operator.clock.now_ms()

    def put(self, maker: SessionMaker, records: Sequence[Record]) -> None:
        for record in records:
            head = record.header
            self.operator.write(BY_RECORD[type(record)], [(maker.key, record, head)])

    def open(self, name: str, *, parent: str | None = None, **who: str) -> SessionMaker:
        maker = SessionMaker(name, tenant="default", **who)
        event = replace(
            maker.established(self.now_ms, scopes=("web:read", "mail:send")), parent_session_id=parent, attended=True
        )
        self.put(maker, [event])
        return maker


@pytest.fixture
def writer(deployed: Stoplog) -> Writer:
    return Writer()


def end_of(maker: SessionMaker, reason: Reason, time_ms: int) -> AuditEvent:
    return AuditEvent(
        header=header(f"end {maker.session_id}", time_ms, "default"),
        event_type=AuditEventType.SESSION,
        session_id=maker.session_id,
        act=maker.act,
        reason=reason.value,
        reason_text="it was over",
    )


class TestShow:
    def test_what_was_reported_is_shown_and_what_nobody_has_proven_is_not(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        maker = writer.open("s-1")
        proven = maker.event(SessionEventType.RETRIEVAL, writer.now_ms, label=UNTRUSTED)
        forged = maker.event(SessionEventType.MEMORY_READ, writer.now_ms, unproven={"proof": None})
        writer.operator.write(REPORT, [(maker.key, event, event.header) for event in (proven, forged)])
        (shown,) = deployed("session", "show", "s-1").records
        assert [line["what"] for line in shown["read"]] == ["retrieval"]

    def test_all_that_is_known_of_a_session(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1", parent="s-0")
        root = maker.grant("g-0", writer.now_ms, session_id="s-00", act=agent("boss"), scopes=("web:read", "x"))
        body = GrantBody(**{name: getattr(root, name) for name in GrantBody.__struct_fields__})
        grant = replace(maker.grant("g-1", writer.now_ms, parent_uid="g-0", root_uid="g-0", depth=1), chain=(body,))
        intent = maker.intent(WEB_FETCH, {"url": "https://a.example"}, writer.now_ms)
        verdicts = [
            verdict_on(intent),
            verdict_on(maker.intent(WEB_FETCH, {"url": "b"}, writer.now_ms), Outcome.DENY),
        ]
        narrowed = maker.event(
            SessionEventType.TOKEN_CLAIMS_CHANGE,
            writer.now_ms,
            scopes=("web:read", "all"),
            expires=writer.now_ms + 60_000,
        )
        writer.put(maker, [grant, *verdicts, maker.result(intent, writer.now_ms, label=UNTRUSTED), narrowed])
        (shown,) = deployed("session", "show", "s-1").records
        assert (shown["state"], shown["act"]["sub"], shown["sub"]) == ("live", "assistant", "alice")
        assert (shown["scopes"], shown["expires_ms"]) == (["web:read"], writer.now_ms + 60_000)
        assert shown["ancestors"] == ["s-0", "s-00"]
        assert shown["calls"] == {"web/fetch": {"ALLOW": 1, "DENY": 1}}
        assert [line["what"] for line in shown["read"]] == ["tool_result"]
        assert shown["read"][0]["label"] == "untrusted, private"
        assert [line["what"] for line in shown["did"]] == ["ALLOW", "DENY"]
        (listed,) = shown["grants"]
        assert [(hop["uid"], hop["act"]["sub"]) for hop in listed["hops"]] == [("g-0", "boss"), ("g-1", "assistant")]
        (bounded,) = deployed("session", "show", "default|s-1", "--max", "1").records
        assert [line["what"] for line in bounded["did"]] == ["DENY"]
        text = deployed("session", "show", "s-1", "--no-json").out
        for part in (
            "session default|s-1 is live",
            "g-0",
            "s-00",
            "web/fetch",
            "untrusted, private",
            "a person is present",
        ):
            assert part in text

    def test_long_lines_are_wrapped_between_words_beside_the_time(
        self, deployed: Stoplog, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "PLAIN_WIDTH_CHARS", 60)
        maker = writer.open("s-1")
        intent = maker.intent(WEB_FETCH, {"url": "https://a.example", "note": "word " * 60}, writer.now_ms)
        writer.put(maker, [verdict_on(intent), maker.result(intent, writer.now_ms, label=UNTRUSTED)])
        out = deployed("session", "show", "s-1", "--no-json").out
        calls = out.partition("what it asked for\n")[2].partition("\n\n")[0].splitlines()
        assert all(len(line) <= 60 for line in calls)
        assert calls[0].split()[1:3] == ["ALLOW", "web/fetch"]
        assert len(calls) > 6
        assert all(line.startswith(" " * 14) for line in calls[1:])

    def test_it_may_do_what_its_credential_and_its_grant_both_allow(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        (shown,) = deployed("session", "show", "s-1").records
        assert shown["authority"] is None
        assert "no grant limits its tools or arguments" in deployed("session", "show", "s-1", "--no-json").out
        bound = ArgumentConstraint(argument="/url", type=ConstraintType.WILDCARD, value_json='"https://a.example/*"')
        detail = AuthorizationDetail(
            type="tools", tools=(ToolGrant(server_id="web", name="fetch", constraints=(bound,)),)
        )
        grant = maker.grant(
            "g-1",
            writer.now_ms,
            scopes=("mail:send", "other"),
            authorization_details=(detail,),
            exp=writer.now_ms + 60_000,
        )
        writer.put(maker, [grant])
        (shown,) = deployed("session", "show", "s-1").records
        authority = shown["authority"]
        assert (authority["scopes"], authority["expires_ms"]) == (["mail:send"], writer.now_ms + 60_000)
        assert authority["tools"] == [
            {
                "tool": "web/fetch",
                "constraints": [{"argument": "/url", "type": "WILDCARD", "value_json": '"https://a.example/*"'}],
            }
        ]
        assert '/url wildcard "https://a.example/*"' in deployed("session", "show", "s-1", "--no-json").out

    def test_a_tool_whose_server_is_not_granted_is_marked(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        bound = ArgumentConstraint(argument="/url", type=ConstraintType.WILDCARD, value_json='"https://a.example/*"')
        granted = tuple(
            ToolGrant(server_id=server, name="fetch", constraints=constraints)
            for server, constraints in (("web", (bound,)), ("far", (bound,)), ("off", ()))
        )
        detail = AuthorizationDetail(type="tools", tools=granted)
        grant = maker.grant("g-1", writer.now_ms, audience=("web",), authorization_details=(detail,))
        writer.put(maker, [grant])
        shown = " ".join(deployed("session", "show", "s-1", "--no-json").out.split())
        assert "web/fetch /url wildcard" in shown
        assert "far/fetch (its server is not granted) /url wildcard" in shown
        assert "off/fetch (its server is not granted) any arguments" in shown

    def test_its_risk_is_what_gates_go_by(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        (opened,) = deployed("session", "show", "s-1").records
        shown = []
        for level in ("MEDIUM", "HIGH", "LOW", "odd"):
            writer.put(maker, [maker.event(SessionEventType.RISK_LEVEL_CHANGE, writer.now_ms, risk_level=level)])
            shown += [each["risk"] for each in deployed("session", "show", "s-1").records]
        assert (opened["risk"], shown) == (None, ["MEDIUM", "HIGH", "HIGH", "UNSTATED"])

    def test_a_session_that_is_not_there(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-1")
        result = deployed("session", "show", "s-2")
        assert result.status == 1
        assert "`default|s-2` is not on the embedded log" in result.err
        assert deployed("session", "show", "other|s-1").status == 1


class TestReports:
    def test_nobody_but_a_gate_can_say_that_a_session_is_over(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        end = end_of(maker, Reason.SESSION_IDLE, writer.now_ms)
        writer.operator.write(AUDIT_REPORTED, [(maker.key, end, end.header)])
        assert [shown["state"] for shown in deployed("session", "show", "s-1").records] == ["established"]
        assert [listed["state"] for listed in deployed("session", "list").records] == ["established"]

    def test_they_are_shown_beside_the_gates_records(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        for number, topic in enumerate((AUDIT_REPORTED, AUDIT, AUDIT_REPORTED)):
            event = replace(end_of(maker, Reason.SESSION_IDLE, writer.now_ms), reason_text=f"no. {number}")
            writer.operator.write(topic, [(maker.key, event, event.header)])
            # Records of one millisecond on several topics have no order among themselves.
            time.sleep(0.002)
        lines = deployed("tail", "audit", "--no-follow").records
        assert [line["record"] for line in lines] == ["reported_event", "audit_event", "reported_event"]
        assert [line["value"]["reason_text"] for line in lines] == ["no. 0", "no. 1", "no. 2"]


class TestStates:
    def state(self, deployed: Stoplog, name: str = "s-1") -> tuple[str, str]:
        (shown,) = deployed("session", "show", name).records
        return str(shown["state"]), str(shown["reason_text"])

    def test_established(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-1")
        assert self.state(deployed)[0] == "established"

    @pytest.mark.parametrize(
        ("kind", "state"), [(SessionEventType.SESSION_ENDED, "ended"), (SessionEventType.SESSION_REVOKED, "revoked")]
    )
    def test_over_by_an_event(self, deployed: Stoplog, writer: Writer, kind: SessionEventType, state: str) -> None:
        maker = writer.open("s-1")
        writer.put(maker, [maker.event(kind, writer.now_ms)])
        assert self.state(deployed)[0] == state

    def test_over_by_what_a_gate_says(self, deployed: Stoplog, writer: Writer) -> None:
        for name, reason, state in (("s-1", Reason.SESSION_IDLE, "idle"), ("s-2", Reason.SESSION_TOO_OLD, "ended")):
            maker = writer.open(name)
            writer.put(maker, [end_of(maker, reason, writer.now_ms)])
            assert self.state(deployed, name) == (state, "it was over")

    def test_opened_by_a_token_service_which_has_put_that_on_record(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        told = replace(end_of(maker, Reason.SESSION_ENDED, writer.now_ms), reason="token_issued", reason_text="from x")
        writer.put(maker, [told])
        assert self.state(deployed)[0] == "established"
        (listed,) = deployed("session", "list").records
        assert listed["state"] == "established"

    @pytest.mark.parametrize("with_proof", [False, True])
    def test_not_over_by_what_somebody_else_has_written(
        self, deployed: Stoplog, writer: Writer, with_proof: bool
    ) -> None:
        """A gate has taken no such event in; what carries a proof can be told from others by its audit record alone."""
        maker = writer.open("s-1")
        forged = maker.event(SessionEventType.SESSION_REVOKED, writer.now_ms, unproven={"proof": None})
        if with_proof:
            forged = replace(forged, proof=Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32)))
        writer.put(maker, [forged])
        *_, last = writer.operator.find(SESSION)
        place = f"{SESSION.name}/{last.received.partition}/{last.received.offset}"
        letter = replace(
            end_of(maker, Reason.SESSION_ENDED, writer.now_ms),
            event_type=AuditEventType.DEAD_LETTER,
            inputs=(place,),
            reason="writer_unproven",
        )
        writer.put(maker, [letter] if with_proof else [])
        assert self.state(deployed)[0] == "established"
        (listed,) = deployed("session", "list").records
        assert listed["state"] == "established"

    def test_expired_though_no_gate_has_said_so(self, deployed: Stoplog, writer: Writer) -> None:
        maker = SessionMaker("s-1", tenant="default")
        writer.put(maker, [maker.established(writer.now_ms - HOUR_MS, expires_ms=writer.now_ms - 1)])
        assert self.state(deployed) == ("ended", "the session's credential has expired")

    def test_what_a_live_session_waits_for(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        first, second = (maker.intent(WEB_FETCH, {"url": url}, writer.now_ms) for url in "ab")
        writer.put(maker, [verdict_on(first, Outcome.REQUIRE_APPROVAL)])
        assert self.state(deployed) == ("live", "calls: 1 waiting for a person")
        writer.put(maker, [verdict_on(second, Outcome.DEFER)])
        assert self.state(deployed) == ("live", "calls: 1 waiting for a person, 1 deferred")
        shown = deployed("session", "list", "--no-json").out
        assert "1 waiting for a person" in shown
        assert "stoplog approvals list" in shown
        assert "is live: calls: 1 waiting" in deployed("session", "show", "s-1", "--no-json").out
        writer.put(maker, [verdict_on(each) for each in (first, second)])
        assert self.state(deployed) == ("live", "")
        assert "approvals list" not in deployed("session", "list", "--no-json").out

    def test_frozen_until_it_is_released(self, deployed: Stoplog, writer: Writer) -> None:
        maker = writer.open("s-1")
        intent = maker.intent(WEB_FETCH, {"url": "a"}, writer.now_ms)
        writer.put(maker, [verdict_on(intent, Outcome.QUARANTINE)])
        assert self.state(deployed)[0] == "frozen"
        # Its gate has stopped it, too, with what descends from it.
        assert deployed("kill", "--session", "s-1", "--why", "quarantined_by_rule").status == 0
        assert self.state(deployed)[0] == "frozen"
        assert deployed("release", "--session", "s-1", "--why", "looked at").status == 0
        assert self.state(deployed)[0] == "live"

    @pytest.mark.parametrize(
        "option",
        [("--session", "s-1"), ("--session", "s-0"), ("--agent", "assistant"), ("--user", "alice"), ("--all",)],
    )
    def test_stopped(self, deployed: Stoplog, writer: Writer, option: tuple[str, ...]) -> None:
        writer.open("s-1", parent="s-0")
        assert deployed("kill", *option, "--why", "x").status == 0
        assert self.state(deployed)[0] == "stopped"
        assert deployed("release", *option, "--why", "x").status == 0
        assert self.state(deployed)[0] == "established"

    def test_a_tool_s_stop_stops_no_session(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-1")
        for option in (("--tool", "web/*"), ("--model", "lab/m")):
            assert deployed("kill", *option, "--why", "x").status == 0
        assert self.state(deployed)[0] == "established"


class TestList:
    def test_filters_and_bound(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-1")
        writer.open("s-2", sub="bob")
        ended = writer.open("s-3", act="helper")
        writer.put(ended, [ended.event(SessionEventType.SESSION_ENDED, writer.now_ms)])

        def names(*options: str) -> set[str]:
            return {record["session_id"] for record in deployed("session", "list", *options).records}

        assert names() == {"s-1", "s-2", "s-3"}
        assert names("--agent", "helper") == {"s-3"}
        assert names("--user", "bob") == {"s-2"}
        assert names("--state", "ended") == {"s-3"}
        assert names("--state", "established", "--user", "alice") == {"s-1"}
        assert names("--state", "frozen") == set()
        assert len(names("--max", "2")) == 2
        assert "default|s-3" in deployed("session", "list", "--no-json", "--wide").out
        assert deployed("session", "list", "--state", "nonsense").status == 2

    @pytest.mark.parametrize("width_chars", [80, 100, 160])
    def test_each_session_is_one_line_that_fits_and_its_short_id_shows_it(
        self, deployed: Stoplog, writer: Writer, monkeypatch: pytest.MonkeyPatch, width_chars: int
    ) -> None:
        monkeypatch.setattr(screen, "PLAIN_WIDTH_CHARS", width_chars)
        names = [f"s-01a21e95-9f{end}" for end in ("90-7b29-ac00-2b3954153c0d", "fe-76f9-99c1-7b5b75be881a")]
        for name in (*names, "s-846e0c9c-bf66-8746-a86a-819ad3ca8033"):
            who = {"sub": "alice.with.a.long.name@example.com", "act": "an-office-assistant-of-many-words"}
            maker = writer.open(name, **who)
        writer.put(maker, [maker.event(SessionEventType.SESSION_ENDED, writer.now_ms)])
        out = deployed("session", "list", "--no-json").out
        head, *rows = out.partition("\n\n")[0].splitlines()
        assert len(rows) == 3
        assert all(len(line) <= width_chars for line in (head, *rows))
        assert ("why" in head) is (width_chars > 90)
        assert sorted(row.split()[1] for row in rows) == ["s-01a21e95-9f9", "s-01a21e95-9ff", "s-846e0c9c-b"]
        assert [deployed("session", "show", row.split()[1]).records[0]["state"] for row in rows] == [
            row.split()[0] for row in rows
        ]
        ambiguous = deployed("session", "show", "s-01a21e95-9f")
        assert ambiguous.status == 1
        assert all(f"session default|{name}" in ambiguous.err for name in names)

    def test_the_command_to_type_next_can_be_typed(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-01a21e95-9f90-7b29-ac00-2b3954153c0d")
        step = deployed("session", "list", "--no-json").out.splitlines()[-1]
        program, *words = step.partition("stoplog ")[2].split()
        assert (program, words[0]) == ("session", "show")
        assert [shown["session_id"] for shown in deployed(program, *words).records] == [
            "s-01a21e95-9f90-7b29-ac00-2b3954153c0d"
        ]

    def test_wide_lines_have_everything_however_long_they_get(
        self, deployed: Stoplog, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "PLAIN_WIDTH_CHARS", 60)
        name, agent = "s-" + "1" * 60, "assistant-" + "x" * 40
        writer.put(maker := writer.open(name, act=agent), [maker.event(SessionEventType.SESSION_ENDED, writer.now_ms)])
        _, row, *_ = deployed("session", "list", "--no-json", "--wide").out.splitlines()
        assert all(text in row for text in (f"default|{name}", agent, "alice", "the session has ended"))

    def test_a_short_id_selects_the_records_of_its_session(self, deployed: Stoplog, writer: Writer) -> None:
        names = [f"s-01a21e95-9f{end}" for end in ("90-7b29-ac00-2b3954153c0d", "fe-76f9-99c1-7b5b75be881a")]
        for name in names:
            writer.open(name)
        tail = ("tail", "sessions", "--no-follow", "--session")
        for name, short in zip(names, ("s-01a21e95-9f9", "default|s-01a21e95-9ff"), strict=True):
            assert [record["key"] for record in deployed(*tail, short).records] == [f"default|{name}"]
        assert deployed(*tail, "s-of-nobody").records == []
        ambiguous = deployed(*tail, "s-01a21e95")
        assert ambiguous.status == 1
        assert all(f"session default|{name}" in ambiguous.err for name in names)

    def test_of_many_meanings_of_a_short_id_it_says_how_many_are_not_listed(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        for number in range(23):
            writer.open(f"s-01a21e95-{number:02}")
        for command in (("tail", "sessions", "--no-follow", "--session"), ("session", "show")):
            first, *listed = deployed(*command, "s-01a21e95").err.splitlines()
            assert "stands for 23 things" in first
            assert (len(listed), listed[-1]) == (21, "  and 3 more")

    def test_a_stop_of_a_short_id_fails_and_names_the_session(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-01a21e95-9f90-7b29-ac00-2b3954153c0d")
        failed = deployed("kill", "--session", "s-01a21e95-9f", "--why", "x")
        assert failed.status == 1
        # Nothing comes before a stop: it is on the log.
        assert failed.records[0]["id"] == "default|s-01a21e95-9f"
        assert "the stop of exactly `default|s-01a21e95-9f` is recorded, but no session" in failed.err
        assert deployed("session", "list").records[0]["state"] == "established"
        command = failed.err.splitlines()[-1]
        stopped = deployed(*shlex.split(command)[1:])
        assert (stopped.status, stopped.err) == (0, "")
        assert stopped.records[0]["id"] == "default|s-01a21e95-9f90-7b29-ac00-2b3954153c0d"
        assert deployed("session", "list").records[0]["state"] == "stopped"

    def test_a_stop_of_a_short_id_names_no_session_that_begins_otherwise(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        writer.open("s-01a21e95-9f90-7b29-ac00-2b3954153c0d")
        writer.open("s-01a21e95-9ad0-7b29-ac00-2b3954153c0d")
        failed = deployed("kill", "--session", "s-01a21e95-9f", "--why", "x")
        assert "the id of one session begins with it" in failed.err
        assert "s-01a21e95-9ad0" not in failed.err

    def test_a_stop_that_the_log_does_not_take_is_told_as_not_confirmed(self, deployed: Stoplog) -> None:
        Path(".stoplog/log.sqlite").write_bytes(b"no log" * 1_000)
        failed = deployed("kill", "--all", "--why", "x")
        assert (failed.status, failed.out) == (1, "")
        assert failed.err.startswith("error: the stop is not confirmed, so take it that nothing is stopped: ")

    @pytest.mark.parametrize("error", [PublishError("not known to be stored"), TopicReadError("no answer")])
    def test_a_stop_that_is_not_known_to_be_stored_is_told_as_not_confirmed(
        self, deployed: Stoplog, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        # The embedded log confirms or fails at once; a cluster may leave it open.
        monkeypatch.setattr("streams.cli.commands.kill.write_revocation", Mock(side_effect=error))
        failed = deployed("kill", "--all", "--why", "x")
        assert failed.status == 1
        assert failed.err.startswith("error: the stop is not confirmed, so take it that nothing is stopped: ")

    def test_only_a_session_that_is_not_over_is_said_to_be_stopped_by_a_command(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        writer.open("s-live")
        ended = writer.open("s-ended")
        writer.put(ended, [ended.event(SessionEventType.SESSION_ENDED, writer.now_ms)])
        assert "stoplog kill --session" in deployed("session", "show", "s-live", "--no-json").out
        assert "stoplog kill --session" not in deployed("session", "show", "s-ended", "--no-json").out

    def test_a_stop_of_a_session_that_has_ended_says_so(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-live")
        ended = writer.open("s-ended")
        writer.put(ended, [ended.event(SessionEventType.SESSION_ENDED, writer.now_ms)])
        assert deployed("kill", "--session", "s-live", "--why", "x").err == ""
        stopped = deployed("kill", "--session", "s-ended", "--why", "x")
        assert (stopped.status, stopped.records[0]["id"]) == (0, "default|s-ended")
        assert "session `default|s-ended` has ended. Its calls are denied without a stop" in stopped.err

    def test_a_stop_reads_no_calls_to_tell_whether_its_session_has_ended(
        self, deployed: Stoplog, writer: Writer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A session has a few events, and may have thousands of calls, with their arguments."""
        maker = writer.open("s-ended")
        call = maker.intent(FILES_READ, {"path": "a"}, writer.now_ms)
        writer.put(maker, [verdict_on(call), maker.event(SessionEventType.SESSION_ENDED, writer.now_ms)])
        assigned, assign = set[str](), EmbeddedReader.assign

        def noted(reader: EmbeddedReader, positions: Mapping[TopicPartition, int]) -> None:
            assigned.update(place.topic for place in positions)
            assign(reader, positions)

        monkeypatch.setattr(EmbeddedReader, "assign", noted)
        assert "has ended" in deployed("kill", "--session", "s-ended", "--why", "x").err
        assert SESSION.name in assigned
        assert VERDICT.name not in assigned

    def test_a_short_id_of_several_sessions_names_them(self, deployed: Stoplog, writer: Writer) -> None:
        names = [f"s-01a21e95-9f{end}-7b29-ac00-2b3954153c0d" for end in ("90", "91")]
        for name in names:
            writer.open(name)
        failed = deployed("kill", "--session", "default|s-01a21e95-9f", "--why", "x")
        assert failed.status == 1
        assert "the ids of 2 sessions begin with it" in failed.err
        assert all(f"kill --session 'default|{name}'" in failed.err for name in names)

    def test_a_release_takes_a_short_id_of_one_stopped_session(self, deployed: Stoplog, writer: Writer) -> None:
        names = [f"s-01a21e95-9f{end}-7b29-ac00-2b3954153c0d" for end in ("90", "91")]
        for name in names:
            writer.open(name)
            assert deployed("kill", "--session", name, "--why", "x").status == 0
        ambiguous = deployed("release", "--session", "s-01a21e95-9f", "--why", "x")
        assert (ambiguous.status, ambiguous.out) == (1, "")
        assert "the ids of 2 stopped sessions begin with `default|s-01a21e95-9f`" in ambiguous.err
        assert all(f"  default|{name}" in ambiguous.err for name in names)
        for stated, name in (("s-01a21e95-9f91", names[1]), ("default|s-01a21e95-9f", names[0])):
            (released,) = deployed("release", "--session", stated, "--why", "x").records
            assert (released["id"], released["was_stopped"]) == (f"default|{name}", True)
        assert {record["state"] for record in deployed("session", "list").records} == {"established"}

    def test_a_release_of_a_short_id_that_was_stopped_as_it_is_releases_that(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        whole = "s-01a21e95-9f90-7b29-ac00-2b3954153c0d"
        writer.open(whole)
        for name in (whole, "s-01a21e95-9f"):
            deployed("kill", "--session", name, "--why", "x")
        (released,) = deployed("release", "--session", "s-01a21e95-9f", "--why", "x").records
        assert (released["id"], released["was_stopped"]) == ("default|s-01a21e95-9f", True)
        assert deployed("session", "list").records[0]["state"] == "stopped"

    def test_a_release_of_a_short_id_of_a_session_that_is_not_stopped_fails(
        self, deployed: Stoplog, writer: Writer
    ) -> None:
        whole = "s-01a21e95-9f90-7b29-ac00-2b3954153c0d"
        writer.open(whole)
        failed = deployed("release", "--session", "s-01a21e95-9f", "--why", "x")
        assert (failed.status, failed.out) == (1, "")
        assert "no stop of session `default|s-01a21e95-9f`, and no session of this name" in failed.err
        assert deployed("tail", "revocations", "--no-follow").records == []
        again = deployed("release", "--session", whole, "--why", "x")
        assert (again.status, [each["was_stopped"] for each in again.records]) == (0, [False])

    @pytest.mark.parametrize(
        "stated",
        [
            "s-of-nobody-yet",
            # A whole id, although that of a sub-session begins with it.
            "night-01a21e95-9f90-7b29-ac00-2b3954153c0d",
        ],
    )
    def test_an_id_that_the_log_does_not_know_can_be_stopped(
        self, deployed: Stoplog, writer: Writer, stated: str
    ) -> None:
        writer.open("s-01a21e95-9f90-7b29-ac00-2b3954153c0d")
        writer.open("night-01a21e95-9f90-7b29-ac00-2b3954153c0d/2")
        result = deployed("kill", "--session", stated, "--why", "x")
        assert (result.status, result.records[0]["id"]) == (0, f"default|{stated}")
        assert "the stop is in force for when there is one" in result.err

    def test_none(self, deployed: Stoplog) -> None:
        assert deployed("session", "list").records == []
        assert "no session matches" in deployed("session", "list", "--no-json").out

    def test_a_mistyped_session_is_told_with_the_nearest(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("night-etl-3")
        for stated in ("night-elt-3", "default|night-elt-3"):
            result = deployed("tail", "verdicts", "--no-follow", "--session", stated)
            assert (result.status, result.out) == (0, "")
            assert f"warning: no session `{stated}` is on the" in result.err
            assert result.err.endswith("night-etl-3\n")
        for known in ("night-etl-3", "default|night-etl-3", "night-et"):
            assert deployed("tail", "verdicts", "--no-follow", "--session", known).err == ""

    def test_a_mistyped_agent_or_user_is_told_with_the_nearest(self, deployed: Stoplog, writer: Writer) -> None:
        writer.open("s-1", act="reporter", sub="olga")
        for option, what, stated, meant in (
            ("--agent", "agent", "reprter", "reporter"),
            ("--user", "user", "ogla", "olga"),
        ):
            assert deployed("session", "list", option, meant).err == ""
            result = deployed("session", "list", option, stated)
            assert (result.status, result.records) == (0, [])
            assert f"no {what} `{stated}` is on the embedded log" in result.err
            assert result.err.endswith(f"; the nearest: {meant}\n")
        assert deployed("session", "list", "--agent", "reporter", "--state", "ended").err == ""


@pytest.mark.parametrize(
    ("ids", "short"),
    [
        ({"s-1"}, {"s-1": "s-1"}),
        ({"s-1", "s-10"}, {"s-1": "s-1", "s-10": "s-10"}),
        ({"a" * 20, "b" * 20}, {"a" * 20: "a" * 12, "b" * 20: "b" * 12}),
        ({"a" * 20, "a" * 15 + "b" * 5}, {"a" * 20: "a" * 16, "a" * 15 + "b" * 5: "a" * 15 + "b"}),
        ({"a" * 20, "a" * 21}, {"a" * 20: "a" * 20, "a" * 21: "a" * 21}),
        (
            {"a" * 20, "a" * 14, "a" * 13 + "b"},
            {"a" * 20: "a" * 15, "a" * 14: "a" * 14, "a" * 13 + "b": "a" * 13 + "b"},
        ),
    ],
)
def test_a_short_id_is_the_beginning_of_one_id_only(ids: set[str], short: dict[str, str]) -> None:
    assert short_ids(ids, SHORT_CHARS_MIN) == short


def test_an_id_of_two_tenants_has_no_short_form() -> None:
    name, other = "a" * 20, "a" * 18 + "bb"
    assert short_ids([name, other, name], SHORT_CHARS_MIN) == {name: None, other: other[:19]}
