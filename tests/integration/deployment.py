"""A deployment for one test: topics under a prefix of its own, tools, rules, and gates as real processes."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2

from simulation.records import ROOT_KEY, SessionMaker, entry_key, ruleset, tool_entry
from streams.codec.cloudevents import event_headers
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.topics import CATALOG, INTENT, RULESET, SEAL_KEY, SESSION, VERDICT, Spread, Topic
from streams.model.types import Record
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.topics.application import carry_out, make_plan
from streams.ports import Outgoing, Received, TopicPartition
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from tests import waiting

ROOT = Path(__file__).parents[2]
WAIT_S = 60.0
# A gate that starts imports most of stoplog, compiles rules in another process and waits for a former life's session.
SERVING_S_MAX = 180.0
FLUSH_MS = 60_000
POLL_MS = 100
POLL_RECORDS = 1_000
PARTITIONS = 6
RUN = f"{os.getpid()}-{time.monotonic_ns() // 1_000_000}"

PAY = tool_entry(
    "bank", "pay", schema={"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
)
# Every fourth payment is refused.
RULES = {
    "bundle.yaml": 'apiVersion: rules/v1\nbundle: bank\nversion: "1"\nmode: enforce\nowners: [test]\npacks: [pay]\n',
    "pay/pay.rules.yaml": """apiVersion: rules/v1
pack: pay
rules:
  - id: PAY-001
    effect: permit
    match: {tools: [bank.pay]}
    when: "true"
    reason: payments are permitted
  - id: PAY-002
    effect: deny
    match: {tools: [bank.pay]}
    when: args.number % 4 == 0
    reason: every fourth is not
""",
}
_names = itertools.count(1)


def is_permitted(number: int) -> bool:
    """What the rules say of a payment."""
    return number % 4 != 0


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


class Deployment:
    """Topics, tools and rules on a broker, and what tests do with them."""

    def __init__(self, folder: Path, bootstrap: str, **settings: Any) -> None:
        """Nothing is on the broker yet: see `prepare`."""
        own = f"t{RUN}-{next(_names)}"
        self.folder = folder
        self.settings_given: dict[str, Any] = {
            "log": "kafka",
            "bootstrap": bootstrap,
            "group": own,
            "tenant": "acme",
            "root_key_file": str(folder / "root.key"),
            **settings,
            "topics": {"prefix": f"{own}.", "partitions": PARTITIONS},
            "rules": {"allow_unsigned": True},
            "catalog": {"allow_unsigned": True},
            "release": {"allow_unsigned": True},
        }
        key = folder / "root.key"
        key.touch(mode=0o600)
        key.write_bytes(ROOT_KEY)
        self.settings = Settings(**self.settings_given, state_dir=folder)
        self.log = open_log(self.settings)
        self.codec = build_codec(self.settings)
        self.gates: list[GateProcess] = []
        self._publisher = self.log.publisher()

    def make_topics(self) -> None:
        """All topics, as declared."""
        admin = self.log.admin()
        carry_out(
            make_plan(self.settings.topics, self.settings.group, admin, [self.settings.tenant]),
            admin,
            1,
            lambda step: None,
        )
        admin.close()

    def prepare(self, rules: Mapping[str, str] = RULES) -> None:
        """Topics, the tool `PAY` and the rules."""
        self.make_topics()
        self.send(CATALOG, entry_key(PAY), PAY)
        bundle = ruleset(rules, time_ms=now_ms())
        self.send(RULESET, bundle.name.encode(), bundle)
        self.flush()

    def send(self, topic: Topic, key: bytes, record: Record) -> None:
        """Queue a record."""
        value = self.codec.encode(topic.name, record)
        headers = event_headers(topic, record.header)  # every topic's record has one
        self._publisher.publish(Outgoing(topic.name, place_of(topic, key), key, value, headers))

    def send_rules(self, rules: Mapping[str, str]) -> None:
        """Put other rules in force than `prepare` did, and wait until they are stored."""
        bundle = ruleset(rules, serial=2, time_ms=now_ms())
        self.send(RULESET, bundle.name.encode(), bundle)
        self.flush()

    def publish(self, record: Outgoing) -> None:
        """Queue a record as it is."""
        self._publisher.publish(record)

    def flush(self) -> None:
        """Wait until what was sent is stored."""
        self._publisher.flush(FLUSH_MS)

    def open_sessions(self, count: int, name: str = "s") -> list[SessionMaker]:
        """Sessions that are open on the log."""
        sessions = [SessionMaker(f"{name}-{number:05d}") for number in range(count)]
        for session in sessions:
            self.send(SESSION, session.key, session.established(now_ms()))
        self.flush()
        return sessions

    def pay(self, session: SessionMaker, number: int) -> Intent:
        """Propose a payment."""
        intent = session.intent(PAY, {"number": number}, now_ms())
        self.send(INTENT, session.key, intent)
        return intent

    def gate(self, instance: str, **settings: Any) -> GateProcess:
        """Start `stoplog gate` with a state folder of its own."""
        gate = GateProcess(self.folder, instance, {**self.settings_given, **settings})
        self.gates.append(gate)
        return gate

    def watch(self, instance: str, **settings: Any) -> GateProcess:
        """Start `stoplog watch` with a state folder of its own."""
        watch = GateProcess(self.folder, instance, {**self.settings_given, **settings}, command="watch")
        self.gates.append(watch)
        return watch

    def ends(self, topic: Topic) -> dict[TopicPartition, int]:
        """Where the topic's partitions end now."""
        reader = self.log.reader()
        count = 1 if topic.spread is Spread.BROADCAST else PARTITIONS
        found = reader.end_offsets([TopicPartition(topic.name, number) for number in range(count)])
        reader.close()
        return found

    def close(self) -> None:
        """End the gates and release the clients."""
        for gate in self.gates:
            gate.kill()
        self._publisher.close()
        self.log.close()


