"""Builds the audit records of input that could not be processed: dead letters, failed timers, deleted input."""

from __future__ import annotations

import json
from typing import NamedTuple

from streams.model.alert import Alert
from streams.model.analytics import ANALYTICS, DEAD_LETTERS, UNREADABLE, made_alert
from streams.model.errors import RecordError
from streams.model.plurals import many
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason, InputLoss, TimeCorrection
from streams.model.topics import Topic
from streams.model.types import Header
from streams.ports import Received
from streams.ports.processor import DeletedInput, Output, Processor, SetAsideError, StateView, TimeReset
from streams.ports.wire import Encoder
from streams.processors.audit import audit_output, dead_letter_event
from streams.processors.dedup.alerts import AlertWindows, alert_outputs

_DEAD_LETTERS = {reason.value: analytic for reason, analytic in DEAD_LETTERS.items()}
UNREADABLE_TOLD_FROM = 10
"""How many records that can't be read, of one partition in one window, raise an alert: a single one is a mistake."""
_UNREADABLE_REASONS = frozenset(
    {
        DeadLetterReason.KEY_MISSING.value,
        DeadLetterReason.VALUE_MISSING.value,
        DeadLetterReason.FRAMING_INVALID.value,
        DeadLetterReason.SCHEMA_UNKNOWN.value,
        DeadLetterReason.SCHEMA_MISMATCH.value,
        DeadLetterReason.RECORD_TRUNCATED.value,
        DeadLetterReason.RECORD_INVALID.value,
        DeadLetterReason.RECORD_TOO_LARGE.value,
    }
)
_TEXT_CHARS_MAX = 500
_KEY_CHARS_MAX = 512
_KEY_BYTES_MAX = 16_384
"""Longest key of an audit record: the first bytes of the key of its input. The dead letter keeps as much."""


class LeftOutError(SetAsideError):
    """Sends a record to the dead-letter topic without an audit record of its own: many such records have one."""


class Reporter(NamedTuple):
    """Describes the processor that reports failures.

    Attributes:
        encoder: what encodes its records.
        topic: the topic of its audit records.
        source: its name.
    """

    encoder: Encoder
    topic: Topic
    source: str


class ReportingProcessor(Processor):
    """Reports what it could not process by audit records and alerts, and input or time that was lost.

    Every processor does this in the same way.
    """

    def __init__(self, reporter: Reporter, alerts: AlertWindows | None = None) -> None:
        """Args:
        reporter: how the processor reports.
        alerts: raises the alerts about dead letters; None raises none. Who gives it ends the windows that are due.
        """
        self._reporter = reporter
        self._alerts_of_letters = alerts

    def on_dead_letter(self, record: Received, error: RecordError, state: StateView, now_ms: int) -> list[Output]:
        """Return the audit record of a record that can't be processed, and an alert if one is due.

        Where many dead letters have a common audit record, nothing is returned.
        """
        if isinstance(error, LeftOutError):
            return []
        audit = dead_letter_record(self._reporter, record, error)
        if self._alerts_of_letters is None:
            return [audit]
        alert = dead_letter_alert(self._reporter, record, error, audit.header.id, now_ms)
        if alert is None:
            return [audit]
        told_from = UNREADABLE_TOLD_FROM if alert.analytic_uid == UNREADABLE else 1
        return [audit, *self._alerts_of_letters.raised(alert, state, now_ms, told_from=told_from)]

    def on_timer_failed(self, partition: int, due_ms: int, payload: bytes, error: Exception) -> list[Output]:
        """Return the audit record of a timer that could not be processed."""
        return [timer_failure_record(self._reporter, partition, due_ms, payload, error)]

    def on_input_deleted(self, deleted: DeletedInput, now_ms: int) -> list[Output]:
        """Return the audit record and the alert of input that was deleted before it was processed."""
        return deleted_input_outputs(self._reporter, deleted, now_ms)

    def on_time_reset(self, reset: TimeReset) -> list[Output]:
        """Return the audit record and the alert of a stream time that an operator had set back."""
        return time_reset_outputs(self._reporter, reset)


