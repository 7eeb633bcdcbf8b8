"""What faults are tried on: the cluster, topics as `stoplog topics apply` makes them, sessions, gates, executors."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from bench.cluster.calls import Ran
from bench.cluster.executor_child import RunningExecutor, notes_path, read_notes
from bench.cluster.reading import Topics
from bench.harness.gate_process import ServedGate
from bench.harness.records import session_records
from bench.harness.workload import bundle_record, catalog_records, credential
from bench.harness.world import PARTITIONS, ROOT_KEY, World
from simulation.broker.cluster import ADMINISTRATOR, NODES, KafkaCluster
from streams.model.catalog_signature import entry_key
from streams.model.topics import AUDIT, CATALOG, GATE_CHANGELOG, INTENT, RULESET, VERDICT
from streams.operations.topics.application import carry_out, make_plan
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

GROUP = "stoplog-gate"
AGENTS, GATES = "agents", "gates"


class Servers(NamedTuple):
    """Servers whose calls the same executors run: their principal, and their group."""

    user: str
    group: str
    names: tuple[str, ...]


MAIL = Servers("executors-of-mail", "stoplog-executor-mail", ("mail",))
REST = Servers("executors-of-the-rest", "stoplog-executor-rest", ("git", "pay"))
# Two of them share a server: a call that one of them has begun must not be run again by the other.
EXECUTORS = {"mail-1": MAIL, "mail-2": MAIL, "rest-1": REST}
PASSWORDS = {user: f"{user}-password" for user in (AGENTS, GATES, MAIL.user, REST.user)}
# As `docs/how-to/prepare-kafka-for-production.md` recommends for takeovers within 8 s.
BROKERS_AS_RECOMMENDED = {
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "transaction.max.timeout.ms": "15000",
}
# Where the brokers are controllers, too, the death of the active one takes longer than this session: then the default.
GATES_AS_RECOMMENDED = {"session.timeout.ms": "6000"}
CONTROLLERS = 3
REPLICATION = 3
GATE_NAMES = ("gate-1", "gate-2")
METADATA_S_MAX = 5.0
# Between two faults brokers get back what they led at first: one that was away leads nothing for minutes otherwise.
BALANCE = {"leader.imbalance.check.interval.seconds": "5", "leader.imbalance.per.broker.percentage": "0"}
WHOLE_S_MAX = 120.0
WHOLE_PAUSE_S = 0.5
SESSION_TAKE_IN_S = 3.0
# What an intent touches on its way: a partition is led by a broker if one of these partitions of that number is.
TOUCHED = (INTENT, VERDICT, AUDIT, GATE_CHANGELOG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """How a run differs from a usual one.

    Attributes:
        rate: intents a second.
        verdict_life_s: how long an allowed call may be run; None: as long as gates let it by default.
        broker_settings: of the brokers, instead of Kafka's defaults.
        gate_settings: of the gates' clients, in librdkafka's names.
        logs: a folder that keeps what gates and executors have logged, and what has run.
        quick: whether the brokers are to start quickly rather than to bear load.
        brokers: how many there are; topics have three replicas.
        controllers: how many nodes are controllers only; 0: every broker is a controller.
    """

    rate: int
    broker_settings: Mapping[str, str]
    gate_settings: Mapping[str, str]
    logs: Path | None
    quick: bool
    brokers: int = NODES
    controllers: int = CONTROLLERS
    verdict_life_s: int | None = None


class Deployment:
    """The cluster and what runs on it."""

    def __init__(self, cluster: KafkaCluster, world: World, gate_settings: Mapping[str, str]) -> None:
        """Use `deployed`."""
        self._gate_settings = gate_settings
        self.cluster = cluster
        self.world = world
        self.topics = Topics(cluster.bootstrap, cluster.client_settings(), PARTITIONS)
        self.gates: dict[str, ServedGate] = {}
        self.executors: dict[str, RunningExecutor] = {}
        self._admin = AdminClient({"bootstrap.servers": cluster.bootstrap, **cluster.client_settings()})

    def world_of(self, user: str) -> World:
        """Return the world as a user sees it, who may do what the access lists say."""
        kafka = {**self.cluster.client_settings(user), **(self._gate_settings if user == GATES else {})}
        settings = {**self.world.settings, "kafka": kafka}
        return dataclasses.replace(self.world, settings=settings)

    def start_gate(self, name: str) -> None:
        """Start a gate, or start it again, and wait until it serves."""
        self.gates[name] = ServedGate(self.world_of(GATES), name, {})
        self.gates[name].wait_serving()

    def start_executor(self, name: str) -> None:
        """Start one of EXECUTORS, or start it again, and wait until it can run calls."""
        servers = EXECUTORS[name]
        self.executors[name] = RunningExecutor(self.world_of(servers.user), name, servers.group, servers.names)

    def restart_ended(self) -> list[str]:
        """Start what has ended by itself, wait until it serves, and return its names."""
        names = self.ended()
        for name in names:
            if name in EXECUTORS:
                self.start_executor(name)
            else:
                self.start_gate(name)
        return names

    def ran(self) -> list[Ran]:
        """Return what the executors have run so far, as their tools have noted it."""
        return [each for name in EXECUTORS for each in read_notes(notes_path(self.world.folder, name))]

    def ended(self) -> list[str]:
        """Return the gates and executors that run no more, which nobody has killed or asked to end."""
        gates = [name for name, gate in self.gates.items() if not gate.running]
        return gates + [name for name, executor in self.executors.items() if not executor.running]

    def leaders(self) -> dict[str, list[int]]:
        """Return the leading node (0, 1, ...; -1: none) of each partition of the topics that an intent touches."""
        metadata = self._known_metadata()
        return {
            topic.name: [
                partition.leader - 1 for _, partition in sorted(metadata.topics[topic.name].partitions.items())
            ]
            for topic in TOUCHED
        }

    def roles(self) -> dict[str, int]:
        """Return which nodes coordinate: the cluster, the gates' group, and each gate's transactions."""
        metadata = self._known_metadata()
        return {
            "controller": self.cluster.active_controller(),
            "group": _coordinator(metadata, "__consumer_offsets", GROUP),
            **{name: _coordinator(metadata, "__transaction_state", f"{GROUP}-{name}") for name in GATE_NAMES},
        }

    def await_whole(self) -> None:
        """Wait until every replica of every partition is in sync.

        Raises:
            RuntimeError: not within WHOLE_S_MAX.
        """
        deadline_s = time.monotonic() + WHOLE_S_MAX
        while not self._is_whole():
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"replicas are not in sync after {WHOLE_S_MAX} s")
            time.sleep(WHOLE_PAUSE_S)

    def _is_whole(self) -> bool:
        try:
            metadata = self._metadata()
        except KafkaException:
            return False
        partitions = [each for topic in metadata.topics.values() for each in topic.partitions.values()]
        return len(metadata.brokers) == self.cluster.brokers and all(
            partition.leader >= 0 and len(partition.isrs) == len(partition.replicas) for partition in partitions
        )

    def _known_metadata(self) -> ClusterMetadata:
        """Return the cluster's metadata; brokers that work off a fault may need several questions.

        Raises:
            KafkaException: they have not answered for WHOLE_S_MAX.
        """
        deadline_s = time.monotonic() + WHOLE_S_MAX
        while True:
            try:
                return self._metadata()
            except KafkaException:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(WHOLE_PAUSE_S)

    def _metadata(self) -> ClusterMetadata:
        self._admin.poll(0)
        return self._admin.list_topics(timeout=METADATA_S_MAX)


@contextlib.contextmanager
def deployed(sessions: int, run: Run) -> Iterator[Deployment]:
    """Yield a cluster with everything on it and gates that serve, ended afterwards.

    Args:
        sessions: how many are open.
        run: what differs from a usual run.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stoplog-cluster-")))
        cluster = stack.enter_context(
            KafkaCluster.start(
                folder / "kafka",
                users=PASSWORDS,
                quick=run.quick,
                properties={**BALANCE, **run.broker_settings},
                nodes=run.brokers,
                controllers=run.controllers,
            )
        )
        world = _open_world(cluster, folder, stack.callback, run.verdict_life_s)
        deployment = Deployment(cluster, world, run.gate_settings)
        stack.callback(_keep_logs, folder, run.logs)
        stack.callback(_end_all, deployment)
        for name in GATE_NAMES:
            deployment.start_gate(name)
        _open_sessions(deployment.world, sessions)
        yield deployment


