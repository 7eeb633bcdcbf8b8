"""Which tools a text mentions, as a plain search for each name would find, and how long that takes for many tools."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operations.review.mentions import NAME_CHARS_MIN, NAME_PARTS_MAX, SPELLINGS_MAX, Mentions
from streams.operations.review.names import SHADOWS_MAX, KnownNames

TOOLS_COUNT = 20_000
SEARCHED_COUNT = 50
SLOW_S = 2.0
NAMES = st.text("ab_-.é ", min_size=1, max_size=8)


def stands_alone(text: str, name: str) -> bool:
    """Whether a name stands somewhere in a text with no word running on beside it."""
    at = text.find(name)
    while at >= 0:
        around = (
            text[at - 1 : at] + text[at + len(name) : at + len(name) + 1] if at else text[len(name) : len(name) + 1]
        )
        if not any(char.isalnum() or char == "_" for char in around):
            return True
        at = text.find(name, at + 1)
    return False


@given(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6), NAMES)
def test_a_name_is_found_where_a_search_for_it_finds_it(names: list[str], spoken: list[str], own: str) -> None:
    tools = [f"s/{name}" for name in names]
    text = " ".join(spoken)
    short = [name for name in names if len(name) >= NAME_CHARS_MIN and not name.isalpha()]
    expected = {
        f"s/{name}"
        for name in names
        if name != own
        and any(char.isalnum() or char == "_" for char in name)
        and (stands_alone(text, f"s/{name}") or (name in short and stands_alone(text, name)))
    }
    found = Mentions(tools).first_in(text, own)
    assert (found is None) == (not expected)
    assert found is None or found.tool in expected


def test_a_name_counts_where_it_stands_alone_after_one_that_does_not() -> None:
    found = Mentions(["mail/send_mail"]).first_in("resend_mails, then send_mail", "x")
    assert found is not None
    assert (found.tool, found.start, found.end) == ("mail/send_mail", 19, 28)


def test_the_first_one_is_reported_and_none_of_the_tools_own_name() -> None:
    known = Mentions(["a/get_it", "b/get_it", "b/set_it"])
    assert (known.first_in("first set_it, then get_it", "x") or ("",))[0] == "b/set_it"
    assert (known.first_in("first set_it, then get_it", "set_it") or ("",))[0] == "a/get_it"


def test_many_tools_make_no_text_slow() -> None:
    tools = [
        f"crm/customer-{verb}-{number}" for number in range(TOOLS_COUNT // 4) for verb in ("get", "set", "add", "cut")
    ]
    text = "see customer-get and crm/customer, or ask the customer " * 200
    known, names = Mentions(tools), KnownNames(("crm", tool.partition("/")[2]) for tool in tools)
    began_s = time.thread_time()
    for tool in tools[:SEARCHED_COUNT]:
        assert known.first_in(text, tool.partition("/")[2]) is None
        assert names.shadows_of(("crm", tool.partition("/")[2])) == []
    # Of the processor, because others share the machine. A search for each name takes ten times as long.
    assert time.thread_time() - began_s < SLOW_S


def test_tools_that_all_look_alike_are_reported_up_to_a_number() -> None:
    tools = [("s", "send" + "-" * count) for count in range(1_000)]
    assert len(KnownNames(tools).shadows_of(tools[0])) == SHADOWS_MAX


def test_many_tools_of_a_server_do_not_hide_which_tool_of_another_they_look_like() -> None:
    own = [("a", "send" + "-" * count) for count in range(2 * SHADOWS_MAX)]
    found = KnownNames([*own, ("mail", "send")]).shadows_of(own[1])
    assert ("mail", "send") in [each.other for each in found]
    assert len(found) == SHADOWS_MAX


@pytest.mark.parametrize(
    ("names", "text"),
    [
        pytest.param(["a" + "!" * 20_000 + "b"], "", id="many signs within a name"),
        pytest.param(["a-" * 5_000 + "b"], "a-" * 10_000, id="many parts in a name"),
        pytest.param(
            ["send_it" + "!" * count + "?" for count in range(1_500)], "send_it " * 2_500, id="many spellings"
        ),
        pytest.param(["send_it"], "a " * 10_000, id="many parts in a text"),
    ],
)
def test_no_names_of_a_hostile_server_make_a_text_slow(names: list[str], text: str) -> None:
    began_s = time.thread_time()
    assert Mentions(f"s/{name}" for name in names).first_in(text, "x") is None
    assert time.thread_time() - began_s < SLOW_S


def test_a_name_is_found_beside_many_that_have_signs_around_its_words() -> None:
    known = Mentions([*(f"a/send_it{'!' * count}?" for count in range(2 * SPELLINGS_MAX)), "mail/send_it"])
    assert (known.first_in("then send_it", "x") or ("",))[0] == "mail/send_it"


def test_a_name_of_as_many_parts_as_are_followed_is_found() -> None:
    longest = "-".join("a" * (NAME_PARTS_MAX // 2))
    assert (Mentions([f"s/{longest}"]).first_in(f"see {longest}", "x") or ("",))[0] == f"s/{longest}"
