"""Verdicts that gates have given on a real broker come out byte for byte, also after kills and takeovers."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.records import revocation
from streams.model.revocation import RevocationKind
from streams.model.revocation_targets import principal_target
from streams.model.topics import REVOCATION
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplayKind, Stretch, replay_log
from streams.wiring.clock import SystemClock
from streams.wiring.replays import setup_replay
from tests.integration.deployment import ROOT_KEY, RULES, Verdicts, deployed, now_ms

pytestmark = pytest.mark.broker


def test_verdicts_of_killed_gates_come_out(kafka_bootstrap: str, tmp_path: Path) -> None:
    with deployed(tmp_path, kafka_bootstrap) as deployment:
        verdicts = Verdicts(deployment)
        sessions = deployment.open_sessions(18)
        first = deployment.gate("gate-1")
        first.wait_serving()
        intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
        deployment.flush()
        verdicts.wait_for(intents)
        second = deployment.gate("gate-2")
        second.wait_serving()
        intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
        deployment.flush()
        first.kill()
        verdicts.wait_for(intents)
        changed = {name: text.replace("every fourth is not", "not every fourth") for name, text in RULES.items()}
        deployment.send_rules(changed)
        key, record = revocation(
            RevocationKind.SESSION, principal_target("acme", sessions[1].session_id), time_ms=now_ms()
        )
        deployment.send(REVOCATION, key, record)
        deployment.flush()
        intents = [deployment.pay(session, number) for number, session in enumerate(sessions)]
        deployment.flush()
        verdicts.wait_for(intents)
        assert second.stop() == 0
        verdicts.close()
        setup = setup_replay(deployment.settings, ROOT_KEY)
        recorded = RecordedLog(deployment.log, setup.wire, SystemClock(), setup.engine.time_ahead_max_ms)
        report = replay_log(recorded, setup, Stretch())
    assert report.differences == []
    assert report.counts == {ReplayKind.SAME: 54}
