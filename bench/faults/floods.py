"""Measures how long an honest session waits for verdicts while another writer floods its partition at full rate.

Kafka runs from Maven artifacts, the gate as in production. The flood is written by a process with a user of its own, so
that the brokers can hold it back by a quota, as `docs/how-to/prepare-kafka-for-production.md` asks for.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shlex
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bench.harness.child import Child
from bench.harness.gate_process import ServedGate, served_gate
from bench.harness.quantiles import quantile
from bench.harness.records import session_records
from bench.harness.workload import ACT, catalog_records, credential, intent, now_ms
from bench.harness.world import PARTITIONS, ROOT_KEY, World, open_world
from streams.model.canonical import canonical, sha256
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_key
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.proof import derived_uuid
from streams.model.topics import CATALOG, INTENT, VERDICT, Role
from streams.model.types import ToolRef
from streams.operations.settings import TopicsSection
from streams.operations.topics.quotas import quota_commands
from streams.ports import Outgoing, TopicPartition
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.intents import CallContext, build_intent

FLOODER, PASSWORD = "flooder", "flooder-password"
QUOTA_BYTES_PER_S = TopicsSection().quotas["agent"]
HONEST_PER_S = 20
BROKER = {"quota.window.num": "3"}
"""As `docs/how-to/prepare-kafka-for-production.md` recommends."""

WARM_UP_S, BEFORE_S, FLOOD_S = 10, 2, 20
DRAIN_S_MAX, DRAIN_PAUSE_S = 20.0, 0.05
POLL_RECORDS, POLL_MS = 1_000, 20
SMALL, LARGE = 20_000, 60
LARGE_BYTES = 261_000
AWKWARD = ("awkward", "sort")
_AWKWARD_SCHEMA = {
    "type": "object",
    "properties": {
        "rows": {"type": "array", "items": {"type": "string", "enum": [f"row-{number}" for number in range(10_000)]}}
    },
}
FLOODS = {
    "forged": "intents of the honest session without its key",
    "sessions": "the same, of a new session each",
    "large": "the same, with arguments of 261 KB that are slow to parse",
    "garbage": "records that are no intents",
    "awkward": "proven intents of 261 KB, against a schema that is slow to check",
    "proven": "proven intents of one session, all allowed",
}
PACED = {"forged": 18_600, "large": 20, "awkward": 4}
"""Records per second of floods that nothing holds back: the rates at which gates were found to be stopped."""

QUICK = ("forged", "large")


def run(*, quick: bool) -> dict[str, Any]:
    """Measure floods at the rates that stopped gates, without a quota; then all floods at full rate, with one."""
    flood_s = 3 if quick else FLOOD_S
    cases = _measure_all(PACED, 0, flood_s)
    cases += _measure_all(dict.fromkeys(QUICK if quick else FLOODS, 0), QUOTA_BYTES_PER_S, flood_s)
    return {"honest_per_s": HONEST_PER_S, "flood_s": flood_s, "cases": cases}


def _measure_all(rates: Mapping[str, int], quota: int, flood_s: int) -> list[dict[str, Any]]:
    """Measure floods one after the other, on a broker of their own.

    Args:
        rates: how many records per second the flooder tries to write, by flood; 0: as many as it can.
        quota: bytes per second that the broker lets the flooder write; 0: as many as it can.
        flood_s: how long each lasts.
    """
    with open_world("kafka", "permit-all", users={FLOODER: PASSWORD}, properties=BROKER) as world:
        if world.broker is None:
            raise RuntimeError("the flood needs a broker")
        if quota:
            (command,) = quota_commands({Role.AGENT: quota}, {Role.AGENT: (f"User:{FLOODER}",)}, world.broker.bootstrap)
            arguments = shlex.split(command)
            world.broker.run_configs(*arguments[arguments.index("--alter") :])
        entry = _awkward_entry()
        world.publish(iter([world.outgoing(CATALOG, entry_key(entry), entry, entry.header)]))
        sessions = _sessions_of_one_partition(2)
        world.publish(session_records(world, sessions))
        with served_gate(world) as gate:
            honest = _Honest(world, sessions[0])
            honest.propose_for(WARM_UP_S)
            cases = [_measure(world, gate, honest, flood, rate, flood_s) for flood, rate in rates.items()]
            honest.stop()
    return [{"quota_bytes_per_s": quota, **case} for case in cases]


def _measure(world: World, gate: ServedGate, honest: _Honest, flood: str, rate: int, flood_s: int) -> dict[str, Any]:
    with _flooding(world, flood, rate, flood_s) as flooder:
        honest.propose_for(BEFORE_S)
        before = len(honest.made)
        flooder.begin()
        cpu_s, began_s = gate.cpu_s(), time.monotonic()
        honest.propose_for(flood_s)
        busy = (gate.cpu_s() - cpu_s) / (time.monotonic() - began_s)
        honest.drain()
        written = flooder.end()["written"]
    ordered = sorted(honest.waited_ms[before:])
    return {
        "flood": flood,
        "rate": rate,
        "written_per_s": written / flood_s,
        "honest": len(ordered),
        "unanswered": sum(wait == float("inf") for wait in ordered),
        "p50_ms": _finite(quantile(ordered, 0.5)),
        "p99_ms": _finite(quantile(ordered, 0.99)),
        "max_ms": _finite(ordered[-1]),
        "gate_busy": busy,
    }


def _finite(wait_ms: float) -> float | None:
    """Return how long the wait was; None if there was no answer at all."""
    return None if wait_ms == float("inf") else wait_ms


class _Honest:
    """An honest session: proposes at a steady rate, and notes when its verdicts come."""

    def __init__(self, world: World, session: SessionCredential) -> None:
        self.made: dict[str, float] = {}
        self._world, self._session = world, session
        self._came: dict[str, float] = {}
        self._ended = threading.Event()
        partition = TopicPartition(VERDICT.name, partition_for(session.key, PARTITIONS))
        self._reader = world.log.reader()
        self._reader.assign({partition: world.ends(VERDICT)[partition]})
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._publisher = world.log.publisher()

    def propose_for(self, duration_s: int) -> None:
        """Propose at the steady rate."""
        began_s = time.monotonic()
        for number in range(duration_s * HONEST_PER_S):
            time.sleep(max(0.0, began_s + number / HONEST_PER_S - time.monotonic()))
            made = intent(self._session, len(self.made))
            self.made[made.intent_id] = time.monotonic()
            self._publisher.publish(self._world.outgoing(INTENT, self._session.key, made, made.header))

    def drain(self) -> None:
        """Wait for the verdicts that are missing, up to `DRAIN_S_MAX`."""
        deadline_s = time.monotonic() + DRAIN_S_MAX
        while len(self._came) < len(self.made) and time.monotonic() < deadline_s:
            time.sleep(DRAIN_PAUSE_S)

    def stop(self) -> None:
        """Read no more."""
        self._ended.set()
        self._thread.join()
        self._reader.close()
        self._publisher.close()

    @property
    def waited_ms(self) -> list[float]:
        """How long each intent has waited, in order; infinite for those without a verdict."""
        return [1e3 * (self._came.get(name, float("inf")) - made_s) for name, made_s in self.made.items()]

    def _read(self) -> None:
        while not self._ended.is_set():
            for record in self._reader.poll(POLL_RECORDS, POLL_MS):
                now_s = time.monotonic()
                if record.key != self._session.key or record.value is None:
                    continue
                verdict: Any = self._world.codec.decode(VERDICT.name, record.value, record.headers)
                if verdict.intent_id in self.made:
                    self._came.setdefault(verdict.intent_id, now_s)


@contextlib.contextmanager
def _flooding(world: World, flood: str, rate: int, duration_s: int) -> Iterator[Child]:
    """Yield a flooder that is ready; the caller lets it begin."""
    broker = world.broker
    client = {
        "bootstrap.servers": "" if broker is None else broker.bootstrap_for_users,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": FLOODER,
        "sasl.password": PASSWORD,
    }
    order = {
        "settings": world.settings,
        "folder": str(world.folder),
        "client": client,
        "flood": flood,
        "rate": rate,
        "duration_s": duration_s,
    }
    with Child("bench.faults.flood_child", order) as child:
        child.wait_ready()
        yield child


def flood_records(world: World, flood: str) -> list[Outgoing]:
    """Return the records of a flood, which are written again and again.

    Args:
        world: the log's.
        flood: which of `FLOODS`.
    """
    honest, other = _sessions_of_one_partition(2)
    place = partition_for(honest.key, PARTITIONS)
    match flood:
        case "forged":
            made: Iterator[tuple[SessionCredential, Intent]] = (
                (honest, _forged(intent(honest, number))) for number in range(SMALL, 2 * SMALL)
            )
        case "sessions":
            made = ((session, _forged(intent(session, 1))) for session in _sessions_on(place, SMALL))
        case "large":
            slow: dict[str, object] = {"rows": [1.5] * (LARGE_BYTES // 4)}
            made = ((honest, _forged(_call(honest, slow, number))) for number in range(LARGE))
        case "awkward":
            made = ((other, _call(other, {"rows": ["x"] * (LARGE_BYTES // 4)}, number)) for number in range(LARGE))
        case "proven":
            made = ((other, intent(other, number)) for number in range(SMALL))
        case "garbage":
            noise = random.Random(1)  # noqa: S311 - the same bytes each time
            return [
                Outgoing(INTENT.name, place, honest.key, b"\0\0\0\0\1" + noise.randbytes(500)) for _ in range(SMALL)
            ]
        case _:
            raise ValueError(f"no flood `{flood}`; there are {', '.join(FLOODS)}")
    return [world.outgoing(INTENT, session.key, one, one.header) for session, one in made]


def _forged(made: Intent) -> Intent:
    return msgspec.structs.replace(made, tool_call_id="forged")


def _call(session: SessionCredential, args: dict[str, object], number: int) -> Intent:
    server_id, name = AWKWARD
    return build_intent(
        session,
        ToolRef(server_id=server_id, name=name, definition_digest=sha256(b"awkward"), catalog_version=1),
        args,
        intent_id=derived_uuid("flood", session.session_id, str(number)),
        header_id=derived_uuid("flood record", session.session_id, str(number)),
        source=f"agent/{ACT.sub}",
        now_ms=now_ms(),
        context=CallContext(turn=number, tool_call_id=f"call_{number}"),
    )


def _awkward_entry() -> ToolCatalogEntry:
    server_id, name = AWKWARD
    tool = next(entry for entry in catalog_records(ROOT_KEY) if entry.name == "git_log")
    return msgspec.structs.replace(
        tool,
        server_id=server_id,
        name=name,
        input_schema_json=json.dumps(_AWKWARD_SCHEMA),
        input_schema_digest=sha256(canonical(_AWKWARD_SCHEMA)),
        definition_digest=sha256(b"awkward"),
    )


def _sessions_of_one_partition(count: int) -> list[SessionCredential]:
    return list(_sessions_on(partition_for(credential(ROOT_KEY, 0).key, PARTITIONS), count))


def _sessions_on(place: int, count: int) -> Iterator[SessionCredential]:
    sessions = (credential(ROOT_KEY, number) for number in itertools.count())
    own = (session for session in sessions if partition_for(session.key, PARTITIONS) == place)
    return itertools.islice(own, count)
