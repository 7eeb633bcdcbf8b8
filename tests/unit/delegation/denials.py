"""Calls that a session's grant does not let through, or that lack one: each with the reason of its denial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from simulation.records import SessionMaker, revocation
from streams.model.delegation import Budget, Delegation
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.topics import DELEGATION, REVOCATION
from streams.model.verdict import Verdict
from tests.kit import FILES_READ, GATE_SETTINGS, MAIL_SEND, WEB_FETCH, GateBench
from tests.unit.delegation.attacks import ATTACKS
from tests.unit.delegation.family import (
    ANCHORS,
    MINUTE_MS,
    MOTHERS_KEY,
    STRANGERS_KEY,
    Family,
    bound,
    tool,
    tools,
)

SETTINGS = msgspec.structs.replace(GATE_SETTINGS, trust_anchors=ANCHORS)
DENIALS: dict[str, tuple[Reason, Callable[[], Verdict]]] = {}


def denial(reason: Reason) -> Callable[[Callable[[], Verdict]], Callable[[], Verdict]]:
    def register(function: Callable[[], Verdict]) -> Callable[[], Verdict]:
        DENIALS[function.__name__] = (reason, function)
        return function

    return register


def standing_on(grant: Delegation, receiver: SessionMaker, **settings: Any) -> GateBench:
    """A gate with a session that stands on the grant."""
    bench = GateBench(settings=msgspec.structs.replace(SETTINGS, **settings), with_session=False)
    bench.establish(receiver, delegation_uid=grant.uid, scopes=("files:read", "mail:send", "pay"))
    bench.driver.pipe(DELEGATION.name, receiver.key, grant)
    bench.session = receiver
    return bench


def mothers(**changes: Any) -> GateBench:
    """A gate with the mother's session; `changes` of her grant."""
    family = Family()
    return standing_on(family.root(**changes), family.mother)


def docs() -> dict[str, Any]:
    """Arguments that the mother's grant lets through."""
    return {"path": "docs/a.txt"}


@denial(Reason.DELEGATION_MISSING)
def its_grant_never_arrives() -> Verdict:
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.establish(bench.session, delegation_uid="g-1")
    bench.propose(delegation_uid="g-1")
    assert not bench.verdicts()
    bench.wait(2_000)
    return bench.verdict()


@denial(Reason.DELEGATION_MISSING)
def no_grant_where_every_session_needs_one() -> Verdict:
    return GateBench(settings=msgspec.structs.replace(SETTINGS, require_delegation=True)).judge()


@denial(Reason.DELEGATION_MISSING)
def the_grant_of_another_session_is_brought_under_its_own_key() -> Verdict:
    """Which is no record of that session at all."""
    family = Family()
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.establish(family.granddaughter, delegation_uid="g-2")
    bench.driver.pipe(DELEGATION.name, family.granddaughter.key, family.hop())
    assert bench.dead_letters(DELEGATION.name) == ["key_mismatch"]
    bench.propose(session=family.granddaughter, delegation_uid="g-2")
    bench.wait(2_000)
    return bench.verdict()


@denial(Reason.DELEGATION_UNSTATED)
def it_does_not_name_the_grant_of_its_session() -> Verdict:
    return mothers().judge(FILES_READ, docs(), delegation_uid=None)


@denial(Reason.DELEGATION_UNKNOWN)
def it_names_the_grant_of_another_session() -> Verdict:
    return mothers().judge(FILES_READ, docs(), delegation_uid="g-2")


@denial(Reason.DELEGATION_UNKNOWN)
def it_names_an_ancestor_of_its_grant() -> Verdict:
    family = Family()
    return standing_on(family.hop(), family.daughter).judge(FILES_READ, docs(), delegation_uid="g-1")


@denial(Reason.DELEGATION_EXPIRED)
def its_grant_has_expired_since() -> Verdict:
    bench = mothers()
    bench.wait(10 * MINUTE_MS)
    return bench.judge(FILES_READ, docs())


