"""Keys of issuers that are read over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.services.sts.house import INVALID, STS, open_house
from tests.unit.services.sts.issuers import Issuer, b64, by_hand


class Keys(BaseHTTPRequestHandler):
    """An issuer's keys on HTTP."""

    answer: bytes = b""
    status = 200
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(self.status)
        if self.status in (301, 302):
            self.send_header("location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[tuple[type[Keys], str]]:
    served = type("Served", (Keys,), {})
    server = HTTPServer(("127.0.0.1", 0), served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served, f"http://127.0.0.1:{server.server_port}/jwks"
    server.shutdown()
    thread.join()
    server.server_close()


class TestKeysOfIssuers:
    def source(self, url: str) -> dict[str, Any]:
        return {
            "issuer": "https://far.example",
            "jwks": url,
            "gives": ["user"],
            "audience": [STS],
            "subject_prefix": "far:",
        }

    def test_an_unknown_key_is_asked_for_once_in_a_while(self, tmp_path: Path, key_server: Any) -> None:
        served, url = key_server
        far = Issuer("https://far.example", STS)
        served.answer = far.key_set()
        with open_house(tmp_path, jwks_retry_ms=60_000, more_sources={"far": self.source(url)}) as house:
            house.granted(subject_token=far.token("alice"))
            assert house.sessions()[-1].sub == "far:alice"
            assert served.asked == 1
            far.add_key("ES256", "k2")
            served.answer = far.key_set()
            for _ in range(5):
                assert house.refused(subject_token=far.token("alice", kid="k2")) == (INVALID, "key_unknown")
            assert served.asked == 1
        with open_house(tmp_path / "2", jwks_retry_ms=100, more_sources={"far": self.source(url)}) as house:
            house.granted(subject_token=far.token("alice", kid="k2"))
            far.add_key("ES256", "k3")
            served.answer = far.key_set()
            threading.Event().wait(0.2)
            house.granted(subject_token=far.token("alice", kid="k3"))

    @pytest.mark.parametrize(
        ("status", "answer"),
        [(500, b""), (302, b""), (200, b"{"), (200, b'{"keys": {}}'), (200, b"x" * 300_000), (200, b'{"keys": []}')],
    )
    def test_keys_that_can_not_be_had(self, tmp_path: Path, key_server: Any, status: int, answer: bytes) -> None:
        served, url = key_server
        served.status, served.answer = status, answer
        far = Issuer("https://far.example", STS)
        with open_house(tmp_path, more_sources={"far": self.source(url)}) as house:
            code, reason = house.refused(subject_token=far.token("alice"))
            assert reason == ("key_unknown" if answer == b'{"keys": []}' else "keys_unavailable")
            assert code in ("temporarily_unavailable", INVALID)

    def test_keys_that_do_not_count(self, tmp_path: Path, key_server: Any) -> None:
        """A secret among the keys, one that is not for signatures, a weak one, one twice."""
        served, url = key_server
        far = Issuer("https://far.example", STS)
        secret = {"kty": "oct", "k": b64(hashlib.sha256(b"s").digest()), "kid": "o1", "alg": "HS256"}
        with open_house(tmp_path, more_sources={"far": self.source(url)}) as house:
            for keys in ([secret], [far.jwk("k1", use="enc")], [far.jwk("k1", alg="ES512")], [far.jwk("k1")] * 2):
                served.answer = json.dumps({"keys": keys}).encode()
                threading.Event().wait(0.15)
                sign = partial(hmac.digest, hashlib.sha256(b"s").digest(), digest="sha256")
                for token in (far.token("alice"), by_hand({"alg": "HS256", "kid": "o1"}, far.claims("alice"), sign)):
                    _, reason = house.refused(subject_token=token)
                    assert reason in ("key_unknown", "algorithm_not_allowed", "keys_unavailable")
