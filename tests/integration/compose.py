"""The services of `docker-compose.yml` as processes of this machine, with the settings and commands of that file.

What differs from containers is only where things are: names of hosts become loopback, ports become free ones, and
mounted volumes become folders. The image's environment and entry point are read from the Dockerfile.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from simulation.broker.kafka import KafkaBroker, free_port
from tests.integration.deployment import ROOT, until

COMMAND_S_MAX = 300
HEALTHY_S_MAX = 240
STOP_S_MAX = 60
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LISTENERS = {"HOST": 9092, "INSIDE": 19092, "CONTROLLER": 29093}
TOKEN_SERVICE_PORT, HEALTH_PORT = "8420", "9464"
_VARIABLE = re.compile(r"([A-Z_]+)=(\S+)")


def image_environment() -> dict[str, str]:
    """What `ENV` of the final image says, but for the path of programs."""
    lines = re.findall(r"^ENV (.*)$", DOCKERFILE, re.MULTILINE)
    return {name: value for line in lines for name, value in _VARIABLE.findall(line) if name != "PATH"}


class Compose:
    """The services, in one folder. A context manager that stops what runs."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet."""
        self.folder = folder
        self.services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._broker: KafkaBroker | None = None
        taken: list[int] = []
        for _ in range(len(LISTENERS) + 1 + len(self.services)):
            taken.append(free_port(other_than=taken))
        self._listeners = {name: taken.pop() for name in LISTENERS}
        self.token_service_port = taken.pop()
        self._health = {name: taken.pop() for name in self.services}
        self._programs = folder / "bin"
        self._programs.mkdir()
        for name, words in {"python": "", "stoplog": " -m streams.cli"}.items():
            program = self._programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
            program.chmod(0o755)

    def up(self) -> None:
        """Do what `docker compose up` does, in the order of what services need, and wait until all are healthy."""
        self._start_broker()
        self.run("setup")
        for name in self.lasting():
            self._start(name)
        for name in self._running:
            until(lambda name=name: self._is_healthy(name), HEALTHY_S_MAX, lambda name=name: self.log(name))

    def lasting(self) -> list[str]:
        """The services that go on, apart from the broker and those that are only run when they are named."""
        begun = {"setup": "service_completed_successfully"}
        return [
            name
            for name, service in self.services.items()
            if "profiles" not in service
            and {each: how["condition"] for each, how in service.get("depends_on", {}).items()} == begun
        ]

    def down(self) -> None:
        """Stop everything. The volumes stay."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(STOP_S_MAX)
        self._running.clear()
        if self._broker is not None:
            self._broker.stop()
            self._broker = None

    def run(self, name: str) -> str:
        """Do what `docker compose run` does: run a service to its end; gives what it prints."""
        return self._run_to_end(self._command(name), name)

    def execute(self, name: str, *command: str) -> str:
        """Do what `docker compose exec` does: run a command where a service runs."""
        return self._run_to_end([str(self._programs / command[0]), *command[1:]], name)

    def log(self, name: str) -> str:
        """What a service has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4_000:]

    def place(self, text: str, name: str) -> str:
        """A text of the file with the places of this machine, for one service."""
        text = text.replace(f"kafka:{LISTENERS['INSIDE']}", f"127.0.0.1:{self._listeners['INSIDE']}")
        text = text.replace(TOKEN_SERVICE_PORT, str(self.token_service_port))
        text = text.replace(HEALTH_PORT, str(self._health[name]))
        mounts = [mount.split(":") for mount in self.services[name].get("volumes", ())]
        for volume, path, *_ in sorted(mounts, key=lambda mount: -len(mount[1])):
            text = text.replace(path, str(self.folder / volume))
        return text.replace("/var/lib/stoplog", str(self._home(name))).replace("/var/cache", str(self._home(name)))

    def __enter__(self) -> Compose:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        if self._broker is not None:
            self._broker.stop()

    def _start_broker(self) -> None:
        ports = self._listeners
        stated = {name: str(value) for name, value in self.services["kafka"]["environment"].items()}
        settings = {
            name.removeprefix("KAFKA_").lower().replace("_", "."): value
            for name, value in stated.items()
            if name.startswith("KAFKA_")
        }
        for listener, port in LISTENERS.items():
            there = re.compile(rf"(kafka|127\.0\.0\.1)?:{port}\b")
            settings = {name: there.sub(f"127.0.0.1:{ports[listener]}", value) for name, value in settings.items()}
        workdir = self.folder / "kafka"
        (mount,) = self.services["kafka"]["volumes"]
        assert settings.get("log.dirs") == mount.split(":")[1], "the broker's data is not on its volume"
        settings["log.dirs"] = f"{workdir}/data"
        self._broker = KafkaBroker.start(workdir, port=ports["HOST"], properties=settings)

    def _home(self, name: str) -> Path:
        state = self.folder / f"{name}-home"
        state.mkdir(exist_ok=True)
        return state

    def _environment(self, name: str) -> dict[str, str]:
        stated = {**image_environment(), **self.services[name].get("environment", {})}
        placed = {each: self.place(str(value), name) for each, value in stated.items()}
        path = f"{self._programs}:{os.environ['PATH']}"
        return {**placed, "PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}", "HOME": str(self._home(name))}

    def _command(self, name: str) -> list[str]:
        service = self.services[name]
        entry, command = (
            json.loads(re.findall(rf"^{each} (.*)$", DOCKERFILE, re.MULTILINE)[0]) for each in ("ENTRYPOINT", "CMD")
        )
        words = [*service.get("entrypoint", entry), *service.get("command", command)]
        program = self._programs / words[0]
        return [str(program) if program.exists() else words[0], *(self.place(word, name) for word in words[1:])]

    def _start(self, name: str) -> None:
        for mount in self.services[name].get("volumes", ()):
            (self.folder / mount.split(":")[0]).mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._command(name),
                cwd=self._home(name),
                env=self._environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _is_healthy(self, name: str) -> bool:
        assert self._running[name].poll() is None, f"{name} has ended: {self.log(name)}"
        kind, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        command = [str(self._programs / words[0]), *(self.place(word, name) for word in words[1:])]
        return subprocess.run(command, capture_output=True, timeout=COMMAND_S_MAX, check=False).returncode == 0

    def _run_to_end(self, command: list[str], name: str) -> str:
        for mount in self.services[name].get("volumes", ()):
            (self.folder / mount.split(":")[0]).mkdir(exist_ok=True)
        done = subprocess.run(
            command,
            cwd=self._home(name),
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout
