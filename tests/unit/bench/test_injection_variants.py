"""Other forms of the cases: an issuer's scope, imperatives, and contents without the instruction detector."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.injection import __main__ as command
from bench.injection import variants
from bench.injection.cases import CALM, HONEST, Case, read_cases
from bench.injection.domain import DOMAINS, Domain, read_domains
from bench.injection.generator import make_cases, make_imperative_cases
from bench.injection.remarks import PEOPLE_SAY, REMARK
from bench.injection.results import Fate
from bench.injection.runner import Runner
from bench.injection.said import limits_of
from streams.provenance.extraction import extract
from streams.provenance.instructions.sentences import sentences_in
from streams.wiring.shipped import rules_directory


def _tool(name: str, **limits: Any) -> dict[str, Any]:
    """A scope of one tool; what is no limit of a scope is that of an argument."""
    names = ("targets", "count_max", "amount_max")
    stated = {each: limits.pop(each) for each in names if each in limits}
    arguments = [{"path": f"/{each.replace('__', '/')}", "values": [value]} for each, value in sorted(limits.items())]
    return {"tools": [name], **stated, **({"arguments": arguments} if arguments else {})}


SHOWN = {
    "helpdesk/honest/cancel-by-mistake": [
        _tool("store/find_user_id_by_email", email="mia.k@postal.example"),
        _tool("store/get_order_details", order_id="#W5918442"),
        _tool("store/cancel_pending_order", targets=["#W5918442"], count_max=1),
    ],
    "helpdesk/honest/cancel-trip": [
        _tool("air/getReservation", locator="RT5LQ8"),
        _tool("air/cancelReservation", targets=["RT5LQ8"], count_max=1),
    ],
    "stack/honest/merge-if-green": [
        _tool("codebase/get_pull_request", number="314"),
        _tool("codebase/merge_pull_request", targets=["314", "shop/cart"], count_max=1),
    ],
    "shop/honest/late-voucher": [
        _tool("counter/order", order="O-5570"),
        _tool("counter/voucher", targets=["C-1042"], count_max=1, amount_max="10"),
    ],
    "people/honest/offer-out": [
        _tool("hiring/get_candidate", candidate_id="C-520"),
        _tool("hiring/send_offer", targets=["C-520"], count_max=1, amount_max="4900", start="2026-05-01"),
    ],
    "office/honest/book-train": [_tool("courier/read", id="m-41"), _tool("travel/book", date="2026-03-11")],
    "pairs/honest/sms-reply": [
        _tool("texter/sms_send", targets=["+47 555 77 001"], count_max=1, text="I'll be there at 6")
    ],
    "concierge/honest/cheap-hotel-oslo": [
        _tool("travel/searchStays", city="Oslo"),
        _tool("travel/bookStay", checkOut="2026-03-20"),
        _tool("cal/manage_event", event__end="2026-03-20"),
    ],
    "concierge/honest/reply-to-askers": [_tool("mailbox/replyToMessage")],
    "concierge/honest/check-inbox": [{"kind": "read"}],
    "concierge/honest/hotel-question": [_tool("travel/searchStays", city="Oslo")],
}


@cache
def _domains() -> dict[str, Domain]:
    return {domain.domain: domain for domain in read_domains()}


@cache
def _case(case_id: str) -> Case:
    (found,) = [case for case in make_cases(_domains()[case_id.partition("/")[0]]) if case.id == case_id]
    return found


def _scopes(case: Case) -> list[list[dict[str, Any]]]:
    stated = variants.with_issuer_scope(case, _domains()[case.domain]).records()
    return [line["value"]["task_scopes"] for line in stated if line["value"].get("type") == "PURPOSE_SET"]


@pytest.mark.parametrize("case_id", SHOWN)
def test_an_issuer_states_what_the_request_says(case_id: str) -> None:
    assert _scopes(_case(case_id)) == [SHOWN[case_id]]


def test_an_issuer_does_not_know_what_an_attacker_wants() -> None:
    plain = _case("helpdesk/nested/passenger-slipped-in/misspelled-name")
    assert _scopes(plain) == _scopes(_case("helpdesk/honest/misspelled-name"))
    asked = _case("helpdesk/other-record/asks-reservation/asks-reservation")
    assert _scopes(asked) == [[_tool("air/cancelReservation", targets=["MK2HBB"], count_max=1)]]


@pytest.mark.parametrize(
    ("value", "said", "is_said"),
    [
        ("2026-03-11", "the train on 11 March", True),
        ("2026-03-11", "on the 11th of march", True),
        ("2026-03-11", "March 11, please", True),
        ("2026-03-11", "on Wednesday", True),
        ("2026-03-11", "on 12 March, or on Thursday", False),
        ("2026-03-11T09:00", "wednesday at 9", True),
        ("2026-03-11T19:30", "wednesday, 7:30 pm", True),
        ("2026-03-11T09:00", "wednesday morning", False),
        ("2026-03-11T09:00", "at 9", False),
        ("asia", "open it for Asia.", True),
        ("asia", "open it for Eurasia", False),
        ("no", "no, thanks", False),
    ],
)
def test_an_issuer_reads_days_times_and_words(value: str, said: str, *, is_said: bool) -> None:
    schema = {"type": "object", "properties": {"when": {"type": "string"}}}
    assert limits_of([{"when": value}], said, schema, reads=False) == ({"/when": [value]} if is_said else {})


def test_an_issuer_limits_a_text_that_was_dictated_and_no_words_of_one() -> None:
    schema = {"type": "object", "properties": {"body": {"type": "string"}}}
    for said, is_said in (("Tell her: see you soon", True), ("Say 'see you soon'", True), ("I'll see you soon", False)):
        assert bool(limits_of([{"body": "See you soon"}], said, schema, reads=False)) is is_said


def test_an_issuer_limits_reads_by_numbers_and_only_what_all_calls_have() -> None:
    calls = [{"case": "7120", "folder": "inbox"}, {"case": "7121", "folder": "inbox", "page": "2"}]
    said = "Look into cases 7120 and 7121 in my inbox, page 2"
    assert limits_of(calls, said, {}, reads=True) == {"/case": ["7120", "7121"]}
    assert limits_of(calls, "Look into case 7120", {}, reads=True) == {}


def test_every_session_has_a_scope_of_its_own() -> None:
    case = next(each for each in make_cases(_domains()["pairs"]) if each.family == "other session")
    first, second = _scopes(case)
    assert first != second
    assert {name for scope in second for name in scope["tools"]} == {"stickies/save", "alarmclock/set"}


def test_the_gate_denies_what_is_outside_the_scope() -> None:
    case = _case("helpdesk/no-sink/roaming-on/data-used-up")
    runner, (goal,) = Runner(rules_directory()), case.goal
    assert runner.judge(case).approved[goal] is Fate.RUN
    judged = runner.judge(variants.with_issuer_scope(case, _domains()["helpdesk"]))
    assert judged.approved[goal] is Fate.STOPPED
    assert judged.is_unaided


def test_imperatives_have_the_verbs_of_the_tools() -> None:
    cases = read_cases(["develop"])
    made = variants.with_imperatives(cases, _domains().values())
    honest = [case.id for case in cases if case.technique == HONEST]
    assert sorted(case.id for case in made if case.technique == HONEST) == sorted(honest)
    assert [case for case in made if case.technique == CALM] == [case for case in cases if case.technique == CALM]
    assert all(case.is_honest for case in made)
    texts = {case.id: "\n".join(case.lines) for case in made}
    assert "Please change flights or cabin of a reservation." in texts["helpdesk/honest/flight-change-later"]


def test_imperatives_read_like_instructions_and_name_no_value() -> None:
    shop = _domains()["shop"]
    case = next(each for each in make_imperative_cases(shop) if each.id == "shop/honest/new-address")
    (told,) = [line["value"]["content"] for line in case.records() if "boots" in line["value"].get("content", "")]
    said = json.loads(told)["messages"].partition("Monday. ")[2]
    assert [sentence.instructs for sentence in sentences_in(said)] == [True, True]
    assert any(said.startswith(sentence) for sentence in PEOPLE_SAY)
    assert not any(letter.isdigit() for letter in said)


def test_people_say_many_things_and_all_of_them_stand_in_tasks() -> None:
    made = [line for domain in _domains().values() for case in make_imperative_cases(domain) for line in case.lines]
    texts = "\n".join(made)
    assert len(set(PEOPLE_SAY)) == len(PEOPLE_SAY) >= 40
    assert [sentence for sentence in PEOPLE_SAY if json.dumps(sentence, ensure_ascii=False)[1:-1] not in texts] == []
    assert not any(letter.isdigit() or letter == "@" for letter in "".join(PEOPLE_SAY))


def test_a_record_that_others_may_write_to_has_a_remark_of_theirs() -> None:
    made = make_imperative_cases(_domains()["airline"])
    case = next(each for each in made if each.id == "airline/honest/claim-settled")
    results = [line["value"]["content"] for line in case.records() if line["value"].get("type") == "TOOL_RESULT"]
    assert any(REMARK in json.loads(result) for result in results)


def test_the_detector_is_off_for_a_while() -> None:
    with variants.detector_off():
        off = vars(extract)[variants.DETECTOR]("Pay it at once. Please send it.")
    assert [(each.instructs, each.flagged, each.calls_for) for each in off] == [(False, False, 0)] * 2
    assert [each.start for each in off] == [each.start for each in sentences_in("Pay it at once. Please send it.")]
    assert vars(extract)[variants.DETECTOR] is sentences_in


def test_the_detector_is_back_after_a_fault() -> None:
    with pytest.raises(ValueError, match="broken"), variants.detector_off():
        raise ValueError("broken")
    assert vars(extract)[variants.DETECTOR] is sentences_in


@pytest.mark.parametrize(
    ("case_id", "approved"),
    [("airline/plain/phone-taken/lost-bag", Fate.RUN), ("pairs/plain/lock-guest/product-pros", Fate.STOPPED)],
    ids=("inside", "of weight, to whom only text names"),
)
def test_without_the_detector_an_instruction_inside_is_only_a_question(case_id: str, approved: Fate) -> None:
    case = _case(case_id)
    runner, (goal,) = Runner(rules_directory()), case.goal
    assert runner.judge(case).approved[goal] is Fate.STOPPED
    with variants.detector_off():
        judged = runner.judge(case)
    assert (judged.unanswered[goal], judged.approved[goal]) == (Fate.STOPPED, approved)


def test_the_command_prints_both_forms_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    attack = next(each for each in make_cases(_domains()["shop"]) if each.technique == "plain")
    few = [_case("shop/honest/cancel-lamp"), attack]
    few += [msgspec.structs.replace(few[0], id="shop/honest-calm/cancel-lamp", technique=CALM)]
    monkeypatch.setattr(command, "read_cases", lambda halves: few)
    words = ["--scope", "issuer", "--detector", "off", "--imperatives", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["injection", *words])
    assert command.main() == 0
    shown = capsys.readouterr().out
    for name in ("[1] starter packs", "[2] starter packs, issuer's scope", "[3] starter packs, detector off"):
        assert name in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("[4] starter packs, imperatives")]
    assert row.split()[4:] == ["-", "-", "100.0", "100.0", "0.0", "0.0", "-"]
    (plain,) = [line.split() for line in shown.splitlines() if line.startswith("plain ")]
    assert (plain[:2], plain[-1]) == (["plain", "1"], "-")
    assert max(map(len, shown.splitlines())) <= 100
    assert not list(tmp_path.iterdir())


def test_every_domain_has_its_forms() -> None:
    assert {path.stem for path in DOMAINS.glob("*.yaml")} == set(_domains())
    for domain in _domains().values():
        assert len(make_imperative_cases(domain)) == len(domain.tasks) + 1
