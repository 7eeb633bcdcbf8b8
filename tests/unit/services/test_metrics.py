"""What Prometheus is told of a gate: how soon a stop is in force."""

from __future__ import annotations

import logging
import socket
import threading
import urllib.error
import urllib.request
from importlib.metadata import version

import pytest
from prometheus_client import CollectorRegistry

from simulation.broker.kafka import free_port
from simulation.records import revocation
from streams.metrics.declared import Exporter
from streams.metrics.health import Health
from streams.metrics.registry import Metrics
from streams.model.errors import SettingsError
from streams.model.revocation import RevocationKind
from streams.model.topics import REVOCATION
from streams.sdk.metrics import SOURCES, STOP_SECONDS, StopMetrics
from streams.services.gate.metrics import StandbyLag
from streams.services.metrics import serving_metrics
from streams.wiring.settings_loading import load_settings
from tests.kit import GateBench
from tests.waiting import WAIT_S


def stop_after(latency_ms: int, source: str = SOURCES[0]) -> None:
    fields = {"event": "stop_in_force", "count": 1, "latency_ms": latency_ms}
    logging.getLogger(source).info("in force", extra={"fields": fields})


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=WAIT_S) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_stops_are_counted_by_how_soon_they_were_in_force() -> None:
    port = free_port()
    with serving_metrics(load_settings({"metrics": {"listen": f"127.0.0.1:{port}"}}).metrics):
        assert scraped(port)[f"{STOP_SECONDS}_count"] == 0
        for source, latency_ms in zip((*SOURCES, SOURCES[0]), (4, 300, 40_000), strict=True):
            stop_after(latency_ms, source)
        logging.getLogger(SOURCES[0]).info("something else", extra={"fields": {"event": "other"}})
        found = scraped(port)
        assert found[f"{STOP_SECONDS}_count"] == 3
        assert found[f"{STOP_SECONDS}_sum"] == pytest.approx(40.304)
        within = [found[f'{STOP_SECONDS}_bucket{{le="{bound}"}}'] for bound in ("0.005", "0.25", "0.5", "10.0", "+Inf")]
        assert within == [1, 1, 2, 2, 3]
        assert found["process_cpu_seconds_total"] > 0
    with pytest.raises(OSError, match="refused"):
        scraped(port)


def test_a_gate_counts_the_stops_that_it_reads() -> None:
    registry = CollectorRegistry()
    with StopMetrics(registry):
        bench = GateBench()
        key, record = revocation(RevocationKind.ALL, "*", time_ms=bench.now_ms)
        bench.driver.pipe(REVOCATION.name, key, record)
        assert registry.get_sample_value(f"{STOP_SECONDS}_count") == 1


def test_the_lag_of_each_standby_is_exported_as_far_as_it_is_known() -> None:
    port = free_port()
    lags: dict[int, int | None] = {3: 17, 4: None}
    with serving_metrics(load_settings({"metrics": {"listen": f"127.0.0.1:{port}"}}).metrics, StandbyLag(lambda: lags)):
        first = scraped(port)
        lags = {5: 0}
        second = scraped(port)
    name = "stoplog_standby_lag_offsets"
    assert {key: value for key, value in first.items() if key.startswith(name)} == {f'{name}{{partition="3"}}': 17}
    assert {key: value for key, value in second.items() if key.startswith(name)} == {f'{name}{{partition="5"}}': 0}


def test_health_is_served_beside_the_metrics_and_on_loopback_without_a_host() -> None:
    waits: list[str] = ["the log"]
    section = load_settings({"metrics": {"listen": f":{free_port()}"}}).metrics
    with serving_metrics(section, metrics=Metrics(Exporter.GATE), probe=lambda: Health(waits_for=tuple(waits))) as port:
        assert port is not None
        assert scraped(port)[f'stoplog_build_info{{version="{version("stoplog")}"}}'] == 1
        ready = f"http://127.0.0.1:{port}/health/ready"
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(ready, timeout=WAIT_S)
        waits.clear()
        with urllib.request.urlopen(ready, timeout=WAIT_S) as answer:
            assert answer.status == 200
        with socket.socket() as probe, pytest.raises(OSError, match="refused"):
            probe.connect(("127.0.0.2", port))


def test_nothing_is_served_where_nobody_asks_for_it() -> None:
    before = set(threading.enumerate())
    with serving_metrics(load_settings().metrics) as port:
        assert port is None
        assert set(threading.enumerate()) == before
        stop_after(1)


def test_an_address_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with (
            pytest.raises(SettingsError, match=r"metrics\.listen.*can't listen"),
            serving_metrics(load_settings({"metrics": {"listen": listen}}).metrics),
        ):
            pass


def test_a_port_that_is_none_is_told() -> None:
    with (
        pytest.raises(SettingsError, match=r"metrics\.listen.*can't listen"),
        serving_metrics(load_settings({"metrics": {"listen": "127.0.0.1:99999"}}).metrics),
    ):
        pass


@pytest.mark.parametrize("listen", ["9464", "nowhere", "http://127.0.0.1:1", "127.0.0.1:123456"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(SettingsError, match=r"metrics\.listen"):
        load_settings({"metrics": {"listen": listen}})


def test_an_executor_counts_in_a_registry_of_its_own() -> None:
    registry = CollectorRegistry()
    with StopMetrics(registry):
        stop_after(20, SOURCES[1])
        assert registry.get_sample_value(f"{STOP_SECONDS}_count") == 1
    stop_after(20, SOURCES[1])
    assert registry.get_sample_value(f"{STOP_SECONDS}_count") is None
