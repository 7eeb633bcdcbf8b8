"""A reader who follows `docs/how-to/run-on-kafka.md` on a real broker: TLS, SCRAM, and access lists.

Commands run in a shell as they stand on the page, each with the credentials that the page names for it. Only what
differs from place to place is replaced: `Reader.fill_in` has the whole list.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from simulation.broker.artifacts import fetch_libraries
from simulation.broker.cluster import KafkaCluster
from tests.integration.deployment import ROOT, until
from tests.integration.page import Command, Fragment, Properties, as_toml, merged, stated_rights, write

ADMINISTRATOR = "page-admin"
"""The page's `admin`: no super user, but somebody with the rights that the page names."""

OTHER_TENANT = "globex"
"""A tenant whose outcomes the page's agents may not read."""

COMMAND_S_MAX = 120
STOP_S_MAX = 30
SCRAM_ITERATIONS = 4096
_RESOURCES = {"cluster": (ResourceType.BROKER, "kafka-cluster"), "topic": (ResourceType.TOPIC, "*")}
_OPERATION = re.compile(r"(?<!^)(?=[A-Z])")
_ENTRY_ID = re.compile(r"(?P<tool>mail/(?:send|@reports))@(?P<id>[0-9a-f]{40})")
_ENTRY_REFERENCE = re.compile(r"(mail/(?:send|@reports))@ID")
_PUBLIC_KEY = re.compile(r'"public_key":"(?P<key>ed25519:[^"]+)"')
_KEY_FILE = re.compile(r"--out (?P<name>\w+)\.key")


class Reader:
    """Follows a page. A context manager that stops what it has started."""

    def __init__(self, folder: Path, cluster: KafkaCluster, mail_server: str) -> None:
        """Nothing is done yet.

        Args:
            folder: of the settings, keys and state.
            cluster: on which nobody but the super user can do anything.
            mail_server: the URL of an MCP server.
        """
        self.folder = folder
        self.cluster = cluster
        self.settings: dict[str, Any] = {}
        self.running: list[Running] = []
        self._mail_server = mail_server
        self._ids: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._last_key = ""
        self._credentials = ""
        self._authority = cluster.client_settings()["ssl.ca.location"]
        self._super_user = AdminClient({"bootstrap.servers": cluster.bootstrap, **cluster.client_settings()})
        self._make_programs()

    def fill_in(self, text: str) -> str:
        """A text of the page with what is particular to this place."""
        text = text.replace("broker-1:9093,broker-2:9093", self.cluster.bootstrap)
        text = text.replace("broker-1:9093", self.cluster.bootstrap)
        text = text.replace("/etc/stoplog/ca.pem", self._authority)
        text = text.replace("/etc/stoplog/", f"{self.folder}/").replace("/var/lib/stoplog", f"{self.folder}/state")
        text = text.replace("partitions = 24", "partitions = 4").replace("replication = 3", "replication = 1")
        text = text.replace("https://mcp.example.com/mcp", self._mail_server)
        text = text.replace("stoplog topics apply", f"stoplog topics apply --tenant {OTHER_TENANT}")
        text = _ENTRY_REFERENCE.sub(lambda found: f"{found[1]}@{self._ids[found[1]]}", text)
        text = re.sub(r'(\w+)("?[:=]| =) "ed25519:\.\.\."', self._with_key, text)
        text = text.replace("--add gates=ed25519:...", f"--add gates={self._last_key}")
        return text.replace("--add ed25519:...", f"--add {self._last_key}")

    def _with_key(self, found: re.Match[str]) -> str:
        return f'{found[1]}{found[2]} "{self._keys[found[1]]}"'

    def create_users(self, names: list[str]) -> None:
        """What the page says to do for each user, and shows for one: give them a password."""
        upsertions = [
            UserScramCredentialUpsertion(
                name,
                ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS),
                password=password_of(name).encode(),
            )
            for name in names
        ]
        for future in self._super_user.alter_user_scram_credentials(upsertions).values():
            future.result(COMMAND_S_MAX)
        for name in names:
            write(self.folder / f"{name}.password", password_of(name))

    def grant_administrator(self, page: str) -> None:
        """Give the administrator the rights that the page names, and no others."""
        entries = []
        for resource, operation in stated_rights(page):
            kind, name = _RESOURCES[resource]
            entries.append(
                AclBinding(
                    kind,
                    name,
                    ResourcePatternType.LITERAL,
                    f"User:{ADMINISTRATOR}",
                    "*",
                    AclOperation[_OPERATION.sub("_", operation).upper()],
                    AclPermissionType.ALLOW,
                )
            )
        for future in self._super_user.create_acls(entries).values():
            future.result(COMMAND_S_MAX)

    def add_settings(self, fragment: Fragment) -> None:
        """Write a part of the settings into the file."""
        text = self.fill_in(fragment.text).replace(
            '"sasl.password" = "..."', f'"sasl.password" = "{password_of("gate-1")}"'
        )
        merged(self.settings, tomllib.loads(text))
        write(self.folder / "stoplog.toml", as_toml(self.settings))

    def save(self, properties: Properties) -> None:
        """Write the credentials of Kafka's tools."""
        text = "".join(f"{name}={value}\n" for name, value in properties.lines.items())
        text = text.replace(
            'username="admin" password="..."', f'username="{ADMINISTRATOR}" password="{password_of(ADMINISTRATOR)}"'
        )
        write(self.folder / "admin.properties", self.fill_in(text))

    def run(self, command: Command) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        if command.text.startswith("export STOPLOG_KAFKA="):
            self._credentials = command.text
        done = subprocess.run(
            ["bash", "-c", self._line(command)],
            cwd=self.folder,
            env=self._environment(command.user),
            capture_output=True,
            text=True,
            timeout=COMMAND_S_MAX,
            check=False,
        )
        self._ids |= {found["tool"]: found["id"] for found in _ENTRY_ID.finditer(done.stdout)}
        made, printed = _KEY_FILE.search(command.text), _PUBLIC_KEY.search(done.stdout)
        if made is not None and printed is not None:
            self._keys[made["name"]] = self._last_key = printed["key"]
        return done

    def start(self, command: Command) -> Running:
        """Start a command that goes on until it is stopped."""
        started = Running(self.folder, self._line(command), self._environment(command.user), len(self.running))
        self.running.append(started)
        return started

    def dead_letters_audited(self, topic: str, key: bytes) -> set[str]:
        """Wait for the dead letter of a record with this key, and the audit record about it; returns the reason."""
        session_id = key.decode().partition("|")[2]
        reasons: set[str] = set()

        def found() -> bool:
            letters = self.run(Command(f"stoplog tail deadletters --no-follow --session {session_id}", "operators"))
            reasons.update(re.findall(rf'"topic":"{re.escape(topic)}".*?"reason":"(\w+)"', letters.stdout))
            audited = self.run(Command(f"stoplog tail audit --no-follow --session {session_id}", "auditors"))
            return bool(reasons) and all(reason in audited.stdout for reason in reasons)

        until(found, found=lambda: f"{topic} {session_id}: {reasons}")
        return reasons

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for each in reversed(self.running):
            each.stop()

    def _line(self, command: Command) -> str:
        text = self.fill_in(command.text)
        return text.replace("SCRAM-SHA-512=[password=...]", f"SCRAM-SHA-512=[password={password_of('gate-1')}]")

    def _environment(self, user: str | None) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("STOPLOG_")}
        own |= {"PYTHONPATH": str(ROOT), "PATH": f"{self.folder / 'bin'}:{own['PATH']}"}
        # Kafka's own tools have theirs in a file. A gate's are in the settings, as on the page.
        if user in (None, "gate-1") or not self._credentials:
            return own
        name = ADMINISTRATOR if user == "admin" else str(user)
        credentials = json.loads(self._credentials.partition("=")[2].strip("'"))
        assert credentials == {"sasl.username": "soc", "sasl.password": "..."}
        credentials = {"sasl.username": name, "sasl.password": password_of(name)}
        return own | {"STOPLOG_KAFKA": json.dumps(credentials)}

    def _make_programs(self) -> None:
        programs = {
            "stoplog": f'exec {sys.executable} -m streams.cli "$@"',
            "kafka-configs": (
                f"exec java -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
                f"-Dorg.apache.logging.log4j.level=ERROR -cp '{fetch_libraries()}/*' kafka.admin.ConfigCommand \"$@\""
            ),
            # What is installed already must have the extra that the page names.
            "pip": f'exec {sys.executable} -c "import importlib.metadata as m, sys; e = sys.argv[2][8:-1]; '
            "sys.exit(e not in m.metadata('stoplog').get_all('Provides-Extra'))\" \"$@\"",
            "your-siem-forwarder": "exec cat",
        }
        for name, body in programs.items():
            write(self.folder / "bin" / name, f"#!/bin/sh\n{body}\n", mode=0o755)


