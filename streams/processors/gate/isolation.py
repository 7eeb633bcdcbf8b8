"""Isolate one of many actions, so that its failure does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable

from streams.model.errors import InvariantError
from streams.ports import LogError, StoreError
from streams.ports.processor import Output, StateView

_log = logging.getLogger(__name__)


def isolated(act: Callable[[], list[Output]], state: StateView, what: str) -> list[Output]:
    """Return the outputs of an action. If it fails, undo its changes to the state and return nothing.

    An intent whose action fails keeps its timer, which judges it later.

    Args:
        act: the action.
        state: the state that the action changes.
        what: the action, as a log line names it.

    Raises:
        InvariantError, LogError, StoreError: the state can't be trusted, so the whole record is processed again.
    """
    savepoint = state.savepoint()
    try:
        return act()
    except (InvariantError, LogError, StoreError):
        raise
    except Exception:
        _log.exception("%s failed", what)
        state.undo_to(savepoint)
        return []
