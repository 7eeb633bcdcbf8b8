"""Builds the container image without a daemon, and starts it: `python -m scripts.image`.

Needs root, and Buildah; on Debian: `apt-get install buildah debootstrap`. What is built lies in a folder that is
removed at the end; `--out FILE` writes the image for `docker load` or `podman load` before.

**Idea.** Buildah runs the steps of the Dockerfile in a chroot, so it needs neither a daemon nor namespaces. Where the
registry of the base image can't be reached, the base image is made of Debian's own packages: the same release of
Debian, and the same minor version of Python, which Debian has under another path.

**What is asked of the image.** It says its version; runs as its own user; runs the demonstration, with git; and a gate
with the image's default command becomes healthy by the image's own health check, and stops cleanly when it is asked to.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NAME = "localhost/stoplog:built"
STEP_S_MAX = 1_800
CHECKS_MAX = 60
BUILDER, BOOTSTRAP = "buildah", "debootstrap"
PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = "/etc/ssl/certs"
_POLICY = {"default": [{"type": "insecureAcceptAnything"}]}
"""Base images are not signed; what goes into the image is pinned by hash in `requirements/run.lock`."""

_FROM = re.compile(r"^FROM (?P<name>python:(?P<python>3\.\d+)-slim-(?P<release>[a-z]+))(?: AS \w+)?$", re.MULTILINE)

# The arguments are the health check. A gate that never becomes healthy, or doesn't stop cleanly, is a failure.
_HEALTHY = f"""
export STOPLOG_LOG=embedded
stoplog keys new
stoplog topics apply > topics.txt
stoplog gate & gate=$!
tries=0
until "$@" 2> check.txt; do
  tries=$((tries + 1))
  test $tries -lt {CHECKS_MAX} || {{ cat check.txt; exit 1; }}
  kill -0 $gate
  sleep 1
