"""What forbids something, and comes while no gate runs: once one does, nothing is allowed that it forbids.

Revocations, changes of the catalog and rules travel on topics of their own, so they may stand before or after the
intents that they are about; for a gate that starts, all of it stood there before its first verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from simulation.records import ISSUER, SessionMaker, entry_key, revocation, ruleset, tool_entry
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.intent import Intent
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.session import SessionEventType
from streams.model.topics import CATALOG, DELEGATION, INTENT, REVOCATION, RULESET, SESSION
from streams.model.verdict import Outcome
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.revocations import RevocationWatch
from streams.sdk.executor.verdict_checks import stoppable
from streams.wiring.clock import SystemClock
from streams.wiring.logs import open_log
from tests.integration.deployment import PAY, Deployment, Verdicts, deployed, now_ms, until

replace = msgspec.structs.replace
SCHEMA = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
REFUND, MAIL = (tool_entry("bank", name, schema=SCHEMA) for name in ("refund", "mail"))
FORBIDDEN = 13
# Most of the sessions have no grant.
TRUSTING = f'[gate]\nrequire_delegation = false\n[gate.trust_anchors]\n"{ISSUER}" = "hmac"\n'
BUNDLE = 'apiVersion: rules/v1\nbundle: bank\nversion: "1"\nmode: enforce\nowners: [test]\npacks: [all]\n'
RULES = """apiVersion: rules/v1
pack: all
rules:
  - {id: R-001, effect: permit, match: {tools: ["bank.*"]}, when: "true", reason: fine}
  - id: R-002
    effect: require_approval
    match: {tools: [bank.mail]}
    when: "true"
    approval: {group: leads, quorum: 1, ttl: 10m}
    reason: a lead must say so
"""
STRICTER = """  - id: R-003
    effect: deny
    match: {tools: [bank.pay]}
    when: args.number == 13
    reason: not that one
"""


@pytest.fixture(params=[pytest.param("kafka", marks=pytest.mark.broker), "embedded"])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    (tmp_path / "stoplog.toml").write_text(TRUSTING)
    if request.param == "kafka":
        bootstrap = request.getfixturevalue("kafka_bootstrap")
        with deployed(tmp_path, bootstrap) as opened:
            yield opened
        return
    # The embedded log lies in the folder for state, which a gate here has to itself.
    (tmp_path / "state-gate").symlink_to(tmp_path, target_is_directory=True)
    with deployed(tmp_path, "", log="embedded") as opened:
        yield opened


def publish_rules(deployment: Deployment, rules: str, serial: int) -> None:
    bundle = ruleset({"bundle.yaml": BUNDLE, "all/all.rules.yaml": rules}, serial=serial, time_ms=now_ms())
    deployment.send(RULESET, bundle.name.encode(), bundle)


def publish_tool(deployment: Deployment, entry: ToolCatalogEntry) -> None:
    deployment.send(CATALOG, entry_key(entry), entry)


def propose(deployment: Deployment, session: SessionMaker, tool: ToolCatalogEntry = PAY, number: int = 1) -> Intent:
    intent = session.intent(tool, {"number": number}, now_ms())
    deployment.send(INTENT, session.key, intent)
    return intent


class Cast:
    """Sessions of agents of their own, and a sub-session; what each of them proposes."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.killed, self.of_agent = SessionMaker("s-killed"), SessionMaker("s-agent", act="rogue")
        self.of_user, self.free = SessionMaker("s-user", sub="mallory"), SessionMaker("s-free")
        self.child = SessionMaker("s-child")
        for maker in (self.killed, self.of_agent, self.of_user, self.free):
            deployment.send(SESSION, maker.key, maker.established(now_ms()))
        root = SessionMaker(self.killed.session_id).grant("g-killed", now_ms())
        hop = self.killed.handed_on(root, "g-child", now_ms(), self.child)
        opened = self.child.established(now_ms(), delegation_uid=hop.uid, parent_session_id=self.killed.session_id)
        deployment.send(DELEGATION, self.child.key, hop)
        deployment.send(SESSION, self.child.key, opened)

    def propose_forbidden(self) -> dict[str, Intent]:
        """One call for each thing that will be, or was, forbidden; by the reason that is expected."""
        own = self._deployment
        return {
            "session_revoked": propose(own, self.killed),
            "session_parent_ended": propose(own, self.child),
            "revoked_agent": propose(own, self.of_agent),
            "revoked_subject": propose(own, self.of_user),
            "tool_not_approved": propose(own, self.free, REFUND),
            "rule_denied": propose(own, self.free, PAY, FORBIDDEN),
        }

    def forbid(self) -> None:
        """All of it, on three topics."""
        own = self._deployment
        for kind, target in (
            (RevocationKind.SESSION, "acme|s-killed"),
            (RevocationKind.AGENT, "acme|rogue"),
            (RevocationKind.SUBJECT, "acme|mallory"),
        ):
            own.send(REVOCATION, *revocation(kind, target, time_ms=now_ms()))
        publish_tool(own, replace(REFUND, state=EntryState.BLOCKED, catalog_version=2))
        publish_rules(own, RULES + STRICTER, 3)


