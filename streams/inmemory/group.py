"""A consumer group of the in-memory log: the classic protocol with eager rebalances and ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.inmemory.partition import LogTransaction
from streams.ports import FencedError, TopicPartition


class MemoryGroupMetadata(NamedTuple):
    """What a transaction with offsets is fenced by."""

    group: str
    member_id: int
    generation: int


@dataclass(eq=False, slots=True)
class Member:
    """A member: `joined` tells whether it takes part in the rebalance under way."""

    member_id: int
    instance: str
    topics: tuple[str, ...]
    joined: bool = True
    assignment: list[TopicPartition] = field(default_factory=list)


class MemoryGroup:
    """The coordinator's side.

    A change of members starts a rebalance; the next generation begins once every member has given its partitions
    back and joined anew (by polling), or was put out from outside.

    Attributes:
        offsets: committed offsets.
        unstable: transactions that commit offsets here, as far as they are not ended and marked.
    """

    def __init__(self, name: str, partition_count: Callable[[str], int]) -> None:
        self.name = name
        self.generation = 0
        self.preparing = False
        self.offsets: dict[TopicPartition, int] = {}
        self.unstable: dict[LogTransaction, None] = {}
        self._partition_count = partition_count
        self._members: dict[int, Member] = {}
        self._member_serial = 0

    def join(self, instance: str, topics: Sequence[str]) -> Member:
        """Enter; a member of the same instance name is put out (it was started again)."""
        for member in [m for m in self._members.values() if m.instance == instance]:
            del self._members[member.member_id]
        self._member_serial += 1
        self._prepare()
        member = self._members[self._member_serial] = Member(self._member_serial, instance, tuple(topics))
        self._settle()
        return member

    def rejoin(self, member: Member) -> None:
        """The member has given its partitions back."""
        member.joined = True
        self._settle()

    def put_out(self, member: Member) -> None:
        """It left, or it was silent for too long."""
        if self._members.pop(member.member_id, None) is not None:
            self._prepare()
            self._settle()

    def has(self, member: Member) -> bool:
        """Whether it is (still) a member."""
        return member.member_id in self._members

    def member(self, instance: str) -> Member | None:
        """The member of that instance name."""
        return next((member for member in self._members.values() if member.instance == instance), None)

    def check(self, metadata: MemoryGroupMetadata) -> None:
        """Let a transaction of this member and generation commit offsets.

        Raises:
            FencedError: the member was put out, or the group has a newer generation.
        """
        if metadata.member_id not in self._members or metadata.generation != self.generation:
            raise FencedError(
                f"group `{self.name}` no longer knows member {metadata.member_id} of generation "
                f"{metadata.generation}; it is at generation {self.generation}"
            )

    def is_stable(self, partitions: Sequence[TopicPartition]) -> bool:
        """Whether no transaction is still about to change the offsets of these partitions."""
        pending = [transaction.offsets.get(self.name, {}) for transaction in self.unstable]
        return not any(partition in offsets for partition in partitions for offsets in pending)

    def _prepare(self) -> None:
        if not self.preparing:
            self.preparing = True
            for member in self._members.values():
                member.joined = False

    def _settle(self) -> None:
        if not self.preparing or not all(member.joined for member in self._members.values()):
            return
        self.preparing = False
        self.generation += 1
        members = sorted(self._members.values(), key=lambda member: member.instance)
        for member in members:
            member.assignment = []
        for topic in sorted({topic for member in members for topic in member.topics}):
            self._deal_out(topic, [member for member in members if topic in member.topics])

    def _deal_out(self, topic: str, members: list[Member]) -> None:
        """Kafka's range assignor: equal counts make partition n of every topic land on one member."""
        share, larger_shares = divmod(self._partition_count(topic), len(members))
        first = 0
        for index, member in enumerate(members):
            count = share + (1 if index < larger_shares else 0)
            member.assignment.extend(TopicPartition(topic, first + number) for number in range(count))
            first += count
