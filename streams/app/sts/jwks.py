"""Public keys of issuers: from a URL or a file, kept for a while, asked for anew when a token names one that is not
there, and never more often than once in an interval."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from streams.app.sts.errors import StsError, TokenReason, refuse
from streams.app.sts.jose import NAME_CHARS_MAX, PublicKey
from streams.sdk.entropy import system_monotonic_ms

JWKS_BYTES_MAX = 262_144
KEYS_MAX = 64
RSA_BITS_MIN = 2_048
FETCH_TIMEOUT_S = 5.0
FETCH_MS_MAX = 10_000
"""Of a whole answer: one that drips in is none."""


_USES = frozenset({"sig", "jwt-svid"})
_MS_PER_S = 1_000
_log = logging.getLogger(__name__)

Load = Callable[[], bytes]


class KeyTimes(NamedTuple):
    """How long keys are used without asking, the least time between two requests, and how long they are used when
    they can't be had anew; ms."""

    cache_ms: int
    retry_ms: int
    stale_ms: int


class IssuerKeys:
    """The keys of one issuer. Thread-safe; one thread asks for them, others go on with those that are there."""

    def __init__(self, name: str, load: Load, times: KeyTimes, monotonic_ms: Callable[[], int]) -> None:
        """Nothing is asked for yet.

        Args:
            name: the issuer, for messages.
            load: gets the key set as JSON; raises OSError or `httpx2.HTTPError` where it can't be had.
        """
        self._name = name
        self._load = load
        self._times = times
        self._monotonic_ms = monotonic_ms
        self._asking = threading.Lock()
        self._keys: Mapping[str, PublicKey] = {}
        self._loaded_ms: int | None = None
        self._asked_ms: int | None = None

    def find(self, kid: str) -> PublicKey | None:
        """The key of an id; None if the issuer has none. May block for `FETCH_TIMEOUT_S`.

        Raises:
            RefusedError: the keys can't be had, and those that are there are too old.
        """
        age_ms = self._age_ms()
        if age_ms is None or age_ms > self._times.cache_ms or kid not in self._keys:
            self._refresh()
        age_ms = self._age_ms()
        if age_ms is None or age_ms > self._times.cache_ms + self._times.stale_ms:
            raise refuse(TokenReason.KEYS_UNAVAILABLE, f"the keys of issuer {self._name} can't be had")
        return self._keys.get(kid)

    def _age_ms(self) -> int | None:
        return None if self._loaded_ms is None else self._monotonic_ms() - self._loaded_ms

    def _refresh(self) -> None:
        # Whoever has no keys at all waits for the thread that asks for them.
        if not self._asking.acquire(blocking=self._loaded_ms is None):
            return
        try:
            now_ms = self._monotonic_ms()
            if self._asked_ms is not None and now_ms - self._asked_ms < self._times.retry_ms:
                return
            self._asked_ms = now_ms
            self._keys = usable_keys(self._load())
            self._loaded_ms = now_ms
        except (OSError, httpx2.HTTPError, StsError) as error:
            _log.warning("keys of issuer `%s` can't be had: %s", self._name, error)
        finally:
            self._asking.release()


def usable_keys(raw: bytes) -> dict[str, PublicKey]:
    """The keys of a set that signatures may be checked with: public, asymmetric, strong enough, and with an id.

    Raises:
        StsError: it is no key set.
    """
    if len(raw) > JWKS_BYTES_MAX:
        raise StsError(f"the key set has more than {JWKS_BYTES_MAX} bytes")
    try:
        listed = json.loads(raw)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StsError("what was got is no key set (RFC 7517)") from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise StsError(f"the key set has no list of at most {KEYS_MAX} keys")
    keys: dict[str, PublicKey] = {}
    for key in _imported(listed):
        kid = key.get("kid")
        if isinstance(kid, str) and 0 < len(kid) <= NAME_CHARS_MAX:
            if kid in keys:
                raise StsError(f"the key set has two keys `{kid[:80]}`")
            keys[kid] = key
    return keys


def _imported(listed: list[Any]) -> Iterable[PublicKey]:
    for item in listed:
        if not isinstance(item, dict) or not _is_for_signatures(item):
            continue
        # SPIFFE's own `use` is not known to the library.
        plain = {name: value for name, value in item.items() if name not in ("use", "key_ops")}
        try:
            key = import_key(plain)
        except (JoseError, ValueError, TypeError):
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            yield key


def _is_for_signatures(item: dict[str, Any]) -> bool:
    """Whether it is a public, asymmetric key that signatures are checked with, and not a weak one."""
    kind, operations, modulus = item.get("kty"), item.get("key_ops", ["verify"]), item.get("n", "")
    if kind not in ("RSA", "EC", "OKP") or "d" in item or item.get("use") not in (None, *_USES):
        return False
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    # Six bits a character; the library takes weak keys, too.
    return kind != "RSA" or (isinstance(modulus, str) and len(modulus) * 6 >= RSA_BITS_MIN)


def load_file(path: Path) -> Load:
    """Key sets from a file."""

    def load() -> bytes:
        with path.open("rb") as file:
            return file.read(JWKS_BYTES_MAX + 1)

    return load


def load_url(url: str, client: httpx2.Client, monotonic_ms: Callable[[], int] = system_monotonic_ms) -> Load:
    """Key sets from a URL. Redirects are not followed: keys come from where the settings say."""

    def load() -> bytes:
        until_ms = monotonic_ms() + FETCH_MS_MAX
        with client.stream("GET", url, headers={"accept": "application/json"}) as response:
            if response.status_code != httpx2.codes.OK:
                raise StsError(f"`{url}` answered {response.status_code}")
            got = bytearray()
            for part in response.iter_bytes():
                got += part
                if len(got) > JWKS_BYTES_MAX or monotonic_ms() > until_ms:
                    raise StsError(f"`{url}` answers with too much, or too slowly")
            return bytes(got)

    return load


def key_client() -> httpx2.Client:
    """What key sets are got with. Its opener closes it."""
    return httpx2.Client(timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False)
