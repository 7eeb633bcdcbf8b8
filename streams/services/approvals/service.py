"""Builds the service for questions from its parts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from starlette.applications import Starlette

from streams.http.limits import RateLimit
from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.health import Health
from streams.metrics.registry import Metrics
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.services.approvals.answering import Answering
from streams.services.approvals.errors import ApprovalServiceError
from streams.services.approvals.people import People
from streams.services.approvals.questions import OpenQuestions
from streams.services.approvals.settings import ApprovalsSection
from streams.services.approvals.signing import read_secret
from streams.services.approvals.store import SentStore
from streams.services.approvals.webhooks import Webhook
from streams.services.running import Running
from streams.services.sending import Backoff


class RunningApprovals(Running):
    """The service with all its parts; a context manager.

    Attributes:
        application: an ASGI application.
        metrics: what it counts.
    """

    def __init__(
        self, section: ApprovalsSection, transport: Transport, *, folder: Path, entropy: Entropy = SYSTEM
    ) -> None:
        """Open all parts, and start sending questions.

        Args:
            section: `[approvals]` of the settings.
            transport: the log; the caller closes it.
            folder: the folder of the memory of what was sent.
            entropy: the clock that never goes back.

        Raises:
            ApprovalServiceError, IdentityError: the settings or files can't be used.
        """
        if not (section.webhooks or section.signers or section.people):
            raise ApprovalServiceError(
                "nobody is sent questions, and nobody may answer: add `[approvals.webhooks.NAME]`, and "
                "`[approvals.people.NAME]` or `[approvals.signers.NAME]`"
            )
        self.metrics = Metrics(Exporter.QUESTIONS)
        with ExitStack() as opened:
            people = People(section, now_ms=transport.now_ms, monotonic_ms=entropy.monotonic_ms)
            store = SentStore(folder / "sent.sqlite")
            opened.callback(store.close)
            self._questions = OpenQuestions(
                transport, lambda count: self.metrics.add(declared.QUESTIONS_DROPPED, amount=count)
            )
            opened.callback(self._questions.stop)
            webhooks = [
                Webhook(
                    name,
                    each,
                    read_secret(each.secret_file),
                    answer_url=f"{section.url.rstrip('/')}/answers",
                    store=store,
                    transport=transport,
                    backoff=Backoff(section.retry_first_ms, section.retry_max_ms),
                    await_answerable=self._questions.wait_for,
                    count=lambda webhook, result: self.metrics.add(declared.QUESTIONS_SENT, webhook, result),
                )
                for name, each in section.webhooks.items()
            ]
            self._questions.start()
            for webhook in webhooks:
                opened.callback(webhook.stop)
                webhook.start()
            answering = Answering(
                people,
                self._questions,
                transport,
                RateLimit(section.per_address_per_minute, entropy.monotonic_ms),
                lambda result: self.metrics.add(declared.ANSWERS, result),
            )
            opened.callback(answering.close)
            self.application: Starlette = answering.application()
            self._opened = opened.pop_all()

    def health(self) -> Health:
        """Return what is missing until answers are taken. Thread-safe."""
        if self._questions.is_complete:
            return Health()
        return Health(waits_for=("the log: not all questions are read",))
