"""Sends each question to the configured URLs, signed, at least once, and in the order of its partition.

**Idea.** The log itself is the queue, as `streams.services.sending` has it. The position of a webhook advances when the
receiver has accepted the question, when it says that it never will, or when nobody can answer the question any more. A
new webhook gets all questions that are still open.

A question that further calls have joined is sent again, under the same `task_id` with a higher `revision`: the receiver
replaces what it shows.

A receiver may work, and still refuse one question again and again: a firewall before it finds an attack in the
arguments of a call, which an agent chooses. So a question that has failed `STUCK_AFTER` times is put aside, and tried
again between others until it is accepted or can't be answered any more. Its offset is kept beside the position: after a
restart it is read again, without what its receiver has accepted since then.

The receiver may also be down. So until something is accepted again, each attempt of a newer question comes after one of
a question that was put aside: once the receiver works, it gets these first.

**Rejected.** What the couriers of the desk do, which put a message aside only if another one is accepted, or if there
is none. They look ahead in a table. A topic is read once and in order, and what was read ahead would have to be kept,
just as questions are that were put aside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import httpx2
import orjson

from streams.codec.instants import format_instant
from streams.codec.jsonform import to_json
from streams.model.approval import ApprovalRequest
from streams.model.errors import RecordError
from streams.model.topics import APPROVAL_REQUEST
from streams.model.types import tool_text
from streams.operations.approvals.questions import calls_of
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.sdk.connection.transport import Transport
from streams.services.approvals.access_request import access_request_of
from streams.services.approvals.errors import ApprovalServiceError
from streams.services.approvals.settings import WebhookSection
from streams.services.approvals.signing import signed_headers
from streams.services.approvals.store import Sent, SentStore
from streams.services.posting import UNREADABLE, cause_of
from streams.services.sending import Backoff, Sender

ASKED = "approval.requested"
STUCK_AFTER = 5
"""After how many failures a question is put aside."""
STUCK_MAX = 100
"""How many questions are put aside; with that many, the receiver is taken for one that does not work."""
ANSWERABLE_S_MAX = 5.0
"""How long a question waits until this service takes its answer."""

_MS_PER_S = 1_000
_log = logging.getLogger(__name__)


def message_of(request: ApprovalRequest, key: bytes, answer_url: str) -> dict[str, Any]:
    """Return the body of a webhook: the question with all its calls, and where answers go."""
    calls = calls_of(request)
    more = "" if len(calls) == 1 else f" (and {len(calls) - 1} more)"
    summary = f"{tool_text(request.tool)}{more} for {request.sub}: {request.reason_text}"
    return {
        "type": ASKED,
        "timestamp": format_instant(request.header.time),
        "data": {
            "summary": summary,
            "answer_url": answer_url,
            "session": key.decode("utf-8", "replace"),
            **to_json(request),
            "access_request": access_request_of(request, calls, summary),
        },
    }


class _Asked(NamedTuple):
    """A question that is sent, and where it stands."""

    partition: int
    offset: int
    request: ApprovalRequest
    body: bytes


class Webhook(Sender):
    """Sends questions to one URL, in a thread of its own."""

    doing: ClassVar[str] = "sending questions to"
    faults = (LogError, ApprovalServiceError)

    def __init__(
        self,
        name: str,
        section: WebhookSection,
        secret: bytes,
        *,
        answer_url: str,
        store: SentStore,
        transport: Transport,
        backoff: Backoff,
        await_answerable: Callable[[Received, float], None],
        count: Callable[[str, str], None],
    ) -> None:
        """Prepare, without starting the thread.

        Args:
            name: the name of the webhook.
            section: its settings.
            secret: what signs its messages.
            answer_url: where answers go.
            store: keeps its position.
            transport: the log.
            backoff: the pauses before a message is sent again.
            await_answerable: waits until answers to a question are taken, but no longer than so many seconds.
            count: is called with the name and the result of each attempt: `accepted`, `failed`, `rejected`, `expired`.
        """
        super().__init__(name, f"stoplog-approvals-{name}", transport, backoff)
        self._section = section
        self._secret = secret
        self._answer_url = answer_url
        self._store = store
        self._await_answerable = await_answerable
        self._count = count
        self._sents: dict[int, Sent] = {}
        self._unkept: set[int] = set()
        self._stuck: dict[str, _Asked] = {}
        self._retry_s = 0.0
        self._may_be_down = False

    def _positions(self) -> Mapping[TopicPartition, int]:
        """Return where to go on: after what was read, or where a question is read again that an earlier run put aside.

        The store is asked once. Afterwards it may be behind, after a fault, and what was accepted would be sent again.
        """
        if not self._sents:
            self._sents = self._store.sent(self._name)
        for partition in sorted(self._unkept):
            self._keep(partition, self._sents[partition])
        taken = {(asked.partition, asked.offset) for asked in self._stuck.values()}
        positions = {}
        for number in range(self._transport.partitions(APPROVAL_REQUEST.name)):
            sent = self._sents.setdefault(number, Sent(0))
            unread = (offset for offset in sent.aside if (number, offset) not in taken)
            positions[TopicPartition(APPROVAL_REQUEST.name, number)] = min((sent.next_offset, *unread))
        return positions

    def _note(self, received: Received) -> None:
        partition = received.partition
        if received.offset >= self._sents[partition].next_offset:
            # What an earlier run put aside and was not found before this record is no longer on the log.
            aside = frozenset(asked.offset for asked in self._stuck.values() if asked.partition == partition)
            self._keep(partition, Sent(received.offset + 1, aside))

    def _note_done(self, partition: int, offset: int) -> None:
        """Remember that a question is no longer put aside."""
        sent = self._sents[partition]
        self._keep(partition, sent._replace(aside=sent.aside - {offset}))

    def _keep(self, partition: int, sent: Sent) -> None:
        """Remember in memory and on disk; what the disk does not take is written later."""
        self._sents[partition] = sent
        self._unkept.add(partition)
        self._store.note_sent(self._name, partition, sent)
        self._unkept.discard(partition)

    def _looked(self, reader: Reader) -> None:
        """Try questions again that were put aside, now and then."""
        del reader
        if time.monotonic() >= self._retry_s:
            self._retry_stuck()

    def _retry_stuck(self) -> None:
        """Try questions again that were put aside, until one fails again."""
        while self._stuck and not self._stop.is_set():
            task_id, asked = next(iter(self._stuck.items()))
            if not self._is_done(asked):
                # To the end, so that the next one has its turn.
                self._stuck[task_id] = self._stuck.pop(task_id)
                self._retry_s = time.monotonic() + self._backoff.longest_ms / _MS_PER_S
                return
            del self._stuck[task_id]
            self._note_done(asked.partition, asked.offset)

    def _delay_ms(self, *, is_known: bool) -> int:
        # Questions expire: they do not wait longer than needed for a log that is back.
        return self._backoff.first_ms if is_known else self._backoff.longest_ms

    def _sent(self, received: Received) -> bool:
        sent = self._sents[received.partition]
        if received.offset < sent.next_offset:
            if received.offset in sent.aside:
                self._take_up(received)
            return True
        asked = self._asked(received)
        if asked is None:
            return True
        # This form of the question replaces an earlier one.
        self._stuck.pop(asked.request.task_id, None)
        self._backoff.reset()
        return self._is_settled(asked)

    def _take_up(self, received: Received) -> None:
        """Put a question aside again that an earlier run had put aside."""
        asked = self._asked(received)
        if asked is None:
            self._note_done(received.partition, received.offset)
        else:
            self._stuck[asked.request.task_id] = asked
            self._may_be_down = True

    def _asked(self, received: Received) -> _Asked | None:
        """Return the question of a record, once it can be answered; None if the webhook does not get it."""
        request = self._request(received)
        if request is None:
            return None
        if request.expires_at > self._transport.now_ms():
            # A bot may answer at once. After the wait, the question is sent anyway: it can be answered elsewhere, too.
            self._await_answerable(received, ANSWERABLE_S_MAX)
        body = orjson.dumps(message_of(request, received.key or b"", self._answer_url))
        return _Asked(received.partition, received.offset, request, body)

    def _is_settled(self, asked: _Asked) -> bool:
        """Send a question until it is done or put aside. Return False if the thread is stopped before."""
        failures = 0
        while not self._stop.is_set():
            if self._may_be_down:
                self._retry_stuck()
            if self._is_done(asked):
                return True
            failures += 1
            if failures >= STUCK_AFTER and len(self._stuck) < STUCK_MAX:
                self._stuck[asked.request.task_id] = asked
                self._may_be_down = True
                return True
            self._pause(self._backoff.take_ms())
        return False

    def _is_done(self, asked: _Asked) -> bool:
        """Send a question once, if it can still be answered. Return whether it need not be sent again."""
        request = asked.request
        if request.expires_at <= self._transport.now_ms():
            self._count(self._name, "expired")
            return True
        fault = self._attempt(request.header.id, asked.body)
        if fault is None or fault in UNREADABLE:
            self._may_be_down = False
        if fault is None:
            self._count(self._name, "accepted")
            return True
        if fault in UNREADABLE:
            self._count(self._name, "rejected")
            text = "`%s` can't read question `%s` (status %s): it is not sent again"
            _log.error(text, self._name, request.task_id, fault)
            return True
        self._count(self._name, "failed")
        _log.warning("question `%s` could not be sent to `%s`, trying again: %s", request.task_id, self._name, fault)
        return False

    def _attempt(self, message_id: str, body: bytes) -> int | str | None:
        """Send once. Return the status or the error; None if the message was accepted."""
        headers = signed_headers(self._secret, message_id, self._transport.now_ms(), body)
        try:
            answer = self._poster.post(self._section.url, body, {**headers, "content-type": "application/json"})
        except httpx2.HTTPError as error:
            return cause_of(error)
        return None if answer.is_success else answer.status

    def _request(self, received: Received) -> ApprovalRequest | None:
        """Return the question of a record; None if the webhook does not get it."""
        if received.value is None:
            return None
        try:
            record = self._transport.codec.decode(APPROVAL_REQUEST.name, received.value, received.headers)
        except RecordError as error:
            _log.warning("question %d/%d can't be read: %s", received.partition, received.offset, error)
            return None
        if not isinstance(record, ApprovalRequest):
            return None
        tenants = self._section.tenants
        return record if tenants is None or record.header.tenant_uid in tenants else None
