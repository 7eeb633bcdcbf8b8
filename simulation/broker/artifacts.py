"""Apache Kafka and a schema registry as Maven artifacts: their versions, where they are, and what they need to run."""

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

HOME_VARIABLE = "STOPLOG_KAFKA_HOME"
REGISTRY_HOME_VARIABLE = "STOPLOG_REGISTRY_HOME"
REPOSITORY = Path(__file__).resolve().parents[2]
POM = REPOSITORY / "ops" / "kafka" / "pom.xml"
REGISTRY_POM = REPOSITORY / "ops" / "registry" / "pom.xml"
CONNECT_HOME_VARIABLE = "STOPLOG_CONNECT_HOME"
CONNECT_POM = REPOSITORY / "ops" / "connect" / "pom.xml"
CONNECT_JAR = "connect-runtime-*.jar"
JAR = "kafka_*.jar"
RUNNER = "apicurio-registry-app-*-runner.jar"
FETCH_S_MAX = 600
LOG_TAIL_LINES = 25


class BrokerUnavailableError(Exception):
    """There is no broker to be had; the message says what to install or set."""


def kafka_version() -> str:
    """Return the Kafka version that `ops/kafka/pom.xml` names.

    Raises:
        BrokerUnavailableError: the file is not there (it is part of the repository, not of the wheel).
    """
    return _version(POM, "kafka.version")


def registry_version() -> str:
    """Return the version of the registry that `ops/registry/pom.xml` names.

    Raises:
        BrokerUnavailableError: the file is not there (it is part of the repository, not of the wheel).
    """
    return _version(REGISTRY_POM, "registry.version")


def fetch_libraries() -> Path:
    """Return the folder with the broker's jars, fetched by Maven the first time (about 120 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(HOME_VARIABLE)
    folder = Path(home) if home else REPOSITORY / ".cache" / "kafka" / kafka_version()
    libraries = folder / "libs" if (folder / "libs").is_dir() else folder
    if any(libraries.glob(JAR)):
        return libraries
    require_program("mvn", f"Maven (or set {HOME_VARIABLE} to a folder with Kafka's jars)")
    _fetch("Kafka", folder, JAR, POM, "dependency:copy-dependencies")
    return folder


def fetch_registry() -> Path:
    """Return the jar that runs the registry, which Maven fetches and unpacks the first time (about 140 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(REGISTRY_HOME_VARIABLE)
    folder = Path(home) if home else REPOSITORY / ".cache" / "registry" / registry_version()
    if not any(folder.glob(RUNNER)):
        require_program("mvn", f"Maven (or set {REGISTRY_HOME_VARIABLE} to the folder of an Apicurio Registry)")
        _fetch("the schema registry", folder, RUNNER, REGISTRY_POM, "dependency:unpack")
    found = next(folder.glob(RUNNER), None)
    if found is None:
        raise BrokerUnavailableError(f"`{folder}` has no `{RUNNER}`: remove the folder, so that it is fetched again")
    return found


def fetch_connect() -> Path:
    """Return the folder with the jars of a Kafka Connect worker, fetched by Maven the first time (about 60 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(CONNECT_HOME_VARIABLE)
    folder = Path(home) if home else REPOSITORY / ".cache" / "connect" / _version(CONNECT_POM, "kafka.version")
    if not any(folder.glob(CONNECT_JAR)):
        require_program("mvn", f"Maven (or set {CONNECT_HOME_VARIABLE} to a folder with the jars of Kafka Connect)")
        _fetch("Kafka Connect", folder, CONNECT_JAR, CONNECT_POM, "dependency:copy-dependencies")
    return folder


def _version(pom: Path, name: str) -> str:
    if not pom.exists():
        raise BrokerUnavailableError(f"`{pom}` is missing: run from a checkout of the repository")
    version = re.search(rf"<{re.escape(name)}>([^<]+)</{re.escape(name)}>", pom.read_text())
    if version is None:
        raise BrokerUnavailableError(f"`{pom}` names no `{name}`")
    return version[1]


def _fetch(what: str, folder: Path, proof: str, pom: Path, goal: str) -> None:
    """Let Maven fill the folder, unless another process has done so meanwhile.

    Args:
        what: what it fetches, for messages.
        proof: the pattern of a file that shows that the folder is filled.
        pom: names what to fetch.
        goal: how Maven fetches it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with sole_use(folder.parent):
        if any(folder.glob(proof)):
            return
        # Fetched beside and then renamed: a folder with half of the files must never be taken for the whole.
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as part:
            fetched = Path(part) / "files"
            command = ["mvn", "-q", "-B", "-f", str(pom), goal, f"-DoutputDirectory={fetched}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)  # noqa: S603 - our own command line
            if done.returncode != 0:
                raise BrokerUnavailableError(f"maven can't fetch {what}: {last_lines(done.stdout + done.stderr)}")
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
