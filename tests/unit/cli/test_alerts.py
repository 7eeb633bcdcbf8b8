"""`stoplog alerts`: from a list to a closed alert, signed, and what does not count."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from streams.audit.alert_handlers import signed_status
from streams.model.alert import Alert, ReadDocument, Severity
from streams.model.alert_status import AlertState, AlertStatus, alert_status_key
from streams.model.analytics import Analytic, made_alert
from streams.model.atlas import techniques_in
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT_STATUS
from streams.model.types import Actor, Header
from streams.operations.alert_handling import short_alert_ids
from streams.sdk.keys.key_files import load_key_file
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.unit.cli.conftest import Result, Stoplog

SETTINGS = """
tenant = "acme"
[alerts]
deployment = "prod"
[alerts.handlers]
ann = "{ann}"
ben = "{ben}"
[alerts.tenants]
ben = ["other"]
"""
SIGNED = ("--key", "ann.pem", "--as", "Ann")
MINUTE_MS = 60_000


def alert(name: str, severity_id: int, age_ms: int, *, analytic: str = "behaviour/loop", count: int = 1) -> Alert:
    """Return an alert that was raised some time ago."""
    now_ms = 1_800_000_000_000
    header = Header(id=derived_uuid("alert", name), source="stoplog/watch", time=now_ms - age_ms, tenant_uid="acme")
    kind = Analytic(
        "The same call again and again",
        "",
        "",
        severity_id,
        types=("ASI08",),
        attacks=techniques_in(("AML.T0034.002",)),
    )
    made = made_alert(
        analytic,
        header,
        title=f"The same call again and again: {name}",
        desc=f"{name} made the same call 40 times in one session; 10 is a usual peak (session s-{name})",
        dedup_key=json.dumps([analytic, "acme", name, f"s-{name}"]),
        response=(f"stoplog session show 'acme|s-{name}'", f"stoplog kill --session 'acme|s-{name}' --why loops"),
        analytic=kind,
        count=count,
        related=("e-1", "e-2"),
    )
    return msgspec.structs.replace(made, session_id=f"s-{name}", sub="olga", act=Actor(iss="", sub=name))


ALERTS = (
    alert("pager", Severity.LOW, MINUTE_MS),
    alert("mailer", Severity.CRITICAL, 3 * 60 * MINUTE_MS, count=7),
    alert("clerk", Severity.MEDIUM, 5 * MINUTE_MS, analytic="R-1"),
)
PAGER, MAILER, CLERK = (each.finding_uid for each in ALERTS)


def make_handlers(stoplog: Stoplog, home: Path) -> None:
    """Make a log, and two people who handle alerts; Ben those of another tenant."""
    keys = {}
    for name in ("ann", "ben"):
        (made,) = stoplog("keys", "handler", "new", "--out", f"{name}.pem", "--json").records
        keys[name] = made["public_key"]
    (home / "stoplog.toml").write_text(SETTINGS.format(**keys))
    assert stoplog("topics", "apply").status == 0


@pytest.fixture
def desk(stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch) -> Stoplog:
    """A log with three alerts, and two people who handle alerts."""
    make_handlers(stoplog, home)
    monkeypatch.setattr("streams.wiring.clock.SystemClock.now_ms", lambda _self: 1_800_000_000_000)
    with open_operator(load_settings()) as operator:
        operator.alert(ALERTS)
    return stoplog


def write(status: AlertStatus) -> None:
    """Write a status as whoever may write the topic can."""
    with open_operator(load_settings()) as operator:
        key = alert_status_key(status.header.tenant_uid, status.finding_uid)
        operator.write(ALERT_STATUS, [(key, status, status.header)])


def states(result: Result) -> list[tuple[str, str]]:
    assert result.status == 0, result.err
    return [(line["act"]["sub"], line["state"]) for line in result.records]


def test_new_alerts_come_first_then_the_worst(desk: Stoplog) -> None:
    assert [agent for agent, _ in states(desk("alerts", "list"))] == ["mailer", "clerk", "pager"]
    assert states(desk("alerts", "list", "--severity", "medium")) == [("mailer", "new"), ("clerk", "new")]
    assert states(desk("alerts", "list", "--tenant", "other")) == []
    assert len(desk("alerts", "list", "--max", "1").records) == 1
    assert desk("alerts", "ack", MAILER[:8], *SIGNED).status == 0
    assert states(desk("alerts", "list")) == [("clerk", "new"), ("pager", "new"), ("mailer", "acknowledged")]
    assert desk("alerts", "close", CLERK, "--why", "fixed", *SIGNED).status == 0
    assert states(desk("alerts", "list")) == [("pager", "new"), ("mailer", "acknowledged")]
    assert states(desk("alerts", "list", "--all"))[-1] == ("clerk", "resolved")


def test_for_a_person_the_list_is_a_line_each_with_the_next_command(desk: Stoplog) -> None:
    lines = desk("alerts", "list", "--no-json").out.splitlines()
    assert lines[0].split() == ["severity", "state", "age", "alert", "agent", "what"]
    assert lines[1].split()[:6] == ["critical", "new", "3", "h", MAILER[:8], "mailer"]
    assert "7 times: The same call again and again: mailer" in lines[1]
    assert f"stoplog alerts show {MAILER[:8]}" in lines[-1]
    assert "and 2 further incidents" in desk("alerts", "list", "--max", "1", "--no-json").out


def test_a_person_who_has_caused_an_alert_is_not_shown_as_an_agent(desk: Stoplog) -> None:
    """An import of tools has no session, and whoever runs it no issuer."""
    imported = again(ALERTS[1], 1)
    raise_(msgspec.structs.replace(imported, dedup_key="import", session_id=None, act=Actor(iss="", sub="zoe")))
    assert "zoe" not in desk("alerts", "list", "--no-json").out
    shown = desk("alerts", "show", imported.finding_uid, "--no-json").out
    assert re.search(r"^by +zoe *$", shown, re.MULTILINE)
    assert not re.search("^agent ", shown, re.MULTILINE)


def test_who_replaces_what_somebody_has_done_is_told(desk: Stoplog) -> None:
    said = desk("alerts", "ack", MAILER, *SIGNED, "--no-json").out
    assert "this replaces" not in said
    assert "this replaces" not in desk("alerts", "ack", MAILER, *SIGNED, "--no-json").out
    said = desk("alerts", "ack", MAILER, "--key", "ann.pem", "--as", "Cleo", "--no-json").out
    assert "this replaces: acknowledged 0 s ago by Ann (signed by ann): looking into it" in said
    desk("alerts", "close", MAILER, "--false-positive", "--why", "a test", *SIGNED)
    said = desk("alerts", "close", MAILER, "--why", "done", *SIGNED, "--no-json").out
    assert "this replaces: false positive 0 s ago by Ann (signed by ann): a test" in said


def test_who_acknowledges_a_closed_alert_is_told_that_it_is_open_again(desk: Stoplog) -> None:
    """The message that somebody answers may be hours old: a colleague has closed the alert since."""
    assert desk("alerts", "close", MAILER, "--why", "fixed", *SIGNED).status == 0
    said = desk("alerts", "ack", MAILER, "--key", "ann.pem", "--as", "Cleo", "--no-json").out
    assert "this opens a closed alert again: it was resolved 0 s ago by Ann (signed by ann): fixed" in said
    assert ("mailer", "acknowledged") in states(desk("alerts", "list"))


def test_that_nothing_matches_does_not_say_that_nothing_is_open(desk: Stoplog) -> None:
    assert desk("alerts", "close", MAILER, "--why", "fixed", *SIGNED).status == 0
    for filtered in (("--tenant", "other"), ("--severity", "critical")):
        assert desk("alerts", "list", *filtered, "--no-json").out == "no open alert matches\n"
    assert desk("alerts", "list", "--tenant", "other", "--all", "--no-json").out == "no alert matches\n"
    assert desk("alerts", "close", PAGER, CLERK, "--why", "fixed", *SIGNED).status == 0
    assert desk("alerts", "list", "--no-json").out == "no alert is open\n"


def test_an_alert_is_shown_with_sentence_evidence_tags_and_commands(desk: Stoplog) -> None:
    text = desk("alerts", "show", MAILER[:8], "--no-json").out
    for part in (
        "critical: The same call again and again: mailer",
        "mailer made the same call 40 times in one session; 10 is a usual peak",
        "ASI08; AML.T0034.002",
        "e-1",
        "7 times",
        "new: nobody has done anything with it",
        "stoplog kill --session 'acme|s-mailer' --why loops",
        f"stoplog alerts ack {MAILER[:8]} --key FILE",
        f"stoplog alerts close {MAILER[:8]} --false-positive --why TEXT --key FILE",
    ):
        assert part in text
    (fields,) = desk("alerts", "show", MAILER, "--json").records
    assert (fields["related_event_ids"], fields["status_id"], fields["analytic_uid"]) == (
        ["e-1", "e-2"],
        1,
        "behaviour/loop",
    )


def test_what_was_read_is_shown_by_name_and_never_by_an_id(desk: Stoplog) -> None:
    uid = "12a994f8-4dea-8e3e-a68c-04a9fd72c4b0"
    named, unnamed = ReadDocument(uid="e-1", name="docs/notes.md"), ReadDocument(uid=uid)
    first, second = (
        msgspec.structs.replace(alert(name, Severity.LOW, MINUTE_MS), documents=documents)
        for name, documents in (("reader", (named, unnamed)), ("other", (unnamed,)))
    )
    raise_(first, second)
    out = " ".join(desk("alerts", "show", first.finding_uid, "--no-json").out.split())
    assert "had read docs/notes.md; 1 more, listed by `stoplog session show`" in out
    out = " ".join(desk("alerts", "show", second.finding_uid, "--no-json").out.split())
    assert "had read 1 untrusted input, listed by `stoplog session show`" in out
    assert uid not in out


def test_a_false_positive_is_signed_and_shown_with_who_and_why(desk: Stoplog) -> None:
    closed = desk("alerts", "close", PAGER, CLERK, "--false-positive", "--why", "it pages", *SIGNED, "--no-json")
    assert "for 30 days, the watch alerts on similar behaviour of this agent only if its score is higher" in closed.out
    assert "this lowers nothing: `R-1` alerts again" in closed.out
    assert "change the rule, grant or setting that it is about" in closed.out
    text = desk("alerts", "show", PAGER, "--no-json").out
    assert "false positive 0 s ago by Ann (signed by ann): it pages" in text
    assert "stoplog alerts close" not in text
    (fields,) = desk("alerts", "show", PAGER, "--json").records
    assert (fields["status_id"], fields["status_detail"], fields["signed_by"]) == (4, "false positive", "ann")
    with open_operator(load_settings()) as operator:
        keys = {received.key for received, _ in operator.find(ALERT_STATUS)}
    assert keys == {f"acme|{uid}".encode() for uid in (PAGER, CLERK)}


@pytest.mark.parametrize(
    ("args", "status", "fault"),
    [
        ((MAILER,), 1, "is not signed; sign with `stoplog alerts ack ID --key FILE`"),
        (
            (MAILER, "--key", "ben.pem"),
            1,
            "`ben`, who may not handle alerts of tenant `acme` (setting `alerts.tenants`)",
        ),
        ((MAILER, *SIGNED, "--why", " "), 2, "a reason must not be empty"),
        ((MAILER, *SIGNED, "--why", "x" * 1_001), 2, "say why in 1 to 1000 characters"),
        (("nothing", *SIGNED), 1, "no alert has id `nothing`; see `stoplog alerts list --all`"),
    ],
)
def test_what_would_not_count_is_not_written(desk: Stoplog, args: tuple[str, ...], status: int, fault: str) -> None:
    result = desk("alerts", "ack", *args)
    assert result.status == status
    assert fault in result.err
    with open_operator(load_settings()) as operator:
        assert list(operator.find(ALERT_STATUS)) == []


def test_a_record_that_nobody_entitled_has_signed_changes_nothing_and_is_told(desk: Stoplog) -> None:
    header = msgspec.structs.replace(ALERTS[0].header, time=1_800_000_000_000)
    forged = AlertStatus(
        header=header,
        finding_uid=MAILER,
        status=AlertState.RESOLVED,
        dedup_key=ALERTS[1].dedup_key,
        by_user="ann",
        reason="it is fine",
    )
    write(forged)
    assert ("mailer", "new") in states(desk("alerts", "list"))
    assert "1 record about alerts that nobody entitled has signed" in desk("alerts", "list", "--no-json").out


def test_a_signed_record_under_the_key_of_another_alert_changes_nothing_and_is_told(desk: Stoplog) -> None:
    assert desk("alerts", "close", MAILER, "--why", "it is fine", *SIGNED).status == 0
    with open_operator(load_settings()) as operator:
        ((_, closed),) = operator.find(ALERT_STATUS)
        assert isinstance(closed, AlertStatus)
        header = msgspec.structs.replace(closed.header, id=derived_uuid("another"))
        moved = msgspec.structs.replace(closed, header=header, finding_uid=CLERK, proof=None)
        signed = signed_status(moved, load_key_file(Path("ann.pem")), "prod")
        operator.write(ALERT_STATUS, [(alert_status_key("acme", PAGER), signed, header)])
    assert ("clerk", "new") in states(desk("alerts", "list"))
    assert "1 record about alerts that nobody entitled has signed or that are not valid" in (
        desk("alerts", "list", "--no-json").out
    )


def test_who_may_not_read_what_was_done_is_told(desk: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = frozenset({ALERT_STATUS.name})
    monkeypatch.setattr("streams.operations.alert_handling.hidden_topics", lambda _log, _names: hidden)
    text = desk("alerts", "list", "--no-json").out
    assert "what was done with alerts can't be read here, so all of them look new" in text


def again(before: Alert, number: int) -> Alert:
    """Return a further alert of an incident, `number` minutes later."""
    uid = derived_uuid("again", before.finding_uid, str(number))
    time_ms = before.last_seen_time + number * MINUTE_MS
    header = msgspec.structs.replace(before.header, id=uid, time=time_ms)
    return msgspec.structs.replace(
        before, header=header, finding_uid=uid, first_seen_time=time_ms, last_seen_time=time_ms, count=2
    )


def raise_(*alerts: Alert) -> None:
    with open_operator(load_settings()) as operator:
        operator.alert(alerts)


def test_an_incident_that_goes_on_is_one_line_and_handled_as_one(desk: Stoplog) -> None:
    second, third = again(ALERTS[1], 1), again(ALERTS[1], 2)
    raise_(second)
    line = next(each for each in desk("alerts", "list").records if each["act"]["sub"] == "mailer")
    assert (line["finding_uid"], line["incident_count"]) == (second.finding_uid, 9)
    assert line["incident_findings"] == [second.finding_uid, MAILER]
    assert "2 alerts" in desk("alerts", "show", MAILER, "--no-json").out
    assert {each["finding_uid"] for each in desk("alerts", "ack", MAILER, *SIGNED).records} == {
        MAILER,
        second.finding_uid,
    }
    raise_(third)
    assert states(desk("alerts", "list"))[-1] == ("mailer", "acknowledged")
    closed = desk("alerts", "close", third.finding_uid, "--why", "fixed", *SIGNED, "--no-json").out
    assert "mailer (and 2 further alerts of the incident): resolved" in closed
    assert "mailer" not in dict(states(desk("alerts", "list")))
    raise_(again(ALERTS[1], 3))
    line = desk("alerts", "list").records[0]
    assert (line["act"]["sub"], line["state"], line["incident_count"]) == ("mailer", "new", 2)


def test_of_the_statuses_of_an_incident_the_one_that_was_written_last_counts(
    desk: Stoplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ann's clock is ten minutes fast when she acknowledges, and a minute later an alert of the incident is closed."""
    now_ms, second = 1_800_000_000_000, again(ALERTS[1], 1)
    raise_(second)
    for finding_uid, state, at_ms, time_ms in (
        (MAILER, AlertState.ACKNOWLEDGED, now_ms, now_ms + 10 * MINUTE_MS),
        (second.finding_uid, AlertState.RESOLVED, now_ms + MINUTE_MS, now_ms + MINUTE_MS),
    ):
        monkeypatch.setattr("streams.wiring.clock.SystemClock.now_ms", lambda _self, at_ms=at_ms: at_ms)
        status = AlertStatus(
            header=Header(id=derived_uuid(finding_uid), source="stoplog", time=time_ms, tenant_uid="acme"),
            finding_uid=finding_uid,
            status=state,
            dedup_key=second.dedup_key,
            by_user="Ann",
            reason="looking",
        )
        write(signed_status(status, load_key_file(Path("ann.pem")), "prod"))
    third = again(ALERTS[1], 3)
    raise_(third)
    line = next(each for each in desk("alerts", "list").records if each["act"]["sub"] == "mailer")
    assert (line["finding_uid"], line["state"]) == (third.finding_uid, "new")


