"""Asks the coordinator of a group for its members, without waiting for the answer."""

from __future__ import annotations

from concurrent.futures import Future

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

from streams.kafka.errors import call_error, error_of
from streams.kafka.settings import Settings, client_settings, connection_settings
from streams.ports import Membership, RetriableLogError

ANSWER_S_MAX = 5.0


class GroupMembers:
    """The static members of one group. Connects at the first question.

    INVARIANT: the names are in the order in which librdkafka's range assignor takes them: by the bytes of
    `group.instance.id` (`rd_kafka_group_member_cmp`).
    """

    def __init__(self, bootstrap: str, group: str, instance: str, extra: Settings) -> None:
        """Ask about `group`, in which `instance` is a static member; `extra` are the member's settings."""
        self._group = group
        self._instance = instance
        self._settings = client_settings(bootstrap, fixed={}, extra=connection_settings(extra))
        self._client: AdminClient | None = None
        self._asked: Future[ConsumerGroupDescription] | None = None

    def forget(self) -> None:
        """Forget a question that was asked already: its answer may be older than the present assignment."""
        self._asked = None

    def look(self) -> Membership | None:
        """Return the members if the answer has come, and ask if nothing is asked; None otherwise.

        Raises:
            LogError: the coordinator refuses to tell.
        """
        if self._asked is None:
            if self._client is None:
                self._client = AdminClient(self._settings)
            (self._asked,) = self._client.describe_consumer_groups([self._group], request_timeout=ANSWER_S_MAX).values()
        if not self._asked.done():
            return None
        asked, self._asked = self._asked, None
        try:
            return self._membership(asked.result())
        except KafkaException as exception:
            error = call_error(error_of(exception), f"list the members of group `{self._group}`")
            if isinstance(error, RetriableLogError):
                return None
            raise error from exception

    def close(self) -> None:
        """Close the connection."""
        self._asked = None
        self._client = None

    def _membership(self, found: ConsumerGroupDescription) -> Membership | None:
        names = [member.group_instance_id for member in found.members]
        if found.state != ConsumerGroupState.STABLE or self._instance not in names:
            return None
        # A member without a name is none of ours: where it stands in the order can't be said.
        instances = sorted((name for name in names if name), key=str.encode)
        return Membership(tuple(instances), instances.index(self._instance))
