"""The watch's workers commit less often than gates: nobody waits for a verdict of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simulation.records import ROOT_KEY
from streams.embedded.log import EmbeddedLog
from streams.embedded.producer import EmbeddedProducer
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.operations.topics.application import carry_out, make_plan
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.stores.memory import MemoryStores
from streams.wiring import gates
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings
from streams.wiring.shipped import rules_directory


def settings_of_workers(given: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """How the workers of a gate and of a watch run that are built with these settings, by their specs."""
    found: dict[str, EngineSettings] = {}

    class Noting(Worker):
        def __init__(self, **parts: Any) -> None:
            found[parts["spec"].name] = parts["settings"]
            super().__init__(**parts)

    monkeypatch.setattr(gates, "Worker", Noting)
    settings = load_settings({"state_dir": tmp_path, "rules": {"allow_unsigned": True}, **given})
    codec, files = build_codec(settings), parse_behaviour(load_detector_files(rules_directory()))
    with open_log(settings) as log:
        admin = log.admin()
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
        admin.close()
        for worker in (
            gates.build_gate(settings, log, codec, ROOT_KEY, MemoryStores()),
            gates.build_budgets(settings, log, codec, MemoryStores()),
            gates.build_keying(settings, log, codec, files, MemoryStores()),
            gates.build_watch(settings, log, codec, files, MemoryStores()),
        ):
            worker.stop()
    return found


def test_a_watch_has_longer_transactions_than_a_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_of_workers({"engine": {"punctuate_ms": 70}}, tmp_path, monkeypatch)
    assert {name: each.commit_interval_ms for name, each in found.items()} == {
        "gate": 25,
        "budgets": 25,
        "keying": 500,
        "watch": 500,
    }
    # A batch of a backlog is not cut before the time is over.
    assert found["watch"].commit_records_max == found["keying"].commit_records_max == 10_000
    assert {each.punctuate_ms for each in found.values()} == {70}


def test_how_long_they_are_can_be_set_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"watch": {"commit_interval_ms": 40, "commit_records_max": 3}, "engine": {"commit_interval_ms": 7}}
    found = settings_of_workers(given, tmp_path, monkeypatch)
    assert (found["watch"].commit_interval_ms, found["watch"].commit_records_max) == (40, 3)
    assert (found["gate"].commit_interval_ms, found["gate"].commit_records_max) == (7, 2_000)


def test_producers_of_a_watch_gather_records_and_those_of_a_gate_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, bool] = {}
    made = EmbeddedLog.producer

    def noting(log: EmbeddedLog, transactional_id: str, *, gathers: bool = False) -> EmbeddedProducer:
        found[transactional_id.rpartition("-")[2]] = gathers
        return made(log, transactional_id, gathers=gathers)

    monkeypatch.setattr(EmbeddedLog, "producer", noting)
    settings_of_workers({"instance": "one"}, tmp_path, monkeypatch)
    assert found == {"one": False, "budgets": False, "keying": True, "watch": True}
