"""Longer turns last as long as their context."""

from __future__ import annotations

import sys

import pytest

from streams.services.gate.turns import TURN_S, long_turns


def test_turns_are_longer_within_the_context_alone() -> None:
    before_s = sys.getswitchinterval()
    with long_turns():
        within_s = sys.getswitchinterval()
    assert (within_s, sys.getswitchinterval()) == pytest.approx((TURN_S, before_s))
    assert within_s > before_s
