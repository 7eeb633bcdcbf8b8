"""The service over crashes, faults of the log, floods and restarts."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from streams.embedded.log import EmbeddedLog
from streams.http.limits import RateLimit
from streams.model.revocation import Revocation, RevocationKind
from streams.model.session import SessionEventType
from streams.model.token_reasons import TokenReason
from streams.model.topics import AUDIT_REPORTED, TOPICS
from streams.ports import AbortableTransactionError, FatalLogError, LogError, RetriableLogError, TopicSpec
from streams.sdk.agent.token_exchange import TokenRefusedError
from streams.sdk.connection.transport import Transport
from streams.services.sqlite_file import connect
from streams.services.sts.errors import RefusedError, StsError
from streams.services.sts.introspection import ASSERTION_TYPE
from streams.services.sts.service import RunningSts
from streams.services.sts.store import Claim, Issued, Place, StsStore
from streams.wiring.clock import SystemClock
from tests.unit.services.sts.faults import Faulty, together
from tests.unit.services.sts.house import AGENT, ROOT_KEY, SUB_AGENT, TENANT, House, WrappedLog, open_house


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


CRASHING = """
import sys
from pathlib import Path
from tests.unit.services.sts.house import WrappedLog, open_house
from tests.unit.services.sts.faults import dying

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
            store.check_room(3, TENANT)
        assert raised.value.reason is TokenReason.LOG_UNAVAILABLE
        assert store.is_used(b"c")
        store.read_to(150)
        store.check_room(150, TENANT)
        store.close()

    def test_one_tenant_leaves_room_for_sessions_of_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streams.services.sts.store.TENANT_SESSIONS_MAX", 2)
        monkeypatch.setattr("streams.services.sts.store.FORGET_EVERY", 1)
        store = StsStore(tmp_path / "memory.sqlite")
        for number in range(2):
            store.add(Issued(f"t-{number}", f"s-{number}", TENANT, 100, (), {}))
        store.add(Issued("t-2", "s-2", "other", 100, (), {}))
        assert store.take_in([Claim((b"a",), 100, 1)], Place(0, b"")) == [True]
        with pytest.raises(RefusedError, match=f"2 sessions of tenant `{TENANT}` are open already"):
            store.check_room(3, TENANT)
        store.check_room(3, "other")
        store.check_room(150, TENANT)
        store.close()

    def test_counts_sessions_as_they_are_opened_and_again_when_it_starts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streams.services.sts.store.TENANT_SESSIONS_MAX", 2)
        monkeypatch.setattr("streams.services.sts.store.SESSIONS_MAX", 3)
        path = tmp_path / "memory.sqlite"
        store = StsStore(path)
        for number in range(2):
            store.check_room(3, TENANT)
            store.add(Issued(f"t-{number}", f"s-{number}", TENANT, 100, (), {}))
        with pytest.raises(RefusedError, match=f"2 sessions of tenant `{TENANT}` are open already"):
            store.check_room(3, TENANT)
        store.check_room(3, "other")
        store.add(Issued("t-2", "s-2", "other", 200, (), {}))
        store.close()
        store = StsStore(path)
        for tenant in (TENANT, "other", "third"):
            with pytest.raises(RefusedError, match="3 sessions are open already"):
                store.check_room(3, tenant)
        store.check_room(150, TENANT)
        store.close()

    def test_a_request_that_is_refused_costs_no_more_the_more_sessions_are_open(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[None] = []

        def opened(path: Path) -> sqlite3.Connection:
            file = connect(path)
            file.set_progress_handler(lambda: steps.append(None), 10)
            return file

        monkeypatch.setattr("streams.services.sts.store.connect", opened)
        monkeypatch.setattr("streams.services.sts.store.TENANT_SESSIONS_MAX", 300)
        monkeypatch.setattr("streams.services.sts.store.FORGET_EVERY", 1)
        store = StsStore(tmp_path / "memory.sqlite")
        for number in range(300):
            store.add(Issued(f"t-{number}", f"s-{number}", TENANT, 100, (), {}))
        assert store.take_in([Claim((b"a",), 100, 1)], Place(0, b"")) == [True]
        steps.clear()
        with pytest.raises(RefusedError, match="300 sessions of tenant"):
            store.check_room(3, TENANT)
        assert len(steps) < 10, "a count of them takes a step of SQLite's machine for each, and all others wait"
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

    def test_goes_on_when_the_disk_has_room_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files: list[sqlite3.Connection] = []

        def opened(path: Path) -> sqlite3.Connection:
            files.append(connect(path))
            return files[-1]

        monkeypatch.setattr("streams.services.sts.store.connect", opened)
        store = StsStore(tmp_path / "memory.sqlite")
        (file,) = files
        assert store.take_in([Claim((b"a",), 100, 1)], Place(0, b"0")) == [True]
        (pages,) = file.execute("PRAGMA page_count").fetchone()
        file.execute(f"PRAGMA max_page_count = {pages}")
        long = tuple(bytes([number]) * 8_000 for number in range(10))
        with pytest.raises(RefusedError, match="full"):
            store.take_in([Claim(long, 100, 1)], Place(1, b"1"))
        assert store.place() == Place(0, b"0"), "neither the claim nor the place is stored"
        file.execute("PRAGMA max_page_count = 1000000")
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