def _open_world(
    cluster: KafkaCluster, folder: Path, on_exit: Callable[[Callable[[], None]], Any], verdict_life_s: int | None
) -> World:
    settings: dict[str, Any] = {
        "log": "kafka",
        "bootstrap": cluster.bootstrap,
        "kafka": cluster.client_settings(ADMINISTRATOR),
        "state_dir": str(folder / "state"),
        "tenant": "bench",
        "group": GROUP,
        "rules": {"allow_unsigned": True},
        "catalog": {"allow_unsigned": True},
        "gate": {} if verdict_life_s is None else {"verdict_ttl_ms": verdict_life_s * 1_000},
        "topics": {
            "partitions": PARTITIONS,
            "replication": REPLICATION,
            "principals": {
                "agent": [f"User:{AGENTS}"],
                "gate": [f"User:{GATES}"],
                "executor": [f"User:{servers.user}" for servers in (MAIL, REST)],
            },
            "executor_groups": {f"User:{servers.user}": [servers.group] for servers in (MAIL, REST)},
            "instances": {f"User:{GATES}": list(GATE_NAMES)},
            "gate_takeover": True,
        },
    }
    parsed = Settings(**settings)
    log = open_log(parsed)
    on_exit(log.close)
    world = World("kafka", folder, settings, log, build_codec(parsed), None)
    admin = log.admin()
    carry_out(make_plan(parsed.topics, parsed.group, admin), admin, REPLICATION, lambda _step: None)
    admin.close()
    control = [world.outgoing(CATALOG, entry_key(entry), entry, entry.header) for entry in catalog_records(ROOT_KEY)]
    bundle = bundle_record("permit-all")
    if bundle is not None:
        control.append(world.outgoing(RULESET, bundle.name.encode(), bundle, bundle.header))
    world.publish(iter(control))
    return world


def _open_sessions(world: World, sessions: int) -> None:
    world.publish(session_records(world, (credential(ROOT_KEY, number) for number in range(sessions))))
    time.sleep(SESSION_TAKE_IN_S)


def _end_all(deployment: Deployment) -> None:
    for executor in deployment.executors.values():
        executor.kill()
    for gate in deployment.gates.values():
        gate.thaw()
        gate.kill()


def _keep_logs(folder: Path, logs: Path | None) -> None:
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
        for log in (*folder.glob("*.log"), *folder.glob("*.jsonl")):
            shutil.copy(log, logs)


def _coordinator(metadata: ClusterMetadata, topic: str, name: str) -> int:
    """Return the node that leads the partition of a group or a transactional id; -1 while there is none."""
    if topic not in metadata.topics:
        return -1
    partitions = metadata.topics[topic].partitions
    return partitions[(_java_hash(name) & 0x7FFFFFFF) % len(partitions)].leader - 1


def _java_hash(text: str) -> int:
    """Return what Java's `String.hashCode` does, by which Kafka finds coordinators."""
    value = 0
    for char in text:
        value = (31 * value + ord(char)) & 0xFFFFFFFF
    return value
