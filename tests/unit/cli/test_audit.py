"""`stoplog audit session` and `audit why` over what a real gate has decided on the embedded log."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from streams.cli.terminal import screen
from streams.model.alert import Alert
from streams.model.approval import ApprovalDecision, ApprovalStatus
from streams.model.audit import AuditEventType
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.topics import ALERT, APPROVAL_DECISION, AUDIT_REPORTED, VERDICT
from streams.model.types import Actor, Header
from streams.model.verdict import Outcome, Verdict
from streams.operations.timeline.entries import Entry, Tone, Who
from streams.operations.timeline.page import page_of
from streams.operations.topics.reader import read_to_end
from streams.processors.audit import dead_letter_event
from tests.unit.cli.conftest import Result, Stoplog
from tests.unit.cli.recorded_site import Site, configure

HOSTILE = "<script>alert(1)</script>\x1b[2J"


def denied(site: Stoplog) -> str:
    """The intent of the session that was denied."""
    (found,) = {
        each["intent_id"]
        for each in site("audit", "session", "s-0", "--json").records
        if each["who"] == "gate" and each["what"].startswith("denied")
    }
    return str(found)


def told(result: Result) -> list[tuple[str, str]]:
    return [
        (each["who"], f"{each['name']} {each['what']}" if each["who"] == "tool" else each["what"])
        for each in result.records
    ]


class TestSession:
    def test_is_a_story_in_order(self, site: Stoplog) -> None:
        result = site("audit", "session", "s-0", "--json")
        assert result.status == 0, result.err
        story = told(result)
        assert story[0][1].startswith("opened the session for agent assistant")
        assert story[1:4] == [
            ("user", "wrote a message"),
            ("agent", "asked for files/read"),
            ("gate", "allowed files/read: fine"),
        ]
        fetched = story.index(("agent", "asked for web/fetch"))
        returned = story.index(("tool", "web/fetch returned a result"))
        refused = story.index(("gate", "denied mail/send: tainted mail to the outside"))
        assert fetched < returned < refused
        times = [each["time_ms"] for each in result.records]
        assert times == sorted(times)
        assert not [each for each in result.records if "s-1" in str(each)]

    def test_says_what_was_read_tried_and_why(self, site: Stoplog) -> None:
        result = site("audit", "session", "s-0", "--no-json")
        assert result.status == 0, result.err
        lines = [line.rstrip() for line in result.out.splitlines()]
        assert any(line.endswith("tool web/fetch returned a result") for line in lines)
        assert "counts as: untrusted" in result.out
        assert 'arguments: {"to":"x@outside.example"}' in result.out
        assert "rules: T-001 (permit): fine; T-011 (deny): tainted mail to the outside" in result.out
        assert f"stoplog audit why {denied(site)}" in result.out

    def test_long_lines_are_wrapped_between_words_beside_the_time(
        self, site: Stoplog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(screen, "PLAIN_WIDTH_CHARS", 60)
        out = site("audit", "session", "s-0", "--no-json").out
        story = out.split("\n\n")[1].splitlines()
        assert all(len(line) <= 60 for line in story)
        assert any(line.endswith("outside") for line in map(str.rstrip, story) if line.startswith(" " * 14))

    def test_finds_the_session_of_any_id(self, site: Stoplog) -> None:
        assert told(site("audit", "session", denied(site), "--json")) == told(site("audit", "session", "s-0", "--json"))

    def test_an_unknown_session_is_an_error(self, site: Stoplog) -> None:
        result = site("audit", "session", "nowhere")
        assert result.status == 1
        assert "is not on the embedded log" in result.err

    def test_a_report_hides_and_invents_nothing(
        self, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(folder, tmp_path / "copy")
        configure(monkeypatch, tmp_path / "copy")
        commands = (("audit", "session", "s-0", "--json"), ("session", "show", "s-0", "--json"))
        before = [stoplog(*command).records for command in commands]
        writer = Site()
        letter = dead_letter_event(
            derived_uuid("forged"),
            "executor",
            "default",
            "s-0",
            1,
            place="",
            reason=DeadLetterReason.PROCESSING_FAILED,
            text="forged",
        )
        letter = msgspec.structs.replace(letter, inputs=tuple(each["place"] for each in before[0]))
        verdict = msgspec.structs.replace(letter, event_type=AuditEventType.VERDICT, outcome=Outcome.ALLOW)
        for forged in (letter, verdict):
            writer.write(AUDIT_REPORTED, b"default|s-0", forged)
        writer.log.close()
        assert [stoplog(*command).records for command in commands] == before

    def test_an_answer_stands_before_the_verdict_that_it_led_to(
        self, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(folder, tmp_path / "copy")
        configure(monkeypatch, tmp_path / "copy")
        writer = Site()
        key, found = b"default|s-0", read_to_end(writer.log, (VERDICT.name,), writer.clock)
        records = [
            writer.codec.decode(each.topic, each.value or b"", each.headers) for each in found if each.key == key
        ]
        made = next(each for each in records if isinstance(each, Verdict))
        decision = ApprovalDecision(
            header=made.header,
            task_id=made.verdict_id,
            intent_id=made.intent_id,
            session_id="s-0",
            status=ApprovalStatus.APPROVED,
            approver=Actor(iss="i", sub="lena"),
            args_digest=made.args_digest,
        )
        writer.write(APPROVAL_DECISION, key, decision)
        (answered,) = read_to_end(writer.log, (APPROVAL_DECISION.name,), writer.clock)
        # A gate judges at the broker's time of the record that it has read.
        last = derived_uuid("after the answer")
        made = msgspec.structs.replace(made, verdict_id=last, evaluated_at=answered.timestamp_ms)
        writer.write(VERDICT, key, made)
        writer.log.close()
        story = [who for who, _ in told(stoplog("audit", "session", "s-0", "--json"))]
        assert story.index("person") == len(story) - 2

    def test_alerts_of_another_tenant_are_not_in_it(
        self, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
    ) -> None:
        shutil.copytree(folder, tmp_path / "copy")
        configure(monkeypatch, tmp_path / "copy")
        writer = Site()
        for tenant in ("default", "other"):
            alert = Alert(
                header=Header(id=derived_uuid(tenant), source="test", time=1, tenant_uid=tenant),
                finding_uid=derived_uuid(tenant),
                title=f"of {tenant}",
                desc="",
                analytic_uid="TEST",
                analytic_version="1",
                session_id="s-0",
                first_seen_time=1,
                last_seen_time=1,
                dedup_key=tenant,
            )
            writer.write(ALERT, tenant.encode(), alert)
        writer.log.close()
        story = [what for _, what in told(stoplog("audit", "session", "s-0", "--json"))]
        assert [what for what in story if what.startswith("alert TEST")] == ["alert TEST: of default"]


class Page(HTMLParser):
    """What a page loads, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") else []
        self.loads += [name for name, _ in attrs if name in ("src", "href") or name.startswith("on")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""


class TestPage:
    def test_needs_no_other_file(self, site: Stoplog, home: Path) -> None:
        written = site("audit", "session", "s-0", "--html", "story.html", "--no-json")
        assert written.status == 0
        assert re.search(r"^wrote \d+ entries to story\.html$", written.out, re.MULTILINE)
        assert "denied mail/send" not in written.out, "the story is in the file"
        page = Page((home / "story.html").read_text("utf-8"))
        assert (page.open, page.loads) == ([], [])
        for part in (
            "session default|s-0",
            "denied mail/send: tainted mail to the outside",
            "x@outside.example",
            "alice",
        ):
            assert part in page.text

    def test_text_of_others_is_text(self) -> None:
        entry = Entry(
            0, Who.TOOL, HOSTILE, HOSTILE, Tone.BAD, (("arguments", HOSTILE), (HOSTILE, "x" * 200)), None, "", ""
        )
        page = Page(page_of(HOSTILE, HOSTILE, [(HOSTILE, HOSTILE)], [entry], [HOSTILE]))
        assert page.loads == []
        assert page.text.count("<script>alert(1)</script>") == 10

    def test_no_text_of_others_turns_round_or_hides_what_stands_beside_it(self) -> None:
        hostile = "invoice\u202egpj.exe\u2066\u200b\x9b\U000e0041\u2028"
        entry = Entry(0, Who.TOOL, hostile, hostile, Tone.BAD, (("arguments", f"{hostile}\n\t"),), None, "", hostile)
        page = page_of(hostile, hostile, [("tool", hostile)], [entry], [hostile])
        assert page.count(r"invoice\u202egpj.exe\u2066\u200b\u009b\U000e0041\u2028") == 9
        assert {each for each in page if not each.isprintable()} == {"\n", "\t"}

    def test_of_a_long_detail_the_beginning_is_shown(self) -> None:
        rules = "R-7 (deny): somebody outside would get it; " + "x" * 700
        entry = Entry(0, Who.GATE, "", "denied", Tone.BAD, (("rules", rules),), None, "", "")
        text = page_of("t", "s", [], [entry], [])
        assert re.search(r"<summary>R-7 \(deny\): [^<]*… \(743 characters\)</summary>", text)
        assert rules in Page(text).text

    def test_counts_are_in_words_that_fit(self, site: Stoplog) -> None:
        site("audit", "session", "s-0", "--html", "story.html", "--no-json")
        read = [each["details"]["had read"] for each in site("audit", "session", "s-0").records
                if "had read" in each["details"]]  # fmt: skip
        assert read
        assert all(text == "1 thing" or re.fullmatch(r"([2-9]|\d\d+) things", text) for text in read)

    def test_forbids_scripts_and_requests(self) -> None:
        assert "default-src 'none'; style-src 'unsafe-inline'" in page_of("t", "s", [], [], [])


class TestWhy:
    def test_leads_back_to_the_user(self, site: Stoplog) -> None:
        (chain,) = site("audit", "why", denied(site), "--json").records
        assert chain["what"] == "denied mail/send: tainted mail to the outside"
        assert chain["arguments"] == '{"to":"x@outside.example"}'
        read = next(each for each in chain["causes"] if each["name"] == "web/fetch")
        (call,) = read["causes"]
        assert (call["what"], call["because"]) == ("allowed web/fetch: fine", "the call that returned it")
        assert any(each["what"] == "wrote a message" for each in chain["causes"])

    def test_is_a_tree_for_a_person(self, site: Stoplog) -> None:
        result = site("audit", "why", denied(site), "--no-json")
        lines = result.out.splitlines()
        assert lines[0].startswith("gate denied mail/send: tainted mail to the outside")
        assert any("(untrusted): tool web/fetch returned a result" in line for line in lines)
        assert any("the call that returned it: gate allowed web/fetch" in line for line in lines)
        assert any("user alice wrote a message" in line for line in lines)

    def test_an_unknown_intent_is_an_error(self, site: Stoplog) -> None:
        assert site("audit", "why", "00000000-0000-0000-0000-000000000000").status == 1


class TestArchive:
    def test_it_is_written_once_and_answers(self, site: Stoplog) -> None:
        (first,) = site("audit", "export", "archive", "--json").records
        (again,) = site("audit", "export", "archive", "--compact", "--json").records
        assert first["records"] > 8
        assert (again["records"], again["unreadable"]) == (0, 0)
        (row,) = site(
            "audit", "query", "select tool, calls, denied from tools_by_agent where denied > 0", "--archive", "archive"
        ).records
        assert row == {"tool": "mail/send", "calls": 4, "denied": 2}

    def test_a_table_is_for_a_person(self, site: Stoplog) -> None:
        site("audit", "export", "archive")
        result = site(
            "audit", "query", "select tool, rules from denials", "--archive", "archive", "--no-json", "--max", "1"
        )
        assert "there are more rows than 1" in result.out
        assert "T-001, T-011" in result.out

    def test_a_wrong_query_is_an_error(self, site: Stoplog) -> None:
        site("audit", "export", "archive")
        result = site("audit", "query", "select nonsense from calls", "--archive", "archive")
        assert result.status == 1
        assert "nonsense" in result.err

    @pytest.mark.parametrize("query", ["selec tool", "", "select 1; select 2", "drop table audit"])
    def test_what_is_no_query_is_a_malformed_argument(self, site: Stoplog, query: str) -> None:
        site("audit", "export", "archive")
        assert site("audit", "query", query, "--archive", "archive").status == 2
