"""Schema ids of a Confluent Schema Registry (or a compatible one), instead of those of the lock file.

Records are still read and written with the committed schemas; the registry supplies the ids. All versions of the
deployment's subjects are fetched at the start. An unknown id at run time causes a search for new versions of the
topic's subject, at most every `REFRESH_INTERVAL_MS`, however many such ids arrive.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from streams.codec.schema_types import SchemaError, parse_record
from streams.codec.schemas import CommittedSchemas, SchemaVersion, subject_name
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.topics import DECLARED

REFRESH_INTERVAL_MS = 5_000
REFRESH_AFTER_FAILURE_MS = 60_000
TIMEOUT_S = 3
RETRIES_MAX = 1
VERSIONS_MAX = 200
"""How many versions of a subject are used, the newest ones."""

RECORD_TOPICS = tuple(topic.name for topic in DECLARED if topic.record is not None)

_COMPATIBILITY = "FULL_TRANSITIVE"
_NOT_FOUND = 404
_USER_INFO = re.compile("//[^/@]*@")
_AUTO_REGISTER = "auto.register.schemas"
_NUMBERS = frozenset(
    {"timeout", "max.retries", "retries.wait.ms", "retries.max.wait.ms", "cache.capacity", "cache.latest.ttl.sec"}
)


class _Known(NamedTuple):
    """A version as the registry has it; its text is parsed when a record names it, and may be invalid."""

    version: int
    id: int
    guid: bytes
    text: str


class RegistrySchemas:
    """The `SchemaSource` of a deployment with a registry. Creating one blocks on the network."""

    def __init__(
        self,
        url: str,
        committed: CommittedSchemas,
        config: Mapping[str, str] | None = None,
        *,
        topics: Sequence[str] = RECORD_TOPICS,
        monotonic_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        """Fetch all versions of the topics' subjects, and look up (or register) today's.

        Args:
            url: `schema.registry.url`; several separated by commas.
            committed: today's schemas, and the ids of records that were written before there was a registry.
            config: settings of confluent-kafka's `SchemaRegistryClient` (`basic.auth.user.info`, ...), and
                `auto.register.schemas`: whether a schema that the registry lacks is registered (default `true`).
            topics: the topics whose subjects are needed.
            monotonic_ms: a clock for intervals, in ms.

        Raises:
            SchemaError: the registry does not answer, refuses, or lacks a schema that may not be registered.
        """
        settings = dict(config or {})
        self._auto_register = settings.pop(_AUTO_REGISTER, "true").lower() == "true"
        self._url = _USER_INFO.sub("//", url)
        self._committed = committed
        self._monotonic_ms = monotonic_ms
        self._open_client = functools.partial(_connect, url, settings)
        self._known: dict[str, list[_Known]] = {topic: [] for topic in topics}
        self._refresh_from_ms: dict[str, int] = {}
        with self._open_client() as client:
            self._current = {topic: self._find_current(client, topic) for topic in topics}

    def current(self, topic: str) -> SchemaVersion:
        """See `SchemaSource.current`."""
        found = self._current.get(topic)
        if found is None:
            raise SchemaError(f"topic `{topic}` is not among those whose schemas were fetched from `{self._url}`")
        return found

    def by_id(self, topic: str, schema_id: int) -> SchemaVersion:
        """See `SchemaSource.by_id`; for ids of the registry and of the lock file."""
        return self._find(
            topic,
            f"schema id {schema_id}",
            lambda: self._committed.by_id(topic, schema_id),
            lambda known: known.id == schema_id,
        )

    def by_guid(self, topic: str, guid: bytes) -> SchemaVersion:
        """See `SchemaSource.by_guid`; for GUIDs of the registry and of the lock file."""
        return self._find(
            topic,
            f"schema guid {guid.hex()}",
            lambda: self._committed.by_guid(topic, guid),
            lambda known: known.guid == guid,
        )

    def _find(
        self, topic: str, what: str, locked: Callable[[], SchemaVersion], wanted: Callable[[_Known], bool]
    ) -> SchemaVersion:
        try:
            return locked()
        except RecordError as error:
            if error.reason != DeadLetterReason.SCHEMA_UNKNOWN:
                raise
        found = next(filter(wanted, self._known.get(topic, ())), None)
        if found is None and self._may_refresh(topic):
            self._refresh(topic)
            found = next(filter(wanted, self._known[topic]), None)
        if found is None:
            raise self._not_found(topic, what, wanted)
        try:
            return SchemaVersion(found.version, found.id, found.guid, parse_record(found.text), found.text)
        except SchemaError as error:
            raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"{what} of topic `{topic}`: {error}") from None

    def _not_found(self, topic: str, what: str, wanted: Callable[[_Known], bool]) -> RecordError:
        for other, known in self._known.items():
            if any(map(wanted, known)):
                text = f"{what} belongs to subject `{subject_name(other)}`, not to topic `{topic}`"
                return RecordError(DeadLetterReason.SCHEMA_MISMATCH, text)
        text = f"{what} of topic `{topic}` is not known to the registry `{self._url}`"
        return RecordError(DeadLetterReason.SCHEMA_UNKNOWN, text)

    def _may_refresh(self, topic: str) -> bool:
        return topic in self._known and self._monotonic_ms() >= self._refresh_from_ms.get(topic, 0)

    def _refresh(self, topic: str) -> None:
        """Search for new versions. If the registry doesn't answer, the known versions stay, and it is not asked again
        for a while."""
        try:
            # A connection that was kept since the start would seldom be used and long be closed by somebody between.
            with self._open_client() as client:
                self._fetch_versions(client, topic)
            pause_ms = REFRESH_INTERVAL_MS
        except SchemaError:
            pause_ms = REFRESH_AFTER_FAILURE_MS
        self._refresh_from_ms[topic] = self._monotonic_ms() + pause_ms

    def _fetch_versions(self, client: Any, topic: str) -> None:
        subject = subject_name(topic)
        numbers: list[int] = self._ask(lambda: client.get_versions(subject)) or []
        fetched = {known.version for known in self._known[topic]}
        for number in sorted(set(numbers) - fetched)[-VERSIONS_MAX:]:
            known: _Known | None = self._ask(functools.partial(_get_version, client, subject, number))
            if known is not None:
                self._known[topic].append(known)
        del self._known[topic][:-VERSIONS_MAX]

    def _find_current(self, client: Any, topic: str) -> SchemaVersion:
        """Return today's schema under the registry's id for it."""
        from confluent_kafka.schema_registry import Schema  # noqa: PLC0415 - needs the extra `registry`

        ours, subject = self._committed.current(topic), subject_name(topic)
        schema = Schema(ours.text, "AVRO")
        self._fetch_versions(client, topic)
        found = self._ask(lambda: client.lookup_schema(subject, schema, normalize_schemas=True))
        if found is None:
            found = self._register(client, topic, subject, schema)
        for known in self._known[topic]:
            if known.id == found.schema_id:
                return SchemaVersion(known.version, known.id, known.guid, ours.shape, ours.text)
        raise SchemaError(f"registry `{self._url}` has no version of `{subject}` with id {found.schema_id}")

    def _register(self, client: Any, topic: str, subject: str, schema: Any) -> Any:
        if not self._auto_register:
            raise SchemaError(
                f"registry `{self._url}` lacks today's schema of `{subject}`: register it, or allow `{_AUTO_REGISTER}`"
            )
        is_new = not self._known[topic]
        found = self._ask(lambda: client.register_schema_full_response(subject, schema, normalize_schemas=True))
        if found is None:
            raise SchemaError(f"registry `{self._url}` does not accept schemas of subject `{subject}`")
        if is_new:
            self._ask(lambda: client.set_compatibility(subject, _COMPATIBILITY))
        self._fetch_versions(client, topic)
        return found

    def _ask(self, request: Callable[[], Any]) -> Any:
        """Return the answer to a request, None for "not found".

        Raises:
            SchemaError: any failure. Whatever the client raises (its own errors, those of its HTTP library, or of an
                answer that isn't a registry's), there is no usable answer.
        """
        try:
            return request()
        except Exception as error:
            if getattr(error, "http_status_code", None) == _NOT_FOUND:
                return None
            raise SchemaError(f"schema registry `{self._url}`: {type(error).__name__}: {error}") from None


def _connect(url: str, settings: Mapping[str, str]) -> Any:
    """Return a client, which closes its connections at the end of a `with`."""
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 - needs the extra `registry`
    except ImportError as error:
        text = f"a schema registry needs the extra `registry` (`pip install stoplog[registry]`): {error}"
        raise SchemaError(text) from None
    try:
        given = {name: float(value) if name in _NUMBERS else value for name, value in settings.items()}
        return SchemaRegistryClient({"url": url, "timeout": TIMEOUT_S, "max.retries": RETRIES_MAX, **given})
    except (ValueError, TypeError, OSError) as error:
        raise SchemaError(f"settings of the schema registry: {error}") from None


def _get_version(client: Any, subject: str, number: int) -> _Known:
    return _as_known(client.get_version(subject, number))


def _as_known(registered: Any) -> _Known:
    guid = bytes.fromhex(registered.guid.replace("-", "")) if registered.guid else b""
    return _Known(registered.version, registered.schema_id, guid, registered.schema.schema_str or "")
