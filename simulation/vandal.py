"""Does to a recorded log what whoever can write its storage could do, from a seed."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random  # noqa: TID251 - it is seeded

from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, REPORT, SEAL_KEY, SESSION, VERDICT
from streams.ports import Received

TOPICS = (VERDICT.name, AUDIT.name, AUDIT_CHECKPOINT.name)
READ_TOPICS = (REPORT.name, SESSION.name)
Log = dict[str, list[Received]]
"""The records of one partition by their topics, in order."""


def changed(log: Log, topic: str, records: Iterable[Received]) -> Log:
    """Return the log with other records on one topic."""
    return {**log, topic: list(records)}


def flipped(received: Received, bit: int) -> Received:
    """Return a record with one other bit in its value."""
    value = bytearray(received.value or b"")
    value[bit // 8 % len(value)] ^= 1 << bit % 8
    return received._replace(value=bytes(value))


class Vandal:
    """Does one thing to a log.

    Attributes:
        topic, at: the topic of which something is different now, and from which of its records on.
    """

    def __init__(self, log: Log, seed: int) -> None:
        self._log = log
        self._random = Random(seed)  # noqa: S311 - it guards no secret
        self.topic = self._random.choice(tuple(log))
        self.at = self._random.randrange(len(log[self.topic]))

    def flip(self) -> Log:
        records = list(self._log[self.topic])
        records[self.at] = flipped(records[self.at], self._random.randrange(8 * len(records[self.at].value or b"")))
        return changed(self._log, self.topic, records)

    def delete(self) -> Log:
        records = list(self._log[self.topic])
        del records[self.at : self.at + self._random.choice((1, 1, 3))]
        return changed(self._log, self.topic, records)

    def swap(self) -> Log:
        records = list(self._log[self.topic])
        others = [at for at, each in enumerate(records) if each.value != records[self.at].value]
        near = [at for at in others if abs(at - self.at) < 30]
        other = self._random.choice(near)
        one, two = records[self.at], records[other]
        records[self.at] = two._replace(offset=one.offset)
        records[other] = one._replace(offset=two.offset)
        self.at = min(self.at, other)
        return changed(self._log, self.topic, records)

    def insert(self) -> Log:
        records = list(self._log[self.topic])
        copied = records[self._random.randrange(len(records))]
        made = copied if self._random.random() < 0.5 else flipped(copied, self._random.randrange(800))
        offset = records[self.at].offset
        moved = [each._replace(offset=each.offset + 1) for each in records[self.at :]]
        altered = changed(self._log, self.topic, [*records[: self.at], made._replace(offset=offset), *moved])
        self.at += made.value == records[self.at].value  # of two equal ones, the second is one too many
        return altered

    def truncate(self) -> Log:
        return changed(self._log, self.topic, self._log[self.topic][: self.at])

    def substitute(self) -> Log:
        """Put another head of the same log in the place of a head."""
        self.topic = AUDIT_CHECKPOINT.name
        records = list(self._log[self.topic])
        self.at = self._random.randrange(1, len(records))
        records[self.at] = records[self.at]._replace(value=records[self._random.randrange(self.at)].value)
        return changed(self._log, self.topic, records)

    def roll_back(self) -> Log:
        """Write an earlier seal again, with its head, as a gate would whose key or state was set back."""
        self.topic = VERDICT.name
        records = self._log[self.topic]
        seals = [at for at, each in enumerate(records) if each.key == SEAL_KEY]
        number = self._random.randrange(1, len(seals))
        self.at = seals[number] + 1
        offset = records[seals[number]].offset + 1
        again = records[seals[self._random.randrange(number)]]._replace(offset=offset)
        moved = [each._replace(offset=each.offset + 1) for each in records[self.at :]]
        return changed(self._log, self.topic, [*records[: self.at], again, *moved])


ACTS = (Vandal.flip, Vandal.delete, Vandal.swap, Vandal.insert, Vandal.truncate, Vandal.substitute, Vandal.roll_back)