def test_nothing_is_allowed_that_was_forbidden_while_no_gate_ran(deployment: Deployment) -> None:
    for tool in (REFUND, MAIL):
        publish_tool(deployment, tool)
    publish_rules(deployment, RULES, 2)
    deployment.flush()
    cast = Cast(deployment)
    deployment.flush()
    verdicts = Verdicts(deployment)
    gate = deployment.gate("gate")
    gate.wait_serving()
    allowed = list(cast.propose_forbidden().values())
    waits = propose(deployment, cast.killed, MAIL)
    deployment.flush()
    assert {verdict.outcome for verdict in verdicts.wait_for(allowed)} == {Outcome.ALLOW}
    until(lambda: verdicts.poll() >= 0 and _is_held(verdicts, waits, deployment))
    gate.kill()

    before = cast.propose_forbidden()
    deployment.flush()
    cast.forbid()
    deployment.flush()
    after = cast.propose_forbidden()
    harmless = propose(deployment, cast.free)
    deployment.flush()

    again = deployment.gate("gate")
    again.wait_serving()
    for intents in (before, after):
        for reason, intent in intents.items():
            (verdict,) = verdicts.wait_for([intent])
            assert (verdict.outcome, verdict.reason) == (Outcome.DENY, reason)
    # What waited for a person has ended with its session, at once.
    (end,) = verdicts.wait_for([waits])
    assert (end.outcome, end.reason) == (Outcome.DENY, "session_revoked")
    (fine,) = verdicts.wait_for([harmless])
    assert fine.outcome is Outcome.ALLOW
    assert all(len(found) == 1 for found in verdicts.final.values())
    verdicts.close()
    again.stop()


def test_a_session_that_ends_takes_with_it_what_it_has_given_on(deployment: Deployment) -> None:
    """The gate says so on the topic that everybody follows, in its transaction; executors hear of it there."""
    deployment.flush()
    mother, child = SessionMaker("s-mother"), SessionMaker("s-child", act="helper")
    root = mother.grant("g-mother", now_ms())
    hop = mother.handed_on(root, "g-child", now_ms(), child)
    for maker, grant, parent in ((mother, root, None), (child, hop, mother.session_id)):
        deployment.send(DELEGATION, maker.key, grant)
        event = maker.established(now_ms(), delegation_uid=grant.uid, parent_session_id=parent)
        deployment.send(SESSION, maker.key, event)
    deployment.flush()
    verdicts = Verdicts(deployment)
    gate = deployment.gate("gate")
    gate.wait_serving()
    first = propose(deployment, child)
    deployment.flush()
    (allowed,) = verdicts.wait_for([first])
    assert allowed.outcome is Outcome.ALLOW

    with (
        Transport(open_log(deployment.settings), deployment.codec, SystemClock()) as transport,
        RevocationWatch(transport) as watch,
    ):
        assert watch.reason_against(stoppable(allowed), now_ms()) is None
        deployment.send(SESSION, mother.key, mother.event(SessionEventType.SESSION_ENDED, now_ms()))
        deployment.flush()
        until(lambda: watch.reason_against(stoppable(allowed), now_ms()) is Reason.SESSION_PARENT_ENDED)
        assert not watch.is_stale()

        # Gates and executors follow the topic each at its own pace: what a gate still allows, no executor runs.
        def is_denied() -> bool:
            further = propose(deployment, child)
            deployment.flush()
            (verdict,) = verdicts.wait_for([further])
            if verdict.outcome is Outcome.ALLOW:
                assert watch.reason_against(stoppable(verdict), now_ms()) is Reason.SESSION_PARENT_ENDED
                return False
            assert (verdict.outcome, verdict.reason) == (Outcome.DENY, "session_parent_ended")
            return True

        until(is_denied)
    verdicts.close()
    gate.stop()


def _is_held(verdicts: Verdicts, intent: Intent, deployment: Deployment) -> bool:
    """Whether the intent has its interim verdict."""
    for received in verdicts.records:
        verdict = deployment.codec.decode(received.topic, received.value or b"", received.headers)
        if getattr(verdict, "intent_id", None) == intent.intent_id:
            return getattr(verdict, "outcome", None) is Outcome.REQUIRE_APPROVAL
    return False
