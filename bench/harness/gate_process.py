"""Runs a gate or a watch as in production: `stoplog gate` or `stoplog watch` in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bench.harness.world import ROOT_KEY, World

# Against a gate that hangs; three brokers that have just started may need both cores for a minute.
SERVING_S_MAX = 180.0
STOP_S_MAX = 30.0
LOG_CHARS_MAX = 2_000


class ServedGate:
    """A running `stoplog gate`, or another command that serves partitions."""

    def __init__(self, world: World, instance: str, engine: dict[str, int], command: str = "gate") -> None:
        """Start the process. It does not serve yet."""
        state = world.folder / f"state-{instance}"
        state.mkdir(parents=True, exist_ok=True)
        key = world.folder / "root.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(ROOT_KEY)
        settings: dict[str, Any] = {
            "LOG": world.kind,
            "INSTANCE": instance,
            # The embedded log lies in the folder for state: there, gates share it.
            "STATE_DIR": world.settings["state_dir"] if world.kind == "embedded" else state,
            "ROOT_KEY_FILE": key,
            "RULES__ALLOW_UNSIGNED": "true",
            "CATALOG__ALLOW_UNSIGNED": "true",
            **{f"ENGINE__{name.upper()}": value for name, value in engine.items()},
            **{f"GATE__{name.upper()}": value for name, value in world.settings.get("gate", {}).items()},
        }
        for name in ("bootstrap", "group"):
            if name in world.settings:
                settings[name.upper()] = world.settings[name]
        if "kafka" in world.settings:
            settings["KAFKA"] = json.dumps(world.settings["kafka"])
        environment = {f"STOPLOG_{name}": str(value) for name, value in settings.items()}
        self.instance = instance
        self._folder = world.folder
        self._log = (world.folder / f"{instance}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", command, "--json"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._events: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._reading = threading.Thread(target=self._read_events, daemon=True)
        self._reading.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def wait_serving(self) -> list[int]:
        """Block until it serves (other) partitions; returns them.

        Raises:
            RuntimeError: it has ended, or serves none in time.
        """
        return self._wait("serving", SERVING_S_MAX)

    def wait_standing_by(self, partitions: list[int], timeout_s: float) -> None:
        """Block until it has warm standbys of these partitions.

        Raises:
            RuntimeError: it has ended, or has none in time.
        """
        while self._wait("standing by", timeout_s) != partitions:
            continue

    def _wait(self, name: str, timeout_s: float) -> list[int]:
        try:
            while (event := self._events.get(timeout=timeout_s))["event"] != name:
                if event["event"] == "ended":
                    log = (self._folder / f"{self.instance}.log").read_text()[-LOG_CHARS_MAX:]
                    raise RuntimeError(f"gate `{self.instance}` has ended: {log}")
        except Empty:
            raise RuntimeError(f"gate `{self.instance}` is not {name} after {timeout_s} s") from None
        partitions: list[int] = event["partitions"]
        return partitions

    def cpu_s(self) -> float:
        """Return what all of its threads have used so far."""
        fields = _stat(self.pid)
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal_stop(self) -> None:
        """Ask the process to stop gracefully, without waiting for it."""
        self._process.terminate()

    def stop(self) -> None:
        """Stop the process gracefully."""
        self.signal_stop()
        self._end()

    def freeze(self) -> None:
        """Let it stand still, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Undo `freeze`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        self._reading.join(STOP_S_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_events(self) -> None:
        for line in self._process.stdout or ():
            self._events.put(json.loads(line))
        self._events.put({"event": "ended"})


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextlib.contextmanager
def served_gate(world: World, instance: str = "gate-1", command: str = "gate", **engine: int) -> Iterator[ServedGate]:
    """Run a gate (or a watch) that serves, and stop it gracefully afterwards."""
    gate = ServedGate(world, instance, engine, command)
    try:
        gate.wait_serving()
        yield gate
    finally:
        gate.stop()
