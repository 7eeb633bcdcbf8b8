"""Where keys of tenants can be, under one interface: files, a real OpenBao, and AWS KMS as MiniStack has it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from simulation.broker.kafka import free_port
from streams.operations.settings import ContentSection
from streams.operations.signing_keys import make_content_key_file
from streams.sdk.keys.content import SessionSealer
from streams.wiring.contents import Rewrapper, Unwrappers, build_sealer, build_unwrapper, open_rewrapper
from tests.ministack import REGION, MiniStack, without_own_credentials
from tests.openbao import OpenBao


class KeyPlace(ABC):
    """Keys of the tenants `acme` and `globex`."""

    @abstractmethod
    def section(self, *, is_away: bool = False) -> ContentSection:
        """Return the settings of a gate. If `is_away`, nothing listens where the service should be."""

    @abstractmethod
    def gate(self) -> AbstractContextManager[Unwrappers]:
        """Be a gate: what it can unwrap."""

    @abstractmethod
    def reader(self, *, is_away: bool = False) -> AbstractContextManager[Unwrappers]:
        """Be a reader of `acme`: what it can unwrap."""

    @abstractmethod
    def rewrapper(self, *former: str) -> AbstractContextManager[Rewrapper]:
        """Be who wraps the keys of `acme` again, which were wrapped with `former`."""

    @abstractmethod
    def blind(self) -> AbstractContextManager[Unwrappers]:
        """Be who wraps the keys of `acme` again: what that one can unwrap, which is nothing where a service does it."""

    @abstractmethod
    def rotate(self) -> None:
        """Give `acme` the next key."""

    @abstractmethod
    def retire(self, kek: str) -> None:
        """Make the first key of `acme` open nothing any more."""

    def sealer(self) -> SessionSealer:
        """Return what a gate seals with, whose keys are those of now."""
        made = build_sealer(self.section())
        assert made is not None
        return made


class FilePlace(KeyPlace):
    """Key files. Who has the private key may do everything with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._newest = 1
        for name in ("acme-1", "globex"):
            make_content_key_file(folder / f"{name}.pem")

    def section(self, *, is_away: bool = False) -> ContentSection:
        keys = {"acme": f"acme-{self._newest}.pem.pub", "globex": "globex.pem.pub"}
        return ContentSection.model_validate(
            {"capture": ["arguments"], "keys": {tenant: str(self._folder / name) for tenant, name in keys.items()}}
        )

    def gate(self) -> AbstractContextManager[Unwrappers]:
        return build_unwrapper(self.section(), self._folder / "globex.pem", None, None)

    def reader(self, *, is_away: bool = False) -> AbstractContextManager[Unwrappers]:
        return build_unwrapper(self.section(), self._private(), None, None)

    def rewrapper(self, *former: str) -> AbstractContextManager[Rewrapper]:
        return open_rewrapper(self.section(), "acme", self._folder / "acme-1.pem", None, None)

    def blind(self) -> AbstractContextManager[Unwrappers]:
        return self.reader()

    def rotate(self) -> None:
        self._newest = 2
        make_content_key_file(self._folder / "acme-2.pem")

    def retire(self, kek: str) -> None:
        (self._folder / "acme-1.pem").unlink()

    def _private(self) -> Path:
        first = self._folder / "acme-1.pem"
        return first if first.exists() else self._folder / "acme-2.pem"


class VaultPlace(KeyPlace):
    """Keys of the transit engine; each party has a token."""

    def __init__(self, bao: OpenBao, folder: Path) -> None:
        self._bao = bao
        # Servers live as long as the module's tests: each test has keys of its own.
        self._name = folder.name
        for tenant in ("acme", "globex"):
            bao.create(f"{self._name}-{tenant}")
        key, both = f"{self._name}-acme", f"{self._name}-*"
        self._gate = bao.token(folder, "gate", keys=both)
        self._reader = bao.token(folder, "reader", decrypt=both)
        self._rewrapper = bao.token(folder, "rewrapper", keys=key, rewrap=both)

    def section(self, *, is_away: bool = False) -> ContentSection:
        address = f"http://127.0.0.1:{free_port()}" if is_away else self._bao.address
        return ContentSection.model_validate(
            {
                "capture": ["arguments"],
                "keys": {tenant: f"vault:{self._name}-{tenant}" for tenant in ("acme", "globex")},
                "vault": {"address": address, "token_file": str(self._gate)},
            }
        )

    def gate(self) -> AbstractContextManager[Unwrappers]:
        return build_unwrapper(self.section(), None, None, None)

    def reader(self, *, is_away: bool = False) -> AbstractContextManager[Unwrappers]:
        return build_unwrapper(self.section(is_away=is_away), None, None, self._reader)

    def rewrapper(self, *former: str) -> AbstractContextManager[Rewrapper]:
        return open_rewrapper(self.section(), "acme", None, None, self._rewrapper)

    def blind(self) -> AbstractContextManager[Unwrappers]:
        return build_unwrapper(self.section(), None, None, self._rewrapper)

    def rotate(self) -> None:
        self._bao.rotate(f"{self._name}-acme")

    def retire(self, kek: str) -> None:
        self._bao.ask("POST", f"transit/keys/{self._name}-acme/config", min_decryption_version=2)


class AwsPlace(KeyPlace):
    """Keys of AWS KMS; each party is a user of IAM, with the rights that the documents name."""

    def __init__(self, stack: MiniStack, folder: Path) -> None:
        self._stack = stack
        self._name = folder.name
        for tenant in ("acme", "globex"):
            stack.create(f"{self._name}-{tenant}")
        self._gate = stack.user(f"{self._name}-gate", "kms:GetPublicKey")
        self._reader = stack.user(f"{self._name}-reader", "kms:Decrypt")
        self._rewrapper = stack.user(f"{self._name}-rewrapper", "kms:GetPublicKey", "kms:ReEncrypt*")

    def section(self, *, is_away: bool = False) -> ContentSection:
        endpoint = f"http://127.0.0.1:{free_port()}" if is_away else self._stack.endpoint
        return ContentSection.model_validate(
            {
                "capture": ["arguments"],
                "keys": {tenant: f"aws:alias/{self._name}-{tenant}" for tenant in ("acme", "globex")},
                "aws": {"region": REGION, "endpoint": endpoint},
            }
        )

    def sealer(self) -> SessionSealer:
        with self._being(self._gate):
            return super().sealer()

    @contextmanager
    def gate(self) -> Iterator[Unwrappers]:
        with self._being(self._gate), build_unwrapper(self.section(), None, None, None) as made:
            yield made

    @contextmanager
    def reader(self, *, is_away: bool = False) -> Iterator[Unwrappers]:
        with self._being(self._reader), build_unwrapper(self.section(is_away=is_away), None, None, None) as made:
            yield made

    @contextmanager
    def rewrapper(self, *former: str) -> Iterator[Rewrapper]:
        opened: Any = open_rewrapper(self.section(), "acme", None, None, None, former)
        with self._being(self._rewrapper), opened as made:
            yield made

    @contextmanager
    def blind(self) -> Iterator[Unwrappers]:
        with self._being(self._rewrapper), build_unwrapper(self.section(), None, None, None) as made:
            yield made

    def rotate(self) -> None:
        self._stack.rotate(f"{self._name}-acme")

    def retire(self, kek: str) -> None:
        self._stack.kms.disable_key(KeyId=kek.removeprefix("aws:"))

    @contextmanager
    def _being(self, credentials: dict[str, str]) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            without_own_credentials(patch)
            for name, value in credentials.items():
                patch.setenv(name, value)
            yield
