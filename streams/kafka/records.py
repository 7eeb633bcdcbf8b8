"""Convert records of the client library to those of the port. Every read runs through this, so it must be fast."""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

from confluent_kafka import Message

from streams.ports import Headers, Received
from streams.ports.open_log import TopicNames

# INVARIANT: headers are asked for once per message, and through a call that the interpreter checks. The client library
# returns a broken list along with an error when a name is not UTF-8. A plain `message.headers()`, once the interpreter
# has specialised it, lets the list through, and touching it ends the process; so does a second call. Whoever may
# write to a topic could do that to all of its readers.
_checked_headers = methodcaller("headers")

# Without the named tuple's own constructor, which would double the cost.
_new_tuple = tuple.__new__


def receiver(names: TopicNames) -> Callable[[Message], Received]:
    """Return the function from a message without an error to its record, under the deployment's name of the topic."""
    if not names.prefix:
        return received

    def received_under_own_name(message: Message) -> Received:
        record = received(message)
        return record._replace(topic=names.own(record.topic))

    return received_under_own_name


def received(message: Message) -> Received:
    """Return the record of a message without an error."""
    return _new_tuple(
        Received,
        (
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            headers_of(message),
        ),
    )


def headers_of(message: Message) -> Headers:
    """Return the headers. A null value reads as empty; if a header's name is not UTF-8, there are none at all.

    Anybody who may write to the topic decides what the headers are: nothing in them may stop the reader.
    """
    try:
        headers: Any = _checked_headers(message)
    except (SystemError, UnicodeDecodeError):
        # The client library decodes names strictly, and all headers of the record or none.
        return ()
    if not headers:
        return ()
    for _, value in headers:
        if value is None:
            return tuple((name, value or b"") for name, value in headers)
    return tuple(headers)
