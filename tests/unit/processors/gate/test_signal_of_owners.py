"""Rules see of how many people's data the calls of a session are: `signal.owners`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from simulation.records import TRUSTED, tool_entry
from streams.model.attributes import EntityAttributes, entity_key
from streams.model.topics import ATTRIBUTES
from streams.model.verdict import Outcome, Verdict
from streams.processors.gate.named_owners import OWNERS_MAX
from streams.processors.gate.observed import TOLD_OWNERS
from tests.kit import BUNDLE
from tests.unit.processors.entities import entity
from tests.unit.processors.provenance_pack.tools import READS
from tests.unit.processors.talk import Talk

EXPIRES_MS = 10**13
BALANCE = tool_entry("bank", "balance", **READS, output_label=TRUSTED, owner_args=("/iban", "/also/*"))
ORDER = tool_entry("shop", "get_order", **READS, output_label=TRUSTED)
HELP = tool_entry("shop", "get_help", **READS, output_label=TRUSTED)
RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: P-2, effect: deny, match: {tools: ["*"]}, when: signal.owners >= 3, reason: it goes from one to the next}
"""


class Desk(Talk):
    """A session that reads balances and orders."""

    def __init__(self, rules: str = RULES) -> None:
        scopes = ("bank:read", "shop:read")
        files = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": rules}
        super().__init__(files, (BALANCE, ORDER, HELP), scopes=scopes, expires_ms=EXPIRES_MS)

    def owned(self, order: str, owner: Any, kind: str = "order") -> None:
        record: EntityAttributes = entity(order, {"owner_sub": owner}, kind=kind)
        self.driver.pipe(ATTRIBUTES.name, entity_key(record.header.tenant_uid, record.kind, record.id), record)

    def about(self, iban: str) -> Verdict:
        return self.judge(BALANCE, {"iban": iban})

    def orders(self, *args: Mapping[str, Any]) -> list[Outcome]:
        return [self.judge(ORDER, each).outcome for each in args]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_who_goes_from_one_person_to_the_next_is_seen_at_the_third_further_one(desk: Desk) -> None:
    found = [desk.about(iban) for iban in ("DE1", "DE2", "DE1", "DE3", "DE2", "DE4", "DE1")]
    assert [each.outcome for each in found] == [Outcome.ALLOW] * 5 + [Outcome.DENY] * 2
    (signal,) = found[5].signals
    assert (signal.name, signal.score) == ("owners", float(TOLD_OWNERS))
    assert signal.explain == "the session's calls are about the data of 3 people beside the first one"
    assert desk.judge(HELP, {"iban": "DE9"}).outcome is Outcome.DENY, "the session has been at them before"


def test_all_owners_that_one_call_names_count(desk: Desk) -> None:
    assert desk.judge(BALANCE, {"iban": "DE1", "also": ["DE2", "DE3"]}).outcome is Outcome.ALLOW
    assert desk.about("DE1").outcome is Outcome.ALLOW
    assert desk.judge(BALANCE, {"iban": "DE1", "also": ["DE4"]}).outcome is Outcome.DENY


def test_a_call_that_names_several_more_is_not_let_through_for_its_first_one(desk: Desk) -> None:
    assert desk.judge(BALANCE, {"iban": "DE1", "also": [f"DE{at}" for at in range(2, 9)]}).outcome is Outcome.DENY


def test_whose_a_record_is_operators_systems_say(desk: Desk) -> None:
    for number in range(8):
        desk.owned(f"o-{number}", f"customer-{number // 2}")
    assert desk.orders(*({"order_id": f"o-{number}"} for number in range(6))) == [Outcome.ALLOW] * 6
    assert desk.orders({"id": "o-6"}) == [Outcome.DENY], "an `id` of `get_order` is that of an order"


def test_an_account_and_its_orders_are_one_person_s(desk: Desk) -> None:
    desk.owned("DE1", "ann", kind="account")
    desk.owned("o-1", ["ann", "zoe"])
    for at in range(2, 4):
        desk.owned(f"DE{at}", "ann", kind="account")
    assert [desk.about(f"DE{at}").outcome for at in range(1, 4)] == [Outcome.ALLOW] * 3
    assert desk.orders({"order_id": "o-1"}) == [Outcome.ALLOW]
    assert [desk.about(iban).outcome for iban in ("DE8", "DE9")] == [Outcome.ALLOW] * 2
    assert desk.about("DE7").outcome is Outcome.DENY


def test_what_says_nobody_s_name_counts_nothing(desk: Desk) -> None:
    desk.owned("o-1", "ann")
    assert desk.orders(*({"order_id": f"x-{number}"} for number in range(9))) == [Outcome.ALLOW] * 9
    assert [desk.judge(HELP, {"topic": str(number)}).outcome for number in range(9)] == [Outcome.ALLOW] * 9


def test_as_many_as_are_remembered_stay_the_most() -> None:
    desk = Desk(RULES.replace(">= 3", f">= {OWNERS_MAX}"))
    for number in range(OWNERS_MAX + 8):
        found = desk.about(f"DE{number}")
    assert found.outcome is Outcome.ALLOW
    assert found.signals[-1].score == OWNERS_MAX - 1


def test_a_restart_forgets_nobody(desk: Desk) -> None:
    assert [desk.about(iban).outcome for iban in ("DE1", "DE2", "DE3")] == [Outcome.ALLOW] * 3
    desk.restart()
    assert desk.about("DE4").outcome is Outcome.DENY
