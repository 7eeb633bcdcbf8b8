"""Grants that don't hold: each attack is refused, with its reason, by the checks and by the gate."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.delegation.errors import GrantError
from streams.model.alert import Alert
from streams.model.audit import AuditEventType
from streams.model.delegation import Budget
from streams.model.reasons import Reason
from streams.model.topics import ALERT, DELEGATION
from streams.model.verdict import Outcome
from tests.kit import GateBench
from tests.unit.delegation.attacks import ATTACKS
from tests.unit.delegation.denials import SETTINGS
from tests.unit.delegation.family import FAR_ISSUER, FAR_KEY, MOTHERS_KEY, Family


@pytest.mark.parametrize("name", ATTACKS)
def test_it_does_not_hold(name: str) -> None:
    reason, make = ATTACKS[name]
    family = Family()
    grant, receiver = make(family)
    with pytest.raises(GrantError) as refused:
        family.check(grant, receiver)
    assert refused.value.reason is reason, refused.value


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("session_first", [True, False])
def test_the_gate_refuses_it_and_says_why(name: str, session_first: bool) -> None:
    reason, make = ATTACKS[name]
    grant, receiver = make(Family())
    bench = GateBench(settings=SETTINGS, with_session=False)
    if session_first:
        bench.establish(receiver, delegation_uid=grant.uid)
    bench.driver.pipe(DELEGATION.name, receiver.key, grant)
    if not session_first:
        bench.establish(receiver, delegation_uid=grant.uid)
    verdict = bench.judge(args={"path": "docs/a.txt"}, session=receiver, delegation_uid=grant.uid)
    assert (verdict.outcome, verdict.reason) == (Outcome.DENY, reason.value)
    assert bench.dead_letters(DELEGATION.name) == ["grant_invalid"]
    (audit,) = bench.audits(AuditEventType.DEAD_LETTER)
    assert (audit.reason_text or "").startswith(f"{reason.value}: ")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("a_hop_signed_by_whom_it_is_for", "grant forged or altered: files/read"),
        ("another_user_on_the_way", "grant forged or altered: files/read"),
        ("a_scope_more", "grant wider than its parent: files/read"),
        ("the_bounds_left_out", "grant wider than its parent: files/read"),
    ],
)
def test_a_call_under_a_forged_or_widened_grant_is_an_alarm(name: str, title: str) -> None:
    grant, receiver = ATTACKS[name][1](Family())
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.establish(receiver, delegation_uid=grant.uid)
    bench.driver.pipe(DELEGATION.name, receiver.key, grant)
    bench.propose(session=receiver, delegation_uid=grant.uid)
    arrived, alert = [read.record for read in bench.driver.read(ALERT.name)]
    assert isinstance(arrived, Alert)
    assert (arrived.title, arrived.intent_id) == (f"{title.partition(':')[0]}: grant {grant.uid}", None)
    assert isinstance(alert, Alert)
    assert (alert.title, "ASI03" in alert.types) == (title, True)
    assert arrived.analytic_uid == alert.analytic_uid


def test_what_holds_is_accepted() -> None:
    """What the attacks are made of: without this, they could be refused for anything."""
    family = Family()
    bound = family.root(cnf_jkt=MOTHERS_KEY.jkt)
    for grant, receiver in (
        (family.root(), family.mother),
        (family.hop(), family.daughter),
        (family.last(), family.granddaughter),
        (family.root(issuer_uid=FAR_ISSUER, key=FAR_KEY), family.mother),
        (family.hop(bound, key=MOTHERS_KEY), family.daughter),
        (family.root(iat=family.now_ms + 30_000), family.mother),
    ):
        lineage = family.check(grant, receiver)
        assert [body.uid for body in lineage] == [*(body.uid for body in grant.chain), grant.uid]


def test_the_limits_themselves_are_within() -> None:
    family = Family()
    longest = family.root(scopes=("x" * 1_024,), purpose="x" * 1_024, max_depth=0)
    most = family.root(scopes=tuple(f"{n:0100}" for n in range(256)))
    same = family.hop(family.root(may_act=("writer", "sender")), budget=Budget(calls=3, currency="JPY"))
    for grant, receiver in ((longest, family.mother), (most, family.mother), (same, family.daughter)):
        assert family.check(grant, receiver)
    grant, giver = family.root(max_depth=4), family.mother
    for depth in range(1, 5):
        receiver = SessionMaker(f"s-deep-{depth}", act=f"agent-{depth}")
        grant, giver = giver.handed_on(grant, f"g-deep-{depth}", family.now_ms, receiver), receiver
    assert len(family.check(grant, giver)) == 5


def test_a_chain_of_ten_thousand_hops_is_refused_at_once() -> None:
    """Before any of them is looked at: no time is spent on what was made to take time."""
    family = Family()
    hop = family.hop()
    # No grants at all: to look at a single one of them would be another error.
    endless = msgspec.structs.replace(hop, chain=(None,) * 10_000)
    with pytest.raises(GrantError) as refused:
        family.check(endless, family.daughter)
    assert refused.value.reason is Reason.DELEGATION_TOO_DEEP


@pytest.mark.parametrize("changes", [{"purpose": "\ud800"}, {"exp": 2**53}, {"max_depth": -(2**53)}])
def test_what_has_no_canonical_form_can_not_be_signed(changes: dict[str, object]) -> None:
    with pytest.raises(GrantError) as refused:
        Family().root(**changes)
    assert refused.value.reason is Reason.DELEGATION_MALFORMED


def test_a_number_that_other_parsers_would_change_is_refused() -> None:
    family = Family()
    with pytest.raises(GrantError) as refused:
        family.check(family.root(unproven={"max_depth": 2**53}), family.mother)
    assert refused.value.reason is Reason.DELEGATION_MALFORMED
