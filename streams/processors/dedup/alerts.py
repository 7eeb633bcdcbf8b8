"""Raise alerts so that a flood is one alert with a count.

**Idea.** What a security team must see at once happens again and again, because an agent tries again, or because
somebody wants a real alert to drown. Two occurrences are the same finding if they have the same `dedup_key`. The first
occurrence is written at once, and opens a window of `window_ms` in the state of the partition. Further occurrences
within the window are only counted. When the window ends, a second record with the same `finding_uid` says how often the
finding occurred and when it was last seen; there is none if it occurred once. The next occurrence after that is a new
finding. So a finding that never ends costs two records in each window.

Windows are stream time and rows of the partition, so what is written follows from the log alone.

**Bounds.** Whoever can write intents chooses names of sessions, and with them keys of findings. So of each kind of
finding (its reason), `OPEN_PER_KIND_MAX` are open at once on a partition, and `OPEN_PER_TENANT_MAX` of one tenant, so
that no tenant can hide what others are to be told; of those that nobody has proven, `UNPROVEN_OPEN_PER_KIND_MAX`.
Every further one counts for a common finding of its kind, which names no session. Kinds are codes of reasons, of which
there are some dozens. What is counted there is in the audit records one by one.

**Rejected.** A record for each occurrence, with the key for readers to group by: the flood reaches every reader, and
pushes other findings out of the topic. A count in memory: it is lost with the gate, and two gates that read the same
log write different alerts. A window that each occurrence makes longer: somebody could keep the last count from ever
being written. To forget the oldest open finding to make room: a flood of invented sessions would close the real one,
whose next occurrence would be an alert again (ADR 0047).
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from streams.model.alert import ACTIVITY_UPDATE, Alert
from streams.model.proof import derived_uuid
from streams.model.topics import ALERT, ALERT_OCSF
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors.rows import OPEN_ALERTS_KEY, TimerKind, alert_row_key, timer_payload

OPEN_PER_KIND_MAX = 1_024
OPEN_PER_TENANT_MAX = 256
UNPROVEN_OPEN_PER_KIND_MAX = 32
_DIGEST_BYTES = 16
_SIGN = "\0"
"""Between a kind and a tenant. No name of a kind has it."""


class AlertRow(msgspec.Struct, frozen=True, array_like=True):
    """A finding whose window is open.

    Attributes:
        start_ms: when it occurred first.
        until_ms: when its window ends.
        kind: its kind; empty for the common finding of a kind.
        count: how often it has occurred.
        last_ms: when it occurred last.
        last_related: the ids of the records that its last occurrence is about; empty if it occurred once.
        alert: the alert as it was written, or as it will be.
        told_from: from which count on the finding is written; before, it is only counted.
    """

    start_ms: int
    until_ms: int
    kind: str
    count: int
    last_ms: int
    last_related: tuple[str, ...]
    alert: bytes
    told_from: int = 1


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AlertRow).decode
_decode_alert = msgspec.msgpack.Decoder(Alert).decode
_decode_open = msgspec.msgpack.Decoder(dict[str, int]).decode
replace = msgspec.structs.replace


class _Counted(NamedTuple):
    """An occurrence that was counted in an open window, and what is written because of it."""

    outputs: list[Output]


def alert_outputs(encoder: Encoder, alert: Alert) -> list[Output]:
    """Return an alert as it is written: as a record, and as OCSF."""
    key = alert.dedup_key.encode()
    return [Output(topic, key, encoder.encode(topic.name, alert), alert.header) for topic in (ALERT, ALERT_OCSF)]


class AlertWindows:
    """Raises alerts, once in a window. All memory is in the state views.

    Attributes:
        encoder: what encodes them.
    """

    def __init__(self, encoder: Encoder, window_ms: int) -> None:
        """Create it.

        Args:
            encoder: what encodes the alerts.
            window_ms: the length of a window.
        """
        self.encoder = encoder
        self._window_ms = window_ms

    def raised(
        self, alert: Alert, state: StateView, now_ms: int, *, is_proven: bool = True, told_from: int = 1
    ) -> list[Output]:
        """Return what is to be written of an alert: nothing if the finding's window is open.

        Args:
            alert: one occurrence. The first part of its key is its kind.
            state: the state of the partition.
            now_ms: stream time.
            is_proven: whether those who caused it have proven who they are.
            told_from: how often it has to occur within a window to be written at all.
        """
        written = self._ended(alert, state, now_ms)
        if isinstance(written, _Counted):
            return written.outputs
        kind = json.loads(alert.dedup_key)[0]
        opened = _open_of(state)
        if _has_room(opened, kind, alert.header.tenant_uid, is_proven=is_proven):
            _put_open(state, opened, kind, alert.header.tenant_uid, 1)
            return written + self._open(alert, kind, state, now_ms, told_from)
        common = _common(alert, kind, state.partition)
        before = self._ended(common, state, now_ms)
        if isinstance(before, _Counted):
            return written + before.outputs
        return written + before + self._open(common, "", state, now_ms, told_from)

    def on_due(self, payload_key: bytes, state: StateView, now_ms: int) -> list[Output]:
        """End the window whose timer is due: return the record with the count, if there is more to say than was said.

        Args:
            payload_key: what the timer has for a key.
            state: the state of the partition.
            now_ms: stream time.
        """
        digest = bytes.fromhex(payload_key.decode())
        found = state.get(alert_row_key(digest))
        if found is None:
            return []
        row = _decode(found)
        # Otherwise it is another window of the same finding, which has a timer of its own.
        return self._close(digest, row, state, now_ms) if row.until_ms <= now_ms else []

    def end(self, dedup_key: str, tenant_uid: str, finding_uid: str, state: StateView, now_ms: int) -> list[Output]:
        """End the window of a finding that a person has closed, so that the next occurrence is a new finding.

        Args:
            dedup_key: the key of the finding's incident.
            tenant_uid, finding_uid: the finding.
            state: the state of the partition.
            now_ms: stream time.

        Returns:
            The record with the count, if there is more to say than was said; nothing if the finding has no open window.
        """
        digest = _digest(dedup_key)
        found = state.get(alert_row_key(digest))
        if found is None:
            return []
        row = _decode(found)
        alert = _decode_alert(row.alert)
        # The key is what somebody has stated, so it may be that of another finding.
        if (alert.header.tenant_uid, alert.finding_uid) != (tenant_uid, finding_uid):
            return []
        return self._close(digest, row, state, now_ms)

    def _ended(self, alert: Alert, state: StateView, now_ms: int) -> list[Output] | _Counted:
        """Count an occurrence in its finding's window, and return what is to be written then: nothing, in most cases.

        If the finding has no open window, return what is to be written before its first record. That is the last record
        of a window whose timer has not come yet, as after stream time was set back.
        """
        digest = _digest(alert.dedup_key)
        found = state.get(alert_row_key(digest))
        if found is None:
            return []
        row = _decode(found)
        if not row.start_ms <= now_ms < row.until_ms:
            return self._close(digest, row, state, now_ms)
        counted = replace(row, count=row.count + alert.count, last_ms=now_ms, last_related=alert.related_event_ids)
        outputs: list[Output] = []
        if row.count < row.told_from <= counted.count:
            told = replace(_decode_alert(row.alert), count=counted.count, last_seen_time=now_ms)
            counted, outputs = replace(counted, alert=_encode(told)), alert_outputs(self.encoder, told)
        state.put(alert_row_key(digest), _encode(counted))
        return _Counted(outputs)

    def _open(self, alert: Alert, kind: str, state: StateView, now_ms: int, told_from: int) -> list[Output]:
        digest, until_ms = _digest(alert.dedup_key), now_ms + self._window_ms
        row = AlertRow(now_ms, until_ms, kind, alert.count, now_ms, (), _encode(alert), told_from)
        state.put(alert_row_key(digest), _encode(row))
        state.set_timer(until_ms, timer_payload(TimerKind.ALERT, digest.hex().encode()))
        return alert_outputs(self.encoder, alert) if row.count >= told_from else []

    def _close(self, digest: bytes, row: AlertRow, state: StateView, now_ms: int) -> list[Output]:
        state.delete(alert_row_key(digest))
        alert = _decode_alert(row.alert)
        if row.kind:
            _put_open(state, _open_of(state), row.kind, alert.header.tenant_uid, -1)
        if row.count <= alert.count or row.count < row.told_from:
            return []
        made_id = derived_uuid("alert update", alert.finding_uid, str(row.start_ms))
        update = replace(
            alert,
            header=replace(alert.header, id=made_id, time=max(now_ms, row.last_ms)),
            activity_id=ACTIVITY_UPDATE,
            count=row.count,
            last_seen_time=row.last_ms,
            related_event_ids=tuple(dict.fromkeys((*alert.related_event_ids, *row.last_related))),
        )
        return alert_outputs(self.encoder, update)


def _common(alert: Alert, kind: str, partition: int) -> Alert:
    """Return the common alert of the findings of a kind that there is no room for."""
    made_id = derived_uuid("common alert", alert.finding_uid)
    text = (
        f"more findings of this kind came on partition {partition} than have alerts of their own at once; this one "
        "counts the others, whose audit records are complete"
    )
    return replace(
        alert,
        header=replace(alert.header, id=made_id, tenant_uid="", traceparent=None, tracestate=None),
        finding_uid=made_id,
        title=f"many alerts of one kind: {kind}",
        desc=text,
        analytic_uid=kind,
        session_id=None,
        sub=None,
        act=None,
        intent_id=None,
        tool=None,
        documents=(),
        dedup_key=json.dumps([kind, "common", partition]),
        suggested_response=("stoplog tail audit --no-follow",),
    )


def _has_room(opened: dict[str, int], kind: str, tenant_uid: str, *, is_proven: bool) -> bool:
    """Return whether a further finding of a kind may have an alert of its own."""
    if not is_proven:
        return opened.get(kind, 0) < UNPROVEN_OPEN_PER_KIND_MAX
    is_within = opened.get(_of_tenant(kind, tenant_uid), 0) < OPEN_PER_TENANT_MAX
    return is_within and opened.get(kind, 0) < OPEN_PER_KIND_MAX


def _open_of(state: StateView) -> dict[str, int]:
    """Return how many findings are open: of each kind, and of each kind and tenant.

    Earlier versions have left the counts of tenants as they were. Without any of a kind, there is none of a tenant.
    """
    found = state.get(OPEN_ALERTS_KEY)
    counts = {} if found is None else _decode_open(found)
    return {name: count for name, count in counts.items() if name.partition(_SIGN)[0] in counts}


def _put_open(state: StateView, opened: dict[str, int], kind: str, tenant_uid: str, more: int) -> None:
    """Count the findings that are open, with `more` of a kind and tenant."""
    counts = dict(opened)
    for name in (kind, _of_tenant(kind, tenant_uid)):
        counts[name] = counts.get(name, 0) + more
    left = {name: count for name, count in counts.items() if count > 0}
    if left:
        state.put(OPEN_ALERTS_KEY, _encode(left))
    else:
        state.delete(OPEN_ALERTS_KEY)


def _of_tenant(kind: str, tenant_uid: str) -> str:
    return f"{kind}{_SIGN}{tenant_uid}"


def _digest(dedup_key: str) -> bytes:
    return blake2b(dedup_key.encode(), digest_size=_DIGEST_BYTES).digest()
