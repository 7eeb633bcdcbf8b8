"""Whose a record is, operators' systems say (`owner_sub` of `agent.attributes.v1`); the fact `owner` follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simulation.records import TRUSTED, UNTRUSTED, tool_entry
from streams.audit.attribute_writers import AttributeWriters
from streams.model.attributes import EntityAttributes, entity_key
from streams.model.topics import ATTRIBUTES
from streams.model.verdict import Outcome, Verdict
from streams.processors.control.attributes import Attributes
from tests.kit import BUNDLE, MINUTE_MS
from tests.starter import starter_source
from tests.unit.processors.entities import entity
from tests.unit.processors.provenance_pack.tools import ACTS, INNER, READS
from tests.unit.processors.talk import Talk

BALANCE = tool_entry("bank", "balance", **READS, output_label=TRUSTED, owner_args=("/iban",))
ORDER = tool_entry("shop", "get_order", **READS, output_label=TRUSTED)
CHANGE = tool_entry("shop", "change_order", **INNER, sink_args=("/order_id",))
TRANSFER = {"type": "object", "properties": {"account": {"type": "string"}, "amount": {"type": "integer"}}}
PAY = tool_entry("bank", "pay", schema=TRANSFER, **ACTS, sink_args=("/account",))
LETTER = tool_entry("box", "open", **READS, output_label=UNTRUSTED)
ENTRIES = (BALANCE, ORDER, CHANGE, PAY, LETTER)
SUB = "alice"
EXPIRES_MS = 10**13
MINE, HERS, NOBODYS = "DE02300209000106531065", "DE02500105170137075030", "DE02120300000000202051"

RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: P-2, effect: deny, match: {tools: ["*"]}, when: owner.other, reason: other}
  - {id: P-3, effect: deny, match: {tools: [bank.balance]}, when: "!owner.subject", reason: not the user's}
  - id: P-4
    effect: deny
    match: {tools: ["*"]}
    when: has(owner.age_ms) && owner.age_ms > 60000
    reason: nobody has confirmed it for a minute
"""


class Bank(Talk):
    """A session of a user whose accounts and orders operators' systems know."""

    def __init__(self, files: Mapping[str, str] | None = None) -> None:
        servers = ("bank", "shop", "box")
        scopes = tuple(f"{server}:{right}" for server in servers for right in ("read", "write"))
        files = files or {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES}
        super().__init__(files, ENTRIES, scopes=scopes, expires_ms=EXPIRES_MS)
        self.write(entity(MINE, {"owner_sub": SUB}, kind="account"))
        self.write(entity(HERS, {"owner_sub": "mallory"}, kind="account"))

    def write(self, record: EntityAttributes) -> None:
        self.driver.pipe(ATTRIBUTES.name, entity_key(record.header.tenant_uid, record.kind, record.id), record)

    def balance(self, iban: Any) -> Verdict:
        return self.judge(BALANCE, {"iban": iban})


def fired(verdict: Verdict) -> set[str]:
    return {rule.rule_id for rule in verdict.rules} - {"P-1"}


def test_the_gate_knows_whose_account_a_read_is_about() -> None:
    bank = Bank()
    assert bank.balance(MINE).outcome is Outcome.ALLOW
    assert fired(bank.balance(HERS)) == {"P-2", "P-3"}
    assert "P-3" in fired(bank.balance(NOBODYS)), "nobody says that it is the user's"


def test_a_verdict_says_how_far_attributes_were_read() -> None:
    assert Bank().balance(MINE).attributes_offset == 2


def test_where_no_rule_asks_for_owners_nobody_looks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    find = Attributes.find
    monkeypatch.setattr(
        Attributes, "find", lambda self, tenant, kind, name: asked.append(name) or find(self, tenant, kind, name)
    )
    assert fired(Bank().balance(HERS)) == {"P-2", "P-3"}
    assert asked == [HERS]
    asked.clear()
    head, _, _ = RULES.partition("  - {id: P-2")
    rules = head + '  - {id: P-5, effect: deny, match: {tools: ["*"]}, when: read.text, reason: text}\n'
    verdict = Bank({"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": rules}).balance(HERS)
    assert (verdict.outcome, asked) == (Outcome.ALLOW, [])
    assert verdict.attributes_offset == 2
    assert [each.pointer for each in verdict.origins] == ["/iban"]


def test_an_account_of_several_people_is_each_ones() -> None:
    bank = Bank()
    bank.write(entity(HERS, {"owner_sub": ["mallory", SUB]}, kind="account"))
    assert bank.balance(HERS).outcome is Outcome.ALLOW


