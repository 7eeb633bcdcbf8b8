"""Which system prompts are part of an epoch."""

from __future__ import annotations

import pytest

from streams.behaviour.activity import DAY_MS, Activity
from streams.behaviour.epochs import epoch_parts
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.processors.watch.prompts import PROMPTS_PER_DAY_MAX, VARIES_MS, with_steady_prompt
from tests.unit.behaviour.kit import Rows, activity


@pytest.mark.parametrize("count", [PROMPTS_PER_DAY_MAX, PROMPTS_PER_DAY_MAX + 1])
def test_prompts_that_vary_are_no_part_of_epochs(count: int) -> None:
    rows = OpenRows(Rows(), RememberedRows())
    day_ms = 20_000 * DAY_MS
    seen = [with_steady_prompt(_with_prompt(at, day_ms + at), rows).epoch for at in range(count)]
    varies = count > PROMPTS_PER_DAY_MAX
    assert [bool(epoch_parts(epoch).prompt) for epoch in seen] == [True] * (count - varies) + [False] * varies
    # A known prompt is no part either, until the time is over; another agent is none of this one's business.
    again = with_steady_prompt(_with_prompt(0, day_ms + DAY_MS), rows)
    assert bool(epoch_parts(again.epoch).prompt) is not varies
    assert epoch_parts(with_steady_prompt(_with_prompt(0, day_ms, agent="other"), rows).epoch).prompt
    later = with_steady_prompt(_with_prompt(0, day_ms + VARIES_MS + DAY_MS), rows)
    assert epoch_parts(later.epoch).prompt


def test_some_new_prompts_on_every_day_are_releases() -> None:
    rows = OpenRows(Rows(), RememberedRows())
    for day in range(30):
        for number in range(PROMPTS_PER_DAY_MAX):
            it = _with_prompt(100 * day + number, (20_000 + day) * DAY_MS + number)
            assert with_steady_prompt(it, rows) == it


def test_what_states_no_prompt_leaves_no_row() -> None:
    view = Rows()
    rows = OpenRows(view, RememberedRows())
    it = activity(20_000 * DAY_MS, epoch="p/m1/0123456789abcdef/v1")
    assert with_steady_prompt(it, rows) is it
    rows.close()
    assert not view


def _with_prompt(number: int, time_ms: int, agent: str = "desk") -> Activity:
    return activity(time_ms, agent=agent, epoch=f"p/m1/prompt:{number:016x}/v1")
