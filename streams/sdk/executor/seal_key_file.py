"""Follows the file of the keys that seals are checked with, so that keys come and go while an executor runs."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from streams.audit.seal_key_list import LIST_BYTES_MAX, SealKeyList
from streams.audit.seal_keys import SealKeys, SealKeysError
from streams.sdk.entropy import SYSTEM, Entropy

LOOK_EVERY_MS = 1_000
"""How often it is looked whether the file has changed. Until then, a key that was revoked still counts."""

_log = logging.getLogger(__name__)


class SealKeyFile:
    """The keys of a list in a file (`stoplog keys seal list`), for `Executor(seal_keys=...)`. Thread-safe.

    A list that is damaged, not signed, older than the one before, or another one of the same number is not taken: the
    keys stay as they are, and the log says so.
    """

    def __init__(self, path: Path, *, holders: Mapping[str, str] | None, entropy: Entropy = SYSTEM) -> None:
        """Read the list. Blocking.

        Args:
            path: the file.
            holders: public keys by the names of the people of whom one must have signed the list. None asks for no
                signature: then whoever may write the file decides which seals count.

        Raises:
            SealKeysError: the list can't be read or used.
        """
        self._path = path
        self._holders = holders
        self._entropy = entropy
        self._lock = threading.Lock()
        self._serial = -1
        self._message = b""
        self._mark: tuple[int, int, int] | None = None
        self._looked_ms = entropy.monotonic_ms()
        self._fault = ""
        self._keys = self._read()

    def __call__(self) -> SealKeys:
        """Return the keys that count now. Looks at the file every `LOOK_EVERY_MS`."""
        with self._lock:
            now_ms = self._entropy.monotonic_ms()
            if now_ms - self._looked_ms >= LOOK_EVERY_MS:
                self._looked_ms = now_ms
                self._look()
            return self._keys

    def _look(self) -> None:
        try:
            self._keys = self._read()
            self._fault = ""
        except SealKeysError as error:
            if str(error) != self._fault:
                _log.error("the keys of seals stay as they are: %s", error)
            self._fault = str(error)

    def _read(self) -> SealKeys:
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                mark = (status.st_ino, status.st_mtime_ns, status.st_size)
                if mark == self._mark:
                    return self._keys
                text = file.read(LIST_BYTES_MAX + 1)
        except OSError as error:
            raise SealKeysError(f"the list of seal keys `{self._path}` can't be read: {error.strerror}") from None
        try:
            listed = SealKeyList.parse(text)
        except SealKeysError as error:
            raise SealKeysError(f"`{self._path}`: {error}") from None
        keys = listed.checked(self._holders)
        if listed.serial < self._serial:
            raise SealKeysError(f"list {listed.serial} of seal keys is older than list {self._serial}, which was read")
        message = listed.message()
        if listed.serial == self._serial and message != self._message:
            # Two people have changed the same list. To take the other one could undo a revocation.
            raise SealKeysError(
                f"list {listed.serial} of seal keys was read with other keys: somebody else has changed the same list "
                "before, too; make this change again, on the list that was read"
            )
        self._serial, self._message, self._mark = listed.serial, message, mark
        return keys