@denial(Reason.DELEGATION_NOT_YET_VALID)
def its_grant_does_not_hold_yet() -> Verdict:
    return mothers(nbf=Family().now_ms + MINUTE_MS).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_NOT_YET_VALID)
def an_ancestor_of_its_grant_does_not_hold_yet() -> Verdict:
    family = Family()
    hop = family.hop(family.root(nbf=family.now_ms + MINUTE_MS), nbf=None)
    return standing_on(hop, family.daughter).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_AUDIENCE_MISMATCH)
def its_grant_is_not_for_the_server() -> Verdict:
    return mothers(audience=("mail",)).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_AUDIENCE_MISMATCH)
def its_grant_is_for_no_server() -> Verdict:
    return mothers(audience=()).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_TOOL_NOT_GRANTED)
def its_grant_does_not_have_the_tool() -> Verdict:
    return mothers(audience=("*",)).judge(WEB_FETCH, {"url": "https://example.com"})


@denial(Reason.DELEGATION_TOOL_NOT_GRANTED)
def its_grant_has_no_tools() -> Verdict:
    return mothers(authorization_details=()).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_ARGUMENTS_NOT_GRANTED)
def an_argument_out_of_bounds() -> Verdict:
    return mothers().judge(FILES_READ, {"path": "secret/a.txt"})


@denial(Reason.DELEGATION_ARGUMENTS_NOT_GRANTED)
def an_argument_that_the_grant_does_not_name() -> Verdict:
    return mothers().judge(MAIL_SEND, {"to": "ann@example.com", "text": "hello", "bcc": "eve@evil.example"})


@denial(Reason.DELEGATION_ARGUMENTS_NOT_GRANTED)
def a_bounded_argument_is_left_out() -> Verdict:
    """Left out it may mean anything: the bound is there to be met."""
    return mothers().judge(MAIL_SEND, {"text": "hello"})


@denial(Reason.BUDGET_EXHAUSTED)
def its_grant_has_no_calls_left() -> Verdict:
    bench = mothers(budget=Budget(calls=1))
    assert bench.judge(FILES_READ, docs()).reason == Reason.PERMITTED
    return bench.judge(FILES_READ, docs())


@denial(Reason.BUDGET_EXHAUSTED)
def its_grant_has_too_little_left() -> Verdict:
    bench = mothers(budget=Budget(amount_minor=500), authorization_details=tools(tool("mail", "send")))
    assert bench.judge(MAIL_SEND, {"amount": 300}).reason == Reason.PERMITTED
    return bench.judge(MAIL_SEND, {"amount": 201})


@denial(Reason.BUDGET_EXHAUSTED)
def an_amount_that_cannot_be_summed() -> Verdict:
    bench = mothers(budget=Budget(amount_minor=500), authorization_details=tools(tool("mail", "send")))
    for amount in (1e9 + 0.5, -1, "100000", {"v": 7}, True, None, [1]):
        verdict = bench.judge(MAIL_SEND, {"amount": amount})
        if verdict.reason != Reason.BUDGET_EXHAUSTED:
            return verdict
    return verdict


@denial(Reason.BUDGET_EXHAUSTED)
def its_grant_has_a_budget_of_another_currency() -> Verdict:
    budget = Budget(amount_minor=500, currency="JPY")
    bench = mothers(budget=budget, authorization_details=tools(tool("mail", "send")))
    return bench.judge(MAIL_SEND, {"amount": 300, "currency": "EUR"})


@denial(Reason.PROOF_UNSUPPORTED)
def the_sessions_key_where_a_key_was_bound() -> Verdict:
    return mothers(cnf_jkt=MOTHERS_KEY.jkt).judge(FILES_READ, docs())


@denial(Reason.PROOF_INVALID)
def a_strangers_key_where_a_key_was_bound() -> Verdict:
    return mothers(cnf_jkt=MOTHERS_KEY.jkt).judge(FILES_READ, docs(), key=STRANGERS_KEY)


