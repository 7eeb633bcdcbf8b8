"""Public keys of issuers, from a URL or a file. They are cached, and fetched again when they are old or when a token
names an unknown key, but not more often than once in an interval."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from streams.delegation.keys import is_of_nobody
from streams.identity.errors import KeySetError, TokenError, TokenFault
from streams.identity.inner_addresses import checked_addresses
from streams.identity.jose import NAME_CHARS_MAX, PublicKey

JWKS_BYTES_MAX = 262_144
KEYS_MAX = 64
RSA_BITS_MIN = 2_048
FETCH_S_MAX = 5.0
"""The time for a whole response: one that arrives slowly counts as a failure."""

WAIT_S = 2.0
WAITING_MAX = 4
"""How many threads can wait for the keys of one issuer."""

RETRY_AFTER_MS = 1_000

_USES = frozenset({"sig", "jwt-svid"})
_MS_PER_S = 1_000
_log = logging.getLogger(__name__)

Load = Callable[[], bytes]


class KeyTimes(NamedTuple):
    """For how long cached keys are used, the least time between two requests, and for how long cached keys are still
    used if they can't be fetched again; ms."""

    cache_ms: int
    retry_ms: int
    stale_ms: int


class IssuerKeys:
    """The keys of one issuer. Thread-safe. Keys are fetched in a separate thread, one request at a time. Callers wait
    for the response for a while, but only if the cached keys are not sufficient."""

    def __init__(self, name: str, load: Load, times: KeyTimes, monotonic_ms: Callable[[], int]) -> None:
        """Prepare, without fetching anything.

        Args:
            name: the issuer, for messages.
            load: fetches the key set as JSON; raises OSError or `httpx2.HTTPError` if it can't.
        """
        self._name = name
        self._load = load
        self._times = times
        self._monotonic_ms = monotonic_ms
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(WAITING_MAX)
        self._asking: threading.Event | None = None
        self._keys: Mapping[str, PublicKey] = {}
        self._loaded_ms: int | None = None
        self._asked_ms: int | None = None

    def find(self, kid: str) -> PublicKey | None:
        """Return the key of an id; None if the issuer has no such key. May block for `WAIT_S`.

        Raises:
            TokenError: the keys can't be fetched, and the cached ones are too old.
        """
        age_ms = self._age_ms()
        if age_ms is None or age_ms > self._times.cache_ms or kid not in self._keys:
            self._refresh()
        age_ms = self._age_ms()
        if age_ms is None or age_ms > self._times.cache_ms + self._times.stale_ms:
            text = f"the keys of issuer {self._name} can't be fetched"
            raise TokenError(TokenFault.KEYS_UNAVAILABLE, text, retry_after_ms=RETRY_AFTER_MS)
        return self._keys.get(kid)

    def ask(self) -> threading.Event | None:
        """Start fetching the keys, unless that was done just now. The event is set when it has succeeded or failed."""
        with self._lock:
            now_ms = self._monotonic_ms()
            if self._asking is None and (self._asked_ms is None or now_ms - self._asked_ms >= self._times.retry_ms):
                self._asked_ms = now_ms
                self._asking = threading.Event()
                name = f"stoplog-keys-{self._name}"
                threading.Thread(target=self._ask, args=(now_ms, self._asking), name=name, daemon=True).start()
                return self._asking
            # Without any keys, callers wait for a request that another thread has started.
            return self._asking if self._loaded_ms is None else None

    def _age_ms(self) -> int | None:
        return None if self._loaded_ms is None else self._monotonic_ms() - self._loaded_ms

    def _refresh(self) -> None:
        answered = self.ask()
        # Threads that wait for one issuer can't serve the others.
        if answered is not None and self._waiting.acquire(blocking=False):
            try:
                answered.wait(WAIT_S)
            finally:
                self._waiting.release()

    def _ask(self, now_ms: int, answered: threading.Event) -> None:
        try:
            keys = usable_keys(self._load())
            with self._lock:
                self._keys, self._loaded_ms = keys, now_ms
        except (OSError, httpx2.HTTPError, KeySetError) as error:
            _log.warning("keys of issuer `%s` can't be fetched: %s", self._name, error)
        except Exception:
            _log.exception("keys of issuer `%s` can't be fetched", self._name)
        finally:
            with self._lock:
                self._asking = None
            answered.set()


