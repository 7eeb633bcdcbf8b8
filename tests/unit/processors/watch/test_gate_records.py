"""Every kind of detector fires because of records that a real gate has written: nothing that they look at is made up.

What is usual is learned from the records of a history, as they lie on the log. The last of it, in which a detector
fires, is sent to a gate as intents, with sessions, grants, retrievals and refusals as they come from others.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import msgspec
import pytest

from simulation.records import UNTRUSTED, SessionMaker, ruleset, tool_entry
from streams.behaviour.activity import DAY_MS
from streams.behaviour.declarations import KINDS
from streams.model.alert import Alert
from streams.model.session import SessionEventType
from streams.model.topics import ALERT, DELEGATION, RULESET, SESSION
from streams.model.verdict import Outcome
from streams.operations.behaviour.histories import PARTITIONS, batches_of, differences_of
from streams.operations.behaviour.history_calls import START_MS, Call, calls_of
from streams.operations.behaviour.history_file import History, read_histories
from streams.operations.behaviour.watch_run import SETTLE_MS, Raised, Timed, watch_processors
from streams.policy.errors import Findings
from streams.processors.watch.alerts import PREFIX
from streams.processors.watch.features import Features
from streams.wiring.codecs import build_offline_codec
from tests.kit import GATE_SETTINGS, GateBench, wire
from tests.recorded_run import bundle_files
from tests.unit.processors.watch.watch_bench import SHIPPED

RULES = Path(__file__).parents[4] / "rules"
TEXT = """apiVersion: rules/v1
pack: testing
rules:
  - {id: S-0, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
"""
CODEC = build_offline_codec()
LIFE_MS = DAY_MS
# One session of the histories lasts nine hours.
SETTINGS = msgspec.structs.replace(GATE_SETTINGS, unattended_age_max_ms=DAY_MS)
FIRES = {
    "arg_cusum": "refunds that grow a little each time",
    "arg_mad": "a refund that is far too large",
    "arg_trend": "each refund to one customer is larger than the one before",
    "ceiling": "a new agent runs into its ceiling",
    "cross_owner": "one person's session reads the files of many",
    "deleg_velocity": "one grant breeds sessions without end",
    "dest_daily": "a place that was new is written to steadily on the next day, now with one tool and now with another",
    "egress": "a whole customer list leaves in a few mails",
    "epoch_drift": "a new system prompt makes the agent read far more and write less",
    "fan_out": "more records in ten minutes than ever",
    "first_amount": "an agent that makes refunds makes a transfer, which is far larger",
    "loop": "two calls take turns without end",
    "loop_run": "one tool without end, each time a little different",
    "new_contact": "a little leaves every day, to one of the new places that the agent meets every day",
    "new_terms": "an agent begins to use a tool that nobody uses",
    "novel_cusum": "one tool opens records that nobody has opened, after something untrusted was read",
    "odd_contact": "one mail a day to a new place, in the midst of whatever the agent is doing",
    "off_hours": "an agent works in the middle of the night",
    "rate_nb": "an agent makes ever more calls",
    "returns": "one person is looked up day after day",
    "risk": "a session is a little odd in several ways",
    "seq_surprise": "a session takes the steps of everyday work in an order that nobody takes",
    "two_places": "a stolen session is used beside its owner",
}
"""A history in which a detector of each kind fires. `dest_daily` alerts through the correlation that asks for it."""


@cache
def shipped() -> dict[str, History]:
    return {each.name: each for each in read_histories(RULES, SHIPPED.packs, Findings())}


class RealGate(GateBench):
    """A gate that permits all that it can, with a watch beside it."""

    def __init__(self, history: History) -> None:
        features = Features((*history.types, *SHIPPED.features.cohorts), SHIPPED.features.extractions)
        beside = watch_processors(wire(), SHIPPED._replace(features=features))
        super().__init__(settings=SETTINGS, with_rules=False, with_session=False, beside=beside, partitions=PARTITIONS)
        self.driver.advance(START_MS)
        self.driver.pipe(RULESET.name, b"default", ruleset(bundle_files(TEXT)))
        self._tools = {name: tool_entry(*name.split(".", 1)) for block in history.blocks for name in block.tools}
        for tool in self._tools.values():
            self.publish(tool)
        self._makers: dict[str, SessionMaker] = {}
        self._stained: set[str] = set()

    def learn(self, batch: list[Timed]) -> None:
        """Let the watch learn from records that lie on the log."""
        self.driver.advance(max(self.now_ms, batch[0].time_ms))
        self.driver.clock.set_ms(max(self.now_ms, batch[-1].time_ms))
        for each in batch:
            self.driver.log.append(each.record, timestamp_ms=each.time_ms)
        self.driver.settle()

    def ask(self, call: Call) -> None:
        """Send the call as an intent, at its time."""
        verdict = call.verdict
        self.driver.advance(max(self.now_ms, call.time_ms))
        maker = self._makers.get(verdict.session_id) or self._begun(call)
        if verdict.label.integrity is UNTRUSTED.integrity and verdict.session_id not in self._stained:
            self._stained.add(verdict.session_id)
            read = maker.event(SessionEventType.RETRIEVAL, self.now_ms, label=UNTRUSTED)
            self.driver.pipe(SESSION.name, maker.key, read)
        self.propose(
            self._tools[f"{verdict.tool.server_id}.{verdict.tool.name}"],
            json.loads(verdict.args_json),
            session=maker,
            act=msgspec.structs.replace(maker.act, instance_uid=verdict.act.instance_uid),
            model=verdict.model,
            agent_version=call.audit.agent_version,
            system_prompt_digest=call.audit.system_prompt_fingerprint,
        )

    def _begun(self, call: Call) -> SessionMaker:
        """Return a session, under the grants that the call names."""
        verdict, ends_ms = call.verdict, self.now_ms + LIFE_MS
        root, *further = verdict.delegation_path
        sub = f"user of {root}" if further else verdict.sub
        maker = self._makers[verdict.session_id] = SessionMaker(verdict.session_id, sub=sub, act=verdict.act.sub)
        if not further:
            self.establish(maker, expires_ms=ends_ms)
            return maker
        parent = SessionMaker(f"parent of {root}", sub=sub, act="planner")
        grant = parent.grant(root, self.now_ms, exp=ends_ms)
        for depth, _ in enumerate(further, 1):
            is_last = depth == len(further)
            child = maker if is_last else SessionMaker(f"{depth} of {verdict.session_id}", sub=sub, act="helper")
            grant, parent = parent.handed_on(grant, f"{root}-{verdict.session_id}-{depth}", self.now_ms, child), child
        self.driver.pipe(DELEGATION.name, maker.key, grant)
        self.establish(maker, delegation_uid=grant.uid, expires_ms=ends_ms)
        return maker

    def alerts(self) -> list[Raised]:
        """The alerts of the watch, each finding once."""
        found: dict[str, Raised] = {}
        for read in self.driver.read(ALERT.name):
            alert = read.record
            if isinstance(alert, Alert) and alert.analytic_uid.startswith(PREFIX):
                name = alert.analytic_uid.removeprefix(PREFIX)
                found.setdefault(alert.finding_uid, Raised(name, alert.session_id or "", alert.desc))
        return list(found.values())


def test_every_kind_has_a_history() -> None:
    assert set(FIRES) == set(KINDS)
    kind_of = {each.name: each.kind for each in SHIPPED.declared.detectors}
    fired = {kind: {kind_of.get(name) for name in shipped()[name].alerts} for kind, name in FIRES.items()}
    assert {kind for kind, kinds in fired.items() if kind not in kinds} == {"dest_daily"}


@pytest.mark.parametrize("kind", FIRES)
def test_it_fires_because_of_what_a_gate_has_written(kind: str) -> None:
    history = shipped()[FIRES[kind]]
    last_ms = START_MS + history.blocks[-1].first_day * DAY_MS
    gate = RealGate(history)
    for batch in batches_of(history, CODEC):
        if before := [each for each in batch if each.time_ms < last_ms]:
            gate.learn(before)
    gate.driver.read_raw()
    for call in calls_of(history):
        if call.time_ms >= last_ms:
            gate.ask(call)
    gate.driver.advance(gate.now_ms + SETTLE_MS)
    assert {(each.outcome, each.reason) for each in gate.verdicts()} == {(Outcome.ALLOW, "permitted")}
    assert differences_of(history.alerts, gate.alerts()) == ()
