"""A reader of one partition that notes which verdicts their seals prove."""

from __future__ import annotations

from streams.audit.seal_keys import SealKeys
from streams.model.topics import SEAL_KEY
from streams.model.verdict import Verdict
from streams.ports import Received
from streams.sdk.executor.seal_checks import PartitionSeals
from tests.unit.sdk.hands import key_of, make_verdict, partition_of
from tests.unit.sdk.seal_hand import CODEC, GATE_KEY

KEYS = SealKeys.of({"gate": str(GATE_KEY.public)})
PARTITION = partition_of(key_of(make_verdict()))


class Reader:
    """Feeds records to the check of one partition, as a loop does, and notes what comes of each."""

    def __init__(self, keys: SealKeys = KEYS, partition: int = 0) -> None:
        self.seals = PartitionSeals(partition, lambda: keys, CODEC)
        self.ran: list[int] = []
        self.refused: list[int] = []

    def read(self, *records: Received) -> Reader:
        for received in records:
            if received.key != SEAL_KEY:
                self.seals.hold(received, 0)
                continue
            checked = self.seals.sealed(received)
            self.ran += [each.offset for each in checked.proven]
            self.refused += [each.offset for each, _ in checked.unproven]
        return self


def verdicts(count: int) -> list[Verdict]:
    return [make_verdict() for _ in range(count)]
