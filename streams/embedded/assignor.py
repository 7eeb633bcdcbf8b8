"""Assign partitions to the members of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.ports import TopicPartition


def assign_ranges(
    subscriptions: Mapping[int, Sequence[str]], order: Sequence[int], partitions: Mapping[str, int]
) -> dict[int, list[TopicPartition]]:
    """Assign ranges of partition numbers to members.

    Topics with the same subscribers share one assignment. So partition n of all of them is assigned to one member, even
    if their partition counts differ.

    Args:
        subscriptions: member -> the topics it subscribes to; topics that are not in `partitions` are skipped.
        order: all members; earlier ones get the lower ranges and the larger shares.
        partitions: topic -> its partition count.

    Returns:
        Member -> its partitions, sorted; every member is in it.
    """
    dealt: dict[int, list[TopicPartition]] = {member: [] for member in order}
    cohorts: dict[tuple[int, ...], list[str]] = {}
    for topic in sorted(partitions):
        subscribers = tuple(member for member in order if topic in subscriptions[member])
        if subscribers:
            cohorts.setdefault(subscribers, []).append(topic)
    for subscribers, topics in cohorts.items():
        count = max(partitions[topic] for topic in topics)
        share, larger_shares = divmod(count, len(subscribers))
        first = 0
        for index, member in enumerate(subscribers):
            end = first + share + (1 if index < larger_shares else 0)
            dealt[member] += [
                TopicPartition(topic, number)
                for topic in topics
                for number in range(first, min(end, partitions[topic]))
            ]
            first = end
    return {member: sorted(owned) for member, owned in dealt.items()}
