"""The group coordinator: there is no process for it; every member does its part in tables of the file.

The idea is Kafka's eager rebalance. A change of members sets the group to `preparing`. Each member that polls then
returns its partitions and joins again. When all members with a valid lease have joined, the generation is incremented
and the partitions are assigned. Until then the previous generation may commit, so that finished work is not lost. A
member that has not polled within its lease is removed; its next poll reports its partitions as lost.

Why this is safe: commits and changes of the group are write transactions of one file, so each commit sees the group
either before or after a change (`authorise`), never in between. A member that was removed, or that has an old
generation, cannot commit.

Rejected: locks of the operating system on partitions (a process that hangs would keep its lock), and a leader among the
members (its failure would need an election of its own).

Functions that write run inside the caller's write transaction, and read the clock within it: an instant from before the
wait for the lock could be older than a lease that was renewed meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from streams.embedded.assignor import assign_ranges
from streams.embedded.errors import TopicError
from streams.embedded.file import LogConnection
from streams.ports import FencedError, GroupMetadata, LogError, TopicPartition

LEASE_MS = 10_000
# A lease that ends later than its length allows is from before the clock was set back; this much is tolerated.
CLOCK_STEP_FORGIVEN_MS = 1_000
MEMBERS_MAX = 1_000


class EmbeddedGroup(NamedTuple):
    """Group, member and generation: they fence a transaction with offsets."""

    group: str
    member_id: int
    generation: int


class MemberView(NamedTuple):
    """The state of a member in its group."""

    generation: int
    preparing: bool
    joined: bool
    lease_ms: int
    lease_until_ms: int
    assignment_json: str

    def assignment(self) -> list[TopicPartition]:
        """Return the partitions that are assigned to the member in this generation."""
        return [TopicPartition(topic, number) for topic, number in json.loads(self.assignment_json)]

    def renewal_due(self, now_ms: int) -> bool:
        """Return whether a third of the lease has passed, or the clock was set back."""
        return not 2 * self.lease_ms // 3 <= self.lease_until_ms - now_ms <= self.lease_ms


def look(connection: LogConnection, member_id: int) -> MemberView | None:
    """Return the member's state; None if it was removed."""
    row = connection.row(
        "SELECT generation, preparing, joined, lease_ms, lease_until_ms, assignment"
        " FROM members JOIN groups USING (group_id) WHERE member_id = ?",
        (member_id,),
    )
    if row is None:
        return None
    generation, preparing, joined, lease_ms, lease_until_ms, assignment = row
    return MemberView(generation, bool(preparing), bool(joined), lease_ms, lease_until_ms, assignment)


def instances(connection: LogConnection, group: str, generation: int) -> tuple[str, ...] | None:
    """Return the instance names of the group's members, in the order in which partitions are assigned; None if the
    generation is not (or no longer) theirs."""
    rows = connection.rows(
        "SELECT instance FROM members JOIN groups USING (group_id)"
        " WHERE name = ? AND generation = ? AND NOT preparing ORDER BY instance",
        (group, generation),
    )
    return tuple(instance for (instance,) in rows) or None


def group_id_of(connection: LogConnection, group: str) -> int | None:
    """Return the group's row id, or None for a group that nobody has joined or committed for."""
    row = connection.row("SELECT group_id FROM groups WHERE name = ?", (group,))
    return None if row is None else row[0]


def join(
    connection: LogConnection, group: str, instance: str, topics: Sequence[str], *, lease_ms: int, now_ms: int
) -> int:
    """Add a member to the group; a member with the same instance name is removed at once (it was restarted).

    Returns:
        The new member's id, higher than all earlier ones.
    """
    connection.rows("INSERT OR IGNORE INTO groups (name, generation, preparing) VALUES (?, 0, 0)", (group,))
    group_id = group_id_of(connection, group)
    if connection.rows("SELECT count(*) FROM members WHERE group_id = ?", (group_id,))[0][0] >= MEMBERS_MAX:
        raise TopicError(f"group `{group}` has {MEMBERS_MAX} members already: a log file takes no more")
    connection.rows("DELETE FROM members WHERE group_id = ? AND instance = ?", (group_id, instance))
    prepare_rebalance(connection, group_id)
    connection.rows(
        "INSERT INTO members (group_id, instance, topics, lease_ms, lease_until_ms, joined, assignment)"
        " VALUES (?, ?, ?, ?, ?, 1, '[]')",
        (group_id, instance, json.dumps(sorted(set(topics))), lease_ms, now_ms + lease_ms),
    )
    member_id: int = connection.rows("SELECT last_insert_rowid()")[0][0]
    _settle(connection, group_id, now_ms)
    return member_id


def replaced(connection: LogConnection, group: str, instance: str, member_id: int) -> bool:
    """Return whether a later member has taken the instance name."""
    row = connection.row(
        "SELECT 1 FROM members JOIN groups USING (group_id) WHERE name = ? AND instance = ? AND member_id > ?",
        (group, instance, member_id),
    )
    return row is not None


def prepare_rebalance(connection: LogConnection, group_id: int | None) -> None:
    """Ask all members to join again; members that have joined for the present rebalance need not."""
    row = connection.row("SELECT preparing FROM groups WHERE group_id = ?", (group_id,))
    if row is not None and not row[0]:
        connection.rows("UPDATE groups SET preparing = 1 WHERE group_id = ?", (group_id,))
        connection.rows("UPDATE members SET joined = 0 WHERE group_id = ?", (group_id,))


