"""The service over crashes, faults of the log, floods and its own end."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509

from simulation.broker.kafka import free_port
from streams.embedded.log import EmbeddedLog
from streams.http.client_address import place
from streams.http.limits import RateLimit
from streams.http.protocol import _counted_place
from streams.model.errors import SettingsError
from streams.model.revocation import Revocation, RevocationKind
from streams.model.session import SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import AUDIT_REPORTED, TOPICS
from streams.ports import (
    AbortableTransactionError,
    FatalLogError,
    LogError,
    Outgoing,
    Producer,
    RetriableLogError,
    TopicSpec,
)
from streams.sdk.errors import TokenServiceError
from streams.sdk.token_exchange import StsClient, TokenRefusedError
from streams.sdk.transport import Transport
from streams.services.sts.errors import RefusedError, StsError
from streams.services.sts.introspection import ASSERTION_TYPE
from streams.services.sts.service import RunningSts
from streams.services.sts.settings import StsSection
from streams.services.sts.store import Claim, Place, StsStore
from streams.wiring.clock import SystemClock
from streams.wiring.settings_loading import load_settings
from tests.certificates import make_certificate
from tests.unit.services.sts.house import AGENT, ROOT_KEY, STS, SUB_AGENT, TENANT, House, WrappedLog, open_house
from tests.waiting import WAIT_S, until

HEAD_S = 1.5
"""How long the head of a request may take, where that is tried. One that is sent at once takes less."""


class Faulty:
    """A producer that fails where it is told to."""

    def __init__(self, inner: Producer, faults: list[tuple[str, Exception]]) -> None:
        self._inner = inner
        self._faults = faults
        self.init_transactions = inner.init_transactions
        self.begin = inner.begin
        self.abort = inner.abort
        self.close = inner.close

    def _meet(self, where: str) -> None:
        if self._faults and self._faults[0][0] == where:
            raise self._faults.pop(0)[1]

    def send(self, record: Outgoing, on_stored: Any = None) -> None:
        self._inner.send(record, on_stored)
        self._meet(f"after {record.topic}")

    def commit(self) -> None:
        self._meet("before commit")
        self._inner.commit()
        self._meet("after commit")


def together(house: House) -> int:
    """How many sessions are on the log, each with its grant and its record."""
    sessions = sorted(event.session_id for event in house.sessions())
    assert sessions == sorted(grant.session_id or "" for grant in house.grants())
    assert sessions == sorted(audit.session_id for audit in house.audits() if audit.session_id)
    return len(sessions)


@pytest.mark.parametrize(
    ("where", "error", "status", "there"),
    [
        ("after agent.delegation.v1", FatalLogError("gone"), 503, 0),
        ("after agent.session.v1", FatalLogError("gone"), 503, 0),
        ("after agent.audit.reported.v1", FatalLogError("gone"), 503, 0),
        ("before commit", FatalLogError("gone"), 503, 0),
        ("after commit", FatalLogError("who knows"), 503, 1),
        ("after agent.session.v1", AbortableTransactionError("again"), 200, 1),
        ("before commit", AbortableTransactionError("again"), 200, 1),
        ("after agent.delegation.v1", RetriableLogError("later"), 200, 1),
    ],
)
def test_a_session_and_its_grant_are_there_together_or_not_at_all(
    tmp_path: Path, where: str, error: Exception, status: int, there: int
) -> None:
    faults: list[tuple[str, Exception]] = [(where, error)]

    def wrap(log: EmbeddedLog) -> WrappedLog:
        return WrappedLog(log, lambda inner: Faulty(inner, faults))

    with open_house(tmp_path, wrap=wrap) as house:
        response = house.post()
        assert response.status_code == status
        if status == 503:
            assert response.json()["error"] == "temporarily_unavailable"
            assert response.headers["retry-after"] == "1"
        assert together(house) == there
        house.granted()
        assert together(house) == there + 1


def test_without_a_topic_that_it_writes_it_does_not_start(tmp_path: Path, house: House) -> None:
    with closing(EmbeddedLog(tmp_path / "other.sqlite", clock=SystemClock())) as log:
        with closing(log.admin()) as admin:
            admin.create([TopicSpec(t.name, 1, t.config()) for t in TOPICS if t is not AUDIT_REPORTED], 1)
        with (
            Transport(log, house.codec, SystemClock()) as transport,
            pytest.raises(
                LogError, match=r"`agent\.audit\.reported\.v1` does not exist on .*; run `stoplog topics apply`"
            ),
        ):
            RunningSts(house.section, transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path / "other")


def dying(where: str) -> Callable[[Producer], Faulty]:
    """Makes producers that end the process, at once and without a word."""

    class Dying(Faulty):
        def _meet(self, at: str) -> None:
            if at == where:
                os._exit(9)

    return lambda inner: Dying(inner, [])


CRASHING = """
import sys
from pathlib import Path
from tests.unit.services.sts.house import WrappedLog, open_house
from tests.unit.services.sts.test_running import dying

