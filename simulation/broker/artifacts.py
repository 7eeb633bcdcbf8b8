"""Kafka, Kafka Connect and a schema registry from Maven: their versions, where they are, and what they need to run."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = "apicurio-registry-app-*-runner.jar"
FETCH_S_MAX = 600
LOG_TAIL_LINES = 25


class _Artifacts(NamedTuple):
    """What Maven fetches the first time that it is needed.

    Attributes:
        name: of its folder in `.cache`.
        title: for messages.
        variable: the environment variable that names another folder, which is filled already.
        filled_with: what such a folder has, for messages.
        version: the property of the project file that has the version.
        proof: the pattern of a file that shows that a folder is filled.
        goal: how Maven fetches it.
    """

    name: str
    title: str
    variable: str
    filled_with: str
    version: str
    proof: str
    goal: str

    @property
    def pom(self) -> Path:
        """The project file, which names what to fetch."""
        return REPOSITORY / "ops" / self.name / "pom.xml"


_KAFKA = _Artifacts(
    name="kafka",
    title="Kafka",
    variable="STOPLOG_KAFKA_HOME",
    filled_with="a folder with Kafka's jars",
    version="kafka.version",
    proof="kafka_*.jar",
    goal="dependency:copy-dependencies",
)
_REGISTRY = _Artifacts(
    name="registry",
    title="the schema registry",
    variable="STOPLOG_REGISTRY_HOME",
    filled_with="the folder of an Apicurio Registry",
    version="registry.version",
    proof=RUNNER,
    goal="dependency:unpack",
)
_CONNECT = _Artifacts(
    name="connect",
    title="Kafka Connect",
    variable="STOPLOG_CONNECT_HOME",
    filled_with="a folder with the jars of Kafka Connect",
    version="kafka.version",
    proof="connect-runtime-*.jar",
    goal="dependency:copy-dependencies",
)
REGISTRY_POM = _REGISTRY.pom


class BrokerUnavailableError(Exception):
    """There is no broker to be had; the message says what to install or set."""


def kafka_version() -> str:
    """Return the Kafka version that `ops/kafka/pom.xml` names.

    Raises:
        BrokerUnavailableError: the file is not there (it is part of the repository, not of the wheel).
    """
    return _version(_KAFKA)


def registry_version() -> str:
    """Return the version of the registry that `ops/registry/pom.xml` names.

    Raises:
        BrokerUnavailableError: the file is not there (it is part of the repository, not of the wheel).
    """
    return _version(_REGISTRY)


def fetch_libraries() -> Path:
    """Return the folder with the broker's jars, fetched by Maven the first time (about 120 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    # A distribution of Kafka has them in a folder of their own.
    return _fetched(_KAFKA, "libs")


def fetch_registry() -> Path:
    """Return the jar that runs the registry, which Maven fetches and unpacks the first time (about 140 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    folder = _fetched(_REGISTRY)
    found = next(folder.glob(RUNNER), None)
    if found is None:
        raise BrokerUnavailableError(f"`{folder}` has no `{RUNNER}`: remove the folder, so that it is fetched again")
    return found


def fetch_connect() -> Path:
    """Return the folder with the jars of a Kafka Connect worker, fetched by Maven the first time (about 60 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    return _fetched(_CONNECT)


def _version(artifacts: _Artifacts) -> str:
    pom, name = artifacts.pom, artifacts.version
    if not pom.exists():
        raise BrokerUnavailableError(f"`{pom}` is missing: run from a checkout of the repository")
    version = re.search(rf"<{re.escape(name)}>([^<]+)</{re.escape(name)}>", pom.read_text())
    if version is None:
        raise BrokerUnavailableError(f"`{pom}` names no `{name}`")
    return version[1]


def _fetched(artifacts: _Artifacts, inner: str = "") -> Path:
    """Return the folder with the artifacts, which Maven fills the first time.

    Args:
        artifacts: what is needed.
        inner: the folder in a folder where they may be, too.

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(artifacts.variable)
    folder = Path(home) if home else REPOSITORY / ".cache" / artifacts.name / _version(artifacts)
    found = folder / inner if (folder / inner).is_dir() else folder
    if any(found.glob(artifacts.proof)):
        return found
    require_program("mvn", f"Maven (or set {artifacts.variable} to {artifacts.filled_with})")
    _fetch(artifacts, folder)
    return folder


def _fetch(artifacts: _Artifacts, folder: Path) -> None:
    """Let Maven fill the folder, unless another process has done so meanwhile."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with sole_use(folder.parent):
        if any(folder.glob(artifacts.proof)):
            return
        # Fetched beside and then renamed: a folder with half of the files must never be taken for the whole.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as part:
            fetched = Path(part) / "files"
            command = ["mvn", "-q", "-B", "-f", str(artifacts.pom), artifacts.goal, f"-DoutputDirectory={fetched}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)  # noqa: S603 - our own command line
            if done.returncode != 0:
                log = last_lines(done.stdout + done.stderr)
                raise BrokerUnavailableError(f"maven can't fetch {artifacts.title}: {log}")
            if not folder.exists() or not any(folder.iterdir()):
                fetched.rename(folder)


@contextlib.contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Wait until no other process holds the folder, and hold it.

    The processes of a parallel test run need the same 120 MB at the same moment: one fetches, and the others wait for
    it. The lock is on the folder itself, so no file is left behind, and the system releases it if its holder dies.
    Rejected: letting the slower one lose its rename, which spares no download, and Maven's own cache of downloads is
    not made for several processes either.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def require_program(program: str, what: str) -> None:
    """Check that a program is on the path.

    Raises:
        BrokerUnavailableError: it is not; says what to install.
    """
    if shutil.which(program) is None:
        raise BrokerUnavailableError(f"`{program}` is not on the path: install {what}")


def last_lines(text: str) -> str:
    """Return the end of a log."""
    return "\n".join(text.strip().splitlines()[-LOG_TAIL_LINES:])