def dead_letter_record(reporter: Reporter, record: Received, error: RecordError) -> Output:
    """Return the audit record that says where a dead letter came from, and why.

    Args:
        reporter: the processor that reports it.
        record: the record that became a dead letter.
        error: why it did.
    """
    place = f"{record.topic}/{record.partition}/{record.offset}"
    fault = (str(error.reason), str(error)[:_TEXT_CHARS_MAX])
    return _audit(reporter, record.key, place, record.timestamp_ms, fault)


def timer_failure_record(reporter: Reporter, partition: int, due_ms: int, payload: bytes, error: Exception) -> Output:
    """Return the audit record of a timer that could not be processed.

    Args:
        reporter: the processor that reports it.
        partition: the partition of the timer.
        due_ms: when the timer was due.
        payload: the timer's payload: a byte that names its kind, a key, NUL, and further bytes.
        error: the failure.
    """
    key = payload[1:].rpartition(b"\x00")[0]
    place = f"timer/{partition}/{due_ms}/{payload.hex()[:_KEY_CHARS_MAX]}"
    # The text of an unexpected error may quote arguments: it stays in the log of this machine.
    text = type(error).__name__
    return _audit(reporter, key, place, due_ms, (DeadLetterReason.PROCESSING_FAILED.value, text))


def deleted_input_outputs(reporter: Reporter, deleted: DeletedInput, now_ms: int) -> list[Output]:
    """Return the audit record and the alert of input that was deleted before it was processed.

    Args:
        reporter: who reports it.
        deleted: what is missing.
        now_ms: the wall clock.
    """
    count = deleted.next_offset - deleted.first_offset
    place = f"{deleted.topic}/{deleted.partition}/{deleted.first_offset}-{deleted.next_offset - 1}"
    text = (
        f"up to {many(count, 'record')} of `{deleted.topic}` partition {deleted.partition} (offsets "
        f"{deleted.first_offset} to {deleted.next_offset - 1}) were deleted before they were processed: what they "
        "asked for was never judged, and what they reported is not known"
    )
    what = _Alarm(InputLoss.INPUT_DELETED.value, text, count)
    dedup_key = json.dumps([InputLoss.INPUT_DELETED.value, deleted.topic, deleted.partition])
    return _alarmed(reporter, place, now_ms, what, dedup_key, ("stoplog doctor", "stoplog topics check"))


def time_reset_outputs(reporter: Reporter, reset: TimeReset) -> list[Output]:
    """Return the audit record and the alert of a stream time that was set back.

    Args:
        reporter: who reports it.
        reset: whose it was, and by how much.
    """
    place = f"stream time/{reset.partition}/{reset.from_ms}-{reset.to_ms}"
    text = (
        f"stream time of partition {reset.partition} of {reporter.source} was set back from {reset.from_ms} to "
        f"{reset.to_ms}: it was {reset.from_ms - reset.to_ms} ms ahead. What expired meanwhile remains expired"
    )
    what = _Alarm(TimeCorrection.STREAM_TIME_RESET.value, text, 1)
    dedup_key = json.dumps([TimeCorrection.STREAM_TIME_RESET.value, reporter.source, reset.partition])
    return _alarmed(reporter, place, reset.to_ms, what, dedup_key, ("stoplog doctor", "stoplog topics time"))


class _Alarm(NamedTuple):
    """What is reported: a reason's code, a text for people, and how many records it is about."""

    code: str
    text: str
    records: int


