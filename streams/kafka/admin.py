"""Set up topics and access: the adapter of `ports.Admin`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    TopicMetadata,
)

from streams.kafka.acls import acl_binding, acl_specs
from streams.kafka.errors import call_error, error_of
from streams.kafka.lookups.await_visible import await_visible
from streams.kafka.settings import NO_SETTINGS, Settings, client_settings
from streams.ports import AclSpec, LogError, RetriableLogError, TopicSpec, TopicState
from streams.ports.open_log import PLAIN_NAMES, TopicNames

REQUEST_S_MAX = 15.0


class KafkaAdmin:
    """Sets up topics and access. Blocking: each request to the brokers takes up to `request_s_max` seconds."""

    def __init__(
        self,
        bootstrap: str,
        *,
        names: TopicNames = PLAIN_NAMES,
        extra: Settings = NO_SETTINGS,
        request_s_max: float = REQUEST_S_MAX,
    ) -> None:
        """Create the client.

        Args:
            bootstrap: the brokers, `host:port`, comma-separated.
            names: the names of the deployment's topics on the cluster.
            extra: further librdkafka settings.
            request_s_max: how long to wait for an answer.
        """
        self._bootstrap = bootstrap
        self._names = names
        self._request_s_max = request_s_max
        self._client = AdminClient(client_settings(bootstrap, fixed={}, extra=extra))
        self._broker_count = 1
        self._closed = False

    def describe(self, topics: Sequence[str], config_names: Sequence[str]) -> dict[str, TopicState]:
        """Return the topics that exist; `config` holds the values that were asked for, where Kafka knows them.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            DeniedLogError: this client may not read the configuration of one of them.
            LogError: they refused.
        """
        known = self._known("describe the topics")
        found = [name for topic in topics if (name := self._names.on_log(topic)) in known]
        configs: dict[str, dict[str, str]] = {name: {} for name in found}
        if found and config_names:
            resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in found]
            answers = self._client.describe_configs(resources, request_timeout=self._request_s_max)
            for resource, future in answers.items():
                entries = self._result(future, f"read the configuration of `{resource.name}`")
                configs[resource.name] = {
                    name: entries[name].value
                    for name in config_names
                    if name in entries and entries[name].value is not None
                }
        states = (_state(self._names.own(name), known[name], configs[name]) for name in found)
        return {state.name: state for state in states}

    def partition_counts(self, prefix: str) -> dict[str, int]:
        """Return how many partitions each topic has whose name begins with `prefix`, by its name.

        Raises:
            RetriableLogError: the brokers did not answer in time.
        """
        known, names = self._known("list the topics"), self._names
        own = {names.own(name): len(topic.partitions) for name, topic in known.items() if names.has(name)}
        return {name: count for name, count in own.items() if name.startswith(prefix)}

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:
        """Return those of the topics that this client may not describe; with `configs`, or whose configuration it may
        not read.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            LogError: they refused.
        """
        asked = {self._names.on_log(topic): topic for topic in topics}
        if not asked:
            return frozenset()
        answers = self._client.describe_topics(
            TopicCollection(list(asked)), include_authorized_operations=configs, request_timeout=self._request_s_max
        )
        return frozenset(asked[name] for name, future in answers.items() if self._is_hidden(name, future, configs))

    def create(self, topics: Sequence[TopicSpec], replication: int) -> None:
        """Create topics and wait until they can be written; an existing topic is an error.

        Raises:
            RetriableLogError: the brokers did not answer in time, or not every partition has a leader after
                VISIBLE_S_MAX.
            LogError: a topic exists, or was refused. Those before it may have been created.
        """
        if not topics:
            return
        made = [
            NewTopic(
                self._names.on_log(spec.name),
                num_partitions=spec.partitions,
                replication_factor=replication,
                config=dict(spec.config),
            )
            for spec in topics
        ]
        futures = self._client.create_topics(
            made, operation_timeout=self._request_s_max, request_timeout=self._request_s_max
        )
        for name, future in futures.items():
            self._result(future, f"create the topic `{name}`")
        partitions = {self._names.on_log(spec.name): spec.partitions for spec in topics}
        names = ", ".join(f"`{name}`" for name in partitions)
        self._await(lambda: self._are_led(partitions), f"a leader for each partition of {names}")

    def alter_config(self, topic: str, config: Mapping[str, str]) -> None:
        """Set these configuration values, and wait until the brokers show them; other values stay as they are.

        Raises:
            RetriableLogError: the brokers did not answer in time, or don't show the values after VISIBLE_S_MAX.
            LogError: they refused.
        """
        if not config:
            return
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        name = self._names.on_log(topic)
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        futures = self._client.incremental_alter_configs([resource], request_timeout=self._request_s_max)
        for future in futures.values():
            self._result(future, f"change the configuration of `{name}`")
        changed = ", ".join(f"`{key}` = `{value}`" for key, value in config.items())
        self._await(lambda: self._has_config(topic, config), f"{changed} of `{name}`")

    def acls(self) -> set[AclSpec] | None:
        """Return the allow entries that exist; None if the log has no authorizer.

        Entries for certain hosts only are left out, because they don't allow what an `AclSpec` says. Entries that
        concern only topics of other deployments are left out, too.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            DeniedLogError: this client may not see them: it takes an administrator.
            LogError: they refused.
        """
        every: Any = None
        everything = AclBindingFilter(
            ResourceType.ANY, every, ResourcePatternType.ANY, every, every, AclOperation.ANY, AclPermissionType.ALLOW
        )
        future = self._client.describe_acls(everything, request_timeout=self._request_s_max)
        try:
            bindings = future.result()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() == KafkaError.SECURITY_DISABLED:
                return None
            raise self._error(exception, "list the access entries") from exception
        # Some versions of the client library drop the broker's error here and report no entries instead.
        if not bindings and not self._has_authorizer():
            return None
        return acl_specs(bindings, self._names)

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        """Add allow entries, for every host, and wait until the brokers show them. Existing entries stay as they are.

        Raises:
            RetriableLogError: the brokers did not answer in time, or don't show the entries after VISIBLE_S_MAX.
            LogError: an entry names an unknown resource or operation, or was refused.
        """
        if not acls:
            return
        bindings = [acl_binding(spec, self._names) for spec in set(acls)]
        futures = self._client.create_acls(bindings, request_timeout=self._request_s_max)
        for binding, future in futures.items():
            self._result(future, f"add the access entry {binding}")
        self._await(lambda: self._has_acls(acls), f"{len(futures)} access entries")

    def broker_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return these settings of each broker, by its id, where Kafka knows them.

        Raises:
            RetriableLogError: the brokers did not answer in time.
            LogError: they refused: only administrators may read their settings.
        """
        brokers = [str(number) for number in self._metadata("list the brokers").brokers]
        resources = [ConfigResource(ConfigResource.Type.BROKER, broker) for broker in brokers]
        found: dict[str, dict[str, str]] = {}
        answers = self._client.describe_configs(resources, request_timeout=self._request_s_max)
        for resource, future in answers.items():
            entries = self._result(future, f"read the settings of broker {resource.name}")
            known = {name: entries[name].value for name in names if name in entries}
            found[resource.name] = {name: value for name, value in known.items() if value is not None}
        return found

    def close(self) -> None:
        """Close the connection."""
        if not self._closed:
            self._closed = True
            del self._client

    def _is_hidden(self, name: str, answer: Future[Any], configs: bool) -> bool:
        try:
            operations = answer.result().authorized_operations
        except KafkaException as exception:
            error = error_of(exception)
            # Brokers say so of a topic that the client may not describe, whether there is one or not.
            if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                return True
            if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return False
            raise self._error(exception, f"describe the topic `{name}`") from exception
        return configs and operations is not None and AclOperation.DESCRIBE_CONFIGS not in operations

    def _known(self, doing: str) -> dict[str, TopicMetadata]:
        return self._metadata(doing).topics

    def _metadata(self, doing: str) -> ClusterMetadata:
        self._client.poll(0)  # serves what librdkafka has logged; only this and `_error` do for this client
        try:
            metadata = self._client.list_topics(timeout=self._request_s_max)
        except KafkaException as exception:
            raise self._error(exception, doing) from exception
        self._broker_count = len(metadata.brokers)
        return metadata

    def _has_authorizer(self) -> bool:
        broker = next(iter(self._metadata("list the brokers").brokers))
        resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
        (future,) = self._client.describe_configs([resource], request_timeout=self._request_s_max).values()
        name = self._result(future, "read the broker's configuration").get("authorizer.class.name")
        # A broker that hides the setting is managed by somebody, who will have set it.
        return name is None or bool(name.value)

    def _await(self, is_visible: Callable[[], bool], what: str) -> None:
        await_visible(is_visible, lambda: self._broker_count, what)

    def _are_led(self, partitions: Mapping[str, int]) -> bool:
        known = self._known("await the new topics")
        return all(_is_led(known.get(name), count) for name, count in partitions.items())

    def _has_config(self, topic: str, config: Mapping[str, str]) -> bool:
        state = self.describe([topic], [*config]).get(topic)
        return state is not None and state.config == dict(config)

    def _has_acls(self, acls: Sequence[AclSpec]) -> bool:
        # The library asks the broker that the latest metadata names as the controller: any broker, each time another.
        self._metadata("list the brokers")
        return set(acls) <= (self.acls() or set())

    def _error(self, exception: KafkaException, doing: str) -> LogError:
        """Return the port's error. Whoever is told that nobody answers must know who was asked."""
        error = call_error(error_of(exception), doing)
        if not isinstance(error, RetriableLogError):
            return error
        self._client.poll(0)  # as in `_metadata`: why nobody answers, such as a refused connection
        return RetriableLogError(
            f"{error} (brokers: `{self._bootstrap}`); check that they run, that this machine can reach them, and that "
            "the settings `bootstrap` and `kafka` fit them"
        )

    def _result(self, future: Future[Any], doing: str) -> Any:
        try:
            return future.result()
        except KafkaException as exception:
            raise self._error(exception, doing) from exception


def _state(name: str, topic: TopicMetadata, config: Mapping[str, str]) -> TopicState:
    replication = min((len(partition.replicas) for partition in topic.partitions.values()), default=0)
    return TopicState(name, len(topic.partitions), replication, config)


def _is_led(topic: TopicMetadata | None, partitions: int) -> bool:
    if topic is None or len(topic.partitions) < partitions:
        return False
    return all(partition.leader >= 0 for partition in topic.partitions.values())
