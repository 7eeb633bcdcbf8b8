"""How the engine runs; every bound has a name."""

from __future__ import annotations

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in ms.

    Attributes:
        poll_records_max: records taken by one poll.
        commit_interval_ms: a transaction is committed at the latest after this, at once when no input waits.
        commit_records_max: or after this many input records.
        idle_poll_ms: how long a poll waits while nothing is open; bounds how late control records are seen.
        punctuate_ms: how often stream time follows the wall clock while input is idle.
        idle_margin_ms: how far behind the wall clock it stays.
        control_stale_ms: control state that could not be confirmed for longer denies.
        control_check_ms: how often it is confirmed.
        aborts_in_a_row_max: after this many the worker gives up.
    """

    poll_records_max: int = 1_000
    commit_interval_ms: int = 25
    commit_records_max: int = 2_000
    idle_poll_ms: int = 50
    punctuate_ms: int = 100
    idle_margin_ms: int = 500
    control_stale_ms: int = 10_000
    control_check_ms: int = 1_000
    aborts_in_a_row_max: int = 20
    abort_backoff_ms: int = 50
