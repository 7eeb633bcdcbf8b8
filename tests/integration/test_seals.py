"""Gates are killed again and again while they judge: what is left is sealed, and every allowed call runs once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulation.records import ROOT_KEY
from streams.audit.report_keys import ReportKey
from streams.audit.seal_keys import SealKeys
from streams.model.verdict import Outcome
from streams.operations.signing_keys import make_key_file
from streams.operations.verify.partition import PartitionReport
from streams.operations.verify.run import LogSource, verify_log, verify_reported
from streams.sdk import Executor, SingleUseStore, Transport, VerdictLoop
from streams.wiring.clock import SystemClock
from tests.integration.deployment import Deployment, Verdicts, deployed, is_permitted, until
from tests.integration.sealed import seal_faults

INTENTS_A_LIFE = 120
SESSIONS = 12
# How long a gate lives once it has work: at the beginning, in the middle and at the end of it.
LIVES_S = (0.0, 0.3, 1.2, 0.05, 0.6, 0.15)


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    gate = {"verdict_ttl_ms": 300_000}
    if request.param == "kafka":
        bootstrap = str(request.getfixturevalue("kafka_bootstrap"))
        with deployed(tmp_path, bootstrap, gate=gate) as made:
            yield made
        return
    # The embedded log is in the state folder, so the gate's is that of the deployment.
    folder = tmp_path / "state-gate-1"
    folder.mkdir()
    with deployed(folder, "", log="embedded", gate=gate) as made:
        made.folder = tmp_path
        yield made


def verified(deployment: Deployment, keys: SealKeys) -> list[PartitionReport]:
    source = LogSource(deployment.log, SystemClock())
    return list(verify_log(source, deployment.codec, keys, since={}, is_whole=False))


def unsealed(deployment: Deployment, keys: SealKeys) -> list[str]:
    return [each for report in verified(deployment, keys) for each in report.unknown]


def test_after_kill_9_everything_is_sealed_and_runs_once(deployment: Deployment, tmp_path: Path) -> None:
    keys = SealKeys.derived(ROOT_KEY)
    sessions = deployment.open_sessions(SESSIONS)
    verdicts, intents, ran = Verdicts(deployment), [], []
    stop = threading.Event()
    with (
        SingleUseStore(tmp_path / "used", "bank-1") as store,
        Transport(deployment.log, deployment.codec, SystemClock()) as transport,
    ):
        executor = Executor(
            transport,
            ["bank"],
            {"bank/pay": lambda args: ran.append(args["number"])},
            store,
            report_keys=ReportKey.derived(ROOT_KEY, "bank"),
            seal_keys=keys,
        )
        loop = VerdictLoop(executor, transport, group=f"{deployment.settings.group}-bank", instance="bank-1")
        thread = threading.Thread(target=loop.run, args=(stop,), daemon=True)
        thread.start()
        for life_s in LIVES_S:
            gate = deployment.gate("gate-1")
            gate.wait_serving()
            for _ in range(INTENTS_A_LIFE):
                intents.append(deployment.pay(sessions[len(intents) % SESSIONS], len(intents)))
            deployment.flush()
            time.sleep(life_s)
            gate.kill()
        last = deployment.gate("gate-1")
        last.wait_serving()
        given = verdicts.wait_for(intents)
        allowed = {number for number in range(len(intents)) if is_permitted(number)}
        until(lambda: not time.sleep(0.1) and len(ran) >= len(allowed))
        stop.set()
        thread.join(60)
        executor.close()
        # What the executor has reported last is sealed as soon as the gate's notary has read it.
        until(lambda: not time.sleep(0.2) and not unsealed(deployment, keys))
        assert last.stop() == 0
    verdicts.close()
    assert len(given) == len(intents)
    assert sorted(ran) == sorted(allowed)
    assert list(seal_faults(deployment, keys)) == []
    reports = verified(deployment, keys)
    assert [(each.offence, each.unknown) for each in reports if each.offence or each.unknown] == []
    assert sum(each.verdicts for each in reports) >= len(intents)
    others = list(
        verify_reported(LogSource(deployment.log, SystemClock()), deployment.codec, keys, since={}, is_whole=True)
    )
    assert [each.offence for each in others if each.offence] == []
    assert sum(each.reported for each in others) >= len(allowed) // 2


def test_a_gate_signs_with_the_key_of_its_settings(deployment: Deployment, tmp_path: Path) -> None:
    key = make_key_file(tmp_path / "seal.key")
    session = deployment.open_sessions(1)[0]
    gate = deployment.gate("gate-1", seal={"key_file": str(tmp_path / "seal.key")})
    gate.wait_serving()
    verdicts = Verdicts(deployment)
    (verdict,) = verdicts.wait_for([deployment.pay(session, 1)])
    assert verdict.outcome is Outcome.ALLOW
    verdicts.close()
    assert gate.stop() == 0
    assert list(seal_faults(deployment, SealKeys.of({"own": str(key.public)}))) == []
    assert "no key that is trusted here" in next(seal_faults(deployment, SealKeys.derived(ROOT_KEY)))
