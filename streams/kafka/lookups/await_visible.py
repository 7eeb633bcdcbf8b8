"""Wait until the brokers show what they have been told.

An answer to a change says that the controller has stored it. Each broker takes it on a little later by itself, and
answers from what it knows until then. So whoever looks right after the change may see it as it was before. Clients
can't ask a certain broker for topics and access entries: each question goes to any of them. So a change counts as
visible when as many answers in a row as there are brokers show it. A broker that is behind for longer may still be
missed; to ask the controller itself takes rights and a connection that clients don't have.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from streams.ports import RetriableLogError

# How long brokers may take. It is a fraction of a second, unless they are overloaded.
VISIBLE_S_MAX = 15.0
LOOK_PAUSE_S = 0.02


def await_visible(
    is_visible: Callable[[], bool],
    count_brokers: Callable[[], int],
    what: str,
    *,
    duration_s_max: float = VISIBLE_S_MAX,
) -> None:
    """Look until as many answers in a row as there are brokers show the change. Blocks for up to `duration_s_max`.

    Args:
        is_visible: asks any broker, and returns whether its answer shows the change.
        count_brokers: returns the number of brokers that are known after the first answer.
        what: was changed, to follow "don't show": "`retention.ms` = `5000` of `a`".
        duration_s_max: for all looks together.

    Raises:
        RetriableLogError: they don't show it in time.
    """
    deadline_s = time.monotonic() + duration_s_max
    in_a_row = 0
    while True:
        in_a_row = in_a_row + 1 if is_visible() else 0
        if in_a_row >= max(1, count_brokers()):
            return
        if time.monotonic() > deadline_s:
            raise RetriableLogError(
                f"the brokers don't all show {what} after {duration_s_max:g} s, although they have accepted it; wait "
                "until they are less busy, then run this again"
            )
        time.sleep(LOOK_PAUSE_S)
