"""The declarations follow the conventions of Prometheus, and every label is bounded."""

from __future__ import annotations

import re

import pytest

from streams.metrics import declared
from streams.metrics.declared import HELD_FOR, METRICS, OTHER, Exporter, Kind, Metric
from streams.metrics.registry import Metrics
from streams.model.errors import InvariantError
from streams.processors.state import PendingKind
from streams.topology import BUDGETS, GATE

SERIES_MAX = 5_000
"""Of one metric whose labels have all of their values."""


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
class TestEveryMetric:
    def test_its_name_says_its_unit(self, metric: Metric) -> None:
        assert re.fullmatch(r"stoplog(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
        if metric.kind is not Kind.COUNTER:
            assert metric.unit in ("", "seconds", "offsets", "ratio", "bytes")
            assert not metric.unit or metric.name.endswith(f"_{metric.unit}") or metric.name == "stoplog_control_offset"

    def test_its_help_is_a_sentence(self, metric: Metric) -> None:
        assert metric.help[0].isupper() or metric.help[0].isdigit()
        assert metric.help.endswith(".")
        assert metric.exporters

    def test_its_buckets_rise(self, metric: Metric) -> None:
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
        assert list(metric.buckets) == sorted(set(metric.buckets))

    def test_its_labels_are_bounded(self, metric: Metric) -> None:
        assert all((label.values is None) is (label.limit > 0) for label in metric.labels)
        names = [label.name for label in metric.labels]
        assert len(set(names)) == len(names)
        assert not {"tenant", "session", "agent", "user", "subject", "tool", "le"} & set(names)


@pytest.mark.parametrize(
    "metric", [each for each in METRICS if each.labels and not each.is_apart], ids=lambda metric: metric.name
)
def test_hostile_values_make_no_more_series_than_declared(metric: Metric) -> None:
    metrics = Metrics(metric.exporters[0])
    for number in range(5_000):
        hostile = [f'{label.name}-{number}\n"}}' for label in metric.labels]
        if metric.kind is Kind.COUNTER:
            metrics.add(metric, *hostile)
        elif metric.kind is Kind.GAUGE:
            metrics.set(metric, 1, *hostile)
        else:
            metrics.observe(metric, [1.0], *hostile)
    (family,) = [family for family in metrics.collect() if family.metric is metric]
    series = family.values or family.distributions
    assert len(series) <= max(label.limit for label in metric.labels) + 1
    assert tuple([OTHER] * len(metric.labels)) in series


def test_no_name_is_declared_twice() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) > 30


def test_all_listed_values_together_are_few_enough_for_prometheus() -> None:
    for metric in METRICS:
        total = 1
        for label in metric.labels:
            if label.values is not None:
                total *= len(label.values) + 1
        assert total < SERIES_MAX, metric.name


def test_every_kind_of_waiting_has_its_series() -> None:
    assert set(HELD_FOR) == {kind.name.lower() for kind in PendingKind}


def test_every_input_has_its_lag_and_every_dead_letter_its_topic() -> None:
    with_lag, with_letters = declared.LAG.labels[1].values, declared.DEAD_LETTERS.labels[1].values
    assert with_lag is not None
    assert with_letters is not None
    for spec in (GATE, BUDGETS):
        assert {topic.name for topic in spec.inputs} <= with_lag
        assert {topic.name for topic in spec.read if topic.dead_letters} <= with_letters
    assert {topic.name for topic in (*GATE.broadcast, *GATE.advisory)} == declared.CONTROL_OFFSET.labels[0].values


def test_a_process_counts_only_its_own_metrics() -> None:
    for exporter in Exporter:
        metrics = Metrics(exporter)
        own = {family.metric.name for family in metrics.collect()}
        assert own == {m.name for m in METRICS if exporter in m.exporters and not m.is_apart}
        for metric in METRICS:
            if exporter not in metric.exporters and metric.kind is Kind.COUNTER:
                with pytest.raises(InvariantError, match="is no such metric"):
                    metrics.add(metric, *["x"] * len(metric.labels))
