"""The turns that test processes take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.turns import Turns

WAIT_S = 20.0
# Long enough that a turn that is not waited for would have come.
SHORT_S = 0.2


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Turns]]:
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(Turns(tmp_path)))


class Beginning:
    """Begins a turn in a thread."""

    def __init__(self, turns: Turns, *, alone: bool) -> None:
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._begin, args=(turns, alone), daemon=True)
        self._thread.start()

    def _begin(self, turns: Turns, alone: bool) -> None:
        turns.begin(alone=alone)
        self._began.set()

    def has_begun(self, within_s: float = WAIT_S) -> bool:
        return self._began.wait(within_s)


def test_turns_side_by_side_do_not_wait_for_each_other(make: Callable[[], Turns]) -> None:
    for turns in (make(), make(), make()):
        assert Beginning(turns, alone=False).has_begun()


def test_who_wants_to_be_alone_waits_for_the_others_and_the_others_wait_for_it(make: Callable[[], Turns]) -> None:
    first, second, third = make(), make(), make()
    first.begin(alone=False)
    alone = Beginning(second, alone=True)
    assert not alone.has_begun(SHORT_S)
    # The third one comes later and must not overtake.
    late = Beginning(third, alone=False)
    assert not late.has_begun(SHORT_S)
    first.end(next_alone=False)
    assert alone.has_begun()
    assert not late.has_begun(SHORT_S)
    second.end(next_alone=False)
    assert late.has_begun()


def test_who_is_alone_stays_so_until_its_next_turn_is_another(make: Callable[[], Turns]) -> None:
    first, second = make(), make()
    first.begin(alone=True)
    other = Beginning(second, alone=False)
    first.end(next_alone=True)
    first.begin(alone=True)
    assert not other.has_begun(SHORT_S)
    first.end(next_alone=False)
    assert other.has_begun()


def test_a_turn_ends_with_its_process(make: Callable[[], Turns], tmp_path: Path) -> None:
    ends = Turns(tmp_path)
    ends.begin(alone=True)
    waiting = Beginning(make(), alone=False)
    assert not waiting.has_begun(SHORT_S)
    # What the operating system does when the process ends.
    ends.close()
    assert waiting.has_begun()
