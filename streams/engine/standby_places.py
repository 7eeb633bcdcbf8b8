"""Says which instances keep a standby of which partition. Pure.

**Idea.** Partitions are assigned by ranges over the members in the order of their names (ADR 0011). So everybody who
knows the members also knows who gets which partition when any of them are gone: not the assignment has to look for the
standbys, the standbys are put where the assignment will look for them.

With N members, let m of them be gone. A partition then belongs to the survivor of number j, where j depends on m alone,
not on who is gone. Among all members this survivor has a number from j to j + m: j if all who are gone come after it,
j + m if all come before. These m + 1 members are all that can get the partition, and for m up to n the ranges lie
within each other. So n standbys of each partition cover every loss of up to n members, and fewer don't.

**Rejected.** To hash members to partitions (rendezvous hashing): mostly, the standby would be where the partition
doesn't go. An assignor of our own, which prefers standbys: the client library has no place for one.
"""

from __future__ import annotations

from collections.abc import Iterator


def standby_partitions(own: int, members: int, partitions: int, standbys: int) -> set[int]:
    """Return the partitions that a member keeps a standby of.

    Args:
        own: the member's number in the order of names, from 0.
        members: how many members there are.
        partitions: how many partitions there are.
        standbys: how many members may be gone at the same time.
    """
    lost_max = min(standbys, members - 1)
    owners = list(range_owners(members, partitions))
    found: set[int] = set()
    for lost in range(1, lost_max + 1):
        for partition, owner in enumerate(range_owners(members - lost, partitions)):
            if owner <= own <= owner + lost and owners[partition] != own:
                found.add(partition)
    return found


def range_owners(members: int, partitions: int) -> Iterator[int]:
    """Yield the number of each partition's owner, as Kafka's range assignor assigns them.

    Args:
        members: how many members there are.
        partitions: how many partitions there are.
    """
    share, larger_shares = divmod(partitions, members)
    for member in range(members):
        for _ in range(share + (1 if member < larger_shares else 0)):
            yield member
