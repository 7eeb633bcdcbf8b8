"""Processes of Java programs, and of one Kafka node: started, watched, stopped or killed, and their log."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

from simulation.broker.artifacts import BrokerUnavailableError, last_lines

TOOL_S_MAX = 120
READY_S_MAX = 180
STOP_S_MAX = 20
PROBE_INTERVAL_S = 0.05
HEAP = "-Xmx512m"


class JavaProcess:
    """Runs one Java program and keeps its log in its folder. Not thread-safe."""

    def __init__(self, what: str, folder: Path, log_name: str, *, quick: bool, heap: str = HEAP) -> None:
        """Prepare it; `run_java` starts it.

        Args:
            what: what it is, for messages.
            folder: holds its log.
            log_name: the file of the log in that folder.
            quick: whether it is to start quickly rather than to bear load.
            heap: the option of the Java machine that bounds its heap.
        """
        self._what = what
        self._folder = folder
        self._log = folder / log_name
        self._heap = heap
        # With the first compiler only, a start takes half the CPU, and a broker under load more than otherwise.
        self._compiler = ["-XX:TieredStopAtLevel=1"] if quick else []
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log_begin = 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def run_java(self, *arguments: str) -> None:
        """Start the process, which ends with this one, in whatever way this one ends.

        Args:
            arguments: of the Java machine, the program, and its own.
        """
        with self._log.open("ab") as log:
            self._log_begin = log.tell()
            # Its own session: a Ctrl-C in the terminal is ours to handle, not the program's.
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                self._java(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._watchdog = _watch(self._process)
        except BaseException:
            self.kill()
            raise

    def await_ready(self, is_ready: Callable[[], bool], where: str) -> None:
        """Wait until the node is ready; kills it where it is not within `READY_S_MAX`.

        Raises:
            BrokerUnavailableError: it ended, or did not become ready. The message has the end of its log.
        """
        try:
            self._await_ready(is_ready, where)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop the process cleanly; kill it after `STOP_S_MAX` seconds. Does nothing if it is not running."""
        self._end(in_order=True)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would. A no-op when it doesn't run."""
        self._end(in_order=False)

    def freeze(self) -> None:
        """Let the process stand still (SIGSTOP): its connections stay open and nobody answers on them."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def log_text(self) -> str:
        """Return all that it has logged since it was last run."""
        return self._log.read_bytes()[self._log_begin :].decode(errors="replace") if self._log.exists() else ""

    def log_tail(self) -> str:
        """Return the last lines that it has logged since it was last run."""
        return last_lines(self.log_text())

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _await_ready(self, is_ready: Callable[[], bool], where: str) -> None:
        deadline_s = monotonic() + READY_S_MAX
        while monotonic() < deadline_s:
            if self._process is None or self._process.poll() is not None:
                status = None if self._process is None else self._process.returncode
                raise BrokerUnavailableError(
                    f"{self._what} in `{self._folder}` ended with status {status}:\n{self.log_tail()}"
                )
            if is_ready():
                return
            sleep(PROBE_INTERVAL_S)
        raise BrokerUnavailableError(
            f"{self._what} in `{self._folder}` did not answer at {where} within {READY_S_MAX} s:\n{self.log_tail()}"
        )

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

    def _java(self, *arguments: str) -> list[str]:
        return ["java", self._heap, "-XX:+UseSerialGC", *self._compiler, *arguments]


class NodeProcess(JavaProcess):
    """Runs one node whose configuration is `server.properties` in its folder. Not thread-safe."""

    def __init__(self, folder: Path, libraries: Path, *, quick: bool, heap: str = HEAP) -> None:
        """Prepare it; `run` starts it.

        Args:
            folder: holds configuration, data and log.
            libraries: the folder with the broker's jars.
            quick: whether it is to start quickly rather than to bear load.
            heap: the option of the Java machine that bounds its heap.
        """
        super().__init__("the broker", folder, "broker.log", quick=quick, heap=heap)
        self._classpath = f"{libraries}{os.sep}*"

    def configure(self, settings: dict[str, str]) -> None:
        """Write the node's configuration."""
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self._folder / "server.properties").write_text(text)

    def format(self, cluster_id: str, *arguments: str) -> None:
        """Format the node's storage, unless that was done before.

        Raises:
            BrokerUnavailableError: it can't be formatted.
        """
        if (self._folder / "data" / "meta.properties").exists():
            return
        settings = str(self._folder / "server.properties")
        tool = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config", settings)
        self.run_tool("format the broker's storage", *tool, *arguments)

    def run_tool(self, doing: str, *arguments: str) -> str:
        """Run one of the programs among the broker's jars to its end; returns what it prints.

        Args:
            doing: what for.
            arguments: the program and its arguments.

        Raises:
            BrokerUnavailableError: it fails.
        """
        command = self._java(*self._among_jars("WARN"), *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S_MAX, check=False)  # noqa: S603 - our own command line
        if done.returncode != 0:
            output = last_lines(done.stdout + done.stderr)
            raise BrokerUnavailableError(f"can't {doing} in `{self._folder}`: {output}")
        return done.stdout

    def run(self) -> None:
        """Start the node, which ends with this process, in whatever way this one ends."""
        self.run_java(*self._among_jars("INFO"), "kafka.Kafka", str(self._folder / "server.properties"))

    def _among_jars(self, log_level: str) -> list[str]:
        return [f"-Dorg.apache.logging.log4j.level={log_level}", "-cp", self._classpath]


def _watch(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    # Ends the broker when our end of its input is closed, which is so when this process ends in whatever way.
    command = ["sh", "-c", 'read -r line; kill -s KILL -- "-$1"', "watchdog", str(process.pid)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own command line
