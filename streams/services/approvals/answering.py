"""Takes answers of people, and records them on the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from streams.http.answers import NO_STORE, JsonAnswer, health, retry_after
from streams.http.application import application_of
from streams.http.bodies import BodyError, read_body
from streams.http.client_address import place_of
from streams.http.limits import RateLimit
from streams.model.approval import GrantScope, PendingCall
from streams.model.proof import derived_uuid
from streams.model.topics import APPROVAL_DECISION
from streams.model.types import Header
from streams.operations.approvals.answers import Answer, check_answer, check_grant, chosen_calls, decision_on
from streams.operations.approvals.bounds import grant_of, parse_match
from streams.operations.approvals.errors import ApprovalError
from streams.operations.stops import UntilError, until_instant
from streams.ports import LogError
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import PublishError
from streams.services.approvals.errors import AnswerError
from streams.services.approvals.people import People, Person
from streams.services.approvals.questions import OpenQuestions

BODY_BYTES_MAX = 65_536
WAITING_MAX = 64
SOURCE = "stoplog-approvals"
RETRY_AFTER_MS = 1_000
_log = logging.getLogger(__name__)
Text = Annotated[str, Field(min_length=1, max_length=1_024)]


class AnswerBody(BaseModel):
    """The body of an answer. Who answers is not in it.

    Attributes:
        task_id, revision: the question, in the form in which it was shown; `revision` is that of the webhook.
        answer: whether the calls may run.
        calls: the intents of the calls that it is about; by default all that were shown.
        comment: a comment, which is recorded.
        scope: `for`: whether further calls of the task or the session are approved, too.
        match, times, until: their bounds, as the command line takes them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    task_id: Text
    revision: int = Field(ge=0)
    answer: Literal["approve", "deny"]
    calls: list[Text] = Field([], max_length=64)
    comment: Text | None = None
    scope: Literal["task", "session"] | None = Field(None, alias="for")
    match: list[Text] = Field([], max_length=64)
    times: int | None = None
    until: Text | None = None


class Answering:
    """The routes of the service."""

    def __init__(
        self,
        people: People,
        questions: OpenQuestions,
        transport: Transport,
        per_address: RateLimit,
        count: Callable[[str], None],
    ) -> None:
        """Args:
        count: is called with the result of each answer: `recorded`, or the status that refuses it.
        """
        self._people = people
        self._questions = questions
        self._transport = transport
        self._per_address = per_address
        self._count = count
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="stoplog-approvals")
        self._waiting = 0

    def application(self) -> Starlette:
        """Return the application."""
        return application_of(
            [
                Route("/answers", self._answers, methods=["POST"]),
                Route("/healthz", health, methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Wait for answers that are being recorded."""
        self._threads.shutdown(wait=True)

    async def _answers(self, request: Request) -> Response:
        wait_ms = self._per_address.take(place_of(request))
        if wait_ms:
            return self._refused(429, "too many requests", wait_ms)
        try:
            body = await read_body(request, "application/json", BODY_BYTES_MAX)
            if self._waiting >= WAITING_MAX:
                return self._refused(503, "too many answers wait", RETRY_AFTER_MS)
            self._waiting += 1
            try:
                headers = {name.lower(): value for name, value in request.headers.items()}
                loop = asyncio.get_running_loop()
                recorded = await loop.run_in_executor(self._threads, self.take, headers, body)
            finally:
                self._waiting -= 1
        except BodyError as error:
            return self._refused(400, str(error))
        except AnswerError as error:
            return self._refused(error.status, str(error), RETRY_AFTER_MS if error.status == 503 else 0)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            # It is not certain that it was recorded, so the sender must try again.
            _log.exception("an answer could not be recorded")
            return self._refused(503, "the answer could not be recorded", RETRY_AFTER_MS)
        self._count("recorded")
        return JsonAnswer(recorded, 202, headers=NO_STORE)

    def take(self, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """Record an answer; it is on the log when this returns. The gate then decides. Blocking.

        Args:
            headers: those of the request, with names in lower case.
            body: its body.

        Raises:
            AnswerError: the answer is not accepted.
        """
        person = self._people.identify(headers, body)
        try:
            given = AnswerBody.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise AnswerError(400, f"`{place}`: {first['msg']}") from None
        if not self._questions.is_complete:
            raise AnswerError(503, "not all questions have been read yet")
        question = self._questions.find(given.task_id, given.revision)
        # Nobody learns which questions other tenants have.
        if question is None or not person.may_answer(question.request.header.tenant_uid):
            raise AnswerError(404, f"no question that can be answered has the id `{given.task_id}` and this revision")
        now_ms = self._transport.now_ms()
        try:
            check_answer(question, person.actor.sub, person.groups, now_ms)
        except ApprovalError as error:
            raise AnswerError(403, str(error)) from None
        try:
            calls = chosen_calls(question, given.calls, now_ms)
            answer = _answer(given, person, calls, now_ms)
            if answer.grant is not None:
                check_grant(question, answer.grant.scope)
        except (ApprovalError, UntilError) as error:
            raise AnswerError(422, str(error)) from None
        tenant_uid = question.request.header.tenant_uid
        header = Header(id=_decision_id(person, given, body), source=SOURCE, time=now_ms, tenant_uid=tenant_uid)
        decision = decision_on(question, calls, answer, person.actor, header)
        decision = msgspec.structs.replace(decision, acr=person.acr, amr=person.amr)
        try:
            publish(self._transport, [outgoing(self._transport, APPROVAL_DECISION, question.key, decision, header)])
        except (LogError, PublishError) as error:
            raise AnswerError(503, f"the answer could not be recorded: {error}") from None
        _log.info("%s has answered question %s: %s", person.actor.sub, given.task_id, decision.status.value)
        return {"task_id": decision.task_id, "decision_id": header.id, "status": decision.status.value}

    def _refused(self, status: int, text: str, wait_ms: int = 0) -> Response:
        self._count(str(status))
        later = retry_after(wait_ms) if wait_ms else {}
        return JsonAnswer({"error": text}, status, headers={**NO_STORE, **later})


def _answer(given: AnswerBody, person: Person, calls: tuple[PendingCall, ...], now_ms: int) -> Answer:
    """Return the answer that a body states.

    Raises:
        ApprovalError, UntilError: its bounds are not valid.
    """
    if given.scope is None:
        if given.match or given.times is not None or given.until is not None:
            raise ApprovalError("`match`, `times` and `until` are about further calls: give `for`, too")
        return Answer(given.answer == "approve", person.groups, given.comment)
    if given.answer != "approve":
        raise ApprovalError("`for` is about further calls to approve")
    until_ms = None if given.until is None else until_instant(given.until, now_ms)
    matches = [parse_match(text) for text in given.match]
    grant = grant_of(calls, GrantScope[given.scope.upper()], matches, uses_max=given.times, until_ms=until_ms)
    return Answer(True, person.groups, given.comment, grant)


def _decision_id(person: Person, given: AnswerBody, body: bytes) -> str:
    """Return the id of a decision: the same if the same answer is sent again, so that it counts once."""
    actor = person.actor
    return derived_uuid(
        "answer", actor.iss, actor.sub, given.task_id, str(given.revision), person.message_id, body.hex()
    )
