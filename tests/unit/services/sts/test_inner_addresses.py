"""From where key sets are fetched: not from inner addresses, whatever a name leads to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from streams.identity.errors import KeySetError
from streams.identity.inner_addresses import is_allowed
from streams.identity.jwks import load_url
from tests.unit.services.sts.issuers import Issuer

KEYS = Issuer("https://users.example", "x").key_set()


class Place:
    """A server on loopback that counts requests, and answers with keys or with a redirect."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.hosts: list[str] = []
        self.location: str | None = None
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place.hosts.append(self.headers["host"])
                self.send_response(200 if place.location is None else 302)
                if place.location is not None:
                    self.send_header("location", place.location)
                self.end_headers()
                self.wfile.write(KEYS)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.close()


class Names:
    """Answers to look-ups, in their order; the last one again and again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: tuple[str, ...]) -> None:
        self.asked: list[object] = []
        self._answers = list(answers)
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: object, port: Any, *_args: object, **_named: object) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "0.0.0.0",  # noqa: S104 - an address that is looked up
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_no_name_leads_to_an_inner_address(monkeypatch: pytest.MonkeyPatch, place: Place, address: str) -> None:
    names = Names(monkeypatch, (address,))
    with pytest.raises(KeySetError, match="resolves to the inner address"):
        load_url(f"http://keys.example:{place.port}/")()
    names = Names(monkeypatch, ("93.184.215.14", address))
    with pytest.raises(KeySetError, match="resolves to the inner address"):
        load_url(f"http://keys.example:{place.port}/")()
    assert names.asked == ["keys.example"]
    assert place.hosts == []


def test_private_addresses_are_for_hosts_that_the_settings_name() -> None:
    for address in ("10.1.2.3", "fd12::1"):
        assert not is_allowed("keys.corp", ip_address(address), [])
        assert is_allowed("Keys.corp", ip_address(address), ["keys.CORP"])
    for address in ("127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254"):
        assert not is_allowed("keys.corp", ip_address(address), ["keys.corp"])
    assert is_allowed("keys.example", ip_address("93.184.215.14"), [])
    assert is_allowed("localhost", ip_address("127.0.0.1"), [])


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::]", "[::ffff:169.254.169.254]", "224.0.0.1"])
def test_addresses_that_no_key_set_has(host: str) -> None:
    with pytest.raises(KeySetError, match="no key set is fetched from"):
        load_url(f"http://{host}/latest/meta-data/")()


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    # The second answer is another: what is asked only once can't be changed in between.
    names = Names(monkeypatch, ("127.0.0.1",), ("127.0.0.9",))
    assert load_url(f"http://localhost:{place.port}/keys")() == KEYS
    assert names.asked == ["localhost"]
    assert place.hosts == [f"localhost:{place.port}"]


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    Names(monkeypatch, ("127.0.0.77", "127.0.0.1"))
    assert load_url(f"http://localhost:{place.port}/keys")() == KEYS


def test_no_redirect_is_followed(place: Place) -> None:
    place.location = f"http://127.0.0.1:{place.port}/inner"
    with pytest.raises(KeySetError, match="answered with status 302"):
        load_url(f"http://127.0.0.1:{place.port}/")()
    assert len(place.hosts) == 1


@pytest.mark.parametrize(("certified", "is_good"), [("localhost", True), ("elsewhere.example", False)])
def test_the_certificate_must_have_the_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, certified: str, is_good: bool
) -> None:
    key, certificate = self_signed(certified)
    pem = tmp_path / "tls.pem"
    pem.write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    trusting = ssl.create_default_context(cadata=certificate.decode())
    make = httpx2.AsyncClient
    monkeypatch.setattr(httpx2, "AsyncClient", lambda **named: make(verify=trusting, **named))
    place = Place(context)
    try:
        load = load_url(f"https://localhost:{place.port}/keys")
        if is_good:
            assert load() == KEYS
        else:
            with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                load()
    finally:
        place.close()


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A key, and a certificate for a name; both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    return (
        key.private_bytes(serialization.Encoding.PEM, pkcs8, plain),
        certificate.public_bytes(serialization.Encoding.PEM),
    )
