"""Private data that go where more people see them: who may see a value, and who sees what a call writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simulation.records import TRUSTED, tool_entry
from streams.model.catalog import OutputLabel
from streams.model.labels import WORST, Confidentiality, Integrity, Label
from streams.model.verdict import Outcome, Verdict
from streams.processors.provenance.flow import AUDIENCES_MAX, PIECES_MAX, READERS_BYTES_MAX, Audience, audience_of
from streams.processors.provenance.memory import Memory
from streams.processors.provenance.values import ORIGINS_MAX
from streams.provenance.sources.memory import EVENTS_MAX, PATHS_MAX
from tests.kit import BUNDLE
from tests.unit.processors.provenance_pack.tools import ACTS, INNER, READS
from tests.unit.processors.talk import Talk

PRIVATE = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
STAFF_ONLY = Label(
    integrity=Integrity.TRUSTED,
    confidentiality=Confidentiality.PRIVATE,
    readers=("anna@home.example", "@acme.example"),
)
RECORD = tool_entry(
    "bank", "show", **READS, output_label=PRIVATE, output_labels=(OutputLabel(path="id", label=TRUSTED),)
)
STAFF = tool_entry("staff", "find", **READS, output_label=STAFF_ONLY)
PAGE = tool_entry("site", "read", **READS, output_label=TRUSTED)
BARE = tool_entry("bare", "read", **{**READS, "output_label": None})
BOARD = tool_entry("board", "post", **{**ACTS, "output_label": PRIVATE}, sink_args=("/board",))
WIKI = tool_entry("site", "write", **ACTS, sink_args=("/page",))
SEND = tool_entry("box", "send", **{**ACTS, "output_label": PRIVATE}, sink_args=("/to",))
VISIT = tool_entry("web", "visit", **{**READS, "open_world": True}, output_label=TRUSTED, sink_args=("/url",))
ORDER = tool_entry("shop", "order", **{**ACTS, "output_label": PRIVATE})
KEEP = tool_entry("memo", "keep", **INNER)
ENTRIES = (RECORD, STAFF, PAGE, BARE, BOARD, WIKI, SEND, VISIT, ORDER, KEEP)
ACCOUNT, ORDER_NO = "DE02300209000106531065", "O-7700412"

RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: P-2, effect: deny, match: {tools: ["*"]}, when: flow.private && flow.public, reason: public}
  - {id: P-3, effect: deny, match: {tools: ["*"]}, when: flow.excluded, reason: excluded}
"""


def opened(rules: str = RULES) -> Talk:
    return Talk({"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": rules}, ENTRIES)


def fired(verdict: Verdict) -> list[str]:
    return [rule.rule_id for rule in verdict.rules if rule.rule_id != "P-1"]


def test_an_account_of_a_private_record_is_not_for_a_public_place() -> None:
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"id": "r-1", "account": ACCOUNT})
    assert fired(talk.judge(BOARD, {"board": "help", "text": f"It is {ACCOUNT}."})) == ["P-2"], "a post"
    assert fired(talk.judge(WIKI, {"page": "help", "text": ACCOUNT})) == ["P-2"], "what the tool returns is public"
    assert talk.judge(SEND, {"to": "anna@home.example", "body": ACCOUNT}).outcome is Outcome.ALLOW
    assert talk.judge(KEEP, {"text": ACCOUNT}).outcome is Outcome.ALLOW


def test_what_the_user_has_named_is_his_to_publish() -> None:
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"id": "r-1", "account": ACCOUNT})
    talk.say(f"Put {ACCOUNT} on the board.")
    assert talk.judge(BOARD, {"board": "help", "text": f"It is {ACCOUNT}."}).outcome is Outcome.ALLOW


def test_a_field_can_be_public_in_a_private_record_and_so_is_a_page() -> None:
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"id": ORDER_NO, "account": ACCOUNT})
    assert talk.judge(BOARD, {"board": "help", "text": f"About {ORDER_NO}"}).outcome is Outcome.ALLOW
    talk.read(PAGE, {"id": "1"}, {"support": "help@shop.example"})
    assert talk.judge(BOARD, {"board": "help", "text": "Ask help@shop.example"}).outcome is Outcome.ALLOW


