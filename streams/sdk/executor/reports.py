"""The reports that an executor writes to the log: results as session events, outcomes and refusals as audit records.

A session event is signed with the key of the call's server: without that, no gate counts it (ADR 0032).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from streams.audit.report_keys import ReportKey
from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.keys import session_key_of
from streams.model.proof import derived_uuid
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import AUDIT_REPORTED, REPORT
from streams.model.types import Header
from streams.model.verdict import Outcome, Verdict
from streams.ports import Outgoing
from streams.sdk.connection.single_records import outgoing
from streams.sdk.connection.transport import Transport
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.uses import CallRef, Ending, Use
from streams.sdk.executor.verdict_checks import Refused

ENDING_TEXTS: dict[Ending, str] = {
    Ending.DONE: "the call has run",
    Ending.TOOL_ERROR: "the call has run and the tool reported an error",
    Ending.TOOL_TIMED_OUT: "the tool did not end in time; it is not known whether it has done its work",
    Ending.OUTCOME_UNKNOWN: "the executor crashed during the call; it is not known whether it has run",
    Ending.NOT_RUN: "the call was not run and never will be",
}


def result_event_id(verdict_id: str) -> str:
    """Return the id of the event that reports the result of an allowed call."""
    return derived_uuid("tool result", verdict_id)


class Reporter:
    """Makes an executor's reports. Their ids derive from the verdict's, so a repeated report can be recognised."""

    def __init__(self, transport: Transport, source: str, keys: Mapping[str, ReportKey]) -> None:
        """Make no reports yet.

        Args:
            transport: where they are written.
            source: the name of the executor.
            keys: the report key of each server whose calls it runs.
        """
        self._transport = transport
        self._source = source
        self._keys = keys

    def check_topics(self) -> None:
        """Check that the topics of the reports exist, so that no call runs that could not be reported.

        Raises:
            LogError: one does not exist, or the log did not answer.
        """
        for topic in (REPORT, AUDIT_REPORTED):
            self._transport.partitions(topic.name)

    def outcome(self, use: Use) -> list[Outgoing]:
        """Return the records that report a call whose verdict was used up.

        They are a signed session event (what the session has read, or that the call will never run) and an audit
        record. The gate sets the label of the result from the catalog.

        INVARIANT: all that they say comes from the store, so whoever reports the call again, after a crash or in place
        of another executor, writes the same bytes. Only another version of this library, or another report key, may
        differ: in the schema's id, in the wording of `reason_text`, in the proof.

        Raises:
            LogError: the topics' partitions aren't known.
            ExecutorError: an earlier run has left a call of a server of which there is no key now.
        """
        call, runs = use.call, use.ending is not Ending.NOT_RUN
        event = SessionEvent(
            header=self._header(call, result_event_id(call.verdict_id), use.ended_ms, use.source),
            session_id=call.session_id,
            sequence=use.sequence,
            type=SessionEventType.TOOL_RESULT if runs else SessionEventType.TOOL_NOT_RUN,
            sub=call.sub,
            act=call.act,
            tool=call.tool,
            intent_id=call.intent_id,
            verdict_id=call.verdict_id,
            is_error=runs and use.ending is not Ending.DONE,
            content_digest=use.content_digest,
            content=use.content,
            content_key=use.content_key,
        )
        if (read := use.read) is not None:
            event = msgspec.structs.replace(
                event,
                atoms=read.atoms,
                atoms_complete=read.complete,
                lacks_words_only=read.lacks_words_only,
                has_text=read.has_text,
                text_instructed=read.instructed,
                content_type=read.content_type,
            )
        audit = self._audit(
            call,
            self._header(call, derived_uuid("outcome", call.verdict_id), use.ended_ms, use.source),
            AuditEventType.OUTCOME if runs else AuditEventType.REFUSAL,
            outcome=Outcome.ALLOW,
            reason=use.ending.value if use.refusal is None else use.refusal.value,
            text=use.text or ENDING_TEXTS[use.ending],
        )
        key = session_key_of(call.tenant_uid, call.session_id)
        return [outgoing(self._transport, REPORT, key, self._signed(event, call.tool.server_id), event.header), audit]

    def refusal(self, verdict: Verdict, call: CallRef, refused: Refused, record_id: str, now_ms: int) -> list[Outgoing]:
        """Return the audit record of an allowed call that was not run.

        Raises:
            LogError: the topic's partitions aren't known.
        """
        audit = self._audit(
            call,
            self._header(call, record_id, now_ms),
            AuditEventType.REFUSAL,
            outcome=verdict.outcome,
            reason=refused.refusal.value,
            text=refused.text,
        )
        return [audit]

    def _audit(
        self, call: CallRef, header: Header, event_type: AuditEventType, *, outcome: Outcome, reason: str, text: str
    ) -> Outgoing:
        event = AuditEvent(
            header=header,
            event_type=event_type,
            phase=AuditPhase.POST_EXECUTION,
            outcome=outcome,
            session_id=call.session_id,
            intent_id=call.intent_id,
            verdict_id=call.verdict_id,
            sub=call.sub,
            act=call.act,
            delegation_path=call.delegation_path,
            tool=call.tool,
            ruleset_digest=call.ruleset_digest,
            reason=reason,
            reason_text=text,
            retention_class=RetentionClass.STANDARD,
        )
        return outgoing(
            self._transport, AUDIT_REPORTED, session_key_of(call.tenant_uid, call.session_id), event, header
        )

    def _signed(self, event: SessionEvent, server_id: str) -> SessionEvent:
        key = self._keys.get(server_id)
        if key is None:
            text = f"a call of server `{server_id}` must be reported, but there is no report key of it: give it in"
            raise ExecutorError(f"{text} `report_keys`")
        return key.proven(event)

    def _header(self, call: CallRef, record_id: str, time_ms: int, source: str | None = None) -> Header:
        return Header(
            id=record_id,
            source=source or self._source,
            time=time_ms,
            tenant_uid=call.tenant_uid,
            traceparent=call.traceparent,
            tracestate=call.tracestate,
        )
