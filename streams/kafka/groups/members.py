"""Asks the coordinator of a group for its members, without waiting for the answer."""

from __future__ import annotations

from confluent_kafka import KafkaException

from streams.kafka.errors import call_error, error_of
from streams.kafka.groups.questions import Group, GroupQuestions, Question
from streams.kafka.settings import Settings
from streams.ports import Membership, RetriableLogError


class GroupMembers:
    """The static members of one group. Connects at the first question.

    INVARIANT: the names are in the order in which librdkafka's range assignor takes them: by the bytes of
    `group.instance.id` (`rd_kafka_group_member_cmp`).
    """

    def __init__(self, bootstrap: str, group: str, instance: str, extra: Settings) -> None:
        """Ask about `group`, in which `instance` is a static member; `extra` are the member's settings."""
        self._group = group
        self._instance = instance
        self._questions = GroupQuestions(bootstrap, extra)
        self._is_outdated = False

    def forget(self) -> None:
        """Forget a question that was asked already: its answer may be older than the present assignment."""
        self._is_outdated = self._questions.is_asked

    def look(self) -> Membership | None:
        """Return the members if the answer has come, and ask if nothing is asked; None otherwise.

        Raises:
            LogError: the coordinator refuses to tell.
        """
        if not self._questions.is_asked:
            self._questions.ask(Question(self._group))
        try:
            found = self._questions.answer()
        except KafkaException as exception:
            self._is_outdated = False
            error = call_error(error_of(exception), f"list the members of group `{self._group}`")
            if isinstance(error, RetriableLogError):
                return None
            raise error from exception
        if found is None:
            return None
        if self._is_outdated:
            self._is_outdated = False
            return self.look()
        return self._membership(found)

    def close(self) -> None:
        """Close the connection."""
        self._is_outdated = False
        self._questions.close()

    def _membership(self, found: Group) -> Membership | None:
        names = found.instances
        if not found.is_stable or self._instance not in names:
            return None
        # A member without a name is none of ours: where it stands in the order can't be said.
        instances = sorted((name for name in names if name), key=str.encode)
        return Membership(tuple(instances), instances.index(self._instance))
