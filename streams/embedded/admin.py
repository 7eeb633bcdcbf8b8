"""Set up topics of the file, as the port `Admin`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.embedded.errors import TopicError
from streams.embedded.file import LogFile
from streams.embedded.topics import DEFAULT_CONFIG, TopicTable, alter_topic, create_topics
from streams.ports import AclSpec, TopicSpec, TopicState
from streams.ports.open_log import TopicNames


class EmbeddedAdmin:
    """The port `Admin` on the file. For one thread at a time."""

    def __init__(self, file: LogFile, names: TopicNames) -> None:
        """Create it; `EmbeddedLog.admin` calls this."""
        self._connection = file.connect()
        self._names = names
        self._topic_table = TopicTable(self._connection, names, None)

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Return the topics that exist; a configuration name without a meaning here has the value ``""``."""
        self._topic_table.refresh()
        known = self._topic_table.topics()
        return {
            name: TopicState(
                name=name,
                partitions=known[name].partitions,
                replication=1,
                config={key: known[name].config.get(key, DEFAULT_CONFIG.get(key, "")) for key in config_names},
            )
            for name in topics
            if name in known
        }

    def partition_counts(self, prefix: str) -> dict[str, int]:
        """Return how many partitions each topic has whose name begins with `prefix`, by its name."""
        self._topic_table.refresh()
        known = self._topic_table.topics()
        return {name: topic.partitions for name, topic in known.items() if name.startswith(prefix)}

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:  # noqa: ARG002 - there is no access control here
        """Return no topic: this log has no access control."""
        return frozenset()

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create all of the topics or none; `replication` has no meaning in one file.

        Raises:
            TopicError: one exists already, or can't be created.
        """
        if replication < 1:
            raise TopicError(f"replication `{replication}` is less than 1")
        with self._connection.writing():
            create_topics(self._connection, [spec._replace(name=self._names.on_log(spec.name)) for spec in topics])

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values.

        Raises:
            UnknownTopicError: the topic does not exist.
            TopicError: a value is invalid.
        """
        with self._connection.writing():
            alter_topic(self._connection, self._names.on_log(topic), config)

    def acls(self) -> set[AclSpec] | None:
        """Return None: anybody who may open the file may do everything."""
        return None

    def broker_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return nothing: there are no brokers."""
        del names
        return {}

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Raise an error: a file has no access entries.

        Raises:
            TopicError: a file has no access control.
        """
        if acls:
            raise TopicError("the embedded log has no authorizer: access is the file's permissions")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