def place_of(topic: Topic, key: bytes) -> int:
    """The partition of a key."""
    return 0 if topic.spread is Spread.BROADCAST else partition_for(key, PARTITIONS)


class Verdicts:
    """Everything on the verdict topic, from its beginning on, as a read_committed consumer sees it."""

    def __init__(self, deployment: Deployment) -> None:
        """Reads on whenever `poll` is called."""
        self._codec = deployment.codec
        self._reader = deployment.log.reader()
        self._reader.assign({TopicPartition(VERDICT.name, number): 0 for number in range(PARTITIONS)})
        self.records: list[Received] = []
        self.final: dict[str, set[bytes]] = {}
        self.by_intent: dict[str, Verdict] = {}

    def poll(self) -> int:
        """Take in what has come; returns the number of intents that have a final verdict."""
        for record in self._reader.poll(POLL_RECORDS, POLL_MS):
            if record.key == SEAL_KEY:
                continue
            self.records.append(record)
            verdict = self._codec.decode(VERDICT.name, record.value, record.headers)
            assert isinstance(verdict, Verdict)
            if verdict.outcome in FINAL_OUTCOMES:
                self.final.setdefault(verdict.intent_id, set()).add(record.value or b"")
                self.by_intent[verdict.intent_id] = verdict
        return len(self.final)

    def wait_for(self, intents: Iterable[Intent], timeout_s: float = WAIT_S) -> list[Verdict]:
        """The final verdicts on these intents."""
        wanted = [intent.intent_id for intent in intents]
        until(lambda: self.poll() >= len(wanted) and all(each in self.by_intent for each in wanted), timeout_s)
        return [self.by_intent[each] for each in wanted]

    def close(self) -> None:
        """Release the reader."""
        self._reader.close()


