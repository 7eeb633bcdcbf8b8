"""`stoplog behaviour announce`, `announced` and `withdraw`, on an embedded log."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from simulation.records import SessionMaker, tool_entry
from streams.model.alert_status import ANNOUNCED_OPEN_MAX, AlertState, AlertStatus
from streams.model.catalog_signature import entry_key
from streams.model.topics import ALERT_STATUS, CATALOG, SESSION
from streams.operations.alert_handling import AlertHandlingError
from streams.operations.behaviour.announcements import find_announcement, read_announcements
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.test_alerts import make_handlers, write

SIGNED = ("--key", "ann.pem", "--as", "Ann")
WORK = ("--tool", "s3.delete_object", "--to", "archive.example", "--calls", "200", "--until", "8h", "--why", "CHG-881")


@pytest.fixture
def site(stoplog: Stoplog, home: Path) -> Stoplog:
    """A log, and two people who handle alerts; Ben those of another tenant."""
    make_handlers(stoplog, home)
    return stoplog


def written() -> list[AlertStatus]:
    with open_operator(load_settings()) as operator:
        return [record for _, record in operator.find(ALERT_STATUS) if isinstance(record, AlertStatus)]


def shown_ids(text: str) -> list[str]:
    """Return the ids that a list of announcements for people begins its lines with."""
    return re.findall(r"^  (\S+)  etl-\d: ", text, re.MULTILINE)


def offered_ids(text: str) -> list[str]:
    """Return the ids in the commands that are offered to withdraw something, which have to be signed."""
    return re.findall(r"stoplog behaviour withdraw (\S+) --why TEXT --key FILE", text)


def test_what_is_announced_is_listed_until_it_is_withdrawn(site: Stoplog) -> None:
    assert "nothing is announced" in site("behaviour", "announced", "--no-json").out
    made = site("behaviour", "announce", "etl-3", "etl-4", *WORK, *SIGNED)
    assert made.status == 0, made.err
    assert [(each["agent"], each["signer"], each["calls_max"]) for each in made.records] == [
        ("etl-3", "ann", 200),
        ("etl-4", "ann", 200),
    ]
    listed = site("behaviour", "announced", "etl-3").records
    assert listed == [made.records[0]]
    text = site("behaviour", "announced", "--no-json").out
    assert "etl-4: up to 200 calls of s3.delete_object to archive.example" in text
    assert "Ann, signed by ann: CHG-881" in text
    ended = site("behaviour", "withdraw", made.records[0]["announcement"], "--why", "done early", *SIGNED)
    assert ended.status == 0, ended.err
    assert [each["agent"] for each in site("behaviour", "announced").records] == ["etl-4"]
    uid = made.records[0]["announcement"]
    assert [each.status for each in written() if each.finding_uid == uid] == [AlertState.ANNOUNCED, AlertState.RESOLVED]
    again = site("behaviour", "withdraw", made.records[0]["announcement"], "--why", "once more", *SIGNED)
    assert again.status != 0
    assert "nothing that is announced has id" in again.err


def test_a_mistyped_name_is_told_since_alerts_are_raised_about_what_was_meant(site: Stoplog) -> None:
    session, tool = SessionMaker("s-1"), tool_entry("mail", "send")
    with open_operator(load_settings()) as operator:
        opened = session.established(operator.clock.now_ms())
        operator.write(SESSION, [(session.key, opened, opened.header)])
        operator.write(CATALOG, [(entry_key(tool), tool, tool.header)])
    wrong = ("--tool", "mail.sned", "--calls", "5", "--until", "8h", "--why", "CHG-881", *SIGNED)
    told = " ".join(site("behaviour", "announce", "acme|assistent", *wrong, "--no-json").err.split())
    assert "warning: no agent `acme|assistent` is on the embedded log" in told
    assert "the nearest: acme|assistant" in told
    assert "warning: no tool `mail.sned` is on the embedded log" in told
    right = site("behaviour", "announce", "acme|assistant", "--tool", "mail/send", *wrong[2:])
    assert (right.status, right.err, right.records[0]["tools"]) == (0, "", ["mail.send"])


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (("--until", "9d"), "does not count: it takes more than 7 days"),
        (("--from", "2h", "--until", "1h"), "does not count: it ends before it begins"),
        (("--from", "40d", "--until", "41d"), "more than 30 days from now"),
        (("--why", " "), "--why"),
        (("--key", "ben.pem"), "may not handle alerts of tenant"),
    ],
)
def test_what_would_not_count_is_not_stored(site: Stoplog, changed: tuple[str, ...], says: str) -> None:
    result = site("behaviour", "announce", "etl-3", *WORK, *SIGNED, *changed)
    assert result.status != 0
    assert says in " ".join(result.err.split())
    assert written() == []


def test_without_a_key_nothing_is_stored(site: Stoplog) -> None:
    result = site("behaviour", "announce", "etl-3", *WORK)
    assert result.status != 0
    assert written() == []


def test_alerts_have_nothing_to_do_with_it(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", *WORK, *SIGNED).status == 0
    listed = site("alerts", "list", "--all", "--no-json")
    assert "there is no alert" in listed.out
    assert "not counted" not in listed.out + listed.err


def test_what_is_announced_together_can_be_withdrawn_from_the_screen(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", "etl-4", "etl-5", *WORK, *SIGNED).status == 0
    ids = shown_ids(site("behaviour", "announced", "--no-json").out)
    assert len(set(ids)) == 3
    for uid in ids:
        ended = site("behaviour", "withdraw", uid, "--why", "done early", *SIGNED)
        assert ended.status == 0, ended.err
    assert "nothing is announced" in site("behaviour", "announced", "--no-json").out


def test_an_id_in_the_list_of_one_agent_is_told_from_those_of_others(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", "etl-4", *WORK, *SIGNED).status == 0
    (uid,) = shown_ids(site("behaviour", "announced", "etl-4", "--no-json").out)
    ended = site("behaviour", "withdraw", uid, "--why", "done early", *SIGNED)
    assert ended.status == 0, ended.err
    assert [each["agent"] for each in ended.records] == ["etl-4"]


def test_an_id_that_several_begin_with_is_answered_with_their_ids(site: Stoplog) -> None:
    made = site("behaviour", "announce", "etl-3", "etl-4", *WORK, *SIGNED).records
    ids = sorted(each["announcement"] for each in made)
    start = next(at for at, (one, other) in enumerate(zip(*ids, strict=True)) if one != other)
    result = site("behaviour", "withdraw", ids[0][:start], "--why", "done early", *SIGNED)
    assert result.status != 0
    says = " ".join(result.err.split())
    assert f"2 announcements have ids that begin with `{ids[0][:start]}`; give more of it: {', '.join(ids)}" in says
    assert len(site("behaviour", "announced").records) == 2


def test_each_announcement_comes_with_the_command_that_ends_it(site: Stoplog) -> None:
    made = site("behaviour", "announce", "etl-3", "etl-4", "--no-json", *WORK, *SIGNED)
    ids = {each["agent"]: each["announcement"] for each in site("behaviour", "announced").records}
    assert offered_ids(made.out) == [ids["etl-3"], ids["etl-4"]]


def test_an_announcement_that_nobody_has_signed_says_how_to_sign_it(site: Stoplog) -> None:
    made = site("behaviour", "announce", "etl-3", *WORK)
    assert made.status == 1
    assert re.search(r"nothing is stored: the announcement `\S+` is not signed; sign with `--key FILE`", made.err)


def test_an_agent_that_is_named_twice_is_announced_once(site: Stoplog) -> None:
    made = site("behaviour", "announce", "etl-3", "etl-4", "etl-3", "acme|etl-3", *WORK, *SIGNED)
    assert made.status == 0, made.err
    assert [each["agent"] for each in made.records] == ["etl-3", "etl-4"]
    assert sorted(each.announced.agent for each in written() if each.announced is not None) == ["etl-3", "etl-4"]


def test_what_nobody_entitled_has_signed_is_not_listed(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", *WORK, *SIGNED).status == 0
    (signed,) = written()
    write(msgspec.structs.replace(signed, finding_uid="forged", proof=None))
    write(msgspec.structs.replace(signed, finding_uid="forged"))
    assert [each["announcement"] for each in site("behaviour", "announced").records] == [signed.finding_uid]


def test_an_announcement_that_is_written_again_stays_withdrawn(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", *WORK, *SIGNED).status == 0
    (signed,) = written()
    assert site("behaviour", "withdraw", signed.finding_uid, "--why", "done early", *SIGNED).status == 0
    write(signed)
    assert "nothing is announced" in site("behaviour", "announced", "--no-json").out


def test_no_more_is_announced_of_an_agent_than_the_watch_remembers(site: Stoplog) -> None:
    for _ in range(ANNOUNCED_OPEN_MAX):
        made = site("behaviour", "announce", "etl-3", *WORK, *SIGNED)
        assert made.status == 0, made.err
    refused = site("behaviour", "announce", "etl-4", "etl-3", *WORK, *SIGNED)
    assert refused.status != 0
    assert f"at most {ANNOUNCED_OPEN_MAX} announcements about `etl-3` can be open" in " ".join(refused.err.split())
    assert len(written()) == ANNOUNCED_OPEN_MAX
    site("behaviour", "withdraw", made.records[0]["announcement"], "--why", "done", *SIGNED)
    assert site("behaviour", "announce", "etl-4", "etl-3", *WORK, *SIGNED).status == 0


def test_who_may_not_read_what_is_announced_is_told_in_json_too(site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    assert site("behaviour", "announce", "etl-3", *WORK, *SIGNED).status == 0
    (signed,) = written()
    hidden = frozenset({ALERT_STATUS.name})
    monkeypatch.setattr("streams.operations.behaviour.announcements.hidden_topics", lambda _log, _names: hidden)
    for command in (("announced",), ("withdraw", signed.finding_uid, "--why", "done", *SIGNED)):
        result = site("behaviour", *command, "--json")
        assert (result.status, result.out) == (1, "")
        assert f"what is announced can't be read: access control hides `{ALERT_STATUS.name}`" in result.err


def test_announcements_of_two_tenants_with_one_id_are_told_apart_by_tenant(site: Stoplog) -> None:
    assert site("behaviour", "announce", "etl-3", *WORK, *SIGNED).status == 0
    with open_operator(load_settings()) as operator:
        (one,) = read_announcements(operator) or ()
    other = one._replace(tenant_uid="globex")
    with pytest.raises(AlertHandlingError) as error:
        find_announcement([one, other], one.uid)
    assert f"name one of them: `{one.tenant_uid}|{one.uid}`, `globex|{one.uid}`" in str(error.value)
    for each in (one, other):
        assert find_announcement([one, other], f"{each.tenant_uid}|{each.uid[:12]}") is each
    named = f"{one.tenant_uid}|{one.uid}"
    assert site("behaviour", "withdraw", f"globex|{one.uid}", "--why", "done", *SIGNED).status == 1
    assert site("behaviour", "withdraw", named, "--why", "done", *SIGNED).status == 0