def test_an_address_carries_what_the_agent_puts_into_it() -> None:
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"id": "r-1", "account": ACCOUNT, "link": f"https://bank.example/a/{ACCOUNT}"})
    for url in (f"https://shop.example/find?q={ACCOUNT}", f"https://shop.example/{ACCOUNT}#x"):
        assert fired(talk.judge(VISIT, {"url": url})) == ["P-2"], url
    assert fired(talk.judge(VISIT, {"url": f"https://bank.example/a/{ACCOUNT}"})) == [], "a link as it was shown"
    assert fired(talk.judge(VISIT, {"url": "https://shop.example/find?q=shoes"})) == []


@pytest.mark.parametrize(
    "text",
    [
        f"https://x.example/{ACCOUNT}/p.png",
        f"See https://x.example/p.png?q={ACCOUNT} for more.",
        f"See https://x.example/{ACCOUNT}#part for more.",
        f"![i](https://x.example/{ACCOUNT}/p.png)",
        f"![i](https://x.example/{ACCOUNT[:6]}%{ord(ACCOUNT[6]):x}{ACCOUNT[7:]}/p.png)",
        f"![i](https://x.example/%25{ord(ACCOUNT[0]):x}{ACCOUNT[1:]}/p.png)",
        f"https://{ACCOUNT}@x.example/",
        f"![i](https://me:{ACCOUNT}@x.example/p.png)",
        f"https://{ACCOUNT}.x.example/p.png",
        f"Load https://a.{ACCOUNT.lower()}.x.example for more.",
        f"Write to {ACCOUNT}@x.example for more.",
    ],
    ids=[
        *("whole", "query in a text", "path with a fragment in a text", "image", "escaped", "escaped twice"),
        *("name of a user", "his password", "part of the host", "part of a host in a text", "mailbox"),
    ],
)
def test_an_address_inside_of_a_text_carries_what_is_in_it(text: str) -> None:
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"id": "r-1", "account": ACCOUNT})
    assert fired(talk.judge(BOARD, {"board": "help", "text": text})) == ["P-2"]


def test_an_address_inside_of_a_text_is_no_secret_as_it_was_shown() -> None:
    talk = opened()
    talk.read(PAGE, {"id": "1"}, {"link": f"https://shop.example/{ORDER_NO}/p.png"})
    talk.read(RECORD, {"id": "1"}, {"id": "r-1", "order": ORDER_NO})
    shown, made = (f"![i](https://{host}/{ORDER_NO}/p.png)" for host in ("shop.example", "x.example"))
    assert fired(talk.judge(BOARD, {"board": "help", "text": shown})) == []
    assert fired(talk.judge(BOARD, {"board": "help", "text": made})) == ["P-2"]


def links(count: int, steps: int) -> list[str]:
    return ["https://x.example/" + "/".join(f"s{number}-{step}" for step in range(steps)) for number in range(count)]


def steps_in(looked: list[str]) -> list[str]:
    """The steps of `links` among the values that were looked up."""
    return [value for value in looked if value.startswith("s") and value[1:].isdigit()]


def test_of_many_addresses_only_a_bounded_number_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look = Memory.look
    monkeypatch.setattr(Memory, "look", lambda self, kind, value: looked.append(value) or look(self, kind, value))
    talk = opened()
    talk.read(PAGE, {"id": "1"}, {"support": "help@shop.example"})
    for count in (ORIGINS_MAX, 6 * ORIGINS_MAX):
        looked.clear()
        verdict = talk.judge(BOARD, {"board": "help", "links": links(count, PIECES_MAX - 2)})
        assert len(steps_in(looked)) == ORIGINS_MAX * (PIECES_MAX - 2)
    assert fired(verdict) == ["P-2"], "what was not looked at counts as private"


def test_where_no_rule_asks_for_flow_no_address_is_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look = Memory.look
    monkeypatch.setattr(Memory, "look", lambda self, kind, value: looked.append(value) or look(self, kind, value))
    head, _, _ = RULES.partition("  - {id: P-2")
    rule = '  - {id: P-4, effect: deny, match: {tools: ["*"]}, when: "origins.exists(o, !o.sink)", reason: any}\n'
    verdicts = []
    for rules, count in ((RULES + rule, 6), (head + rule, 0)):
        talk = opened(rules)
        talk.say("Write to help@shop.example.")
        looked.clear()
        verdicts.append(talk.judge(BOARD, {"board": "help", "links": links(2, 3)}))
        assert len(steps_in(looked)) == count
    assert verdicts[0].origins == verdicts[1].origins
    assert [fired(verdict) for verdict in verdicts] == [["P-4"]] * 2


