"""The client of the token service, where there is no service, or none that keeps to the protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from streams.sdk import SessionToken, StsClient, TokenRefusedError, TokenServiceError
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.token_exchange import ANSWER_BYTES_MAX
from tests.unit.sdk.hands import ACTOR, TENANT


class Answers(BaseHTTPRequestHandler):
    status: int
    headers_sent: dict[str, str]
    content: bytes

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[type[Answers], str]]:
    answers = type("Own", (Answers,), {"status": 200, "headers_sent": {}, "content": b"{}"})
    running = HTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield answers, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def test_a_text_is_not_taken_for_several_scopes() -> None:
    with StsClient("http://127.0.0.1:9") as sts, pytest.raises(TokenServiceError, match="`scopes` must be a sequence"):
        sts.exchange("a", "b", scopes="mail:send")


def test_nobody_there() -> None:
    with (
        StsClient("http://127.0.0.1:9", timeout_ms=2_000) as sts,
        pytest.raises(TokenServiceError, match="can't be reached"),
    ):
        sts.exchange("a", "b")


@pytest.mark.parametrize(
    ("status", "content", "match"),
    [
        (200, b"<html>", "nothing that is JSON"),
        (200, b"[]", "nothing that is JSON"),
        (502, b"<html>", "answered 502"),
        (302, b"", "302"),
        (200, b"{}", "can't be read"),
        (200, json.dumps({"act": {}, "lineage": ["AAAA"]}).encode(), "can't be read"),
        (200, json.dumps({"act": None, "lineage": 1}).encode(), "can't be read"),
    ],
)
def test_answers_that_are_none(server: Any, status: int, content: bytes, match: str) -> None:
    answers, url = server
    answers.status, answers.content = status, content
    with StsClient(url) as sts, pytest.raises(TokenServiceError, match=match):
        sts.exchange("a", "b")


def test_a_refusal_says_why_and_when_to_come_again(server: Any) -> None:
    answers, url = server
    answers.status = 429
    answers.headers_sent = {"retry-after": "7"}
    answers.content = json.dumps(
        {"error": "temporarily_unavailable", "reason": "too_many_requests", "error_description": "too much"}
    ).encode()
    with StsClient(url) as sts, pytest.raises(TokenRefusedError, match="too much") as raised:
        sts.exchange("a", "b")
    assert (raised.value.code, raised.value.reason, raised.value.retry_after_ms) == (
        "temporarily_unavailable",
        "too_many_requests",
        7_000,
    )


@pytest.mark.parametrize("after", ["\xb2", "-1", "1.5", "soon", "9" * 5_000])
def test_a_refusal_that_does_not_say_when_to_come_again(server: Any, after: str) -> None:
    answers, url = server
    answers.status, answers.headers_sent, answers.content = 429, {"retry-after": after}, b'{"reason": 7}'
    with StsClient(url) as sts, pytest.raises(TokenRefusedError) as raised:
        sts.exchange("a", "b")
    assert (raised.value.retry_after_ms, raised.value.reason) == (None, None)


def test_an_answer_that_does_not_end(server: Any) -> None:
    answers, url = server
    answers.status, answers.content = 200, b" " * (ANSWER_BYTES_MAX + 1)
    with StsClient(url) as sts, pytest.raises(TokenServiceError, match="more than"):
        sts.exchange("a", "b")


@pytest.mark.parametrize(
    "url", ["http://sts.example", "http://127.0.0.1.sts.example", "ftp://127.0.0.1", "sts.example"]
)
def test_no_secret_crosses_a_network_unencrypted(url: str) -> None:
    with pytest.raises(TokenServiceError, match="unencrypted"):
        StsClient(url)


def test_an_address_is_refused_without_repeating_its_password() -> None:
    with pytest.raises(TokenServiceError, match=r"^`http://sts\.example/a`: ") as raised:
        StsClient("http://me:s3cret@sts.example/a?key=s3cret")
    assert "s3cret" not in str(raised.value)


def test_a_session_with_a_key_is_handed_on_otherwise() -> None:
    credential = SessionCredential(
        tenant_uid=TENANT, session_id="s-1", secret=b"", sub="alice", act=ACTOR, expires_ms=1
    )
    session = SessionToken(credential=credential, access_token="secret text")
    with StsClient("http://127.0.0.1:9") as sts, pytest.raises(TokenServiceError, match=r"Agent\.delegate"):
        sts.hand_on(session, "b")
    assert "secret text" not in repr(session)
