"""Attributes of entities from outside, through the driven gate."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from streams.audit.attribute_writers import AttributeWriters, signed_attributes
from streams.audit.signatures import SigningKey
from streams.model.attributes import ATTRIBUTES_BYTES_MAX, EntityAttributes, Room, entity_key
from streams.model.errors import RecordError
from streams.model.topics import ATTRIBUTES, AUDIT
from streams.processors.control import unclear_entities
from streams.processors.control.attributes import UNKNOWN, Attributes
from tests.keeping import LOOKUP, REFUND, CountingBench
from tests.kit import MINUTE_MS
from tests.unit.processors.entities import TENANT, entity, held

RULES = """
entities:
  customer: {key: args.customer, match: {tools: [pay.refund]}, fields: {tier: string, limit: int, vip: bool,
             regions: list(string)}}
rules:
  - {id: C-1, effect: permit, match: {tools: [pay.refund]}, reason: gold,
     when: 'entities.customer.tier == "gold" && args.amount <= entities.customer.limit'}
  - {id: C-2, effect: deny, match: {tools: [pay.refund]}, reason: too old, when: 'entities.customer.age_ms > 60000'}
  - {id: C-3, effect: permit, match: {tools: [pay.lookup]}, when: "true", reason: anybody}
"""
GOLD = {"tier": "gold", "limit": 100, "vip": True, "regions": ["eu"]}


def publish(bench: CountingBench, record: EntityAttributes, key: bytes | None = None) -> None:
    own = entity_key(record.header.tenant_uid, record.kind, record.id)
    bench.driver.pipe(ATTRIBUTES.name, own if key is None else key, record)


def refund(bench: CountingBench, customer: Any = "c-1", amount: int = 5) -> str:
    return bench.outcome(REFUND, {"customer": customer, "amount": amount})


def letters(bench: CountingBench) -> list[str]:
    """The reasons of new dead letters, by their audit records."""
    events = [read.record for read in bench.driver.read(AUDIT.name)]
    return [event.reason for event in events if event.event_type.value == "DEAD_LETTER"]


def test_a_rule_reads_what_is_known_of_the_customer_that_the_call_names() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD))
    publish(bench, entity("c-2", {**GOLD, "tier": "basic"}))
    assert [refund(bench), refund(bench, amount=101)] == ["ALLOW", "no_permit"]
    assert refund(bench, "c-2") == "no_permit"
    publish(bench, entity("c-1", {**GOLD, "limit": 500}))
    assert refund(bench, amount=101) == "ALLOW", "the newest record counts"


def test_nothing_is_permitted_about_an_entity_that_nobody_knows_and_denies_are_in_error() -> None:
    bench = CountingBench(RULES)
    verdict = bench.judge(REFUND, {"customer": "c-1", "amount": 5})
    assert (verdict.outcome.value, verdict.reason) == ("DENY", "rule_error")
    assert {fault.rule_id for fault in verdict.errors} == {"C-1", "C-2"}
    assert bench.outcome(LOOKUP, {}) == "ALLOW", "a tool whose rules read no entity is not concerned"


def test_an_unknown_entity_can_be_asked_for() -> None:
    rules = RULES.replace("age_ms > 60000", 'known && entities.customer.tier == "blocked"').replace(
        'entities.customer.tier == "gold" &&', "!entities.customer.known ||"
    )
    bench = CountingBench(rules)
    assert refund(bench) == "ALLOW"
    publish(bench, entity("c-1", {"tier": "blocked", "limit": 100}))
    assert refund(bench) == "rule_denied"
    bench.driver.pipe(ATTRIBUTES.name, entity_key(TENANT, "customer", "c-1"), None)
    assert refund(bench) == "ALLOW", "a tombstone removes the entity"


@pytest.mark.parametrize("customer", [None, "", "x" * 300, True, 1.5, ["c-1"]])
def test_a_call_that_names_no_entity_is_in_error(customer: Any) -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD))
    assert refund(bench, customer) == "rule_error"


def test_a_number_and_its_text_are_one_id() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("7", GOLD))
    assert [refund(bench, 7), refund(bench, "7"), refund(bench, 7.0)] == ["ALLOW"] * 3


def test_an_attribute_of_another_type_than_declared_is_missing() -> None:
    bench = CountingBench(RULES)
    for wrong in ({**GOLD, "limit": "100"}, {**GOLD, "limit": True}, {**GOLD, "tier": 1}, {**GOLD, "tier": None}, {}):
        publish(bench, entity("c-1", wrong))
        assert refund(bench) in ("rule_error", "no_permit"), wrong
        assert "C-1" in {fault.rule_id for fault in bench.judge(REFUND, {"customer": "c-1", "amount": 5}).errors}


def test_the_age_counts_from_the_brokers_time_or_from_when_the_source_last_knew_it() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD))
    bench.wait(MINUTE_MS)
    assert refund(bench) == "ALLOW"
    bench.wait(1)
    assert refund(bench) == "rule_denied"
    publish(bench, entity("c-1", GOLD, observed_at=bench.now_ms - MINUTE_MS - 1))
    assert refund(bench) == "rule_denied", "it is old already when it is written"
    publish(bench, entity("c-1", GOLD, observed_at=bench.now_ms + 10 * MINUTE_MS))
    assert refund(bench) == "ALLOW"
    bench.wait(MINUTE_MS + 1)
    assert refund(bench) == "rule_denied", "a source can't make it younger than its record"


def test_another_tenants_entity_is_another_entity() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD, tenant="other"))
    assert refund(bench) == "rule_error"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (entity("c-1", "[]"), "attributes_invalid"),
        (entity("c-1", '{"a": 1, "a": 2}'), "attributes_invalid"),
        (entity("c-1", '{"a": 1.5}'), "attributes_invalid"),
        (entity("c-1", '{"a": {"b": 1}}'), "attributes_invalid"),
        (entity("c-1", {"a": "x" * ATTRIBUTES_BYTES_MAX}), "attributes_invalid"),
        (entity("c-1", {f"a{n}": n for n in range(65)}), "attributes_invalid"),
        (entity("c-1", GOLD, kind="Customer"), "attributes_invalid"),
        (entity("c-2", GOLD), "key_mismatch"),
    ],
)
def test_a_record_that_can_not_be_used_makes_its_entity_unclear_and_is_set_aside(
    record: EntityAttributes, reason: str
) -> None:
    bench = CountingBench(RULES.replace("entities.customer.age_ms > 60000", "!has(entities.customer)"))
    publish(bench, entity("c-1", GOLD))
    assert refund(bench) == "ALLOW"
    letters(bench)
    publish(bench, record, entity_key(TENANT, "customer", "c-1"))
    assert letters(bench) == [reason]
    assert [len(bench.driver.read_raw(ATTRIBUTES.dlq))] == [1]
    assert refund(bench) == "rule_error", "what was known before may be wrong now, and `has()` does not get around that"
    publish(bench, entity("c-1", GOLD))
    assert refund(bench) == "ALLOW"


def test_bytes_that_are_no_record_make_the_entity_of_their_key_unclear() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD))
    bench.driver.pipe(ATTRIBUTES.name, entity_key(TENANT, "customer", "c-1"), b"\x00nonsense")
    assert refund(bench) == "rule_error"


def test_a_verdict_says_up_to_where_the_attributes_had_been_read() -> None:
    bench = CountingBench(RULES)
    for number in range(3):
        publish(bench, entity(f"c-{number}", GOLD))
    assert bench.judge(REFUND, {"customer": "c-1", "amount": 5}).attributes_offset == 3
    assert bench.judge(LOOKUP, {}).attributes_offset is None, "its rules read none"


def test_memories_and_budgets_read_entities_too() -> None:
    rules = """