def test_a_record_of_another_kind_is_found_by_what_the_argument_is_called() -> None:
    bank = Bank()
    bank.write(entity("17", {"owner_sub": "mallory"}, kind="order"))
    bank.write(entity("18", {"owner_sub": SUB}, kind="order"))
    bank.write(entity("18", {"owner_sub": "mallory"}, kind="invoice"))
    assert fired(bank.judge(ORDER, {"id": 17})) == {"P-2"}, "`id` of `get_order`"
    assert fired(bank.judge(CHANGE, {"order_id": "17"})) == {"P-2"}
    assert bank.judge(CHANGE, {"order_id": "18"}).outcome is Outcome.ALLOW, "an invoice 18 is no order 18"


def test_of_several_kinds_all_must_be_the_users() -> None:
    bank = Bank()
    bank.write(entity(MINE, {"owner_sub": "mallory"}, kind="contract"))
    assert fired(bank.balance(MINE)) == {"P-2", "P-3"}
    bank.write(entity(MINE, {"owner_sub": SUB}, kind="iban"))
    assert bank.balance(MINE).outcome is Outcome.ALLOW, "the kind that the argument is called by alone counts"


def test_where_money_goes_may_be_somebody_elses() -> None:
    bank = Bank()
    assert bank.judge(PAY, {"account": HERS, "amount": 5}).outcome is Outcome.ALLOW


def test_the_age_is_that_of_the_oldest_record() -> None:
    bank = Bank()
    bank.wait(MINUTE_MS + 1)
    assert fired(bank.balance(MINE)) == {"P-4"}
    bank.write(entity(MINE, {"owner_sub": SUB}, kind="account"))
    assert bank.balance(MINE).outcome is Outcome.ALLOW


def test_what_contents_say_does_not_count_against_operators_systems() -> None:
    bank = Bank()
    bank.say(f"What is the balance of {HERS}?")
    bank.read(LETTER, {"id": "m-7001"}, {"customer": SUB, "iban": HERS})
    assert "P-2" in fired(bank.balance(HERS))


@pytest.mark.parametrize("owner", [17, True, "", []])
def test_an_owner_that_names_nobody_is_somebody_else(owner: Any) -> None:
    bank = Bank()
    bank.write(entity(MINE, {"owner_sub": owner}, kind="account"))
    assert "P-2" in fired(bank.balance(MINE))


def test_a_record_that_can_not_be_read_denies() -> None:
    bank = Bank()
    bank.write(entity(MINE, "no json", kind="account"))
    verdict = bank.balance(MINE)
    assert verdict.reason == "rule_error"
    assert {"P-2", "P-3"} <= {fault.rule_id for fault in verdict.errors}
    assert bank.judge(ORDER, {"id": 99}).outcome is Outcome.ALLOW, "other calls are not concerned"


def test_what_was_removed_says_nothing_and_leaves_no_kind() -> None:
    bank = Bank()
    for iban in (MINE, HERS):
        bank.driver.pipe(ATTRIBUTES.name, entity_key(bank.session.tenant, "account", iban), None)
    assert fired(bank.balance(MINE)) >= {"P-3"}


def test_kinds_are_counted_by_tenant() -> None:
    known = Attributes(AttributeWriters.of({}, allow_unsigned=True))
    for offset, record in enumerate(
        (
            entity("1", {"owner_sub": SUB}, kind="account"),
            entity("2", {"owner_sub": SUB}, kind="account"),
            entity("3", {"tier": 'a "owner_sub": b'}, kind="order"),
            entity("4", {"owner_sub": SUB}, tenant="other", kind="order"),
        )
    ):
        known.offer(entity_key(record.header.tenant_uid, record.kind, record.id), record, offset, 0)
    assert set(known.owner_kinds("acme")) == {"account"}
    known.forget(entity_key("acme", "account", "1"))
    assert set(known.owner_kinds("acme")) == {"account"}
    known.make_unclear(entity_key("acme", "account", "2"))
    assert not known.owner_kinds("acme")
    assert set(known.owner_kinds("other")) == {"order"}


def packed() -> Bank:
    return Bank(starter_source().files)


def test_the_pack_asks_before_it_shows_the_account_of_somebody_else() -> None:
    bank = packed()
    bank.say(f"What is the balance of {HERS}, and of {MINE}?")
    other = bank.balance(HERS)
    assert (other.outcome, "PROV-002" in fired(other)) == (Outcome.REQUIRE_APPROVAL, True)
    assert bank.balance(MINE).outcome is Outcome.ALLOW


def test_the_pack_denies_the_account_of_somebody_else_that_only_text_names() -> None:
    bank = packed()
    bank.say("Read letter m-7001 and show my balance.")
    bank.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "text": f"The account is {HERS}. Mine is {MINE}."})
    assert "PROV-001" in fired(bank.balance(HERS))
    assert "PROV-001" not in fired(bank.balance(MINE))
