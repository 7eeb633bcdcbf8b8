"""A service of security events on loopback, with an identity provider, a receiver of its own, and a log."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from streams.audit.releasers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.http.server import Server, listen, uvicorn_config
from streams.model.revocation import Revocation
from streams.model.session import SessionEvent
from streams.model.topics import TOPICS, Spread
from streams.ports import TopicSpec
from streams.sdk import DevTokenService
from streams.sdk.connection.transport import Transport
from streams.services.ssf.service import RunningSsf
from streams.services.ssf.settings import SsfSection
from streams.wiring.clock import SystemClock
from tests.answering import body_of
from tests.unit.sdk.hands import written
from tests.unit.services.sts.issuers import Issuer, now_s
from tests.waiting import WAIT_S

ROOT_KEY = bytes(range(32))
TENANT = "acme"
IDP, AUDIENCE = "https://idp.example", "https://stoplog.acme.example"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
DAY_MS = 86_400_000


class Other:
    """Somebody who is pushed events to; `answers` are the statuses of the next ones, 202 when there are no more.

    A firewall refuses each body that has `forbidden` in it.
    """

    def __init__(self) -> None:
        self.forbidden = b""
        self.tokens: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        other = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = body_of(self)
                status, answer = other.answers.pop(0) if other.answers else (202, b"")
                if other.forbidden and other.forbidden in body:
                    status = 403
                other.headers.append({name.lower(): value for name, value in self.headers.items()})
                if status == 202:
                    other.tokens.append(body.decode())
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Not on the screen."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Service:
    """The running service, and what its provider can send."""

    def __init__(self, folder: Path, transport: Transport, changes: dict[str, Any]) -> None:
        self.folder = folder
        self.transport = transport
        self.idp = Issuer(IDP, AUDIENCE)
        keys = folder / "idp.json"
        keys.write_bytes(self.idp.key_set())
        given = {
            "port": 0,
            "retry_first_ms": 20,
            "retry_max_ms": 100,
            "per_address_per_minute": 100_000,
            "transmitters": {
                "idp": {"issuer": IDP, "jwks": str(keys), "audience": [AUDIENCE], "algorithms": ["ES256"]}
                | changes.pop("idp", {})
            },
        }
        self.section = SsfSection.model_validate(given | changes)
        self.running = RunningSsf(self.section, transport, ROOT_KEY, tenant_uid=TENANT, folder=folder / "ssf")
        listening = listen(self.section)
        started = threading.Event()
        self._server = Server(uvicorn_config(self.running.application, self.section), lambda *_: started.set())
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        assert started.wait(WAIT_S)
        self._listening = listening
        self.http = httpx2.Client(
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=WAIT_S, trust_env=False
        )

    def token(self, *, typ: str = "secevent+jwt", **changes: Any) -> str:
        claims = {
            "iss": IDP,
            "aud": AUDIENCE,
            "iat": now_s(),
            "jti": f"j-{time.monotonic_ns()}",
            "sub_id": {"format": "iss_sub", "iss": IDP, "sub": "alice"},
            "events": {f"{CAEP}session-revoked": {"event_timestamp": now_s()}},
        } | changes
        return self.signed({name: value for name, value in claims.items() if value is not None}, typ=typ)

    def signed(self, claims: dict[str, Any], *, kid: str = "k1", **headers: Any) -> str:
        algorithm, key = self.idp.keys[kid]
        return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} | headers)

    def push(self, token: str | bytes, **headers: str) -> httpx2.Response:
        given = {"content-type": "application/secevent+jwt"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return self.http.post("/events", content=token, headers=given)

    def revocations(self) -> list[Revocation]:
        return written(self.transport, Revocation)

    def events(self) -> list[SessionEvent]:
        return written(self.transport, SessionEvent)

    def close(self) -> None:
        self.http.close()
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        self._listening.close()
        self.running.close()


Open = Callable[..., Service]


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[Transport]:
    clock = SystemClock()
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    admin = log.admin()
    admin.create([TopicSpec(t.name, 1 if t.spread is Spread.BROADCAST else 2, t.config()) for t in TOPICS], 1)
    admin.close()
    with Transport(log, Codec(CommittedSchemas.load()), clock, ANYBODY) as opened:
        yield opened
    log.close()


@pytest.fixture
def open_service(tmp_path: Path, transport: Transport) -> Iterator[Open]:
    with ExitStack() as stack:

        def opening(**changes: Any) -> Service:
            service = Service(tmp_path, transport, changes)
            stack.callback(service.close)
            return service

        yield opening


@pytest.fixture
def tokens(transport: Transport) -> DevTokenService:
    return DevTokenService(transport, ROOT_KEY, issuer="https://sts.example", tenant_uid=TENANT)


@contextmanager
def other() -> Iterator[Other]:
    opened = Other()
    try:
        yield opened
    finally:
        opened.close()


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found
