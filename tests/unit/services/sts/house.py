"""A token service on loopback, with its issuers, its log, and what was written there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from streams.audit.releasers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.delegation.keys import Ed25519Key
from streams.embedded.log import EmbeddedLog
from streams.http.server import Server, listen, uvicorn_config
from streams.model.audit import AuditEvent
from streams.model.delegation import Delegation
from streams.model.session import SessionEvent
from streams.model.topics import AUDIT_REPORTED, DELEGATION, REVOCATION, SESSION, TOKEN_USED, Spread
from streams.model.types import Record
from streams.operations.topics.reader import read_to_end
from streams.ports import Consumer, Producer, Publisher, Reader, TopicSpec
from streams.sdk.agent.token_exchange import GRANT_TYPE, ID_TOKEN, JWT, StsClient, dpop_proof
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.sts.service import RunningSts
from streams.services.sts.settings import StsSection
from streams.wiring.clock import SystemClock
from tests.records import BY_RECORD
from tests.unit.services.sts.issuers import Issuer
from tests.waiting import WAIT_S, until

ROOT_KEY = bytes(range(32))
TENANT = "acme"
STS = "https://sts.example"
PARTITIONS = 2
INVALID = "invalid_request"
AGENT, SUB_AGENT, STRANGER, WORKER = "assistant", "helper", "stranger", "spiffe://acme.example/worker"

MAIL = {
    "server": "mail",
    "name": "send",
    "arguments": [{"argument": "/to", "type": "WILDCARD", "value": "*@acme.example"}],
}
READ = {"server": "files", "name": "read"}

_R = TypeVar("_R", bound=Record)


def profile(issuer: str, sub: str, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "sub": sub,
        "scopes": ["mail:send", "files:read"],
        "tools": [MAIL, READ],
        "max_depth": 2,
        "ttl_ms": 300_000,
    } | changes


class _ClientThroughProxy(StsClient):
    """Proves keys to the issuer: the service is known to others under another URL than the one that this reaches."""

    def _proof(self, path: str, key: Ed25519Key | None) -> dict[str, str]:
        return {} if key is None else {"DPoP": dpop_proof(key, f"{STS}{path}", SYSTEM)}


class House:
    """Everything of one service. `url` is where it is; its issuer is another, as behind a proxy."""

    def __init__(
        self, folder: Path, log: Any, codec: Codec, changes: Mapping[str, Any], issuers: tuple[Issuer, Issuer] | None
    ) -> None:
        self.folder = folder
        made = (Issuer("https://users.example", STS), Issuer("https://agents.example", STS, "EdDSA"))
        self.users, self.agents = issuers or made
        self.txns = Issuer("https://txn.example", "acme.example", "RS256")
        self.jag = Issuer("https://jag.example", STS)
        self.spiffe = Issuer("spiffe://acme.example", STS)
        self.log = log
        self.codec = codec
        self.transport = Transport(log, codec, SystemClock(), ANYBODY)
        settings, changed = self.settings(), dict(changes)
        settings["sources"] |= changed.pop("more_sources", {})
        self.section = StsSection.model_validate(settings | changed)
        self.running = RunningSts(self.section, self.transport, ROOT_KEY, tenant_uid=TENANT, folder=folder / "sts")
        self._listening = listen(self.section)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        started = threading.Event()
        self.server = Server(uvicorn_config(self.running.application, self.section), lambda *_: started.set())
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._listening]}, daemon=True)
        self._thread.start()
        assert started.wait(WAIT_S)
        self.http = httpx2.Client(base_url=self.url, timeout=WAIT_S, trust_env=False)

    def settings(self) -> dict[str, Any]:
        sources = {
            "users": (self.users, ["user"]),
            "agents": (self.agents, ["agent"]),
            "txns": (self.txns, ["transaction"]),
            "jag": (self.jag, ["id_jag"]),
            "spiffe": (self.spiffe, ["agent"]),
        }
        for name, (issuer, _) in sources.items():
            self.keys_file(name).write_bytes(issuer.key_set(**({"use": "jwt-svid"} if name == "spiffe" else {})))
        return {
            "issuer": STS,
            "port": 0,
            "jwks_retry_ms": 100,
            "sources": {
                name: {
                    "issuer": issuer.issuer,
                    "jwks": str(self.keys_file(name)),
                    "gives": gives,
                    "subject_prefix": "",
                    "audience": [issuer.audience],
                }
                for name, (issuer, gives) in sources.items()
            },
            "agents": {
                "assistant": profile(self.agents.issuer, AGENT),
                "helper": profile(self.agents.issuer, SUB_AGENT, scopes=["files:read"], tools=[READ], max_depth=1),
                "worker": profile(self.spiffe.issuer, WORKER),
            },
        }

    def keys_file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def client(self) -> StsClient:
        return _ClientThroughProxy(self.url)

    def form(self, **changes: Any) -> dict[str, Any]:
        """A request that is granted; None leaves a parameter out."""
        form = {
            "grant_type": GRANT_TYPE,
            "subject_token": changes["subject_token"] if "subject_token" in changes else self.users.token("alice"),
            "subject_token_type": ID_TOKEN,
            "actor_token": changes["actor_token"] if "actor_token" in changes else self.agents.token(AGENT),
            "actor_token_type": JWT,
        } | changes
        return {name: value for name, value in form.items() if value is not None}

    def post(
        self, *, path: str = "/token", headers: Mapping[str, str] | None = None, **changes: Any
    ) -> httpx2.Response:
        return self.http.post(path, data=self.form(**changes), headers=dict(headers or {}))

    def granted(self, **changes: Any) -> dict[str, Any]:
        response = self.post(**changes)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, **changes: Any) -> tuple[str, str]:
        """OAuth's code and the service's reason; and nothing was opened."""
        before = len(self.sessions())
        response = self.post(**changes)
        members = response.json()
        assert response.status_code >= 400, members
        assert set(members) == {"error", "error_description", "reason"}
        assert response.headers["cache-control"] == "no-store"
        assert len(self.sessions()) == before
        return members["error"], members["reason"]

    def written(self, kind: type[_R]) -> list[_R]:
        topic = AUDIT_REPORTED if kind is AuditEvent else BY_RECORD[kind]
        found = read_to_end(self.log, (topic.name,), SystemClock())
        records = [self.codec.decode(topic.name, r.value, r.headers) for r in found if r.value is not None]
        return [record for record in records if isinstance(record, kind)]

    def sessions(self) -> list[SessionEvent]:
        return self.written(SessionEvent)

    def grants(self) -> list[Delegation]:
        return self.written(Delegation)

    def audits(self) -> list[AuditEvent]:
        return self.written(AuditEvent)

    def new_audit(self, before: set[str]) -> AuditEvent:
        """The one record that has come since; refusals are written while nobody waits for it."""
        new: list[AuditEvent] = []

        def has_come() -> bool:
            new[:] = [audit for audit in self.audits() if audit.header.id not in before]
            return bool(new)

        until(has_come, "something is put on record", pause_s=0.02)
        [only] = new
        return only

    def close(self) -> None:
        self.http.close()
        self.server.should_exit = True
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        self._listening.close()
        self.running.close()
        self.transport.close()


TOPICS = (SESSION, DELEGATION, AUDIT_REPORTED, REVOCATION, TOKEN_USED)


@contextmanager
def open_house(
    folder: Path, wrap: Any = None, *, again: bool = False, issuers: tuple[Issuer, Issuer] | None = None, **changes: Any
) -> Iterator[House]:
    """A house in a folder.

    Args:
        wrap: puts something around the log.
        again: what was there before is there still.
        issuers: of users and agents, where they are those of before.
    """
    folder.mkdir(exist_ok=True)
    log = EmbeddedLog(folder / "log.sqlite", clock=SystemClock())
    admin = log.admin()
    if not again:
        admin.create(
            [TopicSpec(t.name, 1 if t.spread is Spread.BROADCAST else PARTITIONS, t.config()) for t in TOPICS], 1
        )
    admin.close()
    house = House(folder, log if wrap is None else wrap(log), Codec(CommittedSchemas.load()), changes, issuers)
    try:
        yield house
    finally:
        house.close()
        log.close()


class WrappedLog:
    """A log whose producers are others."""

    def __init__(self, log: Any, make_producer: Any) -> None:
        self._log = log
        self._make_producer = make_producer

    @property
    def name(self) -> str:
        return str(self._log.name)

    def admin(self) -> Any:
        return self._log.admin()

    def consumer(self, group: str, instance: str) -> Consumer:
        return self._log.consumer(group, instance)

    def producer(self, transactional_id: str) -> Producer:
        return self._make_producer(self._log.producer(transactional_id))

    def publisher(self) -> Publisher:
        return self._log.publisher()

    def reader(self) -> Reader:
        return self._log.reader()


def tools(*listed: dict[str, Any]) -> str:
    return json.dumps([{"type": "stoplog_tools", "tools": list(listed)}])