@denial(Reason.PROOF_INVALID)
def the_bound_keys_proof_over_other_arguments() -> Verdict:
    bench = mothers(cnf_jkt=MOTHERS_KEY.jkt)
    other = bench.session.intent(FILES_READ, {"path": "docs/b.txt"}, bench.now_ms)
    swapped = {"args_json": other.args_json, "args_digest": other.args_digest}
    return bench.judge(FILES_READ, docs(), key=MOTHERS_KEY, unproven=swapped)


@denial(Reason.ARGS_DIGEST_MISMATCH)
def the_bound_keys_proof_with_other_arguments_beside_it() -> Verdict:
    bench = mothers(cnf_jkt=MOTHERS_KEY.jkt)
    return bench.judge(FILES_READ, docs(), key=MOTHERS_KEY, unproven={"args_json": '{"path":"docs/b.txt"}'})


@denial(Reason.PROOF_UNSUPPORTED)
def a_key_of_its_own_where_none_was_bound() -> Verdict:
    return mothers().judge(FILES_READ, docs(), key=MOTHERS_KEY)


@denial(Reason.DELEGATION_SESSION_MISMATCH)
def another_grant_arrives_before_the_session_names_its_own() -> Verdict:
    """Both hold, but a session stands on one: what arrives second is refused, what the session names counts."""
    family = Family()
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.driver.pipe(DELEGATION.name, family.mother.key, family.root())
    second = family.mother.grant("g-9", family.now_ms)
    bench.driver.pipe(DELEGATION.name, family.mother.key, second)
    assert bench.dead_letters(DELEGATION.name) == ["grant_invalid"]
    family = Family()
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.driver.pipe(DELEGATION.name, family.mother.key, family.root(tenant_uid="other"))
    bench.establish(family.mother, delegation_uid="g-1")
    return bench.judge(FILES_READ, docs(), session=family.mother)


@denial(Reason.DELEGATION_SUBJECT_CHANGED)
def its_grant_is_of_another_user_than_its_session() -> Verdict:
    family = Family()
    grant = family.root()
    family.mother.sub = "bob"
    return standing_on(grant, family.mother).judge(FILES_READ, docs())


@denial(Reason.DELEGATION_ACTOR_MISMATCH)
def its_grant_is_of_another_agent_than_its_session() -> Verdict:
    family = Family()
    bench = GateBench(settings=SETTINGS, with_session=False)
    bench.driver.pipe(DELEGATION.name, family.mother.key, family.root())
    family.mother.act = family.daughter.act
    bench.establish(family.mother, delegation_uid="g-1")
    return bench.judge(FILES_READ, docs(), session=family.mother)


@denial(Reason.DELEGATION_CONSTRAINT_UNKNOWN)
def its_grant_bounds_arguments_in_a_way_that_is_not_known() -> Verdict:
    return mothers(authorization_details=tools(tool("files", "read", bound("/path", "UNKNOWN", 1)))).judge()


@denial(Reason.SESSION_PARENT_ENDED)
def the_session_that_gave_the_grant_was_stopped() -> Verdict:
    family = Family()
    bench = standing_on(family.last(), family.granddaughter)
    return stopped_session(bench, family.mother).judge(FILES_READ, docs())


def stopped_session(bench: GateBench, session: SessionMaker) -> GateBench:
    """The gate once a session is on the revocation topic."""
    target = f"{session.tenant}|{session.session_id}"
    made = revocation(RevocationKind.SESSION, target, time_ms=bench.now_ms)
    bench.driver.pipe(REVOCATION.name, *made)
    return bench


def _attacked(name: str) -> Callable[[], Verdict]:
    def judge() -> Verdict:
        grant, receiver = ATTACKS[name][1](Family())
        return standing_on(grant, receiver).judge(FILES_READ, docs(), delegation_uid=grant.uid)

    return judge


DENIALS.update({f"its grant: {name}": (reason, _attacked(name)) for name, (reason, _) in ATTACKS.items()})