def test_two_alerts_of_one_incident_are_written_once(desk: Stoplog) -> None:
    second, third = again(ALERTS[1], 1), again(ALERTS[1], 2)
    raise_(second, third)
    records = desk("alerts", "ack", second.finding_uid, PAGER, MAILER, *SIGNED).records
    assert [each["finding_uid"] for each in records] == [second.finding_uid, third.finding_uid, MAILER, PAGER]
    with open_operator(load_settings()) as operator:
        written = [received.key for received, _ in operator.find(ALERT_STATUS)]
    assert sorted(written) == sorted(f"acme|{each['finding_uid']}".encode() for each in records)


def test_an_alert_with_a_long_title_can_be_closed(desk: Stoplog) -> None:
    """Whoever declares a detector writes the title, in whatever length."""
    long = msgspec.structs.replace(alert("talker", Severity.HIGH, 0), title="words " * 200)
    with open_operator(load_settings()) as operator:
        operator.alert([long])
    closed = desk("alerts", "close", long.finding_uid, "--why", "known", *SIGNED)
    assert closed.status == 0, closed.err
    assert ("talker", "resolved") in states(desk("alerts", "list", "--all"))


def test_if_one_alert_would_not_count_none_is_written(desk: Stoplog) -> None:
    header = msgspec.structs.replace(ALERTS[1].header, tenant_uid="other")
    other = msgspec.structs.replace(again(ALERTS[1], 2), header=header)
    raise_(other)
    result = desk("alerts", "ack", other.finding_uid, MAILER, "--key", "ben.pem")
    assert "`ben`, who may not handle alerts of tenant `acme`" in result.err
    with open_operator(load_settings()) as operator:
        assert list(operator.find(ALERT_STATUS)) == []


