"""Ask the brokers what this client may do."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from streams.kafka.errors import call_error, error_of
from streams.kafka.groups.questions import GroupQuestions, Question
from streams.kafka.settings import NO_SETTINGS, Settings, client_settings
from streams.ports import RetriableLogError

REQUEST_S_MAX = 10.0
ATTEMPTS_MAX = 10
PAUSE_S = 0.3

# That the client may not even see the resource is an answer, too.
_DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.GROUP_ID_NOT_FOUND,
    }
)


class KafkaRights:
    """Asks which operations are allowed. Changes nothing. Blocking, up to REQUEST_S_MAX seconds a call."""

    def __init__(self, bootstrap: str, *, extra: Settings = NO_SETTINGS) -> None:
        """Create the client.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            extra: further librdkafka settings.
        """
        self._client = AdminClient(client_settings(bootstrap, fixed={}, extra=extra))
        self._questions = GroupQuestions(bootstrap, extra)

    def on_topics(self, topics: Sequence[str]) -> dict[str, frozenset[str] | None]:
        """Return the operations (`READ`, `WRITE`, ...) that are allowed on each topic; None if the broker doesn't say.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            LogError: they refused to say.
        """
        futures = self._client.describe_topics(
            TopicCollection(list(topics)), include_authorized_operations=True, request_timeout=REQUEST_S_MAX
        )
        allowed: dict[str, frozenset[str] | None] = {}
        for topic, future in futures.items():
            try:
                allowed[topic] = _names(future.result().authorized_operations)
            except KafkaException as exception:
                allowed[topic] = _none_if_denied(exception, f"describe the topic `{topic}`")
        return allowed

    def on_group(self, group: str) -> frozenset[str] | None:
        """Return the operations that are allowed on a consumer group; None if the broker doesn't say.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            LogError: they refused to say.
        """
        attempt = 1
        while True:
            try:
                return self._ask_group(group)
            except RetriableLogError:
                # A cluster on which no group was ever used creates the topic of groups first.
                if attempt == ATTEMPTS_MAX:
                    raise
            attempt += 1
            time.sleep(PAUSE_S)

    def _ask_group(self, group: str) -> frozenset[str] | None:
        self._questions.ask(Question(group, with_operations=True))
        try:
            found = self._questions.answer(REQUEST_S_MAX)
        except KafkaException as exception:
            return _none_if_denied(exception, f"describe the group `{group}`")
        if found is None:
            raise RetriableLogError(f"can't describe the group `{group}`: no answer after {REQUEST_S_MAX:g} s")
        return None if found.operations is None else frozenset(found.operations)

    def close(self) -> None:
        """Close the connections."""
        self._questions.close()
        del self._client


def _names(operations: Iterable[AclOperation] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(AclOperation(operation).name for operation in operations)


def _none_if_denied(exception: KafkaException, doing: str) -> frozenset[str]:
    error = error_of(exception)
    if error.code() in _DENIED:
        return frozenset()
    raise call_error(error, doing) from exception
