"""The service on its sockets: the command, TLS, slow clients, many connections, and its end."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest
from cryptography import x509

from simulation.broker.kafka import free_port
from streams.embedded.log import EmbeddedLog
from streams.http.client_address import place
from streams.http.protocol import counted_place
from streams.sdk.agent.token_exchange import StsClient
from streams.sdk.errors import TokenServiceError
from tests.certificates import make_certificate
from tests.unit.services.sts.faults import Faulty, together
from tests.unit.services.sts.house import AGENT, House, WrappedLog, open_house
from tests.waiting import WAIT_S, until

HEAD_S = 1.5
"""How long the head of a request may take, where that is tried. One that is sent at once takes less."""


def run(*arguments: str, home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "STOPLOG_STATE_DIR": str(home)}
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[4])


def done(*arguments: str, home: Path) -> int:
    with run(*arguments, home=home) as process:
        process.communicate(timeout=60)
        return process.returncode


def test_the_command(tmp_path: Path) -> None:
    for arguments in (("keys", "new"), ("topics", "apply")):
        assert done(*arguments, home=tmp_path) == 0
    port = free_port()
    served = run("sts", "--dev-issuer", "--port", str(port), "--json", home=tmp_path)
    assert served.stdout is not None
    try:
        assert '"serving"' in served.stdout.readline()
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, trust_env=False, timeout=WAIT_S) as http, StsClient(url) as sts:
            tokens = [
                http.get("/dev/token", params={"kind": kind, "sub": sub}).json()["token"]
                for kind, sub in (("users", "alice"), ("agents", "assistant"))
            ]
            session = sts.exchange(*tokens, attended=True)
            assert session.credential.sub == "alice"
            assert session.authorization_details[0]["tools"][0]["server_id"] == "*"
            assert (
                http.get("/dev/token", params={"kind": "users", "sub": "a"}, headers={"origin": "x"}).status_code == 400
            )
            configuration = http.get("/dev/users/.well-known/openid-configuration").json()
            assert http.get(configuration["jwks_uri"]).json()["keys"]
            before = published(http)
            assert done("sts", "rotate", home=tmp_path) == 1
            assert done("sts", "rotate", "--now", home=tmp_path) == 0
            until(lambda: before < published(http), "the service has the new key, too")
            assert done("sts", "rotate", "--compromised", home=tmp_path) == 0
            until(lambda: not before & published(http), "the service has none of the old ones")
    finally:
        served.send_signal(signal.SIGTERM)
        rest, _ = served.communicate(timeout=WAIT_S)
    assert served.returncode == 0
    assert '"stopped"' in rest


def test_the_address_of_development_has_the_port_that_was_free(tmp_path: Path) -> None:
    for arguments in (("keys", "new"), ("topics", "apply")):
        assert done(*arguments, home=tmp_path) == 0
    served = run("sts", "--dev-issuer", "--port", "0", "--no-json", home=tmp_path)
    assert served.stdout is not None
    try:
        served.stdout.readline()
        (url,) = re.findall(r"http://\S+/dev/token", served.stdout.readline())
        asked = httpx2.get(url, params={"kind": "users", "sub": "alice"}, trust_env=False, timeout=WAIT_S)
        assert asked.json()["token"]
    finally:
        served.send_signal(signal.SIGTERM)
        served.communicate(timeout=WAIT_S)


def published(http: httpx2.Client) -> set[str]:
    """The ids of the keys that the service publishes now: it looks for others once in a while."""
    return {key["kid"] for key in http.get("/jwks").json()["keys"]}


def test_over_tls(tmp_path: Path) -> None:
    certificate_file, key_file = make_certificate(tmp_path, x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    changes = {"tls_certificate": str(certificate_file), "tls_key": str(key_file)}
    with open_house(tmp_path / "house", **changes) as house:
        url = f"https://127.0.0.1:{house.port}"
        with StsClient(url, ca_file=certificate_file) as sts:
            session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
        assert session.credential.secret
        with StsClient(url) as sts, pytest.raises(TokenServiceError, match="can't be reached"):
            sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
        with StsClient(house.url) as sts, pytest.raises(TokenServiceError, match="can't be reached"):
            sts.exchange(house.users.token("alice"), house.agents.token(AGENT))


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = (
        b"POST /token HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        b"content-length: 100\r\n\r\ngrant_type="
    )
    with open_house(tmp_path) as house:
        with (
            monkeypatch.context() as patch,
            socket.create_connection(("127.0.0.1", house.port), timeout=WAIT_S) as connection,
        ):
            patch.setattr("streams.http.bodies.BODY_TIMEOUT_S", 0.3)
            connection.sendall(head)
            answer = b"".join(iter(lambda: connection.recv(4_096), b""))
            assert b"the body did not arrive in time" in answer
        with socket.create_connection(("127.0.0.1", house.port), timeout=WAIT_S) as connection:
            connection.sendall(head)  # and its sender goes away
        house.granted()


def test_heads_that_do_not_come_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the connections that they don't come on keep anybody out."""
    monkeypatch.setattr("streams.http.protocol.HEAD_TIMEOUT_S", HEAD_S)
    monkeypatch.setattr("streams.http.server.CONNECTIONS_MAX", 20)
    request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with open_house(tmp_path) as house:
        address = ("127.0.0.1", house.port)
        silent = [socket.create_connection(address, timeout=WAIT_S) for _ in range(30)]
        silent[0].sendall(b"POST /token HTTP/1.1\r\nhost:")
        silent[1].sendall(request)
        # Not kept open: the service would close it about when the next request comes.
        assert house.http.get("/healthz", headers={"connection": "close"}).status_code in (200, 503)
        for connection in silent:
            while connection.recv(4_096):
                pass
            connection.close()
        house.granted()
        with socket.create_connection(address, timeout=WAIT_S) as kept:
            for _ in range(3):
                kept.sendall(request)
                answer = b""
                while b'"ok"' not in answer:
                    answer += kept.recv(4_096) or pytest.fail("the connection was closed")
                # Together longer than a head may take.
                threading.Event().wait(0.4 * HEAD_S)
            kept.sendall(b"GET /healthz HTTP/1.1\r\n")
            assert kept.recv(4_096) == b""