def rejoin(connection: LogConnection, member_id: int, now_ms: int) -> None:
    """Record that the member has returned its partitions and waits for the next generation."""
    connection.rows(
        "UPDATE members SET joined = 1, lease_until_ms = ? + lease_ms WHERE member_id = ?", (now_ms, member_id)
    )
    _settle_of(connection, member_id, now_ms)


def renew(connection: LogConnection, member_id: int, now_ms: int) -> None:
    """Renew the member's lease, and remove other members whose lease has expired."""
    connection.rows("UPDATE members SET lease_until_ms = ? + lease_ms WHERE member_id = ?", (now_ms, member_id))
    _settle_of(connection, member_id, now_ms)


def leave(connection: LogConnection, member_id: int, now_ms: int) -> None:
    """Remove the member from its group. Does nothing if it was removed already."""
    row = connection.row("SELECT group_id FROM members WHERE member_id = ?", (member_id,))
    if row is not None:
        connection.rows("DELETE FROM members WHERE member_id = ?", (member_id,))
        prepare_rebalance(connection, row[0])
        _settle(connection, row[0], now_ms)


def others_expired(connection: LogConnection, member_id: int, now_ms: int) -> bool:
    """Return whether another member's lease has expired, so that a write is needed."""
    row = connection.row(
        "SELECT 1 FROM members WHERE group_id = (SELECT group_id FROM members WHERE member_id = ?)"
        " AND NOT (lease_until_ms > ? AND lease_until_ms <= ? + lease_ms)",
        (member_id, now_ms, now_ms + CLOCK_STEP_FORGIVEN_MS),
    )
    return row is not None


def authorise(connection: LogConnection, group: GroupMetadata, now_ms: int) -> int:
    """Let a transaction of this member and generation commit offsets, and renew the member's lease.

    Returns:
        The group's id.

    Raises:
        FencedError: the member was removed, or the group has a newer generation.
        LogError: the metadata is from another log.
    """
    if not isinstance(group, EmbeddedGroup):
        raise LogError(f"group metadata `{group!r}` is not from the embedded log")
    view = look(connection, group.member_id)
    if view is None or view.generation != group.generation:
        now_at = "it was removed from the group" if view is None else f"the group is at generation {view.generation}"
        raise FencedError(
            f"group `{group.group}` no longer knows member {group.member_id} of generation {group.generation} "
            f"({now_at}): abort, and wait for the next assignment"
        )
    if view.renewal_due(now_ms):
        connection.rows(
            "UPDATE members SET lease_until_ms = ? + lease_ms WHERE member_id = ?", (now_ms, group.member_id)
        )
    group_id: int = connection.rows("SELECT group_id FROM members WHERE member_id = ?", (group.member_id,))[0][0]
    return group_id


def commit(connection: LogConnection, group: GroupMetadata, offsets: Sequence[tuple[int, int]], now_ms: int) -> None:
    """Store offsets of the group, each with the row id of its partition.

    Raises:
        FencedError, LogError: see `authorise`.
    """
    group_id = authorise(connection, group, now_ms)
    connection.write_many(
        "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
        [(group_id, part_id, offset) for part_id, offset in offsets],
    )


def _settle_of(connection: LogConnection, member_id: int, now_ms: int) -> None:
    row = connection.row("SELECT group_id FROM members WHERE member_id = ?", (member_id,))
    if row is not None:
        _settle(connection, row[0], now_ms)


def _settle(connection: LogConnection, group_id: int | None, now_ms: int) -> None:
    """Remove members whose lease has expired; start the next generation when all others have joined."""
    expired = connection.write_many(
        "DELETE FROM members WHERE group_id = ? AND NOT (lease_until_ms > ? AND lease_until_ms <= ? + lease_ms)",
        [(group_id, now_ms, now_ms + CLOCK_STEP_FORGIVEN_MS)],
    )
    if expired:
        prepare_rebalance(connection, group_id)
    waiting, preparing = connection.rows(
        "SELECT (SELECT count(*) FROM members WHERE group_id = g.group_id AND NOT joined), preparing"
        " FROM groups AS g WHERE group_id = ?",
        (group_id,),
    )[0]
    if preparing and not waiting:
        _next_generation(connection, group_id)


def _next_generation(connection: LogConnection, group_id: int | None) -> None:
    members = connection.rows("SELECT member_id, topics FROM members WHERE group_id = ? ORDER BY instance", (group_id,))
    subscriptions: dict[int, list[str]] = {member: json.loads(topics) for member, topics in members}
    wanted = sorted({topic for topics in subscriptions.values() for topic in topics})
    partitions = {}
    for topic in wanted:
        row = connection.row("SELECT partitions FROM topics WHERE name = ?", (topic,))
        if row is not None:
            partitions[topic] = row[0]
    dealt = assign_ranges(subscriptions, [member for member, _ in members], partitions)
    connection.write_many(
        "UPDATE members SET assignment = ? WHERE member_id = ?",
        [(json.dumps(owned), member) for member, owned in dealt.items()],
    )
    connection.rows("UPDATE groups SET generation = generation + 1, preparing = 0 WHERE group_id = ?", (group_id,))
