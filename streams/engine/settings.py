"""Defines how the engine runs. Every bound has a name."""

from __future__ import annotations

import msgspec


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker polls, commits and keeps time.

    Attributes:
        poll_records_max: how many records one poll returns at most.
        commit_interval_ms: how long a transaction may stay open; it is committed at once when no input waits. For the
            watch, `watch.commit_interval_ms` says it.
        commit_records_max: after how many input records a transaction is committed. For the watch,
            `watch.commit_records_max` says it.
        transaction_age_max_ms: after which time a transaction is committed although polled records are left. Readers
            wait for it, and brokers abort it when it times out.
        transaction_bytes_max: after how many bytes of input and output, likewise.
        record_aborts_max: how often a record is tried alone after aborts before it becomes a dead letter.
        idle_poll_ms: how long a poll waits while no transaction is open. It bounds how late broadcast records are seen.
        punctuate_ms: how often stream time follows the wall clock while input is idle.
        idle_margin_ms: how far stream time stays behind the wall clock then.
        input_wait_max_ms: how long a topic whose end isn't known holds back the other inputs of its partition; 0: as
            long as it takes.
        input_buffer_records_max: how many records of one topic and partition wait before it is paused.
        input_buffer_bytes_max: how many bytes of keys and values, likewise.
        time_ahead_max_ms: how far a record's broker time may be ahead of what brokers' clocks can show, and how far
            this host's clock and a broker's may differ.
        control_stale_ms: for how long what was broadcast counts as current without being confirmed.
        control_check_ms: how often the reader asks whether it has read all that was broadcast.
        standbys: how many standbys each partition has on other instances: how many instances may die at once before
            a takeover has to restore state from the beginning of the changelog.
        aborts_in_a_row_max: after how many aborted transactions in a row the worker gives up.
        abort_backoff_ms: how long the worker waits after an aborted transaction.
    """

    poll_records_max: int = 1_000
    commit_interval_ms: int = 25
    commit_records_max: int = 2_000
    transaction_age_max_ms: int = 500
    transaction_bytes_max: int = 8 * 1024 * 1024
    record_aborts_max: int = 3
    idle_poll_ms: int = 50
    punctuate_ms: int = 100
    idle_margin_ms: int = 500
    input_wait_max_ms: int = 0
    input_buffer_records_max: int = 1_000
    input_buffer_bytes_max: int = 4 * 1024 * 1024
    time_ahead_max_ms: int = 60_000
    control_stale_ms: int = 10_000
    control_check_ms: int = 1_000
    standbys: int = 1
    aborts_in_a_row_max: int = 20
    abort_backoff_ms: int = 50
