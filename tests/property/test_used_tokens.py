"""Whatever token services claim, and however they read it, all of them agree on which claim counts."""

from __future__ import annotations

import tempfile
from itertools import accumulate
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.services.sts import store as store_module
from streams.services.sts.store import Claim, Place, StsStore

NAMES = [bytes([number]) * 32 for number in range(8)]

steps = st.tuples(
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.integers(0, 20),
    st.integers(-20, 100),
)


@settings(max_examples=60, deadline=None)
@given(made=st.lists(steps, min_size=1, max_size=60), sizes=st.lists(st.integers(1, 20), min_size=1))
def test_services_agree_on_which_claims_count(made: list[tuple[list[bytes], int, int]], sizes: list[int]) -> None:
    times_ms = list(accumulate((step for _, step, _ in made), initial=1_000))[1:]
    claims = [
        Claim(tuple(names), at_ms + life_ms, at_ms) for (names, _, life_ms), at_ms in zip(made, times_ms, strict=True)
    ]
    expected = model(claims)
    with tempfile.TemporaryDirectory() as folder:
        # One reads everything at once and forgets nothing; another reads in pieces, forgets and starts again.
        assert read(Path(folder) / "one.sqlite", claims, [len(claims)], forgets=False) == expected
        assert read(Path(folder) / "two.sqlite", claims, sizes, forgets=True) == expected


def model(claims: list[Claim]) -> list[bool]:
    """What the page for operators says: a claim counts if no earlier one that counts and lives has one of its names."""
    counting: list[Claim] = []
    outcomes = []
    for claim in claims:
        held = any(
            set(claim.names) & set(earlier.names) and earlier.exp_ms >= claim.appended_ms for earlier in counting
        )
        outcomes.append(not held)
        if not held:
            counting.append(claim)
    return outcomes


def read(path: Path, claims: list[Claim], sizes: list[int], *, forgets: bool) -> list[bool]:
    won: list[bool] = []
    turn = 0
    store = StsStore(path)
    before, store_module.FORGET_EVERY = store_module.FORGET_EVERY, 1
    try:
        while len(won) < len(claims):
            batch = claims[len(won) : len(won) + sizes[turn % len(sizes)]]
            won += store.take_in(batch, Place(len(won) + len(batch) - 1, b""))
            turn += 1
            if forgets:
                store.read_to(batch[-1].appended_ms)
                if turn % 3 == 0:
                    store.close()
                    store = StsStore(path)
    finally:
        store_module.FORGET_EVERY = before
        store.close()
    return won
