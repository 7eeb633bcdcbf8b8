"""A hand that writes what a gate's transactions leave on the verdict topic: verdicts, and the seal behind them."""

from __future__ import annotations

from collections.abc import Sequence

from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.seals import AUDIT_LEAF, VERDICT_LEAF, make_seals
from streams.audit.signatures import SigningKey
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.model.audit import Seal
from streams.model.topics import SEAL, SEAL_KEY, VERDICT
from streams.model.verdict import Verdict
from streams.ports import Outgoing, Received
from streams.sdk.connection.transport import Transport
from tests.unit.sdk.hands import key_of, partition_of

CODEC = Codec(CommittedSchemas.load())
GATE_KEY = SigningKey.made()
SOURCE = "stoplog/gate"


def value_of(verdict: Verdict) -> bytes:
    return CODEC.encode(VERDICT.name, verdict)


def on_log(verdict: Verdict, offset: int, partition: int | None = None) -> Received:
    """A verdict as it is read."""
    number = partition_of(key_of(verdict)) if partition is None else partition
    return Received(VERDICT.name, number, offset, verdict.evaluated_at, key_of(verdict), value_of(verdict))


def seal_on_log(seal: Seal, offset: int, partition: int = 0) -> Received:
    return Received(VERDICT.name, partition, offset, seal.header.time, SEAL_KEY, CODEC.encode(SEAL.name, seal))


class Sealer:
    """Seals batches of one partition, one after the other.

    Attributes:
        frontier: of the log so far.
    """

    def __init__(self, partition: int = 0, key: SigningKey = GATE_KEY, deployment: str = "") -> None:
        self.partition = partition
        self.key = key
        self.deployment = deployment
        self.frontier = Frontier()

    def seal(self, verdicts: Sequence[Verdict]) -> Seal:
        """The seal of these verdicts, each with an audit record behind it."""
        (seal,) = self.seals([value_of(each) for each in verdicts], verdicts[0].evaluated_at)
        return seal

    def seals(self, values: Sequence[bytes], now_ms: int) -> list[Seal]:
        leaves = [leaf for value in values for leaf in (leaf_hash(value), leaf_hash(b"audit record of " + value))]
        made, self.frontier = make_seals(
            self.frontier,
            leaves,
            bytes((VERDICT_LEAF, AUDIT_LEAF)) * len(values),
            partition=self.partition,
            deployment=self.deployment,
            source=SOURCE,
            now_ms=now_ms,
            signer=self.key,
        )
        return made


class SealHand:
    """Writes transactions as a gate does, on all partitions."""

    def __init__(self, transport: Transport, key: SigningKey = GATE_KEY, deployment: str = "") -> None:
        self._transport = transport
        self._producer = transport.producer("seal-hand")
        self._producer.init_transactions()
        self._sealers: dict[int, Sealer] = {}
        self._key = key
        self._deployment = deployment

    def sealer(self, partition: int) -> Sealer:
        return self._sealers.setdefault(partition, Sealer(partition, self._key, self._deployment))

    def commit(self, *verdicts: Verdict, with_seal: bool = True) -> list[Seal]:
        """Commit the verdicts of one partition, with the seal behind them."""
        self._producer.begin()
        seals = self._send(verdicts, with_seal=with_seal)
        self._producer.commit()
        return seals

    def abort(self, *verdicts: Verdict) -> None:
        """Begin a transaction and abort it. The log of the gate is as before."""
        sealer = self.sealer(partition_of(key_of(verdicts[0])))
        before = sealer.frontier
        self._producer.begin()
        self._send(verdicts, with_seal=True)
        self._producer.abort()
        sealer.frontier = before

    def write_seal(self, seal: Seal, partition: int) -> None:
        """Write a seal alone."""
        self._producer.begin()
        self._producer.send(Outgoing(VERDICT.name, partition, SEAL_KEY, CODEC.encode(SEAL.name, seal)))
        self._producer.commit()

    def close(self) -> None:
        self._producer.close()

    def _send(self, verdicts: Sequence[Verdict], *, with_seal: bool) -> list[Seal]:
        (partition,) = {partition_of(key_of(each)) for each in verdicts}
        for each in verdicts:
            self._producer.send(Outgoing(VERDICT.name, partition, key_of(each), value_of(each)))
        if not with_seal:
            return []
        seal = self.sealer(partition).seal(verdicts)
        self._producer.send(Outgoing(VERDICT.name, partition, SEAL_KEY, CODEC.encode(SEAL.name, seal)))
        return [seal]
