"""The life of a session against a model of its own: what is over never lives again, and authority never grows.

The model knows the table of docs/explanation/sessions.md and nothing of the gate.
"""

from __future__ import annotations

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from simulation.records import ISSUER, ROOT_KEY, SessionMaker, revocation
from streams.delegation.anchors import TrustAnchors
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION
from streams.model.verdict import Outcome
from streams.processors.rows import session_row_key
from streams.processors.session_row import SessionRow, decode_session
from streams.processors.settings import GateSettings
from tests.kit import FILES_READ, MAIL_SEND, GateBench

replace = msgspec.structs.replace
MINUTE_MS = 60_000
IDLE_MS = 10 * MINUTE_MS
AGE_MS = {True: 60 * MINUTE_MS, False: 30 * MINUTE_MS}
SCOPES = ("a", "b", "c")
SETTINGS = GateSettings(
    root_key=ROOT_KEY,
    session_idle_ms=IDLE_MS,
    session_age_max_ms=AGE_MS[True],
    unattended_age_max_ms=AGE_MS[False],
    trust_anchors=TrustAnchors.of({ISSUER: "hmac"}),
)
ORDER = {"none": 0, "live": 1, "frozen": 1, "ended": 2, "revoked": 3}
PARENT = "s-mother"
GRANT_LIFE_MS = 24 * 60 * MINUTE_MS
WAITS = st.sampled_from([1, 1_000, MINUTE_MS, 9 * MINUTE_MS, IDLE_MS - 1, IDLE_MS, 25 * MINUTE_MS])


class SessionLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.bench = GateBench(settings=SETTINGS, with_session=False)
        self.session: SessionMaker = self.bench.session
        self.state = "none"
        self.over_by: str | None = None
        self.ends_ms = 0
        self.active_ms = 0
        self.is_killed = False
        self.is_parent_killed = False
        self.seen: list[SessionRow] = []

    # -- the model

    def settle(self) -> None:
        """Time alone may have ended it."""
        now_ms, idle_ms = self.bench.now_ms, self.active_ms + IDLE_MS
        if self.state == "live" and idle_ms < self.ends_ms and now_ms >= idle_ms:
            self.end("ended", Reason.SESSION_IDLE.value)
        elif self.state in ("live", "frozen") and now_ms >= self.ends_ms:
            self.end("ended", "time")

    def end(self, state: str, by: str) -> None:
        if ORDER[self.state] < ORDER[state]:
            self.state, self.over_by = state, by

    def say(self, kind: SessionEventType, **fields: object) -> None:
        event = self.session.event(kind, self.bench.now_ms, **fields)
        self.bench.driver.pipe(SESSION.name, self.session.key, event)

    # -- what happens

    @initialize(attended=st.booleans(), life_ms=st.sampled_from([5 * MINUTE_MS, 45 * MINUTE_MS, 90 * MINUTE_MS]))
    def open(self, attended: bool, life_ms: int) -> None:
        now_ms, mother = self.bench.now_ms, SessionMaker(PARENT)
        root = mother.grant("g-0", now_ms, exp=now_ms + GRANT_LIFE_MS)
        # One that it could give on itself would be over when its claims are narrowed.
        hop = mother.handed_on(root, "g-1", now_ms, self.session, max_depth=1)
        self.bench.driver.pipe(DELEGATION.name, self.session.key, hop)
        self.opening = self.session.established(
            now_ms,
            expires_ms=now_ms + life_ms,
            scopes=SCOPES,
            attended=attended,
            delegation_uid=hop.uid,
            parent_session_id=PARENT,
        )
        self.bench.driver.pipe(SESSION.name, self.session.key, self.opening)
        self.state = "live"
        self.active_ms = self.bench.now_ms
        self.ends_ms = self.bench.now_ms + min(life_ms, AGE_MS[attended])

    @rule(duration_ms=WAITS, then_propose=st.booleans())
    def wait(self, duration_ms: int, then_propose: bool) -> None:
        self.bench.wait(duration_ms)
        self.settle()
        if then_propose:
            self.check_call()

    @rule()
    def open_again(self) -> None:
        self.bench.driver.pipe(SESSION.name, self.session.key, self.opening)

    @rule(kind=st.sampled_from([SessionEventType.USER_MESSAGE, SessionEventType.RETRIEVAL]))
    def be_active(self, kind: SessionEventType) -> None:
        self.say(kind)
        if self.state == "live":
            self.active_ms = self.bench.now_ms

    @rule(scopes=st.sets(st.sampled_from([*SCOPES, "d"])), longer_ms=st.sampled_from([-MINUTE_MS, 0, 99 * MINUTE_MS]))
    def change_claims(self, scopes: set[str], longer_ms: int) -> None:
        self.say(SessionEventType.TOKEN_CLAIMS_CHANGE, scopes=tuple(sorted(scopes)), expires=self.ends_ms + longer_ms)
        if self.state in ("live", "frozen"):
            self.ends_ms = min(self.ends_ms, self.ends_ms + longer_ms)
            self.settle()

    @rule()
    def purpose(self) -> None:
        self.say(SessionEventType.PURPOSE_SET, purpose="anything")

    # One rule of many: a session that ends at once shows little.
    @rule(is_revoked=st.booleans(), really=st.integers(0, 3))
    def end_it(self, is_revoked: bool, really: int) -> None:
        if really:
            return
        if is_revoked:
            self.say(SessionEventType.SESSION_REVOKED)
            self.end("revoked", Reason.SESSION_REVOKED.value)
        else:
            self.say(SessionEventType.SESSION_ENDED)
            self.end("ended", Reason.SESSION_ENDED.value)

    @rule(state=st.sampled_from(RevocationState), is_parent=st.booleans())
    def kill_or_release(self, state: RevocationState, is_parent: bool) -> None:
        self.kill(state, is_parent)
        self.check_call()

    def kill(self, state: RevocationState, is_parent: bool) -> None:
        target = f"acme|{PARENT if is_parent else self.session.session_id}"
        made = revocation(RevocationKind.SESSION, target, time_ms=self.bench.now_ms, state=state)
        self.bench.driver.pipe(REVOCATION.name, *made)
        is_stop = state is RevocationState.REVOKED
        if is_parent:
            self.is_parent_killed = is_stop
            return
        self.is_killed = is_stop
        if not is_stop and self.state == "frozen":
            self.is_released = True

    @precondition(lambda self: self.state == "live" and not (self.is_killed or self.is_parent_killed))
    @rule()
    def freeze(self) -> None:
        verdict = self.bench.judge(MAIL_SEND, {"to": "exfil@evil.example"})
        assert verdict.outcome is Outcome.QUARANTINE
        self.state, self.is_released = "frozen", False
        self.active_ms = self.bench.now_ms

    @rule()
    def restart(self) -> None:
        self.bench.restart()

    # -- what is held

    @rule()
    def propose(self) -> None:
        self.check_call()

    def check_call(self) -> None:
        self.settle()
        verdict = self.bench.judge(FILES_READ, {"path": "a.txt"})
        may_run = (self.state == "live" or (self.state == "frozen" and self.is_released)) and not (
            self.is_killed or self.is_parent_killed
        )
        assert (verdict.outcome is Outcome.ALLOW) is may_run, (self.state, verdict.reason)
        if may_run:
            assert verdict.expires_at <= self.ends_ms
        elif self.state == "revoked":
            assert verdict.reason == Reason.SESSION_REVOKED
        elif self.state == "ended":
            timed = {Reason.SESSION_EXPIRED.value, Reason.SESSION_TOO_OLD.value}
            assert verdict.reason in (timed if self.over_by == "time" else {self.over_by})
        if may_run and self.state == "live":
            self.active_ms = self.bench.now_ms

    @invariant()
    def authority_never_grows(self) -> None:
        found = self.bench.driver.disk.rows(0).get(session_row_key(self.session.key))
        if found is None:
            return
        row = decode_session(found)
        if self.seen:
            last = self.seen[-1]
            assert row.life.expires_ms <= last.life.expires_ms
            assert set(row.identity.scopes) <= set(last.identity.scopes)
            assert set(last.grant.ancestor_session_ids) <= set(row.grant.ancestor_session_ids)
            assert ORDER[_STATES[row.life.status.name]] >= ORDER[_STATES[last.life.status.name]]
        self.seen.append(row)

    def teardown(self) -> None:
        self.bench.driver.close()


_STATES = {"UNKNOWN": "none", "LIVE": "live", "FROZEN": "frozen", "ENDED": "ended", "REVOKED": "revoked"}
SessionLife.TestCase.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSessionLife = SessionLife.TestCase
