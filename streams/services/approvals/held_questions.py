"""Holds the questions that people can still answer, within a bound, so that no tenant takes the room of the others."""

from __future__ import annotations

from typing import NamedTuple

from streams.model.approval import ApprovalRequest
from streams.operations.approvals.questions import Question, calls_of, pass_on

BYTES_MAX = 268_435_456
"""What all questions may take: some 30,000 of the usual size, or 1,900 that are as long as they can be."""

QUESTION_BYTES = 8_192
"""What a question takes besides its record: its fields as objects."""

LOOK_MS = 1_000
"""How often expired questions are looked for at most."""

Name = tuple[str, int]
"""The task and the revision of a question."""


class _Held(NamedTuple):
    question: Question
    size: int


class HeldQuestions:
    """Questions by task and revision.

    If there is no room for all, those that have expired are dropped. Then the tenant that has most loses its oldest.

    Attributes:
        bytes_count: what they take.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        """Create it without any."""
        self.bytes_count = 0
        self._bytes_max = bytes_max
        self._tenants: dict[str, dict[Name, _Held]] = {}
        self._tenant_bytes: dict[str, int] = {}
        self._tenant_of: dict[Name, str] = {}
        self._last: dict[tuple[bytes, str], ApprovalRequest] = {}
        self._looked_ms: int | None = None

    def find(self, name: Name) -> Question | None:
        """Return a question, with those of its calls that another one is about since; None if it is not held."""
        tenant = self._tenant_of.get(name)
        return None if tenant is None else pass_on(self._tenants[tenant][name].question, self._last)

    def add(self, question: Question, record_bytes: int, now_ms: int) -> int:
        """Hold a question, and return how many others that can still be answered were dropped for it.

        Args:
            question: the question.
            record_bytes: how long its record is.
            now_ms: the time now.
        """
        request = question.request
        name, tenant = (request.task_id, request.revision), request.header.tenant_uid
        size = record_bytes + QUESTION_BYTES
        self._drop(name)
        self._tenants.setdefault(tenant, {})[name] = _Held(question, size)
        self._tenant_of[name] = tenant
        self._last.update({(question.key, call.intent_id): request for call in calls_of(request)})
        self._count(tenant, size)
        if self.bytes_count > self._bytes_max:
            self._drop_expired(now_ms)
        dropped_count = 0
        while self.bytes_count > self._bytes_max and len(self._tenant_of) > 1:
            largest = max(self._tenant_bytes, key=self._tenant_bytes.__getitem__)
            self._drop(next(iter(self._tenants[largest])))
            dropped_count += 1
        return dropped_count

    def _drop_expired(self, now_ms: int) -> None:
        if self._looked_ms is not None and now_ms - self._looked_ms < LOOK_MS:
            return
        self._looked_ms = now_ms
        held = [item for of_tenant in self._tenants.values() for item in of_tenant.items()]
        for name, each in held:
            if each.question.request.expires_at <= now_ms:
                self._drop(name)

    def _drop(self, name: Name) -> None:
        tenant = self._tenant_of.pop(name, None)
        if tenant is not None:
            question, size = self._tenants[tenant].pop(name)
            for call in calls_of(question.request):
                if self._last.get((question.key, call.intent_id)) is question.request:
                    del self._last[question.key, call.intent_id]
            self._count(tenant, -size)

    def _count(self, tenant: str, size: int) -> None:
        self.bytes_count += size
        self._tenant_bytes[tenant] = self._tenant_bytes.get(tenant, 0) + size
        if not self._tenants[tenant]:
            del self._tenants[tenant], self._tenant_bytes[tenant]
