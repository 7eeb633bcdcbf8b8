"""A cluster as a careful operator runs one: three brokers, TLS, SCRAM users, access lists, replication 3.

Every node is broker and controller (KRaft) on the loopback interface, made from the Maven artifacts, or controllers
have nodes of their own, which are numbered behind the brokers. Clients come in over SASL_SSL with SCRAM-SHA-512, and
may do only what the access lists say; the nodes know each other by their certificates. Nodes can be killed and
restarted one by one. Run as a module it keeps a cluster in the foreground: `python -m simulation.broker.cluster`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from simulation.broker.artifacts import BrokerUnavailableError, fetch_libraries, require_program
from simulation.broker.certificates import Authority
from simulation.broker.kafka import free_port
from simulation.broker.process import NodeProcess
from streams.kafka.admin import KafkaAdmin
from streams.ports import LogError

NODES = 3
REPLICAS_MAX = 3
ADMINISTRATOR = "admin"
HEAP = "-Xmx384m"
PROBE_S_MAX = 3.0
_CLUSTER_ID = "c3RvcGxvZy1jbHVzdGVyMw"
_PORTS_PER_NODE = 3
_ACTIVATION = re.compile(r"Becoming the active controller at epoch (\d+)")
_STARTED = "Kafka Server started"

# Kafka's own defaults wherever faults are concerned (broker session 9 s, abort of old transactions every 10 s): what is
# measured here is to be what an operator sees.
_PROPERTIES: Mapping[str, str] = {
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CLIENTS:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listener.name.clients.scram-sha-512.sasl.jaas.config": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "listener.name.internal.ssl.client.auth": "required",
    "listener.name.controller.ssl.client.auth": "required",
    "ssl.keystore.type": "PEM",
    "ssl.truststore.type": "PEM",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "false",
    "auto.create.topics.enable": "false",
    "transaction.max.timeout.ms": "15000",  # as the how-to for operators recommends
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
    "group.initial.rebalance.delay.ms": "0",
}


_REPLICATION = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
)
_IN_SYNC = ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr")


class KafkaCluster:
    """Brokers that run. Made by `start`; a context manager that stops them.

    Attributes:
        bootstrap: the addresses of all brokers, for clients.
        brokers: how many nodes are brokers: those with the lowest numbers.
    """

    def __init__(
        self,
        workdir: Path,
        users: Mapping[str, str],
        ports: list[tuple[int, int, int]],
        properties: Mapping[str, str] | None = None,
        controllers: int = 0,
    ) -> None:
        """Use `start`."""
        self.brokers = len(ports) - controllers
        replicas = min(self.brokers, REPLICAS_MAX)
        copies = dict.fromkeys(_REPLICATION, str(replicas)) | dict.fromkeys(_IN_SYNC, str(max(replicas - 1, 1)))
        self._properties = {**_PROPERTIES, **copies, **(properties or {})}
        self.bootstrap = ",".join(f"127.0.0.1:{clients}" for clients, _, _ in ports[: self.brokers])
        # Without nodes of their own, every broker is a controller.
        self._controllers = range(self.brokers, len(ports)) if controllers else range(self.brokers)
        self._users = {ADMINISTRATOR: f"{ADMINISTRATOR}-password", **users}
        self._ports = ports
        self._workdir = workdir
        self._authority: Authority | None = None
        self._nodes: list[NodeProcess] = []

    @classmethod
    def start(
        cls,
        workdir: Path,
        *,
        users: Mapping[str, str],
        quick: bool = True,
        properties: Mapping[str, str] | None = None,
        nodes: int = NODES,
        controllers: int = 0,
    ) -> KafkaCluster:
        """Make certificates and storage, run the brokers, and wait until every one of them answers.

        Args:
            workdir: an empty folder for configuration, data and logs.
            users: passwords of the users, who are the principals `User:<name>`. The administrator `admin`, who may do
                everything, is there besides.
            quick: whether the brokers are to start quickly rather than to bear load.
            properties: settings of every broker that differ from those of this module.
            nodes: how many brokers; one is enough if none has to fail.
            controllers: how many nodes are controllers only; 0: every broker is a controller.

        Raises:
            BrokerUnavailableError: no Java, no Maven, or a broker did not come up (with the end of its log).
        """
        workdir = workdir.resolve()
        require_program("java", "a Java 17 runtime")
        cluster = cls(workdir, users, _free_ports(nodes + controllers), properties, controllers)
        try:
            cluster._prepare(quick)
            for node in cluster._nodes:
                node.run()
            for number in range(nodes + controllers):
                cluster.await_node(number)
        except BaseException:
            cluster.stop()
            raise
        return cluster

    def client_settings(self, user: str = ADMINISTRATOR) -> dict[str, str]:
        """Return the librdkafka settings, beside the bootstrap servers, with which a user connects."""
        if self._authority is None:
            raise BrokerUnavailableError("the cluster was not started")
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self._users[user],
            "ssl.ca.location": str(self._authority.path),
        }

    def kill(self, node: int) -> None:
        """End a node (0, 1, ...) at once, as a power cut would."""
        self._nodes[node].kill()

    def freeze(self, node: int) -> None:
        """Let a broker stand still: as a host does that has lost its network, it resets no connection."""
        self._nodes[node].freeze()

    def thaw(self, node: int) -> None:
        """Let a frozen broker go on."""
        self._nodes[node].thaw()

    def active_controller(self) -> int:
        """Return the node that last became the active controller, by the nodes' logs."""
        epochs = [
            max((int(found) for found in _ACTIVATION.findall(node.log_text())), default=-1) for node in self._nodes
        ]
        return epochs.index(max(epochs))

    def restart(self, node: int) -> None:
        """Run a broker again with the same ports and data, stopping it first where it runs. Waits until it answers.

        Raises:
            BrokerUnavailableError: it did not come up.
        """
        self.restart_all([node])

    def restart_all(self, nodes: Sequence[int]) -> None:
        """Run several brokers again at the same time, as `restart` does: two of three come back only together.

        Raises:
            BrokerUnavailableError: one did not come up.
        """
        for node in nodes:
            self._nodes[node].stop()
            self._nodes[node].run()
        for node in nodes:
            self.await_node(node)

    def await_node(self, node: int) -> None:
        """Wait until a broker answers clients, or a controller says that it has started.

        Raises:
            BrokerUnavailableError: it does not.
        """
        process = self._nodes[node]
        if node < self.brokers:
            address = f"127.0.0.1:{self._ports[node][0]}"
            process.await_ready(lambda: self._answers(address), address)
        else:
            process.await_ready(lambda: _STARTED in process.log_text(), f"127.0.0.1:{self._ports[node][2]}")

    def log_tail(self, node: int) -> str:
        """Return the last lines that a broker has logged since it was last run."""
        return self._nodes[node].log_tail()

    def stop(self) -> None:
        """Stop all brokers."""
        for node in self._nodes:
            node.stop()

    def __enter__(self) -> Self:
        """Return the cluster, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _prepare(self, quick: bool) -> None:
        libraries = fetch_libraries()
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._authority = Authority(self._workdir, datetime.datetime.now(datetime.UTC))  # noqa: TID251 - of certificates
        for number in range(len(self._ports)):
            folder = self._workdir / f"node-{number + 1}"
            folder.mkdir()
            node = NodeProcess(folder, libraries, quick=quick, heap=HEAP)
            node.configure(self._settings(number, folder, self._authority))
            node.format(_CLUSTER_ID, *self._scram_arguments())
            self._nodes.append(node)

    def _scram_arguments(self) -> list[str]:
        credentials = (f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in self._users.items())
        return [part for credential in credentials for part in ("--add-scram", credential)]

    def _settings(self, number: int, folder: Path, authority: Authority) -> dict[str, str]:
        voters = ",".join(f"{index + 1}@127.0.0.1:{self._ports[index][2]}" for index in self._controllers)
        superusers = ";".join(
            [f"User:{ADMINISTRATOR}", *(f"User:CN=node-{index + 1}" for index in range(len(self._ports)))]
        )
        return {
            **self._properties,
            **self._roles(number),
            "node.id": str(number + 1),
            "controller.quorum.voters": voters,
            "super.users": superusers,
            "ssl.keystore.location": str(authority.issue(f"node-{number + 1}")),
            "ssl.truststore.location": str(authority.path),
            "log.dirs": str(folder / "data"),
        }

    def _roles(self, number: int) -> dict[str, str]:
        """Return what a node is, and where it listens."""
        clients, internal, controller = self._ports[number]
        advertised = f"CLIENTS://127.0.0.1:{clients},INTERNAL://127.0.0.1:{internal}"
        listens = f"CONTROLLER://127.0.0.1:{controller}"
        if number >= self.brokers:
            return {"process.roles": "controller", "listeners": listens}
        shared = {"inter.broker.listener.name": "INTERNAL", "advertised.listeners": advertised}
        if number in self._controllers:
            return {**shared, "process.roles": "broker,controller", "listeners": f"{advertised},{listens}"}
        return {**shared, "process.roles": "broker", "listeners": advertised}

    def _answers(self, address: str) -> bool:
        with contextlib.closing(KafkaAdmin(address, request_s_max=PROBE_S_MAX, extra=self.client_settings())) as admin:
            try:
                admin.describe((), ())
            except LogError:
                return False
        return True


def _free_ports(nodes: int) -> list[tuple[int, int, int]]:
    taken: list[int] = []
    for _ in range(nodes * _PORTS_PER_NODE):
        taken.append(free_port(other_than=taken))
    return [(taken[at], taken[at + 1], taken[at + 2]) for at in range(0, len(taken), _PORTS_PER_NODE)]


def main(arguments: list[str] | None = None) -> int:
    """Keep a cluster in the foreground until SIGINT or SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation.broker.cluster", description=main.__doc__)
    parser.add_argument("users", nargs="*", metavar="NAME=PASSWORD", help="users beside the administrator")
    options = parser.parse_args(arguments)
    users = dict(user.split("=", 1) for user in options.users)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kafka-cluster-")))
        try:
            cluster = stack.enter_context(KafkaCluster.start(folder, users=users, quick=False))
        except BrokerUnavailableError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"bootstrap: {cluster.bootstrap}\n")
        for name, value in cluster.client_settings().items():
            sys.stdout.write(f"{name}: {value}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