def test_addresses_inside_of_addresses_count_as_addresses() -> None:
    talk = opened()
    many = [
        "https://x.example/?" + "&".join(f"q{n}=https://y.example/{n * 100 + number}" for number in range(60))
        for n in range(3)
    ]
    assert fired(talk.judge(BOARD, {"board": "help", "links": many[:1]})) == []
    assert fired(talk.judge(BOARD, {"board": "help", "links": many})) == ["P-2"]


def test_data_go_to_their_readers_only() -> None:
    talk = opened()
    talk.read(STAFF, {"name": "x"}, {"badge": ORDER_NO})
    for to, rules in (
        ("anna@home.example", []),
        ("Ben@ACME.example", []),
        ("ben@evil-acme.example", ["P-3"]),
        ("acme.example", ["P-3"]),
        (talk.session.sub, []),
    ):
        assert fired(talk.judge(SEND, {"to": to, "body": f"The badge is {ORDER_NO}."})) == rules, to
    assert fired(talk.judge(ORDER, {"badge": ORDER_NO})) == ["P-3"], "nobody knows who sees it"
    assert fired(talk.judge(KEEP, {"badge": ORDER_NO})) == [], "it stays inside"


def test_who_reports_a_content_can_only_narrow_who_may_see_it() -> None:
    talk = opened()
    talk.read(PAGE, {"id": "1"}, {"account": ACCOUNT}, label=PRIVATE)
    assert fired(talk.judge(BOARD, {"board": "help", "text": ACCOUNT})) == ["P-2"]
    talk = opened()
    talk.read(RECORD, {"id": "1"}, {"account": ACCOUNT}, label=TRUSTED)
    assert fired(talk.judge(BOARD, {"board": "help", "text": ACCOUNT})) == ["P-2"]


@pytest.mark.parametrize("args", [{"board": "help", "text": ACCOUNT}, {"board": "help", "text": f"See {ACCOUNT}."}])
def test_what_nobody_has_labelled_is_not_for_everybody(args: Mapping[str, Any]) -> None:
    talk = opened()
    talk.read(BARE, {"id": "1"}, {"account": ACCOUNT})
    assert fired(talk.judge(BOARD, args)) == ["P-2"]
    assert talk.judge(SEND, {"to": "anna@home.example", "body": ACCOUNT}).outcome is Outcome.ALLOW


def test_what_is_not_kept_is_not_for_everybody() -> None:
    talk = opened()
    wide = {f"field{number}": f"W-{number:07}" for number in range(PATHS_MAX + 5)}
    talk.read(PAGE, {"id": "1"}, wide)
    last = wide[f"field{PATHS_MAX + 4}"]
    assert talk.judge(BOARD, {"board": "help", "text": last}).outcome is Outcome.ALLOW, "the whole page is public"
    for number in range(EVENTS_MAX):
        talk.read(PAGE, {"id": "1"}, {"code": f"C-{number:07}"})
    assert fired(talk.judge(BOARD, {"board": "help", "text": f"C-{EVENTS_MAX - 1:07}"})) == ["P-2"]


def public_for(*readers: str) -> Label:
    return Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PUBLIC, readers=readers)


def test_audiences_are_bounded_and_fail_closed() -> None:
    assert audience_of(None, TRUSTED) == audience_of(WORST, None) == Audience()
    many = tuple(f"reader{number}@acme.example" for number in range(60))
    assert sum(map(len, many)) > READERS_BYTES_MAX
    assert audience_of(public_for(*many), None).readers == ()
    fields = {f"f{number}": f"F-{number:07}" for number in range(AUDIENCES_MAX + 2)}
    labels = tuple(OutputLabel(path=name, label=public_for(name)) for name in fields)
    sheet = tool_entry("sheet", "read", **READS, output_label=TRUSTED, output_labels=labels)
    talk = Talk({"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}, (*ENTRIES, sheet))
    talk.read(sheet, {"id": "1"}, fields)
    assert fired(talk.judge(SEND, {"to": "f3", "body": fields["f3"]})) == []
    assert fired(talk.judge(SEND, {"to": "f3", "body": fields["f4"]})) == ["P-3"]
    assert fired(talk.judge(BOARD, {"board": "f17", "text": fields[f"f{AUDIENCES_MAX + 1}"]})) == ["P-2"]
