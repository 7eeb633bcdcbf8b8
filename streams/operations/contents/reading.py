"""Opens captured content for a person who may read it, and writes down that it was read.

The audit record comes first: without it, no key is unwrapped. Whoever unwraps keys without this code leaves no record
here, which is why a key management service keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from streams.audit.content import ContentError, ContentPlace, decrypt_content
from streams.model.audit import AuditEvent
from streams.model.content import CONTENT_READ, REASON_CHARS_MAX, ContentKey, key_name
from streams.model.errors import StoplogError
from streams.model.keys import session_key_of
from streams.model.topics import AUDIT, AUDIT_REPORTED
from streams.model.types import tool_text
from streams.operations.contents.erased import captured_of, erasure_text
from streams.operations.contents.erasing import keys_of_session
from streams.operations.contents.orders import GivenOrder, Orders, content_audit, read_orders
from streams.operations.operator import Operator
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import places_of_key, read_places_in_order
from streams.ports import Received
from streams.sdk.keys.content import KeyUnwrapper


class ReadingError(StoplogError):
    """Nothing can be read: the message says why."""


class Captured(NamedTuple):
    """Captured content as it lies on the log.

    Attributes:
        event_id: the session event that holds it; of arguments, the intent.
        field: a `ContentField`.
    """

    received: Received
    event: AuditEvent
    event_id: str
    field: str

    @property
    def kid(self) -> str:
        """Return the id of the key that it is encrypted with."""
        return "" if self.event.sensitive is None else self.event.sensitive.kid

    @property
    def key_name(self) -> str:
        """Return how an order names that key."""
        return key_name(self.event.header.tenant_uid, self.event.session_id, self.kid)


class Opened(NamedTuple):
    """Captured content, and its text if it could be opened.

    Attributes:
        erasure: the order that has erased it, if one has.
        fault: why it can't be opened; None if it is open.
    """

    captured: Captured
    text: str | None
    erasure: GivenOrder | None
    fault: str | None

    def fields(self) -> dict[str, object]:
        """Return it as JSON."""
        captured, given = self.captured, self.erasure
        return {
            "record": "content",
            "time_ms": captured.event.header.time,
            "field": captured.field,
            "event_id": captured.event_id,
            "intent_id": captured.event.intent_id,
            "tool": None if captured.event.tool is None else tool_text(captured.event.tool),
            "text": self.text,
            "fault": self.fault,
            "erased": None if given is None else erasure_text(given),
            "place": f"{captured.received.topic}/{captured.received.partition}/{captured.received.offset}",
        }


def find_captured(operator: Operator, tenant_uid: str, session_id: str, intent_id: str | None = None) -> list[Captured]:
    """Return the captured content of a session, or of one of its intents, in order. Blocking.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    key = session_key_of(tenant_uid, session_id)
    found = []
    places = places_of_key(operator.log, (AUDIT.name,), key)
    for received in read_places_in_order(operator.log, places, operator.clock):
        record = decoded(operator.codec, received) if received.key == key else None
        place = captured_of(record) if isinstance(record, AuditEvent) else None
        if isinstance(record, AuditEvent) and place is not None and intent_id in (None, record.intent_id):
            found.append(Captured(received, record, *place))
    return found


def read_content(
    operator: Operator, unwrapper: KeyUnwrapper, captured: Sequence[Captured], why: str
) -> Iterator[Opened]:
    """Yield captured content of one session, opened as far as it can be. Its audit record is on the log before.

    Args:
        unwrapper: the right to read.
        captured: what to open; not empty.
        why: the reason, which is recorded.

    Raises:
        ReadingError: no reason is given.
        PublishError, TopicReadError, LogError: the log can't be read, or the audit record is not stored.
    """
    if not why.strip() or len(why) > REASON_CHARS_MAX:
        raise ReadingError(f"say why in 1 to {REASON_CHARS_MAX} characters (`--why`)")
    first = captured[0].event
    tenant_uid, session_id = first.header.tenant_uid, first.session_id
    keys = keys_of_session(operator, tenant_uid, session_id)
    orders = read_orders(operator.log, operator.codec, operator.clock, operator.deployment.content.trusted())
    intents = {each.event.intent_id for each in captured}
    event = content_audit(
        operator,
        tenant_uid,
        session_id,
        reason=CONTENT_READ,
        text=why,
        intent_id=intents.pop() if len(intents) == 1 else None,
        inputs=(each.event_id for each in captured),
    )
    operator.write(AUDIT_REPORTED, [(session_key_of(tenant_uid, session_id), event, event.header)])
    data_keys: dict[str, bytes | str] = {}
    for each in captured:
        yield _opened(each, unwrapper, keys, orders, data_keys)


def _opened(
    captured: Captured,
    unwrapper: KeyUnwrapper,
    keys: Mapping[str, ContentKey],
    orders: Orders,
    data_keys: dict[str, bytes | str],
) -> Opened:
    """Open one content. `data_keys` has each key that was unwrapped before, or why it could not be."""
    event, erasure = captured.event, orders.erasures.get(captured.key_name)
    if erasure is not None and erasure.fault is None:
        # INVARIANT: what was erased stays erased, also if its key has come back from a backup.
        return Opened(captured, None, erasure, "it was erased")
    key = keys.get(captured.kid)
    if key is None or event.sensitive is None:
        return Opened(captured, None, erasure, "its key is gone, and no order of an officer says why")
    data_key = data_keys.get(captured.kid)
    if data_key is None:
        try:
            data_key = unwrapper.unwrap(key.key)
        except ContentError as error:
            data_key = str(error)
        data_keys[captured.kid] = data_key
    if isinstance(data_key, str):
        return Opened(captured, None, erasure, data_key)
    place = ContentPlace(event.header.tenant_uid, event.session_id, captured.event_id, captured.field)
    try:
        return Opened(
            captured, decrypt_content(data_key, place, event.sensitive).decode("utf-8", "replace"), None, None
        )
    except ContentError as error:
        return Opened(captured, None, erasure, str(error))
