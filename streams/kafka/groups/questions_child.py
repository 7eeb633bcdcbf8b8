"""The process that asks coordinators about groups: see `streams.kafka.groups.questions`.

Reads an order and then questions from standard input, a line each, writes an answer for each question to standard
output, and ends with its input.
"""

from __future__ import annotations

import logging
import sys

import msgspec
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AclOperation, AdminClient, ConsumerGroupDescription

from streams.kafka.errors import error_of
from streams.kafka.groups.questions import ANSWER_S_MAX, Group, Order, Question
from streams.kafka.settings import LOGGER, client_settings


def main() -> None:
    """Run it."""
    LOGGER.addHandler(logging.NullHandler())
    lines, answers = sys.stdin.buffer, sys.stdout.buffer
    order = msgspec.json.decode(lines.readline(), type=Order)
    client = AdminClient(client_settings(order.bootstrap, fixed={}, extra=order.extra))
    for line in lines:
        answers.write(msgspec.json.encode(_answer(client, msgspec.json.decode(line, type=Question))) + b"\n")
        answers.flush()


def _answer(client: AdminClient, question: Question) -> Group:
    try:
        (asked,) = client.describe_consumer_groups(
            [question.group],
            include_authorized_operations=question.with_operations,
            request_timeout=ANSWER_S_MAX,
        ).values()
        return _group(asked.result())
    except KafkaException as exception:
        error = error_of(exception)
        return Group(error_code=error.code(), error_text=error.str())


def _group(found: ConsumerGroupDescription) -> Group:
    operations = found.authorized_operations
    return Group(
        is_stable=found.state == ConsumerGroupState.STABLE,
        instances=tuple(member.group_instance_id for member in found.members),
        operations=None if operations is None else tuple(AclOperation(each).name for each in operations),
    )


if __name__ == "__main__":
    main()
