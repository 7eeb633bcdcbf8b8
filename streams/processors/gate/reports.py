"""Check what executors and agents report about a session: who says it, and about which call.

A report of the outcome of a call returns charges to budgets, and ends that the call counts as read. So it counts only
if a key of the call's server has signed it, which the catalog names. It must be about a call that was allowed in its
session, and the first report of a verdict is the only one: the same report again changes nothing, and another one is a
dead letter. All of this is in the row of the verdict, which is kept for `dedup_retention_ms`; after that nothing that a
report could change is left.

What else happens in a session (messages, what was read from elsewhere) can only lower the trust in it. It is proven
with the session's key or by the token service. A server proves only what was read of it: it must not say what the user
has said, since a value that the user names counts as the user's.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.model.errors import RecordError
from streams.model.ids import verdict_id_of
from streams.model.proof import (
    is_proven_by_server,
    is_proven_event,
    report_digest,
    report_message,
    session_secret,
    session_writer_key,
    verify_hmac,
)
from streams.model.reasons import DeadLetterReason
from streams.model.session import SAID, SessionEvent
from streams.model.types import ProofAlg
from streams.model.verdict import Outcome
from streams.ports.processor import StateView
from streams.processors.control.state import ControlState
from streams.processors.dedup.verdicts import AllowedCall, allowed_call, set_reported
from streams.processors.sessions.events import tool_of
from streams.processors.settings import GateSettings

_SHOWN_CHARS_MAX = 80


class CallReport(NamedTuple):
    """A proven report of the outcome of an allowed call.

    Attributes:
        intent_id: the call's intent.
        call: what is kept of the call.
        digest: of what the report says.
    """

    intent_id: str
    call: AllowedCall
    digest: bytes

    @property
    def is_repeated(self) -> bool:
        """Whether the same report was processed before."""
        return self.call.report == self.digest

    def remember(self, session_key: bytes, state: StateView) -> None:
        """Remember that the call was reported."""
        set_reported(session_key, self.intent_id, self.call, self.digest, state)


class ReportChecks:
    """Checks reports. All memory is in the state views."""

    def __init__(self, settings: GateSettings, control: ControlState) -> None:
        self._settings = settings
        self._control = control
        self._writer_key = session_writer_key(settings.root_key)

    def check_call(self, session_key: bytes, event: SessionEvent, state: StateView, now_ms: int) -> CallReport:
        """Check a report of the outcome of a call.

        Raises:
            RecordError: it is not proven, is about no allowed call, or contradicts an earlier one.
        """
        self._check_server(event, now_ms)
        intent_id = event.intent_id
        call = None if intent_id is None else allowed_call(session_key, intent_id, state)
        if call is None or intent_id is None:
            raise RecordError(
                DeadLetterReason.REPORT_OF_NO_CALL,
                f"no verdict has allowed intent `{intent_id}` in session `{_shown(event.session_id)}`, or it is not "
                "remembered any longer",
            )
        expected_id = verdict_id_of(event.header.tenant_uid, event.session_id, intent_id, Outcome.ALLOW)
        if event.verdict_id != expected_id:
            text = f"it names verdict `{event.verdict_id}`; that of intent `{intent_id}` is `{expected_id}`"
            raise RecordError(DeadLetterReason.REPORT_OF_NO_CALL, text)
        if call.tool is not None and call.tool != tool_of(event):
            text = f"verdict `{expected_id}` is about a call of `{_shown('/'.join(call.tool))}`, which it does not name"
            raise RecordError(DeadLetterReason.REPORT_OF_NO_CALL, text)
        report = CallReport(intent_id, call, report_digest(event))
        if call.report and not report.is_repeated:
            text = f"verdict `{expected_id}` was reported otherwise before, {event.type.value} does not count"
            raise RecordError(DeadLetterReason.REPORT_CONTRADICTS, text)
        return report

    def check_other(self, event: SessionEvent, now_ms: int) -> None:
        """Check who reports something else that has happened in a session.

        Raises:
            RecordError: it is not proven.
        """
        proof = event.proof
        if is_proven_by_server(event) and event.tool is not None:
            if event.type in SAID:
                text = f"{event.type.value} of session `{_shown(event.session_id)}` is not for a server to report"
                raise RecordError(DeadLetterReason.REPORT_UNPROVEN, text)
            self._check_server(event, now_ms)
            return
        if proof is not None and proof.alg is ProofAlg.HMAC_SHA256:
            secret = session_secret(self._settings.root_key, event.header.tenant_uid, event.session_id)
            if verify_hmac(secret, report_message(event, self._settings.deployment), proof.value):
                return
        if not is_proven_event(self._writer_key, event):
            text = f"{event.type.value} of session `{_shown(event.session_id)}` has no proof of the session's agent"
            raise RecordError(DeadLetterReason.REPORT_UNPROVEN, text)

    def _check_server(self, event: SessionEvent, now_ms: int) -> None:
        what = f"{event.type.value} of session `{_shown(event.session_id)}`"
        if event.tool is None:
            raise RecordError(DeadLetterReason.REPORT_UNPROVEN, f"{what} names no tool, so no server can prove it")
        server_id = event.tool.server_id
        keys = self._control.catalog.keys_of(server_id, now_ms)
        if keys is None:
            text = f"{what}: the catalog has no report keys of `{_shown(server_id)}`; see `stoplog catalog report-keys`"
            raise RecordError(DeadLetterReason.REPORT_UNPROVEN, text)
        fault = keys.fault(event, self._settings.deployment)
        if fault is not None:
            text = f"{what} by server `{_shown(server_id)}`: {fault}"
            raise RecordError(DeadLetterReason.REPORT_UNPROVEN, text)


def _shown(name: str) -> str:
    return name[:_SHOWN_CHARS_MAX]
