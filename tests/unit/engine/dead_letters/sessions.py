"""Sessions and their grants, and what is reported of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from streams.model.delegation import GrantBody
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEventType
from streams.model.topics import DELEGATION, REPORT, SESSION
from tests.kit import FILES_READ, GateBench
from tests.unit.engine.dead_letters.letter import Cases, Letter, registered_in, sent

CASES: Cases = {}
case = registered_in(CASES)


@case(DeadLetterReason.RECORD_INVALID)
def a_session_without_its_subject() -> Letter:
    bench = GateBench(with_session=False)
    made = replace(bench.session.established(bench.now_ms), sub=None)
    bench.driver.pipe(SESSION.name, bench.session.key, bench.session.proven(made))
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.WRITER_UNPROVEN)
def a_session_that_an_executor_opens() -> Letter:
    bench = GateBench(with_session=False)
    made = replace(bench.session.established(bench.now_ms), proof=None)
    bench.driver.pipe(SESSION.name, bench.session.key, made)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.WRITER_UNPROVEN)
def a_session_that_an_executor_ends() -> Letter:
    bench = GateBench()
    ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms, unproven={"proof": None})
    bench.driver.pipe(SESSION.name, bench.session.key, ended)
    return Letter(bench, SESSION.name)


def reported(kinds: Sequence[SessionEventType], *, proven: bool = True, allowed: bool = True) -> Letter:
    """Reports of one call, in this order."""
    bench = GateBench()
    intent = bench.propose() if allowed else bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    for kind in kinds:
        fields: dict[str, Any] = {"intent_id": intent.intent_id, "tool": intent.tool}
        made = bench.session.event(kind, bench.now_ms, unproven={} if proven else {"proof": None}, **fields)
        bench.driver.pipe(REPORT.name, bench.session.key, made)
    return Letter(bench, REPORT.name)


@case(DeadLetterReason.REPORT_UNPROVEN)
def a_report_without_a_proof() -> Letter:
    return reported([SessionEventType.TOOL_NOT_RUN], proven=False)


@case(DeadLetterReason.REPORT_UNPROVEN)
def a_message_without_a_proof() -> Letter:
    return reported([SessionEventType.USER_MESSAGE], proven=False)


@case(DeadLetterReason.REPORT_OF_NO_CALL)
def a_report_of_a_call_that_nobody_proposed() -> Letter:
    return reported([SessionEventType.TOOL_RESULT], allowed=False)


@case(DeadLetterReason.REPORT_CONTRADICTS)
def a_second_report_that_differs() -> Letter:
    return reported([SessionEventType.TOOL_RESULT, SessionEventType.TOOL_NOT_RUN])


@case(DeadLetterReason.GRANT_INVALID)
def a_grant_with_too_long_a_chain() -> Letter:
    bench = GateBench()
    grant = bench.session.grant("g-1", bench.now_ms)
    root = GrantBody(**{name: getattr(grant, name) for name in GrantBody.__struct_fields__})
    bench.driver.pipe(DELEGATION.name, bench.session.key, replace(grant, chain=(root,) * 9))
    return Letter(bench, DELEGATION.name)


@case(DeadLetterReason.RECORD_TOO_LARGE)
def a_session_that_is_too_large_to_be_kept() -> Letter:
    bench = GateBench(with_session=False)
    # Each is small enough, what is kept of both is not.
    bench.establish(bench.session, scopes=("y" * 600_000,))
    purpose = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="x" * 600_000)
    bench.driver.pipe(SESSION.name, bench.session.key, purpose)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.EVENT_FROM_FUTURE)
def a_session_event_from_the_future() -> Letter:
    bench = GateBench()
    return sent(SESSION.name, bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms + 30_001))


@case(DeadLetterReason.SEQUENCE_REPLAYED)
def a_session_that_is_established_twice() -> Letter:
    bench = GateBench()
    bench.establish(bench.session)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.SEQUENCE_REPLAYED)
def a_purpose_that_is_set_again_by_its_old_event() -> Letter:
    bench = GateBench()
    old = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="anything")
    new = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="little")
    for event in (old, new, old):
        bench.driver.pipe(SESSION.name, bench.session.key, event)
    return Letter(bench, SESSION.name)
