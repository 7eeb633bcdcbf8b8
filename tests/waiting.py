"""Waits for what other threads and processes bring about."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

WAIT_S = 60.0
"""How long something may take on a machine that is busy."""


def until(
    condition: Callable[[], Any],
    what: str | Callable[[], str] = "it never came to be",
    timeout_s: float = WAIT_S,
    *,
    pause_s: float = 0.01,
) -> None:
    """Repeat `condition` until it holds.

    Args:
        what: what is waited for, or a function that tells what there is instead.
        pause_s: between two tries. None is needed where the condition itself waits a little.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what if isinstance(what, str) else what()}"
        time.sleep(pause_s)


def until_open(port: int) -> None:
    """Wait until somebody listens on a port of the loopback interface."""

    def is_open() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(is_open, f"somebody listens on port {port}", pause_s=0.05)
