"""A real Kafka broker for tests and development: one KRaft node of Apache Kafka, made from its Maven artifacts.

`ops/kafka/pom.xml` names the version. The jars are fetched once into `.cache/kafka/<version>` of the repository
(or the folder that the environment variable STOPLOG_KAFKA_HOME names) and need Java 17 and Maven.
Run as a module it keeps a broker in the foreground: `python -m simulation.broker.kafka --port 9092 --dir data/`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.kafka.admin import KafkaAdmin
from streams.ports import LogError

HOME_VARIABLE = "STOPLOG_KAFKA_HOME"
REPOSITORY = Path(__file__).resolve().parents[2]
POM = REPOSITORY / "ops" / "kafka" / "pom.xml"

FETCH_S_MAX = 600
FORMAT_S_MAX = 60
READY_S_MAX = 60
STOP_S_MAX = 20
PROBE_INTERVAL_S = 0.05
PROBE_S_MAX = 3.0
LOG_TAIL_LINES = 25
PORT_MIN = 20_000
PORT_MAX = 32_000
PORTS_TRIED_MAX = 100
HEAP = "-Xmx512m"
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
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}
ACL_PROPERTIES: Mapping[str, str] = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


class BrokerUnavailableError(Exception):
    """There is no broker to be had; the message says what to install or set."""


class KafkaBroker:
    """A running broker process on the loopback interface. Made by `start`; a context manager that stops it.

    Attributes:
        bootstrap: where everybody is `User:ANONYMOUS`.
        bootstrap_for_users: where clients say who they are (SASL/PLAIN without encryption); empty without users.
    """

    def __init__(self, workdir: Path, port: int, libraries: Path, quick: bool) -> None:
        """Use `start`."""
        # With the first compiler only, a start takes half the CPU, and a broker under load more than otherwise.
        self._compiler = ["-XX:TieredStopAtLevel=1"] if quick else []
        self.bootstrap = f"127.0.0.1:{port}"
        self.bootstrap_for_users = ""
        self._workdir = workdir
        self._port = port
        self._classpath = f"{libraries}{os.sep}*"
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

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
        _require("java", "a Java 17 runtime")
        if port is not None and not _is_free(port):
            raise BrokerUnavailableError(f"port {port} of the loopback interface is taken: give another")
        broker = cls(workdir, port or free_port(), fetch_libraries(), quick)
        broker._configure({**(ACL_PROPERTIES if acls else {}), **(properties or {})}, users or {})
        broker._format()
        broker._run()
        return broker

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Shut down in good order; kills after STOP_S_MAX seconds. A no-op when it doesn't run."""
        self._end(in_order=True)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would. A no-op when it doesn't run."""
        self._end(in_order=False)

    def restart(self) -> None:
        """Run it again with the same port and data, stopping it first where it runs. Waits until it answers.

        Raises:
            BrokerUnavailableError: it did not come up.
        """
        self.stop()
        self._run()

    def log_tail(self) -> str:
        """The last lines that the broker has logged since it was last run."""
        path = self._workdir / "broker.log"
        if not path.exists():
            return ""
        return _last_lines(path.read_bytes()[self._log_begin :].decode(errors="replace"))

    def __enter__(self) -> Self:
        """The broker, which runs already."""
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
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self._workdir / "server.properties").write_text(text)

    def _format(self) -> None:
        if (self._workdir / "data" / "meta.properties").exists():
            return
        command = self._java("WARN", "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID)
        command += ["--config", str(self._workdir / "server.properties")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_S_MAX, check=False)  # noqa: S603 - our own command line
        if done.returncode != 0:
            raise BrokerUnavailableError(
                f"can't format the broker's storage in `{self._workdir}`: {_last_lines(done.stdout + done.stderr)}"
            )

    def _run(self) -> None:
        command = self._java("INFO", "kafka.Kafka", str(self._workdir / "server.properties"))
        with (self._workdir / "broker.log").open("ab") as log:
            self._log_begin = log.tell()
            # Its own session: a Ctrl-C in the terminal is ours to handle, not the broker's.
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._watchdog = self._watch(self._process)
            self._await_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def _watch(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        # Ends the broker when our end of its input is closed, which is so when this process ends in whatever way.
        command = ["sh", "-c", 'read -r line; kill -s KILL -- "-$1"', "watchdog", str(process.pid)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own command line

    def _end(self, *, in_order: bool) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            self._watchdog.stdin.close()
            self._watchdog = None
        process, self._process = self._process, None
        if process is None:
            return
        if in_order:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S_MAX)
        process.kill()
        process.wait()

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + READY_S_MAX
        while time.monotonic() < deadline_s:
            if process.poll() is not None:
                raise BrokerUnavailableError(
                    f"the broker in `{self._workdir}` ended with status {process.returncode}:\n{self.log_tail()}"
                )
            if self._accepts() and _answers(self.bootstrap):
                return
            time.sleep(PROBE_INTERVAL_S)
        raise BrokerUnavailableError(
            f"the broker in `{self._workdir}` did not answer at {self.bootstrap} within {READY_S_MAX} s:\n"
            f"{self.log_tail()}"
        )

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False

    def _java(self, log_level: str, *arguments: str) -> list[str]:
        return [
            "java",
            HEAP,
            "-XX:+UseSerialGC",
            *self._compiler,
            f"-Dorg.apache.logging.log4j.level={log_level}",
            "-cp",
            self._classpath,
            *arguments,
        ]


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


def kafka_version() -> str:
    """The Kafka version that `ops/kafka/pom.xml` names.

    Raises:
        BrokerUnavailableError: the file is not there (it is part of the repository, not of the wheel).
    """
    if not POM.exists():
        raise BrokerUnavailableError(f"`{POM}` is missing: run from a checkout of the repository")
    version = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text())
    if version is None:
        raise BrokerUnavailableError(f"`{POM}` names no `kafka.version`")
    return version[1]


def fetch_libraries() -> Path:
    """The folder with the broker's jars, fetched by Maven the first time (about 120 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(HOME_VARIABLE)
    folder = Path(home) if home else REPOSITORY / ".cache" / "kafka" / kafka_version()
    libraries = folder / "libs" if (folder / "libs").is_dir() else folder
    if any(libraries.glob("kafka_*.jar")):
        return libraries
    _require("mvn", f"Maven (or set {HOME_VARIABLE} to a folder with Kafka's jars)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside and then renamed: a folder with half of the jars must never be taken for the whole.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as part:
        fetched = Path(part) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)  # noqa: S603 - our own command line
        if done.returncode != 0:
            raise BrokerUnavailableError(f"maven can't fetch Kafka: {_last_lines(done.stdout + done.stderr)}")
        if not folder.exists() or not any(folder.iterdir()):
            with contextlib.suppress(FileExistsError):
                fetched.rename(folder)
    return folder


def _answers(bootstrap: str) -> bool:
    admin = KafkaAdmin(bootstrap, request_s_max=PROBE_S_MAX)
    try:
        admin.describe((), ())
    except LogError:
        return False
    finally:
        admin.close()
    return True


def _require(program: str, what: str) -> None:
    if shutil.which(program) is None:
        raise BrokerUnavailableError(f"`{program}` is not on the path: install {what}")


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
    """A port of the loopback interface that nobody listens on.

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


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])


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