def test_a_signed_status_that_somebody_writes_again_changes_nothing(desk: Stoplog) -> None:
    assert desk("alerts", "close", MAILER, "--why", "by mistake", *SIGNED).status == 0
    with open_operator(load_settings()) as operator:
        ((_, closed),) = operator.find(ALERT_STATUS)
    assert isinstance(closed, AlertStatus)
    header = Header(id=derived_uuid("later"), source="stoplog", time=closed.header.time + 1, tenant_uid="acme")
    taken_up = msgspec.structs.replace(closed, header=header, status=AlertState.ACKNOWLEDGED, proof=None)
    write(signed_status(taken_up, load_key_file(Path("ann.pem")), "prod"))
    assert ("mailer", "acknowledged") in states(desk("alerts", "list"))
    write(closed)
    assert ("mailer", "acknowledged") in states(desk("alerts", "list"))


def test_alerts_of_another_incident_or_tenant_stay_as_they_are(desk: Stoplog) -> None:
    same = msgspec.structs.replace(again(ALERTS[1], 1), dedup_key=ALERTS[1].dedup_key.replace("s-mailer", "s-2"))
    header = msgspec.structs.replace(same.header, tenant_uid="other")
    other = msgspec.structs.replace(again(ALERTS[1], 2), header=header)
    raise_(same, other)
    assert len(desk("alerts", "ack", MAILER, *SIGNED).records) == 1
    found = {each["finding_uid"]: each["state"] for each in desk("alerts", "list").records}
    assert (found[same.finding_uid], found[other.finding_uid], found[MAILER]) == ("new", "new", "acknowledged")


