"""Places records: turns outputs into records for the log, and checks that input lies where its key belongs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from streams.model.errors import InvariantError, RecordError
from streams.model.keys import partition_for
from streams.model.reasons import DeadLetterReason
from streams.model.topics import Spread, Topic
from streams.ports import Headers, Outgoing, Received
from streams.ports.processor import Output
from streams.ports.wire import Wire

_log = logging.getLogger(__name__)
OUTPUT_BYTES_MAX = 1_032_192
"""The largest record that is written, with key and headers: what a topic takes, less the batch around it."""

# Below these nobody has to count: ids, names and trace contexts have bounds of their own.
_SURELY_FITS_BYTES = OUTPUT_BYTES_MAX // 2
_SURELY_FITS_HEADERS = 8

MISSING_NAMED_MAX = 1_000
"""How many missing topics are remembered, so that each is logged once."""

KEYS_CACHED_MAX = 8_192
"""For how many keys the partition is remembered: Murmur2 takes about 3 us in Python, and sessions and agents recur."""

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_CO_PARTITIONED, _PER_TENANT, _BROADCAST = Spread.CO_PARTITIONED, Spread.PER_TENANT, Spread.BROADCAST
_OWN = Spread.OWN

_partition_of_key = lru_cache(maxsize=KEYS_CACHED_MAX)(partition_for)


class InputPlacement:
    """Checks that keyed input lies on the partition of its key.

    A producer may name any partition. If records of one key could lie on two, each partition would have a state of its
    own for the key, and an intent could get two final verdicts.
    """

    def __init__(self, inputs: Iterable[Topic], partition_counts: Mapping[str, int]) -> None:
        """Create the check.

        Args:
            inputs: the topics that are read; only those with `keyed_input` are checked.
            partition_counts: how many partitions each topic has, by its name.
        """
        self._counts = {topic.name: partition_counts[topic.name] for topic in inputs if topic.keyed_input}

    def check(self, record: Received) -> None:
        """Check one record.

        Raises:
            RecordError: it has a key that belongs on another partition.
        """
        count = self._counts.get(record.topic)
        if count is None or record.key is None:
            return
        partition = _partition_of_key(record.key, count)
        if partition != record.partition:
            text = f"the record's key belongs on partition {partition} of {count}, not on {record.partition}"
            raise RecordError(DeadLetterReason.PARTITION_MISMATCH, text)


class OutputPlacement:
    """Places the outputs of one partition's task."""

    def __init__(self, partition: int, wire: Wire, partition_counts: Mapping[str, int]) -> None:
        """Create the placement for `partition`.

        Args:
            partition: whose outputs are placed.
            wire: makes the envelopes.
            partition_counts: how many partitions each topic has, by its name. Topics of tenants come and go.
        """
        self._partition = partition
        self._wire = wire
        self._partition_counts = partition_counts
        self._missing: set[str] = set()

    def outgoing(self, outputs: Sequence[Output]) -> list[Outgoing]:
        """Return the outputs as they are written.

        All are made before the first one is sent, so that a record leads to all of its outputs or to none.

        Raises:
            RecordError: one is larger than a topic takes, or names a partition that does not exist.
        """
        made = []
        for output in outputs:
            topic, key, value, named = output.topic, output.key, output.value, output.partition
            is_own = named is None and topic.spread is _CO_PARTITIONED and not topic.placed_by_key
            partition = self._partition if is_own else self._partition_of(topic, key, named)
            if partition is None:
                continue
            headers = self._wire.headers(topic, output.header)
            if (value is not None and len(value) > _SURELY_FITS_BYTES) or len(headers) > _SURELY_FITS_HEADERS:
                _check_size(topic, key, value or b"", headers)
            made.append(Outgoing(topic.name, partition, key, value, headers, output.note))
        return made

    def _partition_of(self, topic: Topic, key: bytes | None, named: int | None) -> int | None:
        """Return where an output goes; None if it is for a tenant's topic that can't be written."""
        if topic.spread is _PER_TENANT:
            return self._partition if self._has_tenant_topic(topic.name) else None
        if topic.spread is _BROADCAST:
            return 0
        if topic.spread is _OWN or topic.placed_by_key:
            if key is None:
                raise InvariantError(f"an output for `{topic.name}`, which is placed by key, has no key")
            return _partition_of_key(key, self._partition_counts[topic.name])
        if named is None:
            return self._partition
        if named >= self._partition_counts[topic.name]:
            raise RecordError(DeadLetterReason.RECORD_INVALID, f"`{topic.name}` has no partition {named}")
        return named

    def _has_tenant_topic(self, name: str) -> bool:
        """Tell whether a tenant's topic has this partition. Operators create these topics, and some may be missing.

        INVARIANT: a topic that does not exist is not written to: the transaction would fail, and with it the partition.
        """
        if self._partition < self._partition_counts.get(name, 0):
            self._missing.discard(name)
            return True
        if name not in self._missing:
            if len(self._missing) >= MISSING_NAMED_MAX:
                self._missing.clear()
            self._missing.add(name)
            _log.warning("`%s` has no partition %d: records for it are dropped", name, self._partition)
        return False


def _check_size(topic: Topic, key: bytes | None, value: bytes, headers: Headers) -> None:
    size = len(value) + len(key or b"") + sum(len(name) + len(content) for name, content in headers)
    if size > OUTPUT_BYTES_MAX:
        text = f"it leads to {size} bytes for `{topic.name}`, at most {OUTPUT_BYTES_MAX} are written"
        raise RecordError(DeadLetterReason.RECORD_TOO_LARGE, text)
