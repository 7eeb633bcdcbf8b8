"""A consumer group of the in-memory log: the classic protocol with eager rebalances and ranges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.inmemory.partition import LogTransaction
from streams.ports import FencedError, TopicPartition


class MemoryGroupMetadata(NamedTuple):
    """The member and generation that a transaction with offsets is fenced by."""

    group: str
    member_id: int
    generation: int


@dataclass(eq=False, slots=True)
class Member:
    """A member of a group.

    Attributes:
        joined: whether it has joined the rebalance that is under way.
    """

    member_id: int
    instance: str
    topics: tuple[str, ...]
    joined: bool = True
    assignment: list[TopicPartition] = field(default_factory=list)


class MemoryGroup:
    """A group as its coordinator sees it.

    A change of members starts a rebalance. The next generation begins once every member has given up its partitions and
    joined again (by polling), or was put out.

    Attributes:
        offsets: the committed offsets.
        unstable: transactions that commit offsets of the group and are not decided and marked yet.
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
        """Add a member. Puts out a former one of the same instance name, which was started again."""
        for member in [m for m in self._members.values() if m.instance == instance]:
            del self._members[member.member_id]
        self._member_serial += 1
        self._prepare()
        member = self._members[self._member_serial] = Member(self._member_serial, instance, tuple(topics))
        self._settle()
        return member

    def rejoin(self, member: Member) -> None:
        """Note that the member has given up its partitions."""
        member.joined = True
        self._settle()

    def put_out(self, member: Member) -> None:
        """Remove a member that has left, or was silent for too long."""
        if self._members.pop(member.member_id, None) is not None:
            self._prepare()
            self._settle()

    def has(self, member: Member) -> bool:
        """Return whether it is still a member."""
        return member.member_id in self._members

    def member(self, instance: str) -> Member | None:
        """Return the member of that instance name; None if there is none."""
        return next((member for member in self._members.values() if member.instance == instance), None)

    def instances(self) -> tuple[str, ...]:
        """Return the instance names of the members, in the order in which partitions are assigned."""
        return tuple(sorted(member.instance for member in self._members.values()))

    def check(self, metadata: MemoryGroupMetadata) -> None:
        """Check that a transaction of this member and generation may commit offsets.

        Raises:
            FencedError: the member was put out, or the group has a newer generation.
        """
        if metadata.member_id not in self._members or metadata.generation != self.generation:
            raise FencedError(
                f"group `{self.name}` no longer knows member {metadata.member_id} of generation "
                f"{metadata.generation}; it is at generation {self.generation}"
            )

    def is_stable(self, partitions: Sequence[TopicPartition]) -> bool:
        """Return whether no transaction is about to change the offsets of these partitions."""
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
            self._assign(topic, [member for member in members if topic in member.topics])

    def _assign(self, topic: str, members: list[Member]) -> None:
        """Assign a topic as Kafka's range assignor does: with equal counts, partition n of all topics has one owner."""
        share, larger_shares = divmod(self._partition_count(topic), len(members))
        first = 0
        for index, member in enumerate(members):
            count = share + (1 if index < larger_shares else 0)
            member.assignment.extend(TopicPartition(topic, first + number) for number in range(count))
            first += count
