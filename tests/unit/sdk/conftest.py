"""An embedded log with all topics, as the SDK's tests use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.audit.releasers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.model.topics import TOPICS, Spread, outcome_topic
from streams.ports import TopicSpec
from streams.sdk import DevTokenService, RevocationWatch, SingleUseStore
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.wiring.clock import SystemClock
from tests.unit.sdk.hands import ISSUER, PARTITIONS, ROOT_KEY, TENANT, TransportOf, begun_store, watching


@pytest.fixture(scope="session")
def codec() -> Codec:
    return Codec(CommittedSchemas.load())


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    opened = EmbeddedLog(tmp_path / "log.sqlite", clock=SystemClock())
    admin = opened.admin()
    specs = [
        TopicSpec(t.name, 1 if t.spread is Spread.BROADCAST else PARTITIONS, t.config())
        for t in (*TOPICS, outcome_topic(TENANT))
    ]
    admin.create(specs, replication=1)
    admin.close()
    yield opened
    opened.close()


@pytest.fixture
def transport(log: EmbeddedLog, codec: Codec) -> Iterator[Transport]:
    with Transport(log, codec, SystemClock(), ANYBODY) as opened:
        yield opened


@pytest.fixture
def transport_of(log: EmbeddedLog, codec: Codec) -> TransportOf:
    return lambda kind, clock=SYSTEM: kind(log, codec, clock)


@pytest.fixture
def tokens(transport: Transport) -> DevTokenService:
    return DevTokenService(transport, ROOT_KEY, issuer=ISSUER, tenant_uid=TENANT)


@pytest.fixture
def revocations(transport: Transport) -> Iterator[RevocationWatch]:
    with watching(transport) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SingleUseStore]:
    with begun_store(tmp_path) as opened:
        yield opened
