"""Which nodes a fault takes away, on clusters of several layouts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.cluster.faults import FAULTS
from bench.tables.faults import nodes_text


def deployment(brokers: int, **roles: int) -> Any:
    return SimpleNamespace(cluster=SimpleNamespace(brokers=brokers), roles=lambda: roles)


@pytest.mark.parametrize(
    ("fault", "brokers", "roles", "nodes"),
    [
        ("kill-broker", 3, {"controller": 0, "group": 1}, (2,)),
        ("kill-broker", 5, {"controller": 7, "group": 0, "gate-1": 1, "gate-2": 2}, (3,)),
        ("kill-controller", 3, {"controller": 4, "group": 0}, (4,)),
        ("kill-coordinator", 5, {"controller": 5, "group": 4}, (4,)),
        ("lost-quorum", 3, {"controller": 0, "group": 1}, (0, 1)),
        ("lost-quorum", 5, {"controller": 6, "group": 0}, (0, 2)),
    ],
)
def test_a_fault_takes_the_nodes_that_it_is_about(
    fault: str, brokers: int, roles: dict[str, int], nodes: tuple[int, ...]
) -> None:
    assert FAULTS[fault].nodes(deployment(brokers, **roles)) == nodes


def test_a_layout_has_words() -> None:
    assert nodes_text(3, 0) == "three brokers"
    assert nodes_text(5, 3) == "five brokers and three controllers"
    assert nodes_text(12, 7) == "12 brokers and 7 controllers"