done
kill -TERM $gate
wait $gate
"""


class ImageError(Exception):
    """The image can't be built, or doesn't do what it should."""


class BaseImage(NamedTuple):
    """The base image that the Dockerfile names: its name, the minor version of Python, and the release of Debian."""

    name: str
    python: str
    release: str

    @property
    def full_name(self) -> str:
        """The name with its registry."""
        return f"docker.io/library/{self.name}"


def base_image(dockerfile: str) -> BaseImage:
    """Return the base image of a Dockerfile.

    Raises:
        ImageError: its stages have none, or different ones.
    """
    found = {BaseImage(*match.group("name", "python", "release")) for match in _FROM.finditer(dockerfile)}
    if len(found) != 1:
        raise ImageError(f"the Dockerfile should have one base image, `python:3.N-slim-RELEASE`, and has {len(found)}")
    return found.pop()


class Builder:
    """Builds images in a folder. Blocking.

    Args:
        folder: an empty folder, for everything that Buildah stores.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._policy = folder / "policy.json"
        self._policy.write_text(json.dumps(_POLICY))
        storage = folder / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder / "images"}"\nrunroot = "{folder / "run"}"\n'
        )
        # `vfs` copies each layer, and works on every file system.
        own = {"CONTAINERS_STORAGE_CONF": str(storage), "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(folder)}
        self._environment = {**os.environ, **own}

    def provide_base(self, base: BaseImage) -> tuple[str, ...]:
        """Pull the base image, or make one of Debian's packages. Return the options that a build with it needs.

        Raises:
            ImageError: neither is possible.
        """
        try:
            self._buildah("pull", "--signature-policy", str(self._policy), base.full_name, quiet=True)
        except ImageError as error:
            _say(f"no base image from its registry: {error}")
        else:
            return ()
        lacks = _missing(BOOTSTRAP)
        if lacks:
            raise ImageError(f"to make one of Debian's packages takes {lacks}")
        _say("making one of Debian's packages")
        files = self._folder / "base"
        self._run([BOOTSTRAP, "--variant=minbase", f"--include={PACKAGES}", base.release, str(files)], quiet=True)
        if not (files / "usr" / "bin" / f"python{base.python}").exists():
            raise ImageError(f"Debian {base.release} has no Python {base.python}")
        (files / "usr" / "bin" / "python").symlink_to("python3")
        with self._container("scratch") as container:
            self._buildah("add", "--quiet", container, str(files), "/", quiet=True)
            self._buildah("commit", "--quiet", "--signature-policy", str(self._policy), container, base.full_name)
        shutil.rmtree(files)
        # Debian's pip trusts what the system trusts. This machine may reach the packages through a proxy of its own.
        return ("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro")

    def build(self, options: tuple[str, ...]) -> None:
        """Build the image as the Dockerfile says.

        Raises:
            ImageError: a step failed.
        """
        policy = ("--signature-policy", str(self._policy))
        self._buildah("build", "--pull-never", *policy, "--format", "docker", *options, "--tag", NAME, str(ROOT))

    def try_out(self) -> None:
        """Start what the image is for.

        Raises:
            ImageError: something of it failed.
        """
        settings = json.loads(self._buildah("inspect", "--type", "image", NAME, quiet=True))["Docker"]["config"]
        if (settings["Entrypoint"], settings["Cmd"]) != (["stoplog"], ["gate"]):
            raise ImageError("the image doesn't run `stoplog gate` by default")
        kind, *check = settings["Healthcheck"]["Test"]
        if kind != "CMD":
            raise ImageError(f"the image's health check is of the kind `{kind}`, not `CMD`")
        with self._container(NAME) as container:
            user = self._buildah("run", container, "--", "id", "-un", quiet=True).strip()
            if user != settings["User"] or user == "root":
                raise ImageError(f"the image runs as `{user}`")
            self._buildah("run", container, "--", "stoplog", "--version")
            self._buildah("run", container, "--", "stoplog", "demo", "--no-json")
            self._buildah("run", container, "--", "sh", "-ec", _HEALTHY, "sh", *check)

    def write(self, path: Path) -> None:
        """Write the image to a file, which `docker load` and `podman load` read."""
        self._buildah("push", "--signature-policy", str(self._policy), NAME, f"docker-archive:{path.resolve()}:{NAME}")

    @contextmanager
    def _container(self, image: str) -> Iterator[str]:
        policy = ("--signature-policy", str(self._policy))
        container = self._buildah("from", "--pull-never", *policy, image, quiet=True).strip()
        try:
            yield container
        finally:
            self._buildah("rm", container, quiet=True)

    def _buildah(self, *args: str, quiet: bool = False) -> str:
        return self._run([BUILDER, *args], quiet=quiet)

    def _run(self, command: list[str], *, quiet: bool) -> str:
        """Run a command, and return what it prints if it is quiet.

        Raises:
            ImageError: it failed; the message has the end of its output if it was quiet.
        """
        stream = subprocess.PIPE if quiet else None
        done = subprocess.run(  # noqa: S603 - the commands are those of this module
            command, env=self._environment, stdout=stream, stderr=stream, text=True, timeout=STEP_S_MAX, check=False
        )
        if done.returncode != 0:
            last = (done.stderr or done.stdout or "").strip().rpartition("\n")[2]
            why = f": {last}" if last else ""
            raise ImageError(f"`{' '.join(command[:2])}` failed with status {done.returncode}{why}")
        return done.stdout or ""


def _missing(program: str) -> str | None:
    """Return what this machine lacks to run a program as root, in words; None if nothing."""
    if os.geteuid() != 0:
        return "the rights of root"
    return f"`{program}` (`apt-get install {program}`)" if shutil.which(program) is None else None


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Build the image, and start it. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=main.__doc__)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the image to this file")
    options = parser.parse_args(arguments)
    lacks = _missing(BUILDER)
    if lacks:
        sys.stderr.write(f"error: to build an image takes {lacks}\n")
        return 1
    try:
        base = base_image((ROOT / "Dockerfile").read_text("utf-8"))
        with tempfile.TemporaryDirectory(prefix="stoplog-image-") as folder:
            builder = Builder(Path(folder))
            builder.build(builder.provide_base(base))
            builder.try_out()
            if options.out is not None:
                builder.write(options.out)
    except (ImageError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    _say("the image was built, and does what it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
