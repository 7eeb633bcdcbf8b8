"""Mails: their headers as fields, their bodies as free text."""

from __future__ import annotations

import email
import email.errors
import email.header
import email.message
import email.utils

from streams.provenance.contents.leaves import FreeText
from streams.provenance.contents.markup import parsed_html

_ADDRESSES = frozenset(
    ("from", "to", "cc", "bcc", "reply-to", "sender", "return-path", "delivered-to", "resent-to", "resent-from")
)
HEADER_CHARS_MAX = 4_096
DECODED_CHARS_MAX = 1_024
"""The longest header whose encoded words are decoded: the library takes quadratic time for that."""
PARTS_MAX = 100


def mail_structure(text: str) -> object:
    """Return the headers of a mail by their names in lower case, and its bodies under `body` and `html`.

    A header with addresses is a list of `name` and `address`. Encoded words and bodies are decoded.
    """
    message = email.message_from_string(text)
    fields: dict[str, object] = {}
    for name, value in message.items():
        _add(fields, name.lower(), _header_value(name.lower(), str(value)))
    for number, part in enumerate(message.walk()):
        if number >= PARTS_MAX:
            break
        if part.is_multipart():
            continue
        if filename := part.get_filename():
            _add(fields, "attachment", str(filename))
        if part.get_content_maintype() == "text":
            body = _body(part)
            if part.get_content_subtype() == "html":
                _add(fields, "html", parsed_html(body))
            else:
                _add(fields, "body", FreeText(body))
    return fields


def _add(fields: dict[str, object], name: str, value: object) -> None:
    if name not in fields:
        fields[name] = value
        return
    known = fields[name]
    if isinstance(known, Several):
        known.append(value)
    else:
        fields[name] = Several((known, value))


class Several(list[object]):
    """The values of a name that a mail has more than once."""


def _header_value(name: str, value: str) -> object:
    decoded = _decoded(value[:HEADER_CHARS_MAX])
    if name not in _ADDRESSES:
        return decoded
    pairs = email.utils.getaddresses([decoded])
    found = [{"name": person, "address": address} for person, address in pairs if person or address]
    # What the library cannot read as addresses is read as it stands.
    return found or decoded


def _decoded(value: str) -> str:
    if "=?" not in value or len(value) > DECODED_CHARS_MAX:
        return value
    try:
        return str(email.header.make_header(email.header.decode_header(value)))
    except (email.errors.MessageError, LookupError, ValueError):
        return value


def _body(part: email.message.Message) -> str:
    raw = part.get_payload(decode=True)
    if not isinstance(raw, bytes):
        return str(part.get_payload())
    if part.get("content-transfer-encoding", "").lower() not in ("base64", "quoted-printable"):
        return str(part.get_payload())
    try:
        return raw.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")