@pytest.mark.parametrize("behind_a_proxy", [False, True])
def test_one_place_has_so_many_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, behind_a_proxy: bool
) -> None:
    monkeypatch.setattr("streams.http.protocol.BoundedProtocol.per_place_max", 4)
    # As if it came from elsewhere: this machine is not counted.
    monkeypatch.setattr("streams.http.protocol.counted_place", lambda client: client and "192.0.2.1")
    with open_house(tmp_path, behind_tls_proxy=behind_a_proxy) as house:
        held = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(8)]
        expected = [False] * 4 + [not behind_a_proxy] * 4
        assert [_is_ended(*each) for each in zip(held, expected, strict=True)] == expected
        for connection in held:
            connection.close()
        until(lambda: _is_served(house), "the service has noticed that there is room again")


def _is_served(house: House) -> bool:
    try:
        return house.post().status_code == 200
    except httpx2.TransportError:
        return False


def _is_ended(connection: socket.socket, is_expected: bool) -> bool:
    """Whether the service has ended the connection, which takes as long as it takes."""
    connection.settimeout(WAIT_S if is_expected else 0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def test_places() -> None:
    assert place("::ffff:192.0.2.1") == place("192.0.2.1") != place("::ffff:192.0.2.2")
    assert place("2001:db8:1:2::1") == place("2001:db8:1:2:ffff::9") != place("2001:db8:1:3::1")
    assert place("") == ""
    counted = [counted_place((host, 1)) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.1", "")]
    assert counted == [None, None, None, "192.0.2.1", None]
    assert counted_place(None) is None


def test_requests_in_the_works_are_answered_at_the_end(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Faulty):
        def commit(self) -> None:
            entered.set()
            leave.wait(WAIT_S)
            super().commit()

    def wrap(log: EmbeddedLog) -> WrappedLog:
        return WrappedLog(log, lambda inner: Slow(inner, []))

    with open_house(tmp_path, wrap=wrap) as house:
        statuses: list[int] = []
        asking = threading.Thread(target=lambda: statuses.append(house.post().status_code))
        asking.start()
        assert entered.wait(WAIT_S)
        house.server.should_exit = True
        threading.Event().wait(0.3)
        leave.set()
        asking.join(WAIT_S)
        assert statuses == [200]
        assert together(house) == 1