class GateProcess:
    """`stoplog gate`, or another command that serves partitions, in a process of its own."""

    def __init__(self, folder: Path, instance: str, settings: Mapping[str, Any], command: str = "gate") -> None:
        """Start it."""
        self.instance = instance
        self.state = folder / f"state-{instance}"
        self._log = folder / f"{instance}.log"
        environment = environment_of({**settings, "instance": instance, "state_dir": str(self.state)})
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", command, "--json"],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._standing_by: list[int] = []
        self._reading = threading.Thread(target=self._read_events, daemon=True)
        self._reading.start()

    def wait_serving(self, partitions: int | None = None) -> list[int]:
        """Block until it serves partitions (that many, if said); returns them."""

        def serves(event: dict[str, Any]) -> bool:
            return event["event"] == "serving" and partitions in (None, len(event["partitions"]))

        served: list[int] = self._wait_for(serves, "does not serve")["partitions"]
        return served

    def wait_standing_by(self, partitions: list[int]) -> None:
        """Block until it has warm standbys of these partitions. It may have them before it serves others."""

        def is_so() -> bool:
            assert self.process.poll() is None, f"gate {self.instance} has ended: {self.log_text()}"
            return self._standing_by == partitions

        until(is_so, found=self.log_text, pause_s=0.05)

    def _wait_for(self, is_wanted: Callable[[dict[str, Any]], bool], otherwise: str) -> dict[str, Any]:
        deadline_s = time.monotonic() + SERVING_S_MAX
        while time.monotonic() < deadline_s:
            with contextlib.suppress(queue.Empty):
                event = self._events.get(timeout=1)
                if is_wanted(event):
                    return event
            assert self.process.poll() is None, f"gate {self.instance} has ended: {self.log_text()}"
        raise AssertionError(f"gate {self.instance} {otherwise}: {self.log_text()}")

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """SIGKILL. A no-op when it has ended."""
        self.process.kill()
        self._ended()

    def wait_ended(self) -> int:
        """Block until it ends by itself; returns the exit status."""
        return self._ended()

    def log_text(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def _ended(self) -> int:
        status = self.process.wait(WAIT_S)
        self._reading.join(WAIT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def _read_events(self) -> None:
        for line in self.process.stdout or ():
            event = json.loads(line)
            if event["event"] == "standing by":
                self._standing_by = event["partitions"]
            else:
                self._events.put(event)


def environment_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a child that shall have these settings and no others."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("STOPLOG_")}
    return {**own, "PYTHONPATH": str(ROOT), **dict(_variables(settings, "STOPLOG_"))}


def _variables(settings: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _variables(value, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", str(value).lower() if isinstance(value, bool) else str(value)


def until(condition: Any, timeout_s: float = WAIT_S, found: Callable[[], str] = str, *, pause_s: float = 0.0) -> None:
    """Repeat `condition` until it holds; `found` tells what there is instead.

    Args:
        pause_s: between two tries. None is needed where the condition itself waits a little.
    """
    waiting.until(condition, found, timeout_s, pause_s=pause_s)


@contextlib.contextmanager
def serving(deployment: Deployment, settings: Path, *command: str, state: Path) -> Iterator[httpx2.Client]:
    """A command of stoplog that serves HTTP, in a process of its own, which ends in peace afterwards; with its client.

    Args:
        settings: those of the service; the ones of the deployment are added. Its log is beside them.
        command: the names of the command.
        state: its folder for state.
    """
    environment = environment_of({**deployment.settings_given, "state_dir": str(state)})
    whole = [sys.executable, "-m", "streams.cli", "--settings", settings.name, *command, "--port", "0", "--json"]
    with settings.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            whole, cwd=settings.parent, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        begun = json.loads(process.stdout.readline())
        assert begun["event"] == "serving"
        with httpx2.Client(base_url=f"http://127.0.0.1:{begun['port']}", timeout=WAIT_S, trust_env=False) as client:
            yield client
        process.terminate()
        assert process.wait(WAIT_S) == 0
        assert json.loads(process.stdout.readline()) == {"event": "stopped"}
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def deployed(folder: Path, bootstrap: str, **settings: Any) -> Iterator[Deployment]:
    """A deployment with everything on it, closed afterwards."""
    deployment = Deployment(folder, bootstrap, **settings)
    try:
        deployment.prepare()
        yield deployment
    finally:
        deployment.close()
