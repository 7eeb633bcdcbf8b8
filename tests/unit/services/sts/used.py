"""Several memories of used tokens on one log, as several token services have them; the same on every log."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.sts.store import StsStore
from streams.services.sts.used_tokens import UsedTokens
from streams.wiring.clock import SystemClock

LIFE_MS = 600_000


class Service:
    """The memory of one service, in a folder of its own."""

    def __init__(self, log: Any, folder: Path, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self.transport = Transport(log, Codec(CommittedSchemas.load()), SystemClock())
        self.store = StsStore(folder / f"{name}.sqlite")
        self.told: list[str] = []
        self.used = UsedTokens(
            self.transport,
            self.store,
            service=name,
            issuer="https://sts.example",
            tenant_uid="acme",
            entropy=SYSTEM,
            report=self.told.append,
        )

    def use(self, *names: str, life_ms: int = LIFE_MS) -> bool:
        return self.used.use_once([digest(name) for name in names], SYSTEM.now_ms() + life_ms)

    def knows(self, name: str) -> bool:
        return self.store.is_used(digest(name))

    def close(self) -> None:
        self.used.close()
        self.store.close()
        self.transport.close()


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@contextmanager
def service(log: Any, folder: Path, name: str) -> Iterator[Service]:
    made = Service(log, folder, name)
    try:
        made.used.start()
        yield made
    finally:
        made.close()


def winners(services: list[Service], name: str, uses: int) -> list[bool]:
    """The outcomes of uses of one token at once, spread over the services."""
    ready = threading.Barrier(uses)

    def use(number: int) -> bool:
        ready.wait(30)
        return services[number % len(services)].use(name)

    with ThreadPoolExecutor(uses) as threads:
        return list(threads.map(use, range(uses)))


def holds_side_by_side(log: Any, folder: Path, *, rounds: int, uses: int) -> None:
    """Of uses of one token at once exactly one counts; after a restart, after an absence, and for a newcomer, too."""
    with service(log, folder, "one") as one:
        with service(log, folder, "two") as two:
            for number in range(rounds):
                outcomes = winners([one, two], f"token {number}", uses)
                assert sorted(outcomes) == [False] * (uses - 1) + [True], number
            assert two.use("mine", "ours")
        assert not one.use("ours", "other")
        assert one.use("other"), "a claim that does not count uses up nothing"
        assert one.use("while two was away")
        before = one.store.place()
    with service(log, folder, "two") as two, service(log, folder, "new") as new:
        for again in (two, new):
            for name in ("token 0", "mine", "ours", "while two was away"):
                assert not again.use(name), name
        assert sorted(winners([two, new], "last", uses)) == [False] * (uses - 1) + [True]
        places = [two.store.place(), new.store.place()]
        assert before is not None
        assert all(place is not None and place.offset > before.offset for place in places)
