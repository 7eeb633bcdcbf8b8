"""The wheel in a virtual environment with some extras and nothing else: what a user gets who installs stoplog."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(folder: Path) -> Path:
    """Build the wheel as it would be published."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return next(folder.glob("*.whl"))


class Installed:
    """An environment of its own.

    Dependencies are those of the wheel's metadata, in the versions that the lock has put into the environment that runs
    the tests, by links into it: the network is not asked.
    """

    def __init__(self, folder: Path, wheel: Path, extras: Sequence[str] = ()) -> None:
        self.folder = folder
        venv.create(folder, with_pip=False)
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
        command = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check", "install"]
        command += ["--quiet", "--no-deps", "--no-index", str(wheel)]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        own = next(iter(Distribution.discover(name="stoplog", path=[str(site)])))
        self.dependencies = sorted(_closure(own, frozenset(extras)))
        for name in self.dependencies:
            for entry in _top_entries(distribution(name)):
                link = site / entry.name
                if not link.exists():
                    link.symlink_to(entry)

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, such as `python` or `stoplog`."""
        program = self.folder / "bin" / command[0]
        environment = {"PATH": str(self.folder / "bin"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(self.folder)}
        return subprocess.run(
            [str(program), *command[1:]],
            cwd=cwd or self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def _closure(own: Distribution, extras: frozenset[str]) -> set[str]:
    """The names of all distributions that installing stoplog with these extras brings along."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(own, extra) for extra in ("", *extras)]
    while todo:
        asking, extra = todo.pop()
        for text in asking.requires or ():
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            name = canonicalize_name(requirement.name)
            asked = own if name == "stoplog" else distribution(name)
            if asked is not own:
                found.add(name)
            for further in ("", *requirement.extras):
                if (name, further) not in seen:
                    seen.add((name, further))
                    todo.append((asked, further))
    return found


def _top_entries(installed: Distribution) -> Iterator[Path]:
    """The files and folders of a distribution that lie directly in `site-packages`."""
    site = Path(str(installed.locate_file("")))
    names = {file.parts[0] for file in installed.files or () if file.parts[0] not in ("..", "__pycache__")}
    yield from (site / name for name in sorted(names) if (site / name).exists())
