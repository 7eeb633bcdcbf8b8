"""Where standbys are kept: where the assignment will look for them, whoever dies."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from streams.embedded.assignor import assign_ranges
from streams.engine.standby_places import standby_partitions

MEMBERS = st.integers(1, 7)
PARTITIONS = st.integers(1, 24)
STANDBYS = st.integers(0, 4)


def owners(members: list[int], partitions: int) -> list[int]:
    """The member that owns each partition, as an adapter assigns them."""
    dealt = assign_ranges(dict.fromkeys(members, ("t",)), members, {"t": partitions})
    by_partition = {number: member for member, owned in dealt.items() for _, number in owned}
    return [by_partition[number] for number in range(partitions)]


@given(MEMBERS, PARTITIONS, STANDBYS)
def test_whoever_dies_partitions_go_where_a_standby_is_and_no_standby_is_in_vain(
    members: int, partitions: int, standbys: int
) -> None:
    everybody = list(range(members))
    before = owners(everybody, partitions)
    needed: dict[int, set[int]] = {member: set() for member in everybody}
    for lost in range(min(standbys, members - 1) + 1):
        for dead in combinations(everybody, lost):
            survivors = [member for member in everybody if member not in dead]
            for partition, owner in enumerate(owners(survivors, partitions)):
                if owner != before[partition]:
                    needed[owner].add(partition)
    assert {member: standby_partitions(member, members, partitions, standbys) for member in everybody} == needed


@given(MEMBERS, PARTITIONS, STANDBYS)
def test_each_partition_has_as_many_standbys_as_are_asked_for(members: int, partitions: int, standbys: int) -> None:
    kept = [standby_partitions(member, members, partitions, standbys) for member in range(members)]
    for partition in range(partitions):
        assert sum(partition in numbers for numbers in kept) == min(standbys, members - 1)
