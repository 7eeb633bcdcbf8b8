"""Writes verdicts as a gate's transactions leave them on the log: a batch, and behind it the seals that prove it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from bench.harness.workload import now_ms
from bench.harness.world import ROOT_KEY
from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.seal_keys import derived_seal_key
from streams.audit.seals import AUDIT_LEAF, VERDICT_LEAF, make_seals
from streams.codec.avro import Codec
from streams.codec.cloudevents import event_headers
from streams.model.topics import SEAL, SEAL_KEY, SEALS_AMONG_VERDICTS, VERDICT
from streams.ports import Outgoing

SOURCE = "gate/bench"


class SealedVerdicts:
    """The logs of all partitions of a gate, as far as seals continue them.

    `SealKeys.derived(ROOT_KEY)` are the keys that its seals are checked with.
    """

    def __init__(self, codec: Codec) -> None:
        """Begin with logs that are empty.

        Args:
            codec: makes the bytes of seals.
        """
        self._codec = codec
        self._signer = derived_seal_key(ROOT_KEY)
        self._frontiers: dict[int, Frontier] = {}

    def transaction(self, verdicts: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """Yield the verdicts of one transaction, and behind them a seal for each partition that has any.

        As in a gate, a seal covers an audit record for each verdict. These are not written: executors don't read them.

        Args:
            verdicts: of any partitions.
        """
        leaves: dict[int, list[bytes]] = {}
        for each in verdicts:
            leaf = leaf_hash(each.value or b"")
            leaves.setdefault(each.partition, []).extend((leaf, leaf_hash(leaf)))
            yield each
        for partition, own in leaves.items():
            seals, self._frontiers[partition] = make_seals(
                self._frontiers.get(partition, Frontier()),
                own,
                bytes((VERDICT_LEAF, AUDIT_LEAF)) * (len(own) // 2),
                partition=partition,
                deployment="",
                source=SOURCE,
                now_ms=now_ms(),
                signer=self._signer,
            )
            for seal in seals:
                value = self._codec.encode(SEAL.name, seal)
                headers = event_headers(SEALS_AMONG_VERDICTS, seal.header)
                yield Outgoing(VERDICT.name, partition, SEAL_KEY, value, headers)

    def transactions(self, verdicts: Iterable[Outgoing], size: int) -> Iterator[list[Outgoing]]:
        """Yield the records of one transaction after the other.

        Args:
            verdicts: made as they are asked for.
            size: how many verdicts a transaction has.
        """
        rest = iter(verdicts)
        while batch := list(itertools.islice(rest, size)):
            yield list(self.transaction(batch))
