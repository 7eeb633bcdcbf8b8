"""Check input records before they are processed: their keys, and the lengths of what outputs repeat."""

from __future__ import annotations

from streams.model.errors import RecordError
from streams.model.intent import Intent
from streams.model.keys import session_key_of
from streams.model.reasons import DeadLetterReason
from streams.model.types import Header, Record

SESSION_KEY_BYTES_MAX = 512
NAME_CHARS_MAX = 1_024
_SHOWN_CHARS_MAX = 80


def checked_key(key: bytes | None, record: Record) -> bytes:
    """Return the session key of a record, which must be the record's key.

    Raises:
        RecordError: the record has another key, or none, or names no session.
    """
    if key is None:
        raise RecordError(DeadLetterReason.KEY_MISSING, "the record has no key")
    header: Header = record.header  # type: ignore[attr-defined]  # every record of a session has one
    session_id: str | None = record.session_id  # type: ignore[attr-defined]  # likewise
    if session_id is None or not header.tenant_uid:
        raise RecordError(DeadLetterReason.RECORD_INVALID, "the record names no session or no tenant")
    if "|" in header.tenant_uid or "\x00" in header.tenant_uid or "\x00" in session_id:
        text = "the tenant contains `|` or NUL, or the session id contains NUL"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if len(key) > SESSION_KEY_BYTES_MAX:
        text = f"the session key has {len(key)} bytes, at most {SESSION_KEY_BYTES_MAX} are accepted"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
    if key != session_key_of(header.tenant_uid, session_id):
        shown = key[:_SHOWN_CHARS_MAX].decode("utf-8", "replace")
        text = f"key `{shown}` is not that of session `{session_id[:_SHOWN_CHARS_MAX]}`"
        raise RecordError(DeadLetterReason.KEY_MISMATCH, text)
    return key


def check_names(intent: Intent) -> None:
    """Check that what a verdict repeats of an intent does not make the verdict too large.

    Raises:
        RecordError: a name is longer than `NAME_CHARS_MAX`.
    """
    act, tool, model, reply_to = intent.act, intent.tool, intent.model, intent.reply_to
    names = [intent.sub, act.iss, act.sub, act.instance_uid, act.jkt, tool.server_id, tool.name]
    names += [intent.tool_call_id, intent.conversation_id, intent.delegation_uid, intent.txn]
    if model is not None:
        names += [model.ai_provider, model.name, model.version]
    if reply_to is not None:
        names.append(reply_to.topic)
    given = [name for name in names if name]
    # All of them together are seldom longer, and that is known in half of the time.
    if len("".join(given)) <= NAME_CHARS_MAX:
        return
    longest = max(map(len, given))
    if longest > NAME_CHARS_MAX:
        text = f"a name in intent `{intent.intent_id}` has {longest} characters, at most {NAME_CHARS_MAX} are accepted"
        raise RecordError(DeadLetterReason.RECORD_INVALID, text)
