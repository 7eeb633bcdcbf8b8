"""What cases of dead letters share: the register of cases, and records that are sent to a driven gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.signatures import SigningKey
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason
from streams.model.topics import INTENT
from streams.model.types import Record
from streams.ports import Headers
from tests.kit import FILES_READ, GateBench, wire


class Letter(NamedTuple):
    """A record that ends as a dead letter: the bench it was sent on, and its topic."""

    bench: GateBench
    topic: str


Case = Callable[[], Letter]
Cases = dict[str, tuple[DeadLetterReason, Case]]


def registered_in(cases: Cases) -> Callable[[DeadLetterReason], Callable[[Case], Case]]:
    """Return the decorator of cases, which takes the reason that a case reaches."""

    def case(reason: DeadLetterReason) -> Callable[[Case], Case]:
        def register(function: Case) -> Case:
            cases[function.__name__] = (reason, function)
            return function

        return register

    return case


KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def sent(topic: str, record: Record | bytes | None, key: bytes | None = b"acme|s-1", headers: Headers = ()) -> Letter:
    bench = GateBench()
    bench.driver.pipe(topic, key, record, headers=headers)
    return Letter(bench, topic)


def an_intent() -> Intent:
    bench = GateBench()
    return bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)


def encoded() -> bytes:
    return wire().encode(INTENT.name, an_intent())
