"""What the service for security events counts, and serves where the settings say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2

from simulation.broker.kafka import free_port
from streams.metrics import declared
from streams.model.revocation import RevocationKind
from streams.sdk import DevTokenService
from streams.services.ssf.errors import SetError
from tests.unit.services.ssf.conftest import Open, other
from tests.unit.services.ssf.test_transmitter import receivers
from tests.waiting import WAIT_S, until

ROOT = Path(__file__).parents[4]


def test_what_is_received_is_counted_by_what_came_of_it(open_service: Open) -> None:
    service = open_service(per_address_per_minute=5)
    metrics, token = service.running.metrics, service.token()
    assert [service.push(token).status_code for _ in range(2)] == [202, 202]
    assert service.push("nonsense").status_code == 400
    assert service.push(service.token(aud="https://other.example")).status_code == 400
    assert [service.push(token).status_code for _ in range(2)][-1] == 429
    assert metrics.value(declared.EVENTS_RECEIVED, "processed") == 1
    assert metrics.value(declared.EVENTS_RECEIVED, "repeated") == 2
    refused = {
        reason: count for reason in declared.EVENT_REFUSALS if (count := metrics.value(declared.EVENTS_REFUSED, reason))
    }
    assert refused == {"invalid_request": 1, "invalid_audience": 1, "rate_limited": 1}
    assert metrics.value(declared.EVENT_SECONDS) == 6


def test_every_code_has_a_series_of_its_own() -> None:
    assert {code.value for code in SetError} <= set(declared.EVENT_REFUSALS)


def test_what_a_receiver_was_not_told_of_is_counted_until_it_is(open_service: Open, tokens: DevTokenService) -> None:
    with other() as soc, other() as gone:
        gone.close()
        service = open_service(receivers=receivers(soc.url, gone.url))
        metrics = service.running.metrics

        def unsent(name: str) -> float:
            metrics.collect()
            return metrics.value(declared.EVENTS_UNSENT, name)

        assert (unsent("r0"), unsent("r1")) == (0, 0)
        for number in range(3):
            tokens.revoke(RevocationKind.SESSION, f"acme|s-{number}", "stolen")
        until(lambda: len(soc.tokens) == 3, "all are told")
        until(lambda: (unsent("r0"), unsent("r1")) == (0, 3), "the other is not")
        assert metrics.value(declared.EVENTS_PUSHED, "r0", "accepted") == 3
        assert metrics.value(declared.EVENTS_PUSHED, "r1", "failed") >= 1
        assert metrics.value(declared.EVENTS_PUSHED, "r1", "accepted") == 0
        assert service.running.health().is_ready


def test_the_command_serves_them_and_its_health(tmp_path: Path) -> None:
    port = free_port()
    settings = f"""
[metrics]
listen = ":{port}"
[ssf]
port = 0
[ssf.transmitters.idp]
issuer = "https://idp.example"
jwks = "idp.json"
audience = ["https://stoplog.acme.example"]
"""
    (tmp_path / "stoplog.toml").write_text(settings)
    (tmp_path / "idp.json").write_text('{"keys": []}')
    environment = {name: text for name, text in os.environ.items() if not name.startswith("STOPLOG_")}
    environment |= {"PYTHONPATH": str(ROOT), "STOPLOG_STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, "-m", "streams.cli"]
    for args in (["topics", "apply"], ["keys", "new"]):
        subprocess.run([*command, *args], check=True, env=environment, cwd=tmp_path, capture_output=True)
    with subprocess.Popen(
        [*command, "ssf", "--json"], stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as running:
        try:
            assert running.stdout is not None
            assert json.loads(running.stdout.readline())["event"] == "serving"
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT_S, trust_env=False) as http:
                assert http.get("/health/live").status_code == 200
                assert http.get("/health/ready").status_code == 200
                text = http.get("/metrics").text
        finally:
            running.send_signal(signal.SIGTERM)
            rest, _ = running.communicate(timeout=60)
    assert json.loads(rest) == {"event": "stopped"}
    assert running.returncode == 0
    own = [metric.name for metric in declared.METRICS if declared.Exporter.EVENTS in metric.exporters]
    assert all(f"# TYPE {name}" in text for name in own)
