"""A real Kafka broker for tests and development: one KRaft node of Apache Kafka, made from its Maven artifacts.

`ops/kafka/pom.xml` names the version. The jars are fetched once into `.cache/kafka/<version>` of the repository
(or the folder that the environment variable STOPLOG_KAFKA_HOME names) and need Java 17 and Maven.
Run as a module it keeps a broker in the foreground: `python -m simulation.broker.kafka --port 9092 --dir data/`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from simulation.broker.artifacts import BrokerUnavailableError, fetch_libraries, require_program
from simulation.broker.process import PROBE_INTERVAL_S, NodeProcess
from streams.kafka.admin import KafkaAdmin
from streams.ports import LogError

PROBE_S_MAX = 3.0
PORT_MIN = 20_000
PORT_MAX = 32_000
PORTS_TRIED_MAX = 100
# One node, always the same: a restarted broker must find its own data.
CLUSTER_ID = "c3RvcGxvZy10ZXN0cy0xMg"

BASE_PROPERTIES: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker may register again only when the session of its former life is over (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Transactions that a dead producer left open are looked for at this interval (default 10 s).
    # As the how-to for operators recommends; Kafka's default is 15 minutes.
    "transaction.max.timeout.ms": "15000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}
ACL_PROPERTIES: Mapping[str, str] = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


class KafkaBroker:
    """A running broker process on the loopback interface. Made by `start`; a context manager that stops it.

    Attributes:
        bootstrap: where everybody is `User:ANONYMOUS`.
        bootstrap_for_users: where clients say who they are (SASL/PLAIN without encryption); empty without users.
    """

    def __init__(self, workdir: Path, port: int, process: NodeProcess) -> None:
        """Use `start`."""
        self.bootstrap = f"127.0.0.1:{port}"
        self.bootstrap_for_users = ""
        self._workdir = workdir
        self._port = port
        self._process = process

    @classmethod
    def start(
        cls,
        workdir: Path,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        acls: bool = False,
        users: Mapping[str, str] | None = None,
        quick: bool = True,
    ) -> KafkaBroker:
        """Fetch the jars where they are missing, format the storage where it is new, run the broker, wait for it.

        Args:
            workdir: holds configuration, data and log; a folder of an earlier run is taken up again.
            port: of the clients' listener; a free one when None.
            properties: broker settings that go over those for tests.
            acls: whether to have an authorizer. Everybody (`User:ANONYMOUS`) is a super user then.
            users: passwords of the users who may connect to `bootstrap_for_users`, where they are `User:<name>`.
            quick: whether it is to start quickly rather than to bear load.

        Raises:
            BrokerUnavailableError: no Java, no Maven, or the broker did not come up (with the end of its log).
        """
        workdir = workdir.resolve()
        workdir.mkdir(parents=True, exist_ok=True)
        require_program("java", "a Java 17 runtime")
        if port is not None and not _is_free(port):
            raise BrokerUnavailableError(f"port {port} of the loopback interface is taken: give another")
        broker = cls(workdir, port or free_port(), NodeProcess(workdir, fetch_libraries(), quick=quick))
        broker._configure({**(ACL_PROPERTIES if acls else {}), **(properties or {})}, users or {})
        broker._process.format(CLUSTER_ID)
        broker._run()
        return broker

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process.running

    def stop(self) -> None:
        """Stop the broker cleanly, or kill it if that takes too long. Does nothing if it is not running."""
        self._process.stop()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would. A no-op when it doesn't run."""
        self._process.kill()

    def freeze(self) -> None:
        """Let it stand still: its connections stay open, and nobody answers on them."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        self._process.thaw()

    def restart(self) -> None:
        """Run it again with the same port and data, stopping it first where it runs. Waits until it answers.

        Raises:
            BrokerUnavailableError: it did not come up.
        """
        self.stop()
        self._run()

    def run_configs(self, *arguments: str) -> str:
        """Run `kafka-configs` with these arguments, as an administrator of this broker; returns what it prints.

        Raises:
            BrokerUnavailableError: it fails.
        """
        tool = ("kafka.admin.ConfigCommand", "--bootstrap-server", self.bootstrap)
        return self._process.run_tool("configure the broker", *tool, *arguments)

    def log_tail(self) -> str:
        """Return the last lines that the broker has logged since it was last run."""
        return self._process.log_tail()

    def __enter__(self) -> Self:
        """Return the broker, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    def _configure(self, properties: Mapping[str, str], users: Mapping[str, str]) -> None:
        controller_port = free_port(other_than=(self._port,))
        controller = f"127.0.0.1:{controller_port}"
        listeners = {"PLAINTEXT": self.bootstrap}
        if users:
            self.bootstrap_for_users = f"127.0.0.1:{free_port(other_than=(self._port, controller_port))}"
            listeners["USERS"] = self.bootstrap_for_users
        advertised = ",".join(f"{name}://{address}" for name, address in listeners.items())
        settings = {
            **BASE_PROPERTIES,
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{advertised},CONTROLLER://{controller}",
            "advertised.listeners": advertised,
            "log.dirs": str(self._workdir / "data"),
            **(_user_properties(users) if users else {}),
            **properties,
        }
        self._process.configure(settings)

    def _run(self) -> None:
        self._process.run()
        self._process.await_ready(lambda: self._accepts() and _answers(self.bootstrap), self.bootstrap)

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False


