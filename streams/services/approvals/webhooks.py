"""Sends each question to the configured URLs, signed, at least once, and in the order of its partition.

**Idea.** The log itself is the queue. Each webhook has a position in every partition of the requests, which is on disk
and advances when the receiver has accepted the question, when it says that it never will, or when nobody can answer the
question any more. A receiver that is down delays no other. A new webhook gets all questions that are still open.

A question that further calls have joined is sent again, under the same `task_id` with a higher `revision`: the receiver
replaces what it shows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx2
import orjson

from streams.codec.instants import format_instant
from streams.codec.jsonform import to_json
from streams.model.approval import ApprovalRequest
from streams.model.errors import RecordError
from streams.model.topics import APPROVAL_REQUEST
from streams.operations.approvals.questions import calls_of
from streams.ports import LogError, Reader, Received, TopicPartition
from streams.sdk.transport import Transport
from streams.services.approvals.errors import ApprovalServiceError
from streams.services.approvals.settings import WebhookSection
from streams.services.approvals.signing import signed_headers
from streams.services.approvals.store import SentStore

SEND_TIMEOUT_S = 10.0
POLL_MS = 500
POLL_RECORDS_MAX = 100
STOP_S_MAX = 15
ASKED = "approval.requested"
_MS_PER_S = 1_000
_NEVER = frozenset({400, 413, 415, 422})
"""Answers after which the same message will never be accepted: its receiver can't read it."""

_log = logging.getLogger(__name__)


def message_of(request: ApprovalRequest, key: bytes, answer_url: str) -> dict[str, Any]:
    """Return the body of a webhook: the question with all its calls, and where answers go."""
    calls = calls_of(request)
    more = "" if len(calls) == 1 else f" (and {len(calls) - 1} more)"
    return {
        "type": ASKED,
        "timestamp": format_instant(request.header.time),
        "data": {
            "summary": f"{request.tool.server_id}/{request.tool.name}{more} for {request.sub}: {request.reason_text}",
            "answer_url": answer_url,
            "session": key.decode("utf-8", "replace"),
            **to_json(request),
        },
    }


class Webhook:
    """Sends questions to one URL, in a thread of its own."""

    def __init__(
        self,
        name: str,
        section: WebhookSection,
        secret: bytes,
        *,
        answer_url: str,
        store: SentStore,
        transport: Transport,
        pauses_ms: tuple[int, int],
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
            pauses_ms: the first and the longest pause before a message is sent again.
            count: is called with the name and the result of each attempt: `accepted`, `failed`, `rejected`, `expired`.
        """
        self._name = name
        self._section = section
        self._secret = secret
        self._answer_url = answer_url
        self._store = store
        self._transport = transport
        self._first_pause_ms, self._longest_pause_ms = pauses_ms
        self._count = count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stoplog-approvals-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread at the webhook's position."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; the next start continues at the webhook's position."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S_MAX)

    def _run(self) -> None:
        with httpx2.Client(timeout=SEND_TIMEOUT_S, follow_redirects=False, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    with closing(self._transport.reader()) as reader:
                        self._follow(reader, client)
                except (LogError, ApprovalServiceError) as error:
                    _log.warning("sending questions to `%s` is delayed: %s", self._name, error)
                    self._stop.wait(self._first_pause_ms / _MS_PER_S)
                except Exception:
                    _log.exception("sending questions to `%s` is delayed", self._name)
                    self._stop.wait(self._longest_pause_ms / _MS_PER_S)

    def _follow(self, reader: Reader, client: httpx2.Client) -> None:
        sent = self._store.sent(self._name)
        partitions = range(self._transport.partitions(APPROVAL_REQUEST.name))
        reader.assign({TopicPartition(APPROVAL_REQUEST.name, number): sent.get(number, 0) for number in partitions})
        while not self._stop.is_set():
            for received in reader.poll(POLL_RECORDS_MAX, POLL_MS):
                if not self._sent(received, client):
                    return
                self._store.note_sent(self._name, received.partition, received.offset + 1)

    def _sent(self, received: Received, client: httpx2.Client) -> bool:
        """Send a record until it is accepted, or need not be sent. Return False if the thread is stopped before."""
        request = self._request(received)
        if request is None:
            return True
        body = orjson.dumps(message_of(request, received.key or b"", self._answer_url))
        pause_ms = self._first_pause_ms
        while not self._stop.is_set():
            if request.expires_at <= self._transport.now_ms():
                self._count(self._name, "expired")
                return True
            fault = self._attempt(request.header.id, body, client)
            if fault is None:
                self._count(self._name, "accepted")
                return True
            if fault in _NEVER:
                self._count(self._name, "rejected")
                text = "`%s` can't read question `%s` (status %s): it is not sent again"
                _log.error(text, self._name, request.task_id, fault)
                return True
            self._count(self._name, "failed")
            _log.warning(
                "question `%s` could not be sent to `%s`, retrying in %d ms: %s",
                request.task_id, self._name, pause_ms, fault,
            )  # fmt: skip
            self._stop.wait(pause_ms / _MS_PER_S)
            pause_ms = min(pause_ms * 2, self._longest_pause_ms)
        return False

    def _attempt(self, message_id: str, body: bytes, client: httpx2.Client) -> int | str | None:
        """Send once. Return the status or the error; None if the message was accepted."""
        headers = signed_headers(self._secret, message_id, self._transport.now_ms(), body)
        try:
            with client.stream(
                "POST", self._section.url, content=body, headers={**headers, "content-type": "application/json"}
            ) as response:
                return None if response.is_success else response.status_code
        except httpx2.HTTPError as error:
            return str(error) or type(error).__name__

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
