"""A system prompt on its way from an agent's intents to what is usual for it: the gate, the watch, and the command."""

from __future__ import annotations

from pathlib import Path

from simulation.records import SessionMaker
from streams.behaviour.activity import DAY_MS, HOUR_MS
from streams.behaviour.epochs import epoch_parts
from streams.cli.main import run
from streams.history.driver import Read
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import ToolCatalogEntry
from streams.model.control import Baseline
from streams.model.topics import AUDIT, BASELINE, VERDICT
from streams.ports import Outgoing
from streams.sdk import prompt_digest
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings
from tests.kit import FILES_READ, MAIL_SEND, GateBench
from tests.unit.cli.conftest import Stoplog
from tests.unit.processors.watch.watch_bench import Bench

WAIT_MS = 30_000
SESSION_CALLS, SESSIONS = 10, 8


def worked(bench: GateBench, prompt: str, tools: tuple[ToolCatalogEntry, ...], turn: int) -> None:
    """Let an agent work with a prompt, some sessions long."""
    for number in range(SESSIONS):
        session = SessionMaker(f"s-{turn}-{number}")
        bench.establish(session)
        for call in range(SESSION_CALLS):
            bench.wait(20_000)
            entry = tools[call % len(tools)]
            args = {"path": f"{call}.txt"} if entry is FILES_READ else {"to": f"desk@{number % 3}.example"}
            bench.propose(entry, args, session, system_prompt_digest=prompt_digest(prompt))


def learned(gate: GateBench) -> list[Read]:
    """The baselines that a watch publishes about what a gate has decided."""
    watch = Bench(start_ms=gate.now_ms)
    for topic in (VERDICT, AUDIT):
        for read in gate.driver.read(topic.name):
            record = read.record
            if not isinstance(record, AuditEvent) or record.event_type is AuditEventType.VERDICT:
                watch.driver.pipe(topic.name, read.key, record, gate.now_ms)
    watch.settle(HOUR_MS)
    return watch.driver.read(BASELINE.name)


def test_the_command_says_what_has_changed_since_the_prompt_did(home: Path, stoplog: Stoplog) -> None:
    gate = GateBench()
    worked(gate, "You read files.", (FILES_READ, FILES_READ, FILES_READ, FILES_READ, MAIL_SEND), 1)
    gate.wait(DAY_MS)
    worked(gate, "You send mail.", (MAIL_SEND, MAIL_SEND, MAIL_SEND, MAIL_SEND, FILES_READ), 2)
    published = learned(gate)
    epochs = {read.record.epoch: read.record.intents_count for read in published if isinstance(read.record, Baseline)}
    assert sorted(epochs.values()) == [80, 80]
    assert all(epoch_parts(epoch).prompt for epoch in epochs)

    run(["topics", "apply", "--json"])
    settings = load_settings()
    codec = build_codec(settings)
    with open_log(settings, create=False) as log:
        publisher = log.publisher()
        for read in published:
            publisher.publish(Outgoing(BASELINE.name, 0, read.key, codec.encode(BASELINE.name, read.record)))
        publisher.flush(WAIT_MS)
        publisher.close()
    result = stoplog("behaviour", "show", "acme|assistant", "--no-json")
    assert result.status == 0, result.err
    assert "since the system prompt changed:" in result.out
    assert "- mail.send is used 4 times as often: 20% of its calls before, 80% now" in result.out
    assert "You" not in result.out
