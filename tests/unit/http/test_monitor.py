"""The server of metrics and health: what it answers, where it listens, and that clients can't use it up."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import ExitStack, closing, suppress

import pytest

from streams.http.monitor import REQUEST_S_MAX, REQUESTS_MAX, MonitorError, monitored
from streams.metrics.health import Health
from tests.waiting import WAIT_S, until


def asked(port: int, path: str, method: str = "GET", accept: str = "*/*") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    with closing(connection):
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("health", "live", "ready"),
    [
        (Health(), 200, 200),
        (Health(waits_for=("the log",)), 200, 503),
        (Health(hangs="the gate has not turned for 120 s"), 503, 503),
    ],
)
def test_live_and_ready_are_told_apart(health: Health, live: int, ready: int) -> None:
    with monitored(":0", lambda: health) as port:
        found = {path: asked(port, path) for path in ("/health/live", "/health/ready", "/health", "/metrics", "/")}
    assert (found["/health/live"][0], found["/health/ready"][0]) == (live, ready)
    assert [found[path][0] for path in ("/health", "/metrics", "/")] == [404, 404, 404]
    told = json.loads(found["/health/ready"][1])
    assert told["status"] == ("ok" if ready == 200 else "unavailable")
    assert told.get("reasons", []) == [*([health.hangs] if health.hangs else []), *health.waits_for]


def test_the_answer_follows_the_process() -> None:
    state = [Health(waits_for=("the log",))]
    with monitored(":0", lambda: state[0]) as port:
        assert asked(port, "/health/ready")[0] == 503
        state[0] = Health()
        assert asked(port, "/health/ready?verbose")[0] == 200


def test_without_a_host_it_listens_on_loopback_alone() -> None:
    with monitored(":0") as port:
        assert asked(port, "/health/live")[0] == 200
        with closing(socket.socket()) as probe, pytest.raises(OSError, match="refused"):
            probe.connect(("127.0.0.2", port))


def test_metrics_are_rendered_as_the_client_asks() -> None:
    with monitored(":0", scrape=lambda accept: (accept.encode(), "text/plain; version=9")) as port:
        assert asked(port, "/metrics", accept="a/b") == (200, b"a/b")


def test_a_head_request_has_no_body() -> None:
    with monitored(":0") as port:
        assert asked(port, "/health/live", method="HEAD") == (200, b"")


def test_clients_that_say_nothing_take_no_more_than_their_room() -> None:
    with monitored(":0") as port, ExitStack() as opened:
        for _ in range(REQUESTS_MAX):
            silent = opened.enter_context(closing(socket.socket()))
            silent.connect(("127.0.0.1", port))
        until(lambda: not is_answered(port), "the silent ones hold all places")
        until(lambda: is_answered(port), "their time is over")


def test_clients_that_go_on_saying_a_little_take_no_more_than_their_room_either() -> None:
    with monitored(":0") as port, ExitStack() as opened:
        slow = [
            opened.enter_context(closing(socket.create_connection(("127.0.0.1", port)))) for _ in range(REQUESTS_MAX)
        ]

        def is_answered_beside_them() -> bool:
            for each in slow:
                # A client whose time is over may be told so.
                with suppress(OSError):
                    each.sendall(b"G")
            return is_answered(port)

        until(lambda: not is_answered_beside_them(), "the slow ones hold all places")
        until(is_answered_beside_them, "their time is over", 3 * REQUEST_S_MAX)


def is_answered(port: int) -> bool:
    try:
        return asked(port, "/health/live")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize("listen", ["127.0.0.1:99999", "256.0.0.1:80", "127.0.0.1:x"])
def test_an_address_that_is_none_is_told(listen: str) -> None:
    with pytest.raises(MonitorError, match="can't listen on"), monitored(listen):
        pass