def usable_keys(raw: bytes) -> dict[str, PublicKey]:
    """Return the keys of a set that can check signatures: public, asymmetric, strong enough, and with an id.

    Raises:
        KeySetError: the data is not a key set.
    """
    if len(raw) > JWKS_BYTES_MAX:
        raise KeySetError(f"the key set has more than {JWKS_BYTES_MAX} bytes")
    try:
        listed = json.loads(raw)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeySetError("the data is not a key set (RFC 7517)") from None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise KeySetError(f"`keys` of the key set is not a list of at most {KEYS_MAX} keys")
    keys: dict[str, PublicKey] = {}
    for key in _imported(listed):
        kid = key.get("kid")
        if isinstance(kid, str) and 0 < len(kid) <= NAME_CHARS_MAX:
            if kid in keys:
                raise KeySetError(f"the key set has two keys with the id `{kid[:80]}`")
            keys[kid] = key
    return keys


def _imported(listed: list[Any]) -> Iterable[PublicKey]:
    for item in listed:
        if not isinstance(item, dict) or not _is_for_signatures(item):
            continue
        # The library does not know the value of `use` that SPIFFE has.
        plain = {name: value for name, value in item.items() if name not in ("use", "key_ops")}
        try:
            key = import_key(plain)
        except Exception as error:
            # A key that the library can't read must not make the others unusable.
            _log.debug("skipped a key: %r", error)
            continue
        if isinstance(key, RSAKey | ECKey) or (isinstance(key, OKPKey) and not _is_of_nobody(key)):
            yield key


def _is_of_nobody(key: OKPKey) -> bool:
    return isinstance(key.public_key, Ed25519PublicKey) and is_of_nobody(key.public_key.public_bytes_raw())


def _is_for_signatures(item: dict[str, Any]) -> bool:
    """Return whether it is a public, asymmetric key for checking signatures, and not a weak one."""
    kind, operations, modulus = item.get("kty"), item.get("key_ops", ["verify"]), item.get("n", "")
    if kind not in ("RSA", "EC", "OKP") or "d" in item or item.get("use") not in (None, *_USES):
        return False
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    # A character has six bits. The library accepts weak keys, too.
    return kind != "RSA" or (isinstance(modulus, str) and len(modulus) * 6 >= RSA_BITS_MIN)


def load_file(path: Path) -> Load:
    """Return a function that reads a key set from a file."""

    def load() -> bytes:
        with path.open("rb") as file:
            return file.read(JWKS_BYTES_MAX + 1)

    return load


def load_url(url: str, inner_hosts: Collection[str] = ()) -> Load:
    """Return a function that fetches a key set from a URL. It follows no redirects: the settings name the source.

    Args:
        url: the URL.
        inner_hosts: the names of hosts that may have private addresses; see `inner_addresses`.
    """
    return lambda: asyncio.run(_got(url, inner_hosts))


async def _got(url: str, inner_hosts: Collection[str]) -> bytes:
    """Fetch a key set; the time limit covers the name lookup, the connection, the headers and the body."""
    place = httpx2.URL(url)
    port = place.port or (443 if place.scheme == "https" else 80)
    async with asyncio.timeout(FETCH_S_MAX):
        addresses = await checked_addresses(place.host, port, inner_hosts)
        for address in addresses[:-1]:
            try:
                return await _got_from(place, address)
            except httpx2.ConnectError:
                continue
        return await _got_from(place, addresses[-1])


async def _got_from(url: httpx2.URL, address: str) -> bytes:
    """Fetch a key set from one address of its host, whose name the certificate must have."""
    # A compressed body could expand to any size.
    headers = {"accept": "application/json", "accept-encoding": "identity", "host": url.netloc.decode("ascii")}
    async with (
        httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client,
        client.stream(
            "GET", url.copy_with(host=address), headers=headers, extensions={"sni_hostname": url.host}
        ) as response,
    ):
        if response.status_code != httpx2.codes.OK or "content-encoding" in response.headers:
            is_ok = response.status_code == httpx2.codes.OK
            what = "a compressed body" if is_ok else f"status {response.status_code}"
            raise KeySetError(f"`{url}` answered with {what}")
        got = bytearray()
        async for part in response.aiter_raw():
            got += part
            if len(got) > JWKS_BYTES_MAX:
                raise KeySetError(f"`{url}` answered with more than {JWKS_BYTES_MAX} bytes")
        return bytes(got)
