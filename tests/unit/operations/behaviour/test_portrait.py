"""What is drawn of an agent: epochs one after the other, and side by side."""

from __future__ import annotations

import re

from streams.behaviour.activity import DAY_MS
from streams.behaviour.profiles import Profile
from streams.operations.behaviour.baselines import Known
from streams.operations.behaviour.portrait import busiest, portrait_of
from streams.operations.behaviour.portrait_page import BARS_SHOWN_MAX, portrait_page


def known(epoch: str, first_day: int, last_day: int, **tools: int) -> Known:
    profile = Profile(
        "bot",
        epoch,
        sum(tools.values()),
        first_day * DAY_MS,
        last_day * DAY_MS,
        tuple(sorted(tools.items())),
        hours=(0,) * 9 + (sum(tools.values()),) + (0,) * 14,
    )
    return Known("", profile, last_day * DAY_MS)


def test_an_epoch_that_follows_is_compared_with_the_one_before() -> None:
    old, new = known("p/m1", 0, 10, read=400, send=100), known("p/m2", 11, 20, read=100, send=400)
    portrait = portrait_of((new, old), new, old)
    assert portrait.heading == "since the model changed from p/m1 to p/m2"
    assert [each.name for each in portrait.epochs] == ["model p/m2", "model p/m1"]
    assert portrait.changes[0].text.startswith("read is used a quarter as often")


def test_a_canary_is_compared_with_the_epoch_beside_it() -> None:
    old, canary = known("p/m1", 0, 20, read=400), known("p/m2", 12, 20, read=150)
    portrait = portrait_of((canary, old), canary, old)
    assert portrait.heading == "beside the epoch that is still at work (the model changed from p/m1 to p/m2)"
    assert "Beside the epoch that is still at work" in portrait_page(portrait, "now")
    assert "It behaves as before" in portrait_page(portrait, "now")


def test_days_of_epochs_stay_in_one_line_on_a_narrow_screen() -> None:
    """A long name of an epoch left them so little room that they broke at their hyphens."""
    only = known("provider/a-model-with-a-long-name-20250929/0123456789abcdef", 0, 9, read=400)
    page = portrait_page(portrait_of((only,), only, None), "now")
    _, _, table = page.partition('<table class="epochs">')
    assert re.findall(r"<td>(\d{4}-\d\d-\d\d)</td>", table) == ["1970-01-01", "1970-01-10"]
    assert ".epochs td + td { white-space: nowrap; }" in page
    assert re.search(r"@media \(max-width: 36rem\) \{.*\.epochs tr \{ display: grid;", page, re.DOTALL)


def test_an_agent_with_one_epoch_has_nothing_to_compare_with() -> None:
    only = known("", 0, 0, read=1)
    portrait = portrait_of((only,), only, None)
    assert (portrait.heading, portrait.changes) == ("there is no other epoch to compare with", ())
    assert portrait.epoch == "of an unknown model"
    assert portrait.learned == "1 allowed call in 1 day, 1970-01-01 to 1970-01-01"
    assert "It sends data nowhere that the watch knows of." in portrait_page(portrait, "now")


def test_the_rarest_of_many_tools_are_folded() -> None:
    only = known("", 0, 0, **{f"tool_{number:02d}": 100 - number for number in range(BARS_SHOWN_MAX + 3)})
    page = portrait_page(portrait_of((only,), only, None), "now")
    shown, _, folded = page.partition("<details><summary>and 3 more, 19% together</summary>")
    assert "tool_11" in shown
    assert "tool_12" not in shown
    assert all(f"tool_{number}" in folded for number in (12, 13, 14))
    few = known("", 0, 0, read=1)
    assert "<details>" not in portrait_page(portrait_of((few,), few, None), "now")


def test_the_busiest_hours_are_the_fewest_with_nine_tenths_of_the_calls() -> None:
    assert busiest((50, 0, 41, 9) + (0,) * 20) == [0, 2]
    assert busiest((0,) * 24) == []
