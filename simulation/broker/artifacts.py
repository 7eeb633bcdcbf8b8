"""Apache Kafka as its Maven artifacts: which version, where its jars are, and what a machine needs to run it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HOME_VARIABLE = "STOPLOG_KAFKA_HOME"
REPOSITORY = Path(__file__).resolve().parents[2]
POM = REPOSITORY / "ops" / "kafka" / "pom.xml"
FETCH_S_MAX = 600
LOG_TAIL_LINES = 25


class BrokerUnavailableError(Exception):
    """There is no broker to be had; the message says what to install or set."""


def kafka_version() -> str:
    """Return the Kafka version that `ops/kafka/pom.xml` names.

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
    """Return the folder with the broker's jars, fetched by Maven the first time (about 120 MB).

    Raises:
        BrokerUnavailableError: there is no Maven, or it failed.
    """
    home = os.environ.get(HOME_VARIABLE)
    folder = Path(home) if home else REPOSITORY / ".cache" / "kafka" / kafka_version()
    libraries = folder / "libs" if (folder / "libs").is_dir() else folder
    if any(libraries.glob("kafka_*.jar")):
        return libraries
    require_program("mvn", f"Maven (or set {HOME_VARIABLE} to a folder with Kafka's jars)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside and then renamed: a folder with half of the jars must never be taken for the whole.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as part:
        fetched = Path(part) / "jars"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)  # noqa: S603 - our own command line
        if done.returncode != 0:
            raise BrokerUnavailableError(f"maven can't fetch Kafka: {last_lines(done.stdout + done.stderr)}")
        if not folder.exists() or not any(folder.iterdir()):
            with contextlib.suppress(FileExistsError):
                fetched.rename(folder)
    return folder


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
