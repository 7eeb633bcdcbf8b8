"""How long senders wait before they try again, and that they then go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from streams.audit.releasers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.embedded.log import EmbeddedLog
from streams.identity.keyring import keys_in
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.ports import LogError, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM
from streams.services.approvals.errors import ApprovalServiceError
from streams.services.approvals.settings import WebhookSection
from streams.services.approvals.store import SentStore
from streams.services.approvals.webhooks import Webhook
from streams.services.sending import Backoff, Sender
from streams.services.ssf.errors import SsfError
from streams.services.ssf.settings import ReceiverSection
from streams.services.ssf.store import SsfStore
from streams.services.ssf.transmitter import Push
from streams.wiring.clock import SystemClock

FAULTS = 4


class _Failing(Sender):
    """Fails some times, and then finds itself stopped; it waits in name only."""

    fails_with: Exception
    pauses_ms: list[int]

    def run(self, fails_with: Exception) -> list[int]:
        self.fails_with, self.pauses_ms = fails_with, []
        Sender.start(self)
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.pauses_ms

    def _positions(self) -> Mapping[TopicPartition, int]:
        raise self.fails_with

    def _pause(self, pause_ms: int) -> None:
        self.pauses_ms.append(pause_ms)
        if len(self.pauses_ms) == FAULTS:
            self._stop.set()


class FailingWebhook(_Failing, Webhook):
    """A webhook whose position can't be read."""


class FailingPush(_Failing, Push):
    """A receiver of events whose position can't be read."""


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[Transport]:
    clock = SystemClock()
    log = EmbeddedLog(tmp_path / "log.sqlite", clock=clock)
    with Transport(log, Codec(CommittedSchemas.load()), clock, ANYBODY) as opened:
        yield opened
    log.close()


def test_pauses_double_up_to_the_longest_until_something_succeeds() -> None:
    backoff = Backoff(20, 100)
    assert [backoff.take_ms() for _ in range(5)] == [20, 40, 80, 100, 100]
    backoff.reset()
    assert backoff.take_ms() == 20


def test_what_counts_its_own_failures_waits_as_long_as_what_does_not() -> None:
    backoff = Backoff(20, 100)
    assert [backoff.after_ms(failures) for failures in (0, 1, 2, 3, 4, 1_000_000)] == [20, 40, 80, 100, 100, 100]
    assert backoff.take_ms() == 20


@pytest.mark.parametrize(
    ("fault", "pauses_ms"),
    [
        (LogError("the broker is away"), [20] * FAULTS),
        (ApprovalServiceError("the disk is full"), [20] * FAULTS),
        (SsfError("of another service"), [100] * FAULTS),
        (RuntimeError("nobody knows"), [100] * FAULTS),
    ],
)
def test_questions_wait_no_longer_than_needed_for_a_log_that_is_back(
    tmp_path: Path, transport: Transport, fault: Exception, pauses_ms: list[int]
) -> None:
    store = SentStore(tmp_path / "sent.sqlite")
    webhook = FailingWebhook(
        "chat",
        WebhookSection(url="http://127.0.0.1:1", secret_file=tmp_path / "secret", tenants=None),
        b"secret",
        answer_url="http://127.0.0.1:2/answers",
        store=store,
        transport=transport,
        backoff=Backoff(20, 100),
        await_answerable=lambda *_: None,
        count=lambda *_: None,
    )
    assert webhook.run(fault) == pauses_ms
    store.close()


@pytest.mark.parametrize("fault", [LogError("the broker is away"), SsfError("the disk is full"), RuntimeError("?")])
def test_events_wait_longer_each_time(tmp_path: Path, transport: Transport, fault: Exception) -> None:
    store = SsfStore(tmp_path / "memory.sqlite", 100)
    push = FailingPush(
        "soc",
        ReceiverSection(url="http://127.0.0.1:1", audience="soc", tenants=None),
        issuer="https://stops.example",
        bearer=None,
        keys=keys_in(tmp_path / "keys", SYSTEM),
        store=store,
        transport=transport,
        backoff=Backoff(20, 100),
        metrics=Metrics(Exporter.EVENTS),
    )
    assert push.run(fault) == [20, 40, 80, 100]
    store.close()