class Running:
    """A command that goes on, with what it prints."""

    def __init__(self, folder: Path, line: str, environment: dict[str, str], number: int) -> None:
        """Start it."""
        self._errors = folder / f"running-{number}.log"
        with self._errors.open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", line],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def wait_for(self, pattern: str) -> None:
        """Block until it has printed a line with this pattern."""
        until(lambda: self._has(pattern), found=lambda: f"{pattern!r} in {self.lines} {self.errors()}")

    def has_within(self, pattern: str, duration_s: float) -> bool:
        """Return whether it prints a line with this pattern in this time."""
        deadline_s = time.monotonic() + duration_s
        while not (has := self._has(pattern)) and time.monotonic() < deadline_s:
            pass
        return has

    def is_alive(self) -> bool:
        """Whether it goes on."""
        return self._process.poll() is None

    def errors(self) -> str:
        """What it has written to standard error."""
        return self._errors.read_text()

    def stop(self) -> None:
        """End it and what it has started: in order, and if that takes too long, at once."""
        if self._process.stdout is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.is_alive():
                os.killpg(self._process.pid, number)
                try:
                    self._process.wait(STOP_S_MAX)
                except subprocess.TimeoutExpired:
                    continue
        self._reading.join(STOP_S_MAX)
        self._process.stdout.close()

    def _has(self, pattern: str) -> bool:
        assert self.is_alive(), f"it has ended: {self.lines} {self.errors()}"
        time.sleep(0.05)
        return any(re.search(pattern, line) for line in list(self.lines))

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line)


def password_of(user: str) -> str:
    """The password of a Kafka user here."""
    return f"{user}-secret"
