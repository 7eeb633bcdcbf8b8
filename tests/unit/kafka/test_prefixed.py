"""Deployments side by side on one log: each sees its own topics, under their plain names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from streams.kafka.prefixed import Prefix, PrefixedAdmin
from streams.ports import AclSpec, Outgoing, TopicPartition, TopicSpec
from streams.wiring.logs import Log, PrefixedLog, open_log
from streams.wiring.settings import SettingsError, load_settings

PLACE = TopicPartition("words", 0)


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[tuple[Log, Log, Log]]:
    """The whole log, and two deployments on it."""
    with open_log(load_settings({"state_dir": tmp_path})) as whole:
        yield whole, PrefixedLog(whole, "blue."), PrefixedLog(whole, "green.")


class Listener:
    def __init__(self) -> None:
        self.told: list[Sequence[TopicPartition]] = []

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(partitions)


def read(log: Log, place: TopicPartition) -> list[bytes | None]:
    reader = log.reader()
    end = reader.end_offsets([place])[place]
    reader.assign({place: 0})
    values: list[bytes | None] = []
    while reader.position(place) < end:
        records = reader.poll(100, 200)
        assert all(record.topic == place.topic for record in records)
        values += [record.value for record in records]
    reader.close()
    return values


def test_topics_of_one_are_not_seen_by_the_other(logs: tuple[Log, Log, Log]) -> None:
    whole, blue, green = logs
    blue.admin().create([TopicSpec("words", 1, {"cleanup.policy": "compact"})], 1)
    assert blue.admin().describe(["words"], ["cleanup.policy"])["words"].config == {"cleanup.policy": "compact"}
    assert green.admin().describe(["words"], ()) == {}
    assert list(whole.admin().describe(["words", "blue.words"], ())) == ["blue.words"]
    blue.admin().alter_config("words", {"cleanup.policy": "delete"})
    assert blue.admin().describe(["words"], ["cleanup.policy"])["words"].config == {"cleanup.policy": "delete"}


def test_records_go_to_their_own(logs: tuple[Log, Log, Log]) -> None:
    whole, blue, green = logs
    for log, value in ((blue, b"blue"), (green, b"green")):
        log.admin().create([TopicSpec("words", 1, {})], 1)
        publisher = log.publisher()
        publisher.publish(Outgoing("words", 0, b"k", value))
        publisher.flush(5_000)
        publisher.close()
    assert read(blue, PLACE) == [b"blue"]
    assert read(green, PLACE) == [b"green"]
    assert read(whole, TopicPartition("green.words", 0)) == [b"green"]


def test_a_group_reads_and_commits_in_transactions(logs: tuple[Log, Log, Log]) -> None:
    _, blue, _ = logs
    blue.admin().create([TopicSpec("words", 1, {}), TopicSpec("echo", 1, {})], 1)
    publisher = blue.publisher()
    for value in (b"one", b"two"):
        publisher.publish(Outgoing("words", 0, None, value))
    publisher.close()
    listener, consumer, producer = Listener(), blue.consumer("group", "a"), blue.producer("writer")
    producer.init_transactions()
    consumer.subscribe(["words"], listener)
    records = []
    while len(records) < 2:
        records += consumer.poll(10, 200)
    assert listener.told == [[PLACE]]
    assert [(record.topic, record.value) for record in records] == [("words", b"one"), ("words", b"two")]
    assert consumer.beginning_offsets([PLACE]) == {PLACE: 0}
    consumer.seek(PLACE, 1)
    consumer.pause([PLACE])
    assert consumer.poll(10, 0) == []
    consumer.resume([PLACE])
    assert [record.value for record in consumer.poll(10, 200)] == [b"two"]
    stored: list[int] = []
    producer.begin()
    producer.send(Outgoing("echo", 0, None, b"dropped"))
    producer.abort()
    producer.begin()
    producer.send(Outgoing("echo", 0, None, b"kept"), stored.append)
    producer.send_offsets({PLACE: 2}, consumer.group_metadata())
    producer.commit()
    assert len(stored) == 1
    assert consumer.committed([PLACE]) == {PLACE: 2}
    consumer.close()
    producer.close()
    assert listener.told == [[PLACE], [PLACE]]
    assert read(blue, TopicPartition("echo", 0)) == [b"kept"]


class Acls:
    """What an admin needs to have of access."""

    def __init__(self, *acls: AclSpec) -> None:
        self.there = set(acls)

    def acls(self) -> set[AclSpec]:
        return self.there

    def create_acls(self, acls: Sequence[AclSpec]) -> None:
        self.there |= set(acls)


def topic_acl(name: str, *, prefixed: bool = False) -> AclSpec:
    return AclSpec("User:a", "TOPIC", name, "READ", prefixed)


class TestAccess:
    def own(self, *acls: AclSpec) -> set[AclSpec] | None:
        return PrefixedAdmin(Acls(*acls), Prefix("blue.")).acls()  # type: ignore[arg-type]

    def test_entries_are_made_under_full_names_and_seen_under_plain_ones(self) -> None:
        inner = Acls()
        admin = PrefixedAdmin(inner, Prefix("blue."))  # type: ignore[arg-type]
        group = AclSpec("User:a", "GROUP", "g", "READ")
        admin.create_acls([topic_acl("words"), group])
        assert inner.there == {topic_acl("blue.words"), group}
        assert admin.acls() == {topic_acl("words"), group}

    def test_entries_of_other_deployments_say_nothing(self) -> None:
        assert self.own(topic_acl("words"), topic_acl("green.words"), topic_acl("wor", prefixed=True)) == set()

    def test_wider_entries_cover_ours(self) -> None:
        assert self.own(topic_acl("*")) == {topic_acl("*")}
        assert self.own(topic_acl("bl", prefixed=True)) == {topic_acl("", prefixed=True)}
        assert self.own(topic_acl("blue.wo", prefixed=True)) == {topic_acl("wo", prefixed=True)}


def test_the_setting_decides(tmp_path: Path) -> None:
    settings = load_settings({"state_dir": tmp_path, "topics": {"prefix": "blue."}})
    with open_log(settings) as log:
        assert log.name.endswith("topics with prefix `blue.`")
        log.admin().create([TopicSpec("words", 1, {})], 1)
    with open_log(load_settings({"state_dir": tmp_path})) as whole:
        assert list(whole.admin().describe(["blue.words"], ())) == ["blue.words"]


@pytest.mark.parametrize("prefix", ["a b", "ü", "a/b", "x" * 101])
def test_a_prefix_that_no_topic_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match=r"setting `topics\.prefix`"):
        load_settings({"topics": {"prefix": prefix}})
