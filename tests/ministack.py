"""MiniStack, an emulator of AWS from PyPI: a server of its own on loopback, with KMS and IAM.

Its KMS encrypts with RSA and signs with Ed25519, knows the states of keys, and it checks the signatures of requests and
IAM's policies. What differs from AWS: it has no policies of keys, and no `ReEncrypt`, which `ministack_server.py` adds.

It is fetched once into `.cache/ministack` of the repository, with pip and by hashes, and not installed, as it asks for
other versions of what is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from botocore.session import Session

from simulation.broker.artifacts import REPOSITORY, last_lines, sole_use
from simulation.broker.kafka import free_port
from tests.fetched import fetching, run_pip

CACHE = REPOSITORY / ".cache" / "ministack"
REQUIREMENTS = """\
ministack==1.5.33 --hash=sha256:36f9158cbe7eb7a3f910ccf1c052c98204511164249b783682f7a96ef56b0bba
defusedxml==0.7.1 --hash=sha256:a352e7e428770286cc899e2542b6cdaedb2b4953ff269a210103ec58f6198a61
h2==4.4.1 --hash=sha256:0e25f1462b23c9cb82d9eb02e28bc706dac2a68cb457c6a0d74d63c8a2a5d0e6
hpack==4.2.0 --hash=sha256:858ac0b02280fa582b5080d68db0899c62a80375e0e5413a74970c5e518b6986
hypercorn==0.18.0 --hash=sha256:225e268f2c1c2f28f6d8f6db8f40cb8c992963610c5725e13ccfcddccb24b1cd
hyperframe==6.1.0 --hash=sha256:b03380493a519fce58ea5af42e4a42317bf9bd425596f7a0835ffce80f1a42e5
priority==2.0.0 --hash=sha256:6f8eefce5f3ad59baf2c080a664037bb4725cd0a790d53d59ab4059288faf6aa
wsproto==1.3.2 --hash=sha256:61eea322cdf56e8cc904bd3ad7573359a242ba65688716b0710a5eb12beab584
"""
REGION = "eu-central-1"
START_S_MAX = 60
_ROOT = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_PROGRAM = Path(__file__).with_name("ministack_server.py")


def find_ministack(cache: Path = CACHE) -> Path:
    """Return the folder with MiniStack and what it needs beside what is installed.

    Raises:
        FetchError: pip failed.
    """
    folder, stamp = cache / "packages", cache / "packages.txt"
    cache.mkdir(parents=True, exist_ok=True)
    with sole_use(cache):
        if not stamp.exists() or stamp.read_text() != REQUIREMENTS:
            _fetch(folder)
            stamp.write_text(REQUIREMENTS)
    return folder


def _fetch(folder: Path) -> None:
    with fetching(folder.parent) as part:
        run_pip("MiniStack", part, REQUIREMENTS, "install", "--upgrade", "--target", str(folder))


class MiniStack:
    """A running server.

    Attributes:
        endpoint: its address.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.kms, self._iam = (self._client(service) for service in ("kms", "iam"))

    def _client(self, service: str) -> Any:
        session = Session()
        session.set_credentials(_ROOT["AWS_ACCESS_KEY_ID"], _ROOT["AWS_SECRET_ACCESS_KEY"])
        return session.create_client(service, region_name=REGION, endpoint_url=self.endpoint)

    def create(self, alias: str, spec: str = "RSA_3072", usage: str = "ENCRYPT_DECRYPT") -> str:
        """Create a key, give it an alias, and return its ARN."""
        arn = str(self.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"])
        self.kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=arn)
        return arn

    def rotate(self, alias: str, spec: str = "RSA_3072", usage: str = "ENCRYPT_DECRYPT") -> str:
        """Create a key, give it the alias of another one, and return its ARN."""
        arn = str(self.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"])
        self.kms.update_alias(AliasName=f"alias/{alias}", TargetKeyId=arn)
        return arn

    def user(self, name: str, *actions: str) -> dict[str, str]:
        """Return the credentials of a new user who may do some things and nothing else, as environment variables.

        Args:
            actions: what the user may do with any key (`kms:Decrypt`).
        """
        self._iam.create_user(UserName=name)
        if actions:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self._iam.put_user_policy(UserName=name, PolicyName="of-the-test", PolicyDocument=policy)
        made = self._iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}

    def close(self) -> None:
        self.kms.close()
        self._iam.close()


def without_own_credentials(patch: pytest.MonkeyPatch) -> None:
    """Have botocore find what a test states alone, and nothing of the machine's."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        patch.delenv(name)
    patch.setenv("AWS_CONFIG_FILE", os.devnull)
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@contextmanager
def running_ministack(folder: Path) -> Iterator[MiniStack]:
    """Run a server.

    Args:
        folder: holds its log.
    """
    port = free_port()
    log = folder / "ministack.log"
    environment = {
        **_ROOT,
        **{"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(find_ministack())},
        **{"AUTH": "true", "SERVICES": "iam,kms,sts", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)},
    }
    # Without the folder of the program on the path: its names would hide those of packages.
    command = [sys.executable, "-P", str(_PROGRAM)]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        ) as process,
    ):
        try:
            _await(f"http://127.0.0.1:{port}", process, log)
            server = MiniStack(f"http://127.0.0.1:{port}")
            try:
                yield server
            finally:
                server.close()
        finally:
            process.terminate()


def _await(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S_MAX
    while time.monotonic() < until and process.poll() is None:
        try:
            httpx2.get(f"{address}/_ministack/health", timeout=5, trust_env=False)
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"MiniStack did not come up: {last_lines(log.read_text('utf-8', 'replace'))}")
