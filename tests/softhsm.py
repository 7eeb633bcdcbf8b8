"""SoftHSM, a token in software, as Debian packages it: the one that is named, the one installed, or the one fetched.

It is fetched once into `.cache/softhsm` of the repository, with apt and without root: packages are downloaded and
unpacked there, and nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from simulation.broker.artifacts import REPOSITORY, last_lines, sole_use

LIBRARY_VARIABLE = "STOPLOG_SOFTHSM"
UTILITY_VARIABLE = "STOPLOG_SOFTHSM_UTILITY"
UTILITY = "softhsm2-util"
PACKAGES = ("softhsm2", "libsofthsm2")
PROGRAMS = ("apt-get", "dpkg")
CACHE = REPOSITORY / ".cache" / "softhsm"
FETCH_S_MAX = 120


class NoAptError(Exception):
    """There is no SoftHSM, and no apt to fetch it with."""


class FetchError(Exception):
    """Fetching failed, though apt is there; the message has the end of its output."""


class SoftHsm(NamedTuple):
    """Where it is.

    Attributes:
        library: by PKCS #11.
        utility: the program that makes tokens.
    """

    library: Path
    utility: Path


def find_softhsm(cache: Path = CACHE, system: Path = Path("/")) -> SoftHsm:
    """Return where SoftHSM is, fetched by apt if need be.

    Args:
        cache: the folder for what is fetched.
        system: the folder that holds what is installed.

    Raises:
        NoAptError: it is neither named nor installed, and this system has no apt.
        FetchError: apt failed.
    """
    named = os.environ.get(LIBRARY_VARIABLE), os.environ.get(UTILITY_VARIABLE, shutil.which(UTILITY))
    if named[0] and named[1]:
        return SoftHsm(Path(named[0]), Path(named[1]))
    found = _within(system) or _within(cache)
    if found is not None:
        return found
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NoAptError(
            f"needs SoftHSM, and there is no `{missing[0]}` to fetch it with: install it, and name its library and "
            f"its program `{UTILITY}` in {LIBRARY_VARIABLE} and {UTILITY_VARIABLE}"
        )
    _fetch(cache)
    found = _within(cache)
    if found is None:
        raise FetchError(f"the packages {', '.join(PACKAGES)} have no library or no `{UTILITY}`: see `{cache}`")
    return found


def _within(root: Path) -> SoftHsm | None:
    utility = root / "usr" / "bin" / UTILITY
    library = next(root.glob("usr/lib/**/softhsm/libsofthsm2.so"), None) if utility.exists() else None
    return None if library is None else SoftHsm(library, utility)


def _fetch(cache: Path) -> None:
    """Download and unpack the packages, unless another process has done so meanwhile."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    with sole_use(cache.parent):
        if _within(cache) is not None:
            return
        # Unpacked beside and then renamed: a folder with half of the files must never be taken for the whole.
        with tempfile.TemporaryDirectory(dir=cache.parent, prefix="fetching-") as part:
            folder = Path(part)
            _run(["apt-get", "download", *PACKAGES], folder)
            for package in sorted(folder.glob("*.deb")):
                _run(["dpkg", "-x", package.name, "files"], folder)
            shutil.rmtree(cache, ignore_errors=True)
            (folder / "files").rename(cache)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_S_MAX, check=False)
    if done.returncode != 0:
        why = last_lines(done.stdout + done.stderr)
        raise FetchError(f"`{' '.join(command)}` failed (apt may need `apt-get update` first): {why}")