def test_without_signatures_anybody_handles_alerts_and_the_doctor_says_so(desk: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text('tenant = "acme"\n[alerts]\nallow_unsigned = true\n')
    assert desk("alerts", "ack", MAILER, "--as", "Ann").status == 0
    assert "--key" not in desk("alerts", "show", MAILER, "--no-json").out
    found = [line for line in desk("doctor", "--json").records if line.get("check") == "alert handlers"]
    assert [line["text"] for line in found] == ["not checked: anybody who may write the topic can close alerts"]


def test_handlers_that_are_wrong_are_errors_of_the_settings(desk: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text('[alerts.tenants]\nzoe = ["acme"]\n')
    result = desk("alerts", "list")
    assert result.status == 2
    assert "section `[alerts]` of the settings: `tenants` names `zoe`, who is not among the `handlers`" in result.err


def test_following_is_the_same_as_tail(desk: Stoplog) -> None:
    own, tail = desk("alerts", "tail", "--no-follow"), desk("tail", "alerts", "--no-follow")
    assert own.out == tail.out
    assert len(own.records) == len(ALERTS)
    assert len(desk("alerts", "tail", "--no-follow", "--max", "2").records) == 2


def test_ids_are_as_long_as_is_needed_to_tell_alerts_apart() -> None:
    uids = ("aaaaaaaa-aaaa-1", "aaaaaaaa-aaab-1", "bbbbbbbb-0000-1")
    assert short_alert_ids(uids) == {
        uids[0]: "aaaaaaaa-aaaa",
        uids[1]: "aaaaaaaa-aaab",
        uids[2]: "bbbbbbbb",
    }
