"""Three evaluators, one answer; and the comparison itself can fail."""

import pytest

from simulation.fuzz.cel import fuzz
from streams.policy.cel import functions, ops


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_evaluators_agree(seed: int) -> None:
    done, found = fuzz(seed, 2_000)
    assert done >= 2_000
    assert found == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("_<_", ops.less_equals), ("@in", lambda element, container: element in container[:1]), ("_+_", ops.subtract)],
)
def test_a_planted_error_is_found(monkeypatch: pytest.MonkeyPatch, name: str, wrong: object) -> None:
    monkeypatch.setitem(functions.FUNCTIONS, name, wrong)
    _, found = fuzz(21, 5_000)
    assert found
