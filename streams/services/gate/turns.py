"""Lets the workers of one process take longer turns, where nobody waits for what they write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

TURN_S = 0.1
"""How long a worker goes on while another one waits for the interpreter. Other threads, such as the one that serves
metrics, wait as long at most each time."""


@contextmanager
def long_turns() -> Iterator[None]:
    """Give each thread turns of `TURN_S` for as long as the context.

    Python's own turns are 5 ms. Two workers that both have much to do then change places 200 times a second, and each
    finds its rows pushed out of the processor's cache.
    """
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
