"""What is said about two epochs of an agent, and when nothing is."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS
from streams.behaviour.epochs import EpochParts, changed_parts, epoch_of, epoch_parts, without_prompt
from streams.behaviour.estimators import Median
from streams.behaviour.profiles import Profile
from streams.operations.behaviour.changes import (
    EVIDENCE_MIN,
    changes_between,
    likelihood_ratio,
    percent,
    spans,
    times,
)

SPAN_MS = 20 * DAY_MS
OFFICE = tuple(100 if 9 <= hour < 17 else 0 for hour in range(24))


def profile(tools: dict[str, int], **fields: object) -> Profile:
    """Return what is usual, learned from as many calls as the tools have."""
    given = {"agent": "bot", "calls": sum(tools.values()), "last_ms": SPAN_MS, "hours": OFFICE, **fields}
    return Profile(tools=tuple(sorted(tools.items())), **given)


def texts(before: Profile, now: Profile) -> list[str]:
    return [change.text for change in changes_between(before, now)]


def test_a_tool_that_is_used_nine_times_as_often_is_said_to_be() -> None:
    before, now = profile({"a.read": 760, "a.send": 40}), profile({"a.read": 512, "a.send": 288})
    assert "a.send is used 9 times as often" not in "".join(texts(before, before))
    found = texts(before, now)
    assert found == ["a.send is used 7.2 times as often: 5% of its calls before, 36% now"]
    now = profile({"a.read": 440, "a.send": 360})
    assert texts(before, now)[0] == "a.send is used 9 times as often: 5% of its calls before, 45% now"


def test_what_chance_explains_is_not_said() -> None:
    assert texts(profile({"a.read": 95, "a.send": 5}), profile({"a.read": 9, "a.send": 2})) == []
    assert texts(profile({"a.read": 500, "a.send": 500}), profile({"a.read": 560, "a.send": 440})) == []
    assert texts(profile({}), profile({"a.read": 900})) == []


def test_first_and_last_times_are_said() -> None:
    found = texts(profile({"a.read": 700, "a.send": 100}), profile({"a.read": 700, "a.drop": 100}))
    assert sorted(found) == [
        "a.drop is used for the first time: 12% of its calls",
        "a.send is used no longer: it was 12% of its calls",
    ]


def test_places_are_shares_of_what_is_sent() -> None:
    before = profile({"a.send": 800}, destinations=(("old.example", 400),))
    now = profile({"a.send": 800}, destinations=(("new.example", 300), ("old.example", 100)))
    assert texts(before, now)[0] == "new.example is written to for the first time: 75% of what it sends"


def test_amounts_hours_and_pace_are_compared() -> None:
    before = profile({"a.pay": 400}, amounts=(("a.pay", Median(3.0, 0.4, 80)),), last_ms=20 * DAY_MS)
    night = tuple(63 if hour in (23, 0, 1) else 10 for hour in range(24))
    now = profile(
        {"a.pay": 400}, amounts=(("a.pay", Median(4.0, 0.4, 80)),), hours=night, first_ms=0, last_ms=5 * DAY_MS
    )
    assert sorted(texts(before, now)) == [
        "80% of its calls fall into hours at which it hardly worked before: 17:00-09:00 UTC",
        "it makes 4 times as many calls: 20 a day before, 80 now",
        "the usual amount of a.pay is 2.8 times what it was: 19.1 before, 53.6 now",
    ]


def test_few_amounts_say_nothing() -> None:
    before = profile({"a.pay": 400}, amounts=(("a.pay", Median(3.0, 0.4, 80)),))
    assert texts(before, profile({"a.pay": 400}, amounts=(("a.pay", Median(6.0, 0.4, 9)),))) == []


@pytest.mark.parametrize(
    ("epoch", "parts"),
    [
        ("example/m1", EpochParts("example/m1", "", "")),
        ("example/m1/0123456789abcdef", EpochParts("example/m1", "0123456789abcdef", "")),
        ("example/m1/2026-01/0123456789abcdef/v2/rc", EpochParts("example/m1/2026-01", "0123456789abcdef", "v2/rc")),
        ("", EpochParts("", "", "")),
        (
            "example/m1/0123456789abcdef/prompt:fedcba9876543210/v2/rc",
            EpochParts("example/m1", "0123456789abcdef", "v2/rc", "fedcba9876543210"),
        ),
        ("example/m1/prompt:fedcba9876543210", EpochParts("example/m1", "", "", "fedcba9876543210")),
        ("prompt:fedcba9876543210/v2", EpochParts("", "", "v2", "fedcba9876543210")),
        ("example/m1/prompt:fedcba98", EpochParts("example/m1/prompt:fedcba98", "", "")),
    ],
)
def test_the_parts_of_an_epoch(epoch: str, parts: EpochParts) -> None:
    assert epoch_parts(epoch) == parts


def test_what_of_an_epoch_has_changed() -> None:
    a, b = "0123456789abcdef", "fedcba9876543210"
    assert changed_parts("p/m1", "p/m2") == "the model changed from p/m1 to p/m2"
    assert changed_parts(f"p/m1/{a}/v1", f"p/m1/{b}/v2") == "the toolset changed and the version changed from v1 to v2"
    assert changed_parts("p/m1", f"p/m1/{a}/v1") == "the toolset changed and the version became v1"
    assert changed_parts("", "") == "the epoch changed"
    assert changed_parts(f"p/m1/{a}/prompt:{a}", f"p/m1/{a}/prompt:{b}") == "the system prompt changed"
    assert changed_parts(f"p/m1/{a}", f"p/m1/{a}/prompt:{b}") == "the system prompt became known"


def test_an_epoch_is_made_of_what_is_known_and_read_again() -> None:
    toolset, prompt = bytes(range(32)), bytes(range(32, 64))
    epoch = epoch_of("p/m1", toolset, prompt, "v1")
    assert epoch_parts(epoch) == EpochParts("p/m1", toolset.hex()[:16], "v1", prompt.hex()[:16])
    assert without_prompt(epoch) == epoch_of("p/m1", toolset, None, "v1") == f"p/m1/{toolset.hex()[:16]}/v1"
    assert epoch_of("", None, None, "") == ""


def test_words_for_numbers() -> None:
    assert [times(each) for each in (9, 2.52, 12.4, 1_234, 0.5, 0.34, 0.4, 0.19, 0.1, 0)] == [
        "9 times", "2.5 times", "12 times", "1,234 times", "half", "a third", "0.4 times", "1/5", "1/10", "0 times",
    ]  # fmt: skip
    assert [percent(each) for each in (0, 0.004, 0.36)] == ["0%", "less than 1%", "36%"]
    assert spans([22, 23, 0, 1, 5]) == "05:00-06:00, 22:00-02:00"
    assert spans(list(range(24))) == "00:00-00:00"
    assert spans([]) == "none"


def test_the_likelihood_ratio_agrees_with_its_definition() -> None:
    assert likelihood_ratio(10, 100, 10, 100) == pytest.approx(0)
    assert likelihood_ratio(0, 100, 0, 100) == 0
    # 2 (LL of 50/100 and 10/100 apart, less LL together), reckoned by hand from the binomial.
    assert likelihood_ratio(50, 100, 10, 100) == pytest.approx(41.0, abs=0.5)
    assert EVIDENCE_MIN < 41
