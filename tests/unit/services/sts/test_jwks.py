"""Keys of issuers: how long they are used, how often they are asked for, and which count."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from streams.identity.errors import KeySetError, TokenError, TokenFault
from streams.identity.jose import PublicKey, Unverified, take_apart, verified
from streams.identity.jwks import WAITING_MAX, IssuerKeys, KeyTimes, load_url, usable_keys
from streams.sdk.entropy import system_monotonic_ms
from tests.unit.services.sts.issuers import Issuer, b64, public_jwk

WAIT_S = 3.0
"""How long keys are waited for that do not come. All who ask have begun by then."""

TIMES = KeyTimes(cache_ms=1_000, retry_ms=100, stale_ms=5_000)
ISSUER = Issuer("https://users.example", "x")


class Place:
    """Where keys are: answers, counts, and fails when told to."""

    def __init__(self) -> None:
        self.content = ISSUER.key_set()
        self.fault: Exception | None = None
        self.asked = 0
        self.before: Callable[[], None] = lambda: None

    def __call__(self) -> bytes:
        self.asked += 1
        self.before()
        if self.fault is not None:
            raise self.fault
        return self.content


class Clock:
    def __init__(self) -> None:
        self.ms = 50_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(place: Place, clock: Clock) -> IssuerKeys:
    return IssuerKeys("users", place, TIMES, clock)


def test_they_are_kept_for_a_while(keys: IssuerKeys, place: Place, clock: Clock) -> None:
    for _ in range(5):
        assert keys.find("k1") is not None
    assert place.asked == 1
    clock.ms += TIMES.cache_ms + 1
    assert keys.find("k1") is not None
    assert place.asked == 2


def test_one_that_is_gone_counts_no_more(keys: IssuerKeys, place: Place, clock: Clock) -> None:
    assert keys.find("k1") is not None
    place.content = b'{"keys": []}'
    clock.ms += TIMES.cache_ms + 1
    assert keys.find("k1") is None


def test_unknown_ones_are_asked_for_once_in_an_interval(keys: IssuerKeys, place: Place, clock: Clock) -> None:
    for _ in range(100):
        assert keys.find("k2") is None
    assert place.asked == 1
    for _ in range(10):
        clock.ms += TIMES.retry_ms
        assert keys.find("k2") is None
    assert place.asked == 11


@pytest.mark.parametrize("fault", [OSError("away"), KeySetError("answers nonsense")])
def test_when_they_can_not_be_had_old_ones_are_used_for_so_long(
    keys: IssuerKeys, place: Place, clock: Clock, fault: Exception
) -> None:
    assert keys.find("k1") is not None
    place.fault = fault
    clock.ms += TIMES.cache_ms + TIMES.stale_ms
    assert keys.find("k1") is not None
    clock.ms += 1
    with pytest.raises(TokenError) as raised:
        keys.find("k1")
    assert raised.value.fault is TokenFault.KEYS_UNAVAILABLE
    place.fault = None
    clock.ms += TIMES.retry_ms
    assert keys.find("k1") is not None


def test_none_are_there_and_can_not_be_had(keys: IssuerKeys, place: Place) -> None:
    place.fault = OSError("away")
    for _ in range(10):
        with pytest.raises(TokenError):
            keys.find("k1")
    assert place.asked == 1


def test_others_go_on_while_one_asks(keys: IssuerKeys, place: Place, clock: Clock) -> None:
    assert keys.find("k1") is not None
    clock.ms += TIMES.retry_ms
    asking, answered = threading.Event(), threading.Event()

    def wait() -> None:
        asking.set()
        assert answered.wait(60)

    place.before = wait
    first = threading.Thread(target=keys.find, args=("k2",))
    first.start()
    assert asking.wait(60)
    assert keys.find("k1") is not None
    assert keys.find("k3") is None
    answered.set()
    first.join()
    assert place.asked == 2


def test_a_set_that_changes_during_requests_counts_as_a_whole(keys: IssuerKeys, place: Place, clock: Clock) -> None:
    """The new set has another key under the id of the old one, and no second key any more."""
    old, new = Issuer("https://users.example", "x"), Issuer("https://users.example", "x")
    old.add_key("ES256", "k2")
    by_old, by_second, by_new = old.token("ann"), old.token("ann", kid="k2"), new.token("ann")

    def counts(token: str) -> bool:
        try:
            return bool(verified(take_apart(token, "a token"), keys.find, ["ES256"], "a token"))
        except TokenError:
            return False

    place.content = old.key_set()
    assert [counts(token) for token in (by_old, by_second, by_new)] == [True, True, False]
    asking, answered, found = threading.Event(), threading.Event(), []

    def wait() -> None:
        asking.set()
        assert answered.wait(60)

    place.before, place.content = wait, new.key_set()
    clock.ms += TIMES.cache_ms + 1
    asks = threading.Thread(target=lambda: found.append(counts(by_new)))
    asks.start()
    assert asking.wait(60)
    # While the new set is on its way, the old one is in force, all of it and nothing else.
    assert [counts(token) for token in (by_old, by_second, by_new)] == [True, True, False]
    answered.set()
    asks.join()
    assert found == [True]
    assert [counts(token) for token in (by_old, by_second, by_new)] == [False, False, True]


def test_a_key_that_is_taken_back_while_it_is_looked_up_is_not_mixed_up_with_its_successor(
    keys: IssuerKeys, place: Place, clock: Clock
) -> None:
    """Sets change all the time, and each signature is checked with the key of one of them."""
    issuers = [Issuer("https://users.example", "x") for _ in range(2)]
    tokens = [take_apart(issuer.token("ann"), "a token") for issuer in issuers]
    sets = [usable_keys(issuer.key_set())["k1"].as_dict() for issuer in issuers]
    turns = iter(range(10**6))

    def change() -> None:
        place.content = issuers[next(turns) % 2].key_set()
        clock.ms += TIMES.cache_ms + TIMES.retry_ms

    place.before = change
    odd: list[object] = []
    seen = set()

    def check() -> None:
        for _ in range(200):
            key = keys.find("k1")
            known = None if key is None else key.as_dict()
            odd.extend([] if known in sets else [known])
            good = [_holds(token, key) for token in tokens]
            odd.extend([] if good == [known == each for each in sets] else [good])
            seen.add(tuple(good))

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert odd == []
    assert seen == {(True, False), (False, True)}


def _holds(token: Unverified, key: PublicKey | None) -> bool:
    try:
        verified(token, lambda _: key, ["ES256"], "a token")
    except TokenError:
        return False
    return True


def test_who_has_none_waits_for_who_asks(keys: IssuerKeys, place: Place) -> None:
    asking, answered, found = threading.Event(), threading.Event(), []

    def wait() -> None:
        asking.set()
        assert answered.wait(60)

    place.before = wait
    threads = [threading.Thread(target=lambda: found.append(keys.find("k1"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert asking.wait(60)
    answered.set()
    for thread in threads:
        thread.join()
    assert [key is not None for key in found] == [True] * 4
    assert place.asked == 1


def test_so_many_wait_for_those_that_do_not_come_and_no_more(
    keys: IssuerKeys, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.identity.jwks.WAIT_S", WAIT_S)
    asking, answered, refused = threading.Event(), threading.Event(), []

    def wait() -> None:
        asking.set()
        assert answered.wait(60)

    def find() -> None:
        began_ms = system_monotonic_ms()
        with pytest.raises(TokenError) as raised:
            keys.find("k1")
        refused.append((raised.value.fault, raised.value.retry_after_ms, system_monotonic_ms() - began_ms))

    place.before = wait
    threads = [threading.Thread(target=find) for _ in range(12)]
    for thread in threads:
        thread.start()
    assert asking.wait(60)
    for thread in threads:
        thread.join()
    assert {(reason, after_ms) for reason, after_ms, _ in refused} == {(TokenFault.KEYS_UNAVAILABLE, 1_000)}
    assert sum(took_ms < 900 * WAIT_S for *_, took_ms in refused) == 12 - WAITING_MAX
    answered.set()
    assert place.asked == 1


@pytest.mark.timed
@pytest.mark.parametrize("what", ["nothing", "headers", "body"])
def test_an_answer_that_drips_in_is_none(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr("streams.identity.jwks.FETCH_S_MAX", 0.5)
    beginning = {"nothing": b"", "headers": b"HTTP/1.1 200 OK\r\nx: ", "body": b"HTTP/1.1 200 OK\r\n\r\n"}[what]
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        with listening.accept()[0] as connection, contextlib.suppress(OSError):
            connection.sendall(beginning)
            while not ended.wait(0.1):
                connection.sendall(b"" if what == "nothing" else b"y")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        began_ms = system_monotonic_ms()
        with pytest.raises(TimeoutError):
            load_url(f"http://127.0.0.1:{listening.getsockname()[1]}/")()
        assert system_monotonic_ms() - began_ms < 3_000
        ended.set()
        thread.join()


def test_an_answer_that_is_packed_is_none() -> None:
    class Packed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-encoding", "gzip")
            self.end_headers()
            self.wfile.write(gzip.compress(ISSUER.key_set()))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Packed) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(KeySetError, match="answered with a compressed body"):
            load_url(f"http://127.0.0.1:{server.server_port}/")()
        thread.join()


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_which_count() -> None:
    good = ISSUER.jwk("k1")
    weak = public_jwk("RS256", rsa.generate_private_key(public_exponent=65_537, key_size=1_024))  # noqa: S505 - it is refused
    bad: list[Any] = [
        {"kty": "oct", "k": "AAAA", "kid": "secret"},
        {**good, "kid": "for encryption", "use": "enc"},
        {**good, "kid": "signs alone", "key_ops": ["sign"]},
        {**good, "kid": "private", "d": "AAAA"},
        {**weak, "kid": "weak"},
        {name: value for name, value in good.items() if name != "kid"},
        {**good, "kid": ""},
        {**good, "kid": 7},
        {**good, "kid": "x" * 2_000},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "kid": "not on the curve"},
        {"kty": "EC", "kid": "nothing"},
        {"kty": "RSA", "n": "", "e": "", "kid": "empty"},
        {**good, "kid": "ops", "key_ops": 7},
        {**good, "kid": "no ops", "key_ops": None},
        {**good, "kid": "odd alg", "alg": 7},
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA", "kid": "unknown curve"},
        {"kty": "OKP", "crv": ["Ed25519"], "x": "AA", "kid": "no curve"},
        {"kty": ["EC"], "kid": "no kind"},
        {"kty": "OKP", "crv": "Ed25519", "x": b64(b"\x01" + bytes(31)), "kid": "nobody's"},
        {**good, "kid": "odd use", "use": ["sig"]},
        "k1",
        None,
    ]
    assert set(usable_keys(key_set(*bad, good))) == {"k1"}
    assert set(usable_keys(key_set({**good, "use": "jwt-svid"}))) == {"k1"}


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": null}', b"[" * 100_000, key_set(*[ISSUER.jwk("k1")] * 2),
     key_set(*[{}] * 65), b" " * 300_000],
)  # fmt: skip
def test_what_is_no_set(raw: bytes) -> None:
    with pytest.raises(KeySetError):
        usable_keys(raw)