with open_house(Path(sys.argv[1]), wrap=lambda log: WrappedLog(log, dying(sys.argv[2]))) as house:
    house.post()
"""


@pytest.mark.parametrize(("where", "there"), [("after agent.session.v1", 0), ("before commit", 0), ("after commit", 1)])
def test_a_process_that_dies_leaves_both_or_neither(tmp_path: Path, where: str, there: int) -> None:
    folder = tmp_path / "house"
    done = subprocess.run(
        [sys.executable, "-c", CRASHING, str(folder), where], cwd=Path(__file__).parents[4], check=False
    )
    assert done.returncode == 9
    with open_house(folder, again=True) as house:
        assert together(house) == there
        house.granted()
        assert together(house) == there + 1


def test_what_was_given_before_a_restart_can_be_handed_on(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, house.client() as sts:
        used = house.agents.token(AGENT)
        parent = sts.exchange(house.users.token("alice"), used)
        issuers = (house.users, house.agents)
    with open_house(tmp_path, again=True, issuers=issuers) as house, house.client() as sts:
        child = sts.hand_on(parent, house.agents.token(SUB_AGENT))
        assert child.credential.sub == "alice"
        with pytest.raises(TokenRefusedError) as raised:
            sts.exchange(house.users.token("alice"), used)
        assert raised.value.reason == "token_replayed"


class TestLimits:
    def test_of_a_subject(self, tmp_path: Path) -> None:
        with open_house(tmp_path, per_subject_per_minute=3) as house:
            for _ in range(3):
                house.granted(subject_token=house.users.token("alice"))
            response = house.post(subject_token=house.users.token("alice"))
            assert response.status_code == 429
            assert response.json()["error"] == "temporarily_unavailable"
            assert 1 <= int(response.headers["retry-after"]) <= 20
            house.granted(subject_token=house.users.token("bob"))

    def test_of_an_agent(self, tmp_path: Path) -> None:
        with open_house(tmp_path, per_agent_per_minute=2) as house:
            for name in ("alice", "bob"):
                house.granted(subject_token=house.users.token(name))
            assert house.post(subject_token=house.users.token("carol")).json()["reason"] == "too_many_requests"

    def test_of_a_subject_for_each_agent_by_itself(self, tmp_path: Path) -> None:
        with open_house(tmp_path, per_subject_per_minute=3) as house:
            for _ in range(4):
                response = house.post(actor_token=house.agents.token(SUB_AGENT), scope="admin")
            assert response.status_code == 429
            house.granted()

    def test_a_token_that_counts_no_more_uses_nothing_up(self, tmp_path: Path) -> None:
        with open_house(tmp_path, per_agent_per_minute=3, per_subject_per_minute=3) as house:
            spent = house.agents.token(AGENT)
            house.granted(actor_token=spent)
            assertion = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": spent}
            for _ in range(6):
                assert house.post(actor_token=spent).json()["reason"] == "token_replayed"
                response = house.http.post("/introspect", data={"token": "a.b.c", **assertion})
                assert response.json()["reason"] == "token_replayed"
            house.granted()

    def test_of_an_address(self, tmp_path: Path) -> None:
        with open_house(tmp_path, per_address_per_minute=2) as house:
            for _ in range(2):
                house.http.post("/token", data={"grant_type": "x"})
            assert house.post().status_code == 429
            assert house.http.get("/jwks").status_code == 200

    def test_buckets_fill_up_again_and_their_table_has_a_bound(self) -> None:
        now = [0]
        limit = RateLimit(60, lambda: now[0], keys_max=10)
        assert [limit.take("a") for _ in range(60)] == [0] * 60
        assert limit.take("a") == 1_000
        now[0] += 1_000
        assert (limit.take("a"), limit.take("a")) == (0, 1_000)
        for number in range(100):
            limit.take(str(number))
        assert len(limit) == 10


class TestGivingBack:
    def test_a_token(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house, house.client() as sts:
            session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
            told = sts.introspect(session.access_token, house.agents.token(AGENT))
            assert told["active"]
            assert (told["sub"], told["sid"]) == ("alice", session.credential.session_id)
            # To everybody else it says nothing, and is not theirs to give back.
            assert sts.introspect(session.access_token, house.agents.token(SUB_AGENT)) == {"active": False}
            with pytest.raises(TokenRefusedError) as raised:
                sts.revoke(session, house.agents.token(SUB_AGENT))
            assert raised.value.reason == "client_mismatch"
            sts.revoke(session, house.agents.token(AGENT))
            events = [e for e in house.sessions() if e.session_id == session.credential.session_id]
            assert [event.type for event in events] == [
                SessionEventType.SESSION_ESTABLISHED, SessionEventType.SESSION_REVOKED
            ]  # fmt: skip
            assert [a.act.sub for a in house.audits() if a.reason == "token_revoked"] == [AGENT]
            [revoked] = house.written(Revocation)
            assert revoked.until == session.credential.expires_ms
            assert (revoked.kind, revoked.id) == (RevocationKind.SESSION, f"{TENANT}|{session.credential.session_id}")
            assert sts.introspect(session.access_token, house.agents.token(AGENT)) == {"active": False}
            with pytest.raises(TokenRefusedError) as raised:
                sts.hand_on(session, house.agents.token(SUB_AGENT))
            assert raised.value.reason in ("session_over", "revoked")
            sts.revoke(session, house.agents.token(AGENT))  # once more is no error (RFC 7009)

    def test_by_nobody(self, house: House) -> None:
        for path in ("/revoke", "/introspect"):
            before = {audit.header.id for audit in house.audits()}
            response = house.http.post(path, data={"token": "a.b.c"})
            assert response.json()["error"] == "invalid_request"
            told = house.new_audit(before)
            assert told.reason == "request_malformed"
            before.add(told.header.id)
            assertion = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
            response = house.http.post(path, data={"token": "a.b.c", **assertion, "client_assertion": "x"})
            assert response.json()["reason"] == "token_malformed"
            assert house.new_audit(before).reason == "token_malformed"


class TestTheStore:
    def test_is_full(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.services.sts.store.USED_MAX", 2)
        monkeypatch.setattr("streams.services.sts.store.FORGET_EVERY", 1)
        store = StsStore(tmp_path / "memory.sqlite")
        assert store.take_in([Claim((b"a", b"b"), 100, 1)], Place(0, b"")) == [True]
        # What others have used is remembered beyond the bound.
        assert store.take_in([Claim((b"c",), 200, 2)], Place(1, b"")) == [True]
        with pytest.raises(RefusedError) as raised:
            store.check_room(3)
        assert raised.value.reason is TokenReason.LOG_UNAVAILABLE
        assert store.is_used(b"c")
        store.read_to(150)
        store.check_room(150)
        store.close()

    def test_forgets_nothing_that_claims_may_name_that_are_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streams.services.sts.store.FORGET_EVERY", 1)
        store = StsStore(tmp_path / "memory.sqlite")
        assert store.take_in([Claim((b"a",), 100, 1)], Place(0, b"")) == [True]
        store.read_to(100)
        assert store.take_in([Claim((b"a",), 300, 99)], Place(1, b"")) == [False]
        store.read_to(101)
        assert store.take_in([Claim((b"b",), 300, 101)], Place(2, b"")) == [True]
        assert not store.is_used(b"a")
        store.close()

    def test_goes_on_when_the_disk_has_room_again(self, tmp_path: Path) -> None:
        store = StsStore(tmp_path / "memory.sqlite")
        assert store.take_in([Claim((b"a",), 100, 1)], Place(0, b"0")) == [True]
        (pages,) = store._file.execute("PRAGMA page_count").fetchone()
        store._file.execute(f"PRAGMA max_page_count = {pages}")
        long = tuple(bytes([number]) * 8_000 for number in range(10))
        with pytest.raises(RefusedError, match="full"):
            store.take_in([Claim(long, 100, 1)], Place(1, b"1"))
        assert store.place() == Place(0, b"0"), "neither the claim nor the place is stored"
        store._file.execute("PRAGMA max_page_count = 1000000")
        assert store.take_in([Claim((b"b",), 100, 1), Claim((b"a",), 100, 1)], Place(2, b"2")) == [True, False]
        store.close()

    def test_uses_all_or_none(self, tmp_path: Path) -> None:
        store = StsStore(tmp_path / "memory.sqlite")
        claims = [Claim((b"a",), 100, 1), Claim((b"b", b"a"), 100, 1), Claim((b"b",), 100, 1)]
        assert store.take_in(claims, Place(2, b"")) == [True, False, True]
        store.close()

    def test_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "memory.sqlite").write_bytes(b"nothing" * 1_000)
        with pytest.raises(StsError, match=r"memory\.sqlite"):
            StsStore(tmp_path / "memory.sqlite")


class TestSettings:
    def make(self, **changes: Any) -> StsSection:
        return StsSection.model_validate(changes)

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"host": "0.0.0.0"}, "in the clear"),  # noqa: S104 - it is refused
            ({"host": "sts.example"}, "in the clear"),
            ({"tls_key": "key.pem"}, "belong together"),
            ({"issuer": "sts"}, "must be a URL"),
            ({"issuer": "https://sts.example?x"}, "must be a URL"),
            ({"depth_max": 9}, "depth_max"),
            ({"nothing": 1}, "nothing"),
            (
                {"sources": {"a": {"issuer": "https://a", "jwks": "http://a/k", "gives": ["user"], "audience": ["x"]}}},
                "plain HTTP",
            ),
            ({"sources": {"a": {"issuer": "spiffe://a", "jwks": "k", "gives": ["user"], "audience": ["x"]}}}, "SPIFFE"),
            ({"sources": {"a": {"issuer": "https://a", "jwks": "k", "gives": ["user"], "audience": []}}}, "audience"),
            (
                {
                    "sources": {
                        n: {"issuer": f"https://{n}", "jwks": "k", "gives": ["user"], "audience": ["x"]} for n in "ab"
                    }
                },
                "subject_prefix",
            ),
            (
                {
                    "sources": {
                        n: {"issuer": "https://a", "jwks": "k", "gives": ["agent"], "audience": ["x"]} for n in "ab"
                    }
                },
                "named twice",
            ),
            ({"agents": {"a": {"issuer": "i", "sub": "s", "sources": ["b"]}}}, "does not exist"),
            ({"agents": {n: {"issuer": n, "sub": "s"} for n in "ab"}}, "listed twice"),
            (
                {
                    "sources": {
                        "a": {
                            "issuer": "https://a",
                            "jwks": "k",
                            "gives": ["user"],
                            "audience": ["x"],
                            "algorithms": ["HS256"],
                        }
                    }
                },
                "algorithms",
            ),
        ],
    )
    def test_that_are_refused(self, changes: dict[str, Any], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            self.make(**changes)

    def test_another_address_on_the_command_line(self) -> None:
        at = load_settings({}).sts_at("127.0.0.1", 9_000)
        assert (at.port, at.issuer) == (9_000, "http://127.0.0.1:9000")
        named = load_settings({"sts": {"issuer": STS, "host": "localhost"}}).sts_at(None, 9_000)
        assert (named.host, named.port, named.issuer) == ("localhost", 9_000, STS)
        with pytest.raises(SettingsError, match="in the clear"):
            load_settings({}).sts_at("0.0.0.0", None)  # noqa: S104 - it is refused

    def test_off_loopback_with_tls(self) -> None:
        assert not self.make(host="0.0.0.0", behind_tls_proxy=True).on_loopback  # noqa: S104 - it is what is tested

    def test_names_of_users_that_begin_like_those_of_another_source(self, tmp_path: Path) -> None:
        far = {
            "issuer": "https://far.example",
            "jwks": "k",
            "gives": ["user"],
            "audience": [STS],
            "subject_prefix": "far:",
        }
        with open_house(tmp_path, more_sources={"far": far}) as house:
            assert house.refused(subject_token=house.users.token("far:alice")) == ("invalid_request", "claim_missing")

    def test_a_service_that_would_take_nothing(self, tmp_path: Path, house: House) -> None:
        with pytest.raises(StsError, match="no source or no agent is set"):
            RunningSts(StsSection(), house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path)

    def test_an_issuer_for_development_is_for_this_machine(self, tmp_path: Path, house: House) -> None:
        for section in (
            self.make(host="0.0.0.0", behind_tls_proxy=True),  # noqa: S104 - it is refused
            self.make(behind_tls_proxy=True),
            self.make(issuer=STS),
            self.make(issuer="http://127.0.0.1.sts.example:8420"),
        ):
            with pytest.raises(StsError, match="anybody to anybody"):
                RunningSts(section, house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path, dev_issuer=True)

    @pytest.mark.parametrize("path", ["/dev/token?kind=users&sub=ceo", "/jwks", "/healthz", "/dev/jwks"])
    def test_with_it_no_page_of_a_browser_is_answered(self, tmp_path: Path, house: House, path: str) -> None:
        """Nor one whose own name stands for this machine."""
        running = RunningSts(
            self.make(), house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path, dev_issuer=True
        )

        async def ask(**headers: str) -> int:
            transport = httpx2.ASGITransport(running.application)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as http:
                return (await http.get(path, headers=headers)).status_code

        with running:
            assert asyncio.run(ask()) == 200
            assert asyncio.run(ask(host="localhost:8420")) == 200
            assert asyncio.run(ask(host="[::1]:8420")) == 200
            assert asyncio.run(ask(host="evil.example:8420")) == 400
            assert asyncio.run(ask(host="127.0.0.1.evil.example")) == 400
            assert asyncio.run(ask(host="[::1")) == 400
            for site in ("cross-site", "same-site", "same-origin"):
                assert asyncio.run(ask(**{"sec-fetch-site": site})) == 400
            assert asyncio.run(ask(origin="http://localhost:8420")) == 400


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
    monkeypatch.setattr("streams.http.protocol._counted_place", lambda client: client and "192.0.2.1")
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
    counted = [_counted_place((host, 1)) for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.1", "")]
    assert counted == [None, None, None, "192.0.2.1", None]
    assert _counted_place(None) is None


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
