"""One of many that fails must not take the others with it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streams.model.errors import InvariantError
from streams.ports import LogError, StoreError
from streams.ports.processor import Output, StateView

_log = logging.getLogger(__name__)


def isolated(act: Callable[[], list[Output]], state: StateView, what: str) -> list[Output]:
    """What `act` gives; where it fails, nothing, and the state is as it was before. What it failed at is left to its
    timer.

    Args:
        what: the act, as a log line names it.
    """
    savepoint = state.savepoint()
    try:
        return act()
    except (InvariantError, LogError, StoreError):
        # Nothing can be said of the state: all of it comes again.
        raise
    except Exception:
        _log.exception("%s failed", what)
        state.undo_to(savepoint)
        return []