def _alarmed(
    reporter: Reporter, place: str, now_ms: int, what: _Alarm, dedup_key: str, response: tuple[str, ...]
) -> list[Output]:
    """Return an audit record, and an alert about it."""
    audit = _audit(reporter, None, place, now_ms, (what.code, what.text))
    alert = made_alert(
        what.code,
        _header(reporter, derived_uuid("alert", audit.header.id), now_ms),
        title=ANALYTICS[what.code].title,
        desc=what.text,
        dedup_key=dedup_key,
        response=response,
        count=what.records,
        related=(audit.header.id,),
    )
    return [audit, *alert_outputs(reporter.encoder, alert)]


def unproven_flood_alert(reporter: Reporter, partition: int, text: str, now_ms: int) -> Alert:
    """Return the alert that so many intents without a proof come that the partition no longer judges each of them.

    Args:
        reporter: who reports it.
        partition: where they come.
        text: the dead letter of the first that is not judged.
        now_ms: stream time.
    """
    reason = DeadLetterReason.TOO_MANY_UNPROVEN.value
    return made_alert(
        reason,
        _header(reporter, derived_uuid("alert", reason, str(partition), str(now_ms)), now_ms),
        title=f"{ANALYTICS[reason].title} on partition {partition}",
        desc=text,
        dedup_key=json.dumps([reason, partition]),
        response=("stoplog tail deadletters --no-follow", "stoplog topics check"),
    )


def dead_letter_alert(
    reporter: Reporter, record: Received, error: RecordError, audit_id: str, now_ms: int
) -> Alert | None:
    """Return the alert about a dead letter; None if its reason raises none.

    All dead letters of a topic with the same reason are one finding: whoever writes them chooses what they contain. So
    are all that can't be read, whatever is wrong with them.

    Args:
        reporter: who reports it.
        record: the record that became a dead letter.
        error: why it did.
        audit_id: the id of its audit record.
        now_ms: stream time.
    """
    reason, place = str(error.reason), f"{record.topic}/{record.partition}/{record.offset}"
    if reason in _UNREADABLE_REASONS:
        reason = UNREADABLE
    elif reason not in _DEAD_LETTERS:
        return None
    analytic = ANALYTICS[reason]
    return made_alert(
        reason,
        _header(reporter, derived_uuid("dead letter alert", place), now_ms),
        title=f"{analytic.title}: {record.topic}",
        desc=f"{place}: {str(error)[:_TEXT_CHARS_MAX]}",
        dedup_key=json.dumps([reason, record.topic, record.partition]),
        response=("stoplog tail deadletters --no-follow", "stoplog tail audit --no-follow"),
        related=(audit_id,),
    )


def _header(reporter: Reporter, alert_id: str, now_ms: int) -> Header:
    return Header(id=alert_id, source=reporter.source, time=now_ms, tenant_uid="")


def left_out_record(reporter: Reporter, partition: int, start_ms: int, end_ms: int, count: int) -> Output:
    """Return the common audit record of the dead letters that have none of their own.

    Args:
        reporter: who reports it.
        partition: where they came.
        start_ms: when their window began.
        end_ms: when it ended.
        count: how many there were.
    """
    text = (
        f"{many(count, 'intent')} without a valid proof came on partition {partition} from {start_ms} to {end_ms} and "
        "not one was judged; each is a dead letter with this reason"
    )
    fault = (DeadLetterReason.TOO_MANY_UNPROVEN.value, text)
    return _audit(reporter, None, f"unproven/{partition}/{start_ms}", end_ms, fault)


def _audit(reporter: Reporter, key: bytes | None, place: str, time_ms: int, fault: tuple[str, str]) -> Output:
    key_text = (key or b"").decode("utf-8", "replace")[:_KEY_CHARS_MAX]
    tenant_uid, _, session_id = key_text.partition("|")
    reason, text = fault
    event = dead_letter_event(
        derived_uuid("dead letter", place),
        reporter.source,
        tenant_uid,
        session_id,
        time_ms,
        place=place,
        reason=reason,
        text=text,
    )
    kept_key = None if key is None else key[:_KEY_BYTES_MAX]
    return audit_output(reporter.encoder, kept_key, event, reporter.topic)
