"""The seed that catches each planted bug, so that a test of one need not simulate all those before that catch nothing.

What is written here may be out of date: it makes a test slower and changes nothing of what passes.
"""

from __future__ import annotations

from collections.abc import Iterator

CAUGHT_BY = {
    "aborted_reports_are_sealed": 23,
    "ends_stamped_ahead_are_set_aside": 4,
    "freezes_alone": 3,
    "gives_back_what_ran_in_another_window": 12,
    "grants_are_believed": 13,
    "grants_hold_for_ever": 18,
    "intents_of_any_age": 20,
    "never_ends": 14,
    "no_abort_on_loss": 45,
    "restore_to_the_last_stable_offset": 83,
    "standby_claims_to_be_complete": 38,
    "state_of_the_hook_outlives_an_abort": 11,
    "stream_time_starts_anew": 4,
    "the_hosts_clock_is_believed": 18,
    "timers_are_not_fenced": 152,
    "transactions_of_any_age": 30,
    "uncounted": 18,
}
"""Seeds by the name of the plant. One that is not here is caught by one of the first few."""


def seeds_for(plant: str, count: int) -> Iterator[int]:
    """Yield all seeds below `count`, and the one that has caught a plant before first."""
    before = CAUGHT_BY.get(plant, 0)
    yield before
    yield from (seed for seed in range(count) if seed != before)