entities:
  customer: {key: args.customer, fields: {tier: string}}
history:
  gold: {keep: count, on: allowed, match: {tools: [pay.refund]}, when: entities.customer.tier == "gold"}
budgets:
  basic: {per: session, measure: calls, match: {tools: [pay.refund]}, when: entities.customer.tier == "basic", limit: 1}
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: [pay.refund]}, when: history.gold >= 2, reason: twice}
"""
    bench = CountingBench(rules)
    publish(bench, entity("c-1", {"tier": "gold"}))
    publish(bench, entity("c-2", {"tier": "basic"}))
    assert [refund(bench, "c-2"), refund(bench, "c-2")] == ["ALLOW", "budget_exhausted"]
    assert [refund(bench), refund(bench), refund(bench)] == ["ALLOW", "ALLOW", "rule_denied"]
    assert refund(bench, "c-3") == "rule_denied"


def test_a_gate_that_starts_later_knows_the_same() -> None:
    bench = CountingBench(RULES)
    publish(bench, entity("c-1", GOLD))
    bench.restart()
    assert refund(bench) == "ALLOW"


def test_what_a_person_sets_is_in_the_audit_log_without_values() -> None:
    bench = CountingBench(RULES)
    bench.driver.read(AUDIT.name)
    publish(bench, entity("c-1", GOLD))
    publish(bench, entity("c-2", GOLD, set_by="ann", reason="asked by the customer"))
    (event,) = [read.record for read in bench.driver.read(AUDIT.name)]
    assert (event.event_type.value, event.reason) == ("CONTROL", "attributes_set")
    text = msgspec.json.encode(event).decode()
    assert "limit, regions, tier, vip, not signed, because: asked by the customer" in text
    assert "ann" in text
    assert "gold" not in text


# What is held


def offer(table: Attributes, record: EntityAttributes) -> None:
    table.offer(entity_key(record.header.tenant_uid, record.kind, record.id), record, 0, 1_000)


def test_without_room_an_entity_is_unclear_and_others_are_not() -> None:
    table = held(bytes_max=600)
    offer(table, entity("c-1", GOLD))
    offer(table, entity("c-2", {"tier": "gold"}))
    with pytest.raises(RecordError, match=r"no room for `customer/c-3`.*`attributes.bytes_max` is 600") as error:
        offer(table, entity("c-3", GOLD))
    assert error.value.reason == "attributes_full"
    assert table.find(TENANT, "customer", "c-3") is None
    assert table.find(TENANT, "customer", "c-4") is UNKNOWN
    assert table.find(TENANT, "customer", "c-1") is not None
    table.forget(entity_key(TENANT, "customer", "c-1"))
    offer(table, entity("c-3", GOLD))
    assert table.find(TENANT, "customer", "c-3") is not None


def test_an_update_without_room_does_not_leave_the_old_attributes_in_force() -> None:
    table = held(bytes_max=600)
    offer(table, entity("c-1", {"tier": "gold"}))
    with pytest.raises(RecordError):
        offer(table, entity("c-1", {"tier": "blocked", "note": "x" * 500}))
    assert table.find(TENANT, "customer", "c-1") is None


def test_the_number_of_unclear_entities_does_not_fall_when_more_become_unclear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unclear_entities, "NAMES_OF_TENANT_MAX", 2)
    monkeypatch.setattr(unclear_entities, "TENANTS_MAX", 3)
    table, counts = held(), []
    for number in range(20):
        table.make_unclear(entity_key(f"t-{number // 4}", "customer", f"bad-{number}"))
        counts.append(table.unclear_count)
    assert counts == sorted(counts)
    assert counts[-1] >= 3 * 3


def test_with_too_many_unclear_entities_every_one_that_is_not_held_is_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unclear_entities, "NAMES_OF_TENANT_MAX", 2)
    table = held()
    offer(table, entity("c-1", GOLD))
    for number in range(3):
        table.make_unclear(entity_key(TENANT, "customer", f"bad-{number}"))
    assert table.find(TENANT, "customer", "never-seen") is None
    assert table.find(TENANT, "customer", "c-1") is not None
    assert table.find("other", "customer", "never-seen") is UNKNOWN, "another tenant is not concerned"


@pytest.mark.parametrize("bound", ["NAMES_MAX", "TENANTS_MAX"])
def test_with_too_many_of_all_tenants_every_entity_that_is_not_held_is_unclear(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unclear_entities, "NAMES_OF_TENANT_MAX", 2)
    monkeypatch.setattr(unclear_entities, bound, 3)
    table = held()
    for tenant in range(4):
        assert table.find("last", "customer", "never-seen") is UNKNOWN
        for number in range(3 if bound == "TENANTS_MAX" else 1):
            table.make_unclear(entity_key(f"t-{tenant}", "customer", f"bad-{number}"))
    assert table.find("last", "customer", "never-seen") is None


def test_keys_that_nobody_can_read_take_little_memory() -> None:
    table = held()
    tracemalloc.start()
    try:
        for number in range(200):
            table.make_unclear(b"acme|%d" % number + bytes(100_000))
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    assert table.unclear_count == 200


def test_one_tenant_leaves_room_for_the_entities_of_others() -> None:
    table = held(bytes_max=2_000, tenant_bytes_max=600)
    offer(table, entity("c-1", GOLD))
    offer(table, entity("c-2", {"tier": "gold"}))
    with pytest.raises(RecordError, match=r"no room for `customer/c-3`.*`attributes.tenant_bytes_max` is 600") as error:
        offer(table, entity("c-3", GOLD))
    assert error.value.reason == "attributes_full"
    assert table.find(TENANT, "customer", "c-3") is None
    offer(table, entity("c-3", GOLD, tenant="other"))
    assert table.find("other", "customer", "c-3") is not None
    assert table.tenant_bytes_count <= 600 < table.bytes_count
    table.forget(entity_key(TENANT, "customer", "c-1"))
    offer(table, entity("c-3", GOLD))
    assert table.find(TENANT, "customer", "c-3") is not None


def test_bytes_are_counted_exactly() -> None:
    table = held()
    for number in range(20):
        offer(table, entity(f"c-{number}", GOLD))
        offer(table, entity(f"c-{number}", {"tier": "basic"}))
    for number in range(20):
        table.make_unclear(entity_key(TENANT, "customer", f"c-{number}"))
    assert (table.count, table.bytes_count) == (0, 0)


# Whose records count

CRM, DESK = SigningKey.made(), SigningKey.made()
WRITERS = AttributeWriters.of(
    {"crm": str(CRM.public), "desk": str(DESK.public)},
    tenants={"desk": ["other"]},
    kinds={"desk": ["account"]},
    deployment="prod",
)


def test_only_what_a_writer_has_signed_for_this_deployment_counts() -> None:
    table = Attributes(WRITERS)
    offer(table, signed_attributes(entity("c-1", GOLD), CRM, "prod"))
    assert table.find(TENANT, "customer", "c-1") is not None
    for wrong in (
        entity("c-1", GOLD),
        signed_attributes(entity("c-1", GOLD), CRM, "test"),
        signed_attributes(entity("c-1", GOLD), SigningKey.made(), "prod"),
        msgspec.structs.replace(signed_attributes(entity("c-1", GOLD), CRM, "prod"), attributes_json='{"tier":"x"}'),
        msgspec.structs.replace(signed_attributes(entity("c-1", GOLD), CRM, "prod"), observed_at=1),
    ):
        with pytest.raises(RecordError) as error:
            offer(table, wrong)
        assert error.value.reason == "attributes_unproven"
        assert table.find(TENANT, "customer", "c-1") is None


def test_a_writer_speaks_for_its_tenants_and_about_its_kinds_only() -> None:
    table = Attributes(WRITERS)
    offer(table, signed_attributes(entity("a-1", GOLD, tenant="other", kind="account"), DESK, "prod"))
    for wrong, text in (
        (entity("a-1", GOLD, kind="account"), f"`desk`, who may not speak for tenant `{TENANT}`"),
        (entity("c-1", GOLD, tenant="other"), "who may not speak about them"),
    ):
        with pytest.raises(RecordError, match=text):
            offer(table, signed_attributes(wrong, DESK, "prod"))


def test_an_old_record_that_is_written_again_does_not_count_and_does_not_look_new() -> None:
    table = Attributes(WRITERS)
    old, new = (signed_attributes(at(time_ms), CRM, "prod") for time_ms in (100, 200))
    offer(table, old)
    assert table.find(TENANT, "customer", "c-1") == (GOLD, 100), "its age is that of its signature, not of the log"
    offer(table, new)
    offer(table, new)
    assert table.find(TENANT, "customer", "c-1") == (GOLD, 200)
    with pytest.raises(RecordError, match="were signed at 100, and later ones at 200 were read before") as error:
        offer(table, old)
    assert error.value.reason == "attributes_outdated"
    assert table.find(TENANT, "customer", "c-1") is None
    with pytest.raises(RecordError, match=r"is not what `crm` has signed"):
        offer(table, msgspec.structs.replace(old, header=new.header))


def made_unclear(table: Attributes, key: bytes) -> None:
    table.make_unclear(key)


def written_twice(table: Attributes, key: bytes) -> None:
    with pytest.raises(RecordError):
        table.offer(key, signed_attributes(at(100), CRM, "prod"), 0, 5_000)


def deleted(table: Attributes, key: bytes) -> None:
    table.forget(key)


@pytest.mark.parametrize("removal", [deleted, made_unclear, written_twice])
def test_an_old_record_does_not_count_after_a_removal_that_needs_no_signature(
    removal: Callable[[Attributes, bytes], None],
) -> None:
    table, key = Attributes(WRITERS), entity_key(TENANT, "customer", "c-1")
    offer(table, signed_attributes(at(100), CRM, "prod"))
    offer(table, signed_attributes(at(200), CRM, "prod"))
    removal(table, key)
    for time_ms in (100, 200, 100):
        with pytest.raises(RecordError, match="those of 200 were removed or made unclear since") as error:
            offer(table, signed_attributes(at(time_ms), CRM, "prod"))
        assert error.value.reason == "attributes_outdated"
        assert table.find(TENANT, "customer", "c-1") is None
    offer(table, signed_attributes(at(201), CRM, "prod"))
    assert table.find(TENANT, "customer", "c-1") == (GOLD, 201)


def test_what_was_removed_takes_no_room_from_entities() -> None:
    key = entity_key(TENANT, "customer", "c-1")
    table = Attributes(WRITERS, Room(600))
    for number in range(50):
        offer(table, signed_attributes(entity(f"c-{number}", GOLD), CRM, "prod"))
        assert table.bytes_count <= table.room.bytes_max
        table.forget(entity_key(TENANT, "customer", f"c-{number}"))
    assert 0 < table.bytes_count <= table.room.bytes_max
    table = Attributes(WRITERS)
    offer(table, signed_attributes(entity("c-1", GOLD), CRM, "prod"))
    before = table.bytes_count
    table.forget(key)
    offer(table, signed_attributes(at(2), CRM, "prod"))
    assert (table.count, table.bytes_count) == (1, before)


def test_a_tenant_that_removes_entities_does_not_let_old_attributes_of_others_count_again() -> None:
    table = Attributes(WRITERS, Room(1_500))
    offer(table, signed_attributes(at(100), CRM, "prod"))
    table.forget(entity_key(TENANT, "customer", "c-1"))
    for number in range(50):
        offer(table, signed_attributes(entity(f"c-{number}", GOLD, tenant="other"), CRM, "prod"))
        table.forget(entity_key("other", "customer", f"c-{number}"))
        assert table.bytes_count <= table.room.bytes_max
    with pytest.raises(RecordError, match="those of 100 were removed or made unclear since"):
        offer(table, signed_attributes(at(100), CRM, "prod"))


def test_an_update_without_room_does_not_let_old_attributes_count_again() -> None:
    table = Attributes(WRITERS, Room(600))
    offer(table, signed_attributes(at(100), CRM, "prod"))
    large = entity("c-1", {"tier": "blocked", "note": "x" * 500})
    large = msgspec.structs.replace(large, header=msgspec.structs.replace(large.header, time=200))
    with pytest.raises(RecordError, match="no room"):
        offer(table, signed_attributes(large, CRM, "prod"))
    with pytest.raises(RecordError, match="made unclear since"):
        offer(table, signed_attributes(at(100), CRM, "prod"))


def at(time_ms: int) -> EntityAttributes:
    record = entity("c-1", GOLD)
    return msgspec.structs.replace(record, header=msgspec.structs.replace(record.header, time=time_ms))


def test_without_writers_nothing_counts() -> None:
    with pytest.raises(RecordError, match=r"no writer is configured; see the setting `attributes.writers`"):
        offer(Attributes(), entity("c-1", GOLD))
