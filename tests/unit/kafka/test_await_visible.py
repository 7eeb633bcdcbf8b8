"""When a change counts as visible, by the answers of brokers that take it on one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from streams.kafka.lookups.await_visible import await_visible
from streams.ports import RetriableLogError


def from_answers(answers: Iterator[bool]) -> Callable[[], bool]:
    return lambda: next(answers)


def test_one_broker_is_asked_until_it_shows_the_change() -> None:
    answers = iter([False, False, True, True])
    await_visible(from_answers(answers), lambda: 1, "it")
    assert list(answers) == [True]


def test_of_several_brokers_as_many_answers_in_a_row_must_show_it() -> None:
    answers = iter([True, True, False, True, False, True, True, True, False])
    await_visible(from_answers(answers), lambda: 3, "it")
    assert list(answers) == [False]


def test_brokers_are_counted_after_the_first_answer() -> None:
    seen: list[int] = []

    def look() -> bool:
        seen.append(len(seen))
        return True

    await_visible(look, lambda: 2 if seen else 0, "it")
    assert seen == [0, 1]


@pytest.mark.parametrize("last", [[False], [True, False]])
def test_what_stays_hidden_is_named(last: list[bool]) -> None:
    def answers() -> Iterator[bool]:
        while True:
            yield from last

    with pytest.raises(RetriableLogError, match=r"don't all show `a` = `1` of `t` after 0\.1 s") as caught:
        await_visible(from_answers(answers()), lambda: 2, "`a` = `1` of `t`", duration_s_max=0.1)
    assert "run this again" in str(caught.value)