def await_answer(bootstrap: str, duration_s_max: float, advice: str) -> None:
    """Wait until a broker answers.

    Raises:
        BrokerUnavailableError: it doesn't; `advice` says what to do then.
    """
    deadline_s = time.monotonic() + duration_s_max
    while not _answers(bootstrap):
        if time.monotonic() > deadline_s:
            raise BrokerUnavailableError(f"no broker answers at `{bootstrap}` within {duration_s_max} s: {advice}")
        time.sleep(PROBE_INTERVAL_S)


def _answers(bootstrap: str) -> bool:
    admin = KafkaAdmin(bootstrap, request_s_max=PROBE_S_MAX)
    try:
        admin.describe((), ())
    except LogError:
        return False
    finally:
        admin.close()
    return True


def _user_properties(users: Mapping[str, str]) -> dict[str, str]:
    named = " ".join(f'user_{name}="{password}"' for name, password in users.items())
    return {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.users.plain.sasl.jaas.config": (
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {named};"
        ),
    }


def free_port(*, other_than: Collection[int] = ()) -> int:
    """Return a port of the loopback interface that nobody listens on.

    Raises:
        BrokerUnavailableError: all that were tried are taken.
    """
    # Below the range that the kernel takes for outgoing connections: a port of that range may be gone when the
    # broker is restarted on it. Processes begin at different places, so that they seldom meet.
    begin = os.getpid() * PORTS_TRIED_MAX
    for step in range(PORTS_TRIED_MAX):
        port = PORT_MIN + (begin + step) % (PORT_MAX - PORT_MIN)
        if port not in other_than and _is_free(port):
            return port
    raise BrokerUnavailableError(f"{PORTS_TRIED_MAX} ports of the loopback interface are all taken")


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        # As the broker does: connections of a former life that are still winding down don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def main(arguments: list[str] | None = None) -> int:
    """Keep a broker in the foreground until SIGINT or SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation.broker.kafka", description=main.__doc__)
    parser.add_argument("--port", type=int, default=None, help="the clients' port (default: a free one)")
    parser.add_argument("--dir", type=Path, default=None, help="folder for data and log (default: a temporary one)")
    parser.add_argument("--acls", action="store_true", help="with an authorizer, everybody a super user")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        folder = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kafka-")))
        try:
            broker = stack.enter_context(KafkaBroker.start(folder, port=options.port, acls=options.acls, quick=False))
        except BrokerUnavailableError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        sys.stdout.write(f"bootstrap: {broker.bootstrap}\n")
        sys.stdout.flush()
        while not ended.wait(1):
            if not broker.running:
                sys.stderr.write(f"the broker ended:\n{broker.log_tail()}\n")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
