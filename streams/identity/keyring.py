"""The signing keys of a service: several at once, so that they can be rotated while it runs.

A folder has a file `keys.json` with all keys and their states. The current key signs. The next key is published
already, so that clients know it before it is used. Retired keys are published until nothing that they have signed can
be valid. `rotate` moves each key to its next state. A running service notices this within `LOOK_AGAIN_MS`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import serialize_compact

from streams.identity.errors import KeyRingError
from streams.identity.jose import PublicKey, compact_json
from streams.sdk.entropy import SYSTEM, Entropy
from streams.stores.private_folder import is_open_to_others, make_private

ALGORITHM = "ES256"
LOOK_AGAIN_MS = 1_000
KEYS_MAX = 32
_FILE = "keys.json"
_KID_BYTES = 9
_log = logging.getLogger(__name__)


class KeyState(StrEnum):
    """The states of a key."""

    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"


class SigningKey(msgspec.Struct, frozen=True):
    """A key of the ring; `since_ms` is the time since when it has its state."""

    kid: str
    state: KeyState
    since_ms: int
    jwk: dict[str, str]

    def __repr__(self) -> str:
        """Without the key itself."""
        return f"SigningKey({self.kid}, {self.state.value}, {self.since_ms})"


class _Ring(msgspec.Struct, frozen=True):
    keys: tuple[SigningKey, ...]


class KeyRing:
    """The keys in a folder. Thread-safe, also between processes."""

    def __init__(self, folder: Path, now_ms: Callable[[], int], monotonic_ms: Callable[[], int]) -> None:
        """Open the folder. The first time, create a current and a next key.

        Raises:
            KeyRingError: the folder can't be used, or others can read it.
        """
        self._folder = folder
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._lock = threading.Lock()
        try:
            make_private(folder)
            if is_open_to_others(folder):
                raise KeyRingError(f"`{folder}` can be read by others; run `chmod 700 {folder}`")
            with self._locked():
                if not (folder / _FILE).exists():
                    now = now_ms()
                    self._write((_new_key(KeyState.CURRENT, now), _new_key(KeyState.NEXT, now)))
        except OSError as error:
            raise KeyRingError(f"signing keys can't be kept in `{folder}`: {error}") from None
        self._looked_ms = monotonic_ms()
        self._take(self._read())

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """Return all keys, as they are in the folder."""
        with self._lock:
            self._look()
            return self._keys

    def sign(self, claims: dict[str, Any], typ: str) -> str:
        """Return a signed token in compact form."""
        with self._lock:
            self._look()
            kid, key = self._current
        header = {"alg": ALGORITHM, "typ": typ, "kid": kid}
        return serialize_compact(header, compact_json(claims), key, algorithms=[ALGORITHM])

    def find(self, kid: str) -> PublicKey | None:
        """Return the public key of an id; None if there is no such key."""
        with self._lock:
            self._look()
            return self._public.get(kid)

    def published(self) -> dict[str, object]:
        """Return the public key set (RFC 7517)."""
        with self._lock:
            self._look()
            keys = self._public.items()
        return {
            "keys": [{**key.as_dict(private=False), "kid": kid, "alg": ALGORITHM, "use": "sig"} for kid, key in keys]
        }

    def rotate(self, *, wait_ms: int, keep_ms: int, force: bool = False) -> SigningKey:
        """Make the next key the current one, create a new next key, and return the current one.

        Args:
            wait_ms: for how long the next key must have been published.
            keep_ms: for how long a retired key is still published: longer than its signatures are valid.
            force: whether not to wait. Clients that cache keys then reject new tokens for a while.

        Raises:
            KeyRingError: the next key is too new, or the folder can't be written.
        """
        now = self._now_ms()
        try:
            with self._locked():
                keys = self._read()
                coming = next(key for key in keys if key.state is KeyState.NEXT)
                left_ms = coming.since_ms + wait_ms - now
                if left_ms > 0 and not force:
                    minutes = -(-left_ms // 60_000)
                    raise KeyRingError(
                        f"key `{coming.kid}` must be published for another {minutes} min, so that all clients have it "
                        "before it is used; wait, or rotate now with `--now`; if keys have leaked, replace all of them "
                        "with `--compromised`"
                    )
                moved = [key for key in keys if key.state is KeyState.RETIRED and now - key.since_ms < keep_ms]
                moved += [_moved(key, KeyState.RETIRED, now) for key in keys if key.state is KeyState.CURRENT]
                current = _moved(coming, KeyState.CURRENT, now)
                if len(moved) + 2 > KEYS_MAX:
                    raise KeyRingError(
                        f"{len(moved)} retired keys are still in use; at most {KEYS_MAX - 2} can be kept"
                    )
                self._write((*moved, current, _new_key(KeyState.NEXT, now)))
        except OSError as error:
            raise KeyRingError(f"signing keys in `{self._folder}` can't be changed: {error}") from None
        with self._lock:
            self._take(self._read())
        return current

    def replace_all(self) -> SigningKey:
        """Replace all keys, because whoever has read the file has all of them. Everything that was signed before
        becomes invalid. Return the current key.

        Raises:
            KeyRingError: the folder can't be written.
        """
        now = self._now_ms()
        current = _new_key(KeyState.CURRENT, now)
        try:
            with self._locked():
                self._write((current, _new_key(KeyState.NEXT, now)))
        except OSError as error:
            raise KeyRingError(f"signing keys in `{self._folder}` can't be changed: {error}") from None
        with self._lock:
            self._take(self._read())
        return current

    def _look(self) -> None:
        now = self._monotonic_ms()
        if now - self._looked_ms >= LOOK_AGAIN_MS:
            self._looked_ms = now
            try:
                self._take(self._read())
            except KeyRingError as error:
                # The known keys remain in use: only `rotate` changes keys.
                _log.warning("the signing keys could not be read again: %s", error)

    def _take(self, keys: tuple[SigningKey, ...]) -> None:
        try:
            private = {key.kid: ECKey.import_key({**key.jwk}) for key in keys}
            current = next(key.kid for key in keys if key.state is KeyState.CURRENT)
        except (JoseError, ValueError, StopIteration):
            raise KeyRingError(f"`{self._folder / _FILE}` has no usable current key") from None
        public = {kid: ECKey.import_key(key.as_dict(private=False)) for kid, key in private.items()}
        self._keys, self._current, self._public = keys, (current, private[current]), public

    def _read(self) -> tuple[SigningKey, ...]:
        path = self._folder / _FILE
        try:
            if is_open_to_others(path):
                raise KeyRingError(f"`{path}` can be read by others; run `chmod 600 {path}`, and rotate its keys")
            return msgspec.json.decode(path.read_bytes(), type=_Ring).keys
        except (OSError, msgspec.DecodeError) as error:
            raise KeyRingError(f"`{path}` can't be read: {error}") from None

    def _write(self, keys: tuple[SigningKey, ...]) -> None:
        """Write the file completely or not at all."""
        scratch = self._folder / f"{_FILE}.{secrets.token_hex(8)}"
        text = json.dumps(msgspec.to_builtins(_Ring(keys)), indent=1)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self._folder / _FILE)
        except BaseException:
            # The file has secrets.
            scratch.unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def keys_in(folder: Path, entropy: Entropy = SYSTEM) -> KeyRing:
    """Open the signing keys of the service with this folder. The first time, create them.

    Raises:
        KeyRingError: the keys can't be used.
    """
    return KeyRing(folder / "keys", entropy.now_ms, entropy.monotonic_ms)


def _new_key(state: KeyState, now_ms: int) -> SigningKey:
    key = ECKey.generate_key("P-256", private=True)
    jwk = {
        name: str(value) for name, value in key.as_dict(private=True).items() if name in ("kty", "crv", "x", "y", "d")
    }
    return SigningKey(secrets.token_urlsafe(_KID_BYTES), state, now_ms, jwk)


def _moved(key: SigningKey, state: KeyState, now_ms: int) -> SigningKey:
    return msgspec.structs.replace(key, state=state, since_ms=now_ms)
