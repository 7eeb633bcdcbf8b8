"""What is tried with grants, each with the reason that it is refused for: brought before the checks, and the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from simulation.records import ROOT_KEY, SessionMaker, agent
from streams.delegation.digest import body_of, lineage_of
from streams.delegation.keys import HmacGrantKey, hop_grant_key, root_grant_key
from streams.model.delegation import (
    GRANT_LIFE_MS_MAX,
    ArgumentConstraint,
    Budget,
    ConstraintType,
    Delegation,
    DelegationOp,
)
from streams.model.reasons import Reason
from streams.model.types import Proof, ProofAlg
from tests.unit.delegation.family import (
    FAR_ISSUER,
    FAR_KEY,
    FILES,
    MAIL_INSIDE,
    MINUTE_MS,
    MOTHERS_KEY,
    STRANGERS_KEY,
    Family,
    bound,
    replace,
    resigned,
    tool,
    tools,
    with_chain,
)


class Attack(NamedTuple):
    """A grant, and the session that it is brought before a gate for."""

    grant: Delegation
    receiver: SessionMaker


Maker = Callable[[Family], Attack]
ATTACKS: dict[str, tuple[Reason, Maker]] = {}


def attack(reason: Reason) -> Callable[[Maker], Maker]:
    def register(function: Maker) -> Maker:
        ATTACKS[function.__name__] = (reason, function)
        return function

    return register


def widened(family: Family, parent_bound: ArgumentConstraint, child_bound: ArgumentConstraint) -> Attack:
    """The mother may call a tool within a bound, and gives it on with another."""
    root = family.root(authorization_details=tools(tool("mail", "send", parent_bound)))
    hop = family.hop(root, authorization_details=tools(tool("mail", "send", child_bound)))
    return Attack(hop, family.daughter)


@attack(Reason.DELEGATION_WIDENED_SCOPES)
def a_scope_more(family: Family) -> Attack:
    return Attack(family.hop(scopes=("files:read", "files:write")), family.daughter)


@attack(Reason.DELEGATION_WIDENED_SCOPES)
def a_scope_that_only_its_grandmother_has(family: Family) -> Attack:
    hop = family.hop(scopes=("files:read",))
    return Attack(family.last(hop, scopes=("files:read", "mail:send")), family.granddaughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_scope_added_after_signing(family: Family) -> Attack:
    return Attack(family.hop(unproven={"scopes": ("files:write",)}), family.daughter)


@attack(Reason.DELEGATION_WIDENED_AUDIENCE)
def a_server_more(family: Family) -> Attack:
    return Attack(family.hop(audience=("files", "mail", "bank")), family.daughter)


@attack(Reason.DELEGATION_WIDENED_AUDIENCE)
def all_servers(family: Family) -> Attack:
    return Attack(family.hop(audience=("*",)), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_tool_more(family: Family) -> Attack:
    details = tools(FILES, MAIL_INSIDE, tool("files", "delete"))
    return Attack(family.hop(authorization_details=details), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_tool_more_where_arguments_are_free(family: Family) -> Attack:
    """Nothing but its name tells that it is wider."""
    root = family.root(authorization_details=tools(tool("files", "read")))
    return Attack(family.hop(root, authorization_details=tools(tool("files", "delete"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def all_tools_of_a_server_where_arguments_are_free(family: Family) -> Attack:
    root = family.root(authorization_details=tools(tool("files", "read")))
    return Attack(family.hop(root, authorization_details=tools(tool("files", "*"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def the_tools_of_all_servers_under_those_of_one(family: Family) -> Attack:
    root = family.root(authorization_details=tools(tool("files", "*")))
    return Attack(family.hop(root, authorization_details=tools(tool("*", "*"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def all_tools_of_a_server(family: Family) -> Attack:
    return Attack(family.hop(authorization_details=tools(tool("files", "*"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def all_tools_there_are(family: Family) -> Attack:
    return Attack(family.hop(authorization_details=tools(tool("*", "*"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_tool_whose_name_looks_the_same(family: Family) -> Attack:
    """The second letter is a Cyrillic one."""
    return Attack(family.hop(authorization_details=tools(tool("mail", "s\u0435nd"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_tool_on_a_server_whose_name_looks_the_same(family: Family) -> Attack:
    return Attack(family.hop(authorization_details=tools(tool("ma\u0456l", "send"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_detail_of_another_type(family: Family) -> Attack:
    (detail,) = tools(FILES)
    return Attack(family.hop(authorization_details=(replace(detail, type="other"),)), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_detail_with_an_action_more(family: Family) -> Attack:
    (detail,) = tools(FILES)
    root = family.root(authorization_details=(replace(detail, actions=("read",)),))
    wider = (replace(detail, actions=("read", "write")),)
    return Attack(family.hop(root, authorization_details=wider), family.daughter)


@attack(Reason.DELEGATION_WIDENED_TOOLS)
def a_detail_whose_actions_are_left_out(family: Family) -> Attack:
    """No actions may mean: all."""
    (detail,) = tools(FILES)
    root = family.root(authorization_details=(replace(detail, actions=("read",)),))
    return Attack(family.hop(root, authorization_details=(detail,)), family.daughter)


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def the_bounds_left_out(family: Family) -> Attack:
    return Attack(family.hop(authorization_details=tools(tool("mail", "send"))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def one_of_two_bounds_left_out(family: Family) -> Attack:
    details = tools(tool("mail", "send", bound("/to", "WILDCARD", "*@example.com")))
    return Attack(family.hop(authorization_details=details), family.daughter)


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_bound_on_an_argument_more(family: Family) -> Attack:
    """It looks narrower, but the parent's world is closed: it does not have that argument at all."""
    details = tools(tool("mail", "send", *MAIL_INSIDE.constraints, bound("/bcc", "EXACT", "me@example.com")))
    return Attack(family.hop(authorization_details=details), family.daughter)


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_bound_on_a_part_of_the_argument(family: Family) -> Attack:
    return widened(family, bound("/to", "EXACT", {"a": 1}), bound("/to/a", "EXACT", 1))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_pattern_that_only_ends_alike(family: Family) -> Attack:
    return widened(family, bound("/to", "WILDCARD", "*@example.com"), bound("/to", "WILDCARD", "*example.com"))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_pattern_that_is_longer_but_not_narrower(family: Family) -> Attack:
    """`a@example.com` fits the first and `evil-*@example.com.evil` does not."""
    pattern = "*@example.com*"
    return widened(family, bound("/to", "WILDCARD", "*@example.com"), bound("/to", "WILDCARD", pattern))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_range_without_an_end(family: Family) -> Attack:
    return widened(family, bound("/n", "RANGE", {"min": 0, "max": 10}), bound("/n", "RANGE", {"min": 5}))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_range_that_begins_earlier(family: Family) -> Attack:
    return widened(family, bound("/n", "RANGE", {"min": 0, "max": 10}), bound("/n", "RANGE", {"min": -1, "max": 2}))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_text_in_place_of_the_number(family: Family) -> Attack:
    return widened(family, bound("/n", "RANGE", {"min": 0, "max": 10}), bound("/n", "EXACT", "5"))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def true_in_place_of_one(family: Family) -> Attack:
    return widened(family, bound("/n", "ONE_OF", [0, 1]), bound("/n", "EXACT", True))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def fewer_values_excluded(family: Family) -> Attack:
    """The list is shorter, so what it lets through is more."""
    return widened(family, bound("/to", "NOT_ONE_OF", ["a", "b"]), bound("/to", "NOT_ONE_OF", ["a"]))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def fewer_values_demanded(family: Family) -> Attack:
    return widened(family, bound("/tags", "CONTAINS", ["draft", "own"]), bound("/tags", "CONTAINS", ["own"]))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def an_array_of_what_may_only_be_one(family: Family) -> Attack:
    return widened(family, bound("/to", "ONE_OF", ["a", "b"]), bound("/to", "SUBSET", ["a", "b"]))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def any_of_where_all_were_asked(family: Family) -> Attack:
    parts = [{"type": "WILDCARD", "value": "*@example.com"}, {"type": "NOT_ONE_OF", "value": ["ceo@example.com"]}]
    return widened(family, bound("/to", "ALL", parts), bound("/to", "ANY", parts))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def a_part_more_in_any_of(family: Family) -> Attack:
    parts = [{"type": "EXACT", "value": "a"}]
    wider = [*parts, {"type": "WILDCARD", "value": "b*"}]
    return widened(family, bound("/to", "ANY", parts), bound("/to", "ANY", wider))


@attack(Reason.DELEGATION_WIDENED_ARGUMENTS)
def what_is_of_the_same_kind_but_only_together_allowed(family: Family) -> Attack:
    """Each of the two arguments is within a bound of the parent, but of two different grants of the tool."""
    ann = tool("mail", "send", bound("/to", "EXACT", "ann"), bound("/text", "EXACT", "hello"))
    bob = tool("mail", "send", bound("/to", "EXACT", "bob"), bound("/text", "EXACT", "bye"))
    mixed = tool("mail", "send", bound("/to", "EXACT", "ann"), bound("/text", "EXACT", "bye"))
    hop = family.hop(family.root(authorization_details=tools(ann, bob)), authorization_details=tools(mixed))
    return Attack(hop, family.daughter)


@attack(Reason.DELEGATION_CONSTRAINT_UNKNOWN)
def a_bound_of_an_unknown_type(family: Family) -> Attack:
    unknown = ArgumentConstraint(argument="/to", type=ConstraintType.UNKNOWN, value_json='"*"')
    return Attack(family.root(authorization_details=tools(tool("mail", "send", unknown))), family.mother)


@attack(Reason.DELEGATION_CONSTRAINT_UNKNOWN)
def an_unknown_type_within_all_of(family: Family) -> Attack:
    inner = bound("/to", "ALL", [{"type": "REGEX", "value": ".*"}])
    return Attack(family.root(authorization_details=tools(tool("mail", "send", inner))), family.mother)


@attack(Reason.DELEGATION_CONSTRAINT_UNKNOWN)
def a_parameter_with_two_readings(family: Family) -> Attack:
    twice = ArgumentConstraint(argument="/n", type=ConstraintType.RANGE, value_json='{"max": 1, "max": 1000}')
    return Attack(family.root(authorization_details=tools(tool("mail", "send", twice))), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_pointer_that_is_none(family: Family) -> Attack:
    return Attack(
        family.root(authorization_details=tools(tool("mail", "send", bound("to", "EXACT", 1)))), family.mother
    )


@attack(Reason.DELEGATION_MALFORMED)
def more_scopes_than_accepted(family: Family) -> Attack:
    return Attack(family.root(scopes=tuple(f"scope-{n}" for n in range(257))), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_subject_without_end(family: Family) -> Attack:
    return Attack(family.root(purpose="x" * 1_025), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_grant_of_nobody(family: Family) -> Attack:
    return Attack(family.root(issuer_uid=""), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_greatest_depth_below_its_own(family: Family) -> Attack:
    return Attack(family.root(max_depth=-1), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_detail_with_more_actions_than_accepted(family: Family) -> Attack:
    (detail,) = tools(FILES)
    actions = tuple(f"action-{n}" for n in range(65))
    return Attack(family.root(authorization_details=(replace(detail, actions=actions),)), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def a_scope_without_end(family: Family) -> Attack:
    return Attack(family.root(scopes=("x" * 1_025,)), family.mother)


@attack(Reason.DELEGATION_MALFORMED)
def more_text_than_accepted(family: Family) -> Attack:
    return Attack(family.root(scopes=tuple(f"{n:01000}" for n in range(33))), family.mother)


@attack(Reason.DELEGATION_WIDENED_LIMITS)
def a_budget_once_more(family: Family) -> Attack:
    """To oneself, ten times, it would be ten budgets."""
    return Attack(family.hop(family.root(budget=Budget(calls=3))), family.daughter)


@attack(Reason.DELEGATION_WIDENED_LIMITS)
def a_part_of_a_budget(family: Family) -> Attack:
    return Attack(family.hop(family.root(budget=Budget(calls=3)), budget=Budget(calls=1)), family.daughter)


@attack(Reason.DELEGATION_WIDENED_LIMITS)
def no_budget_where_its_parent_has_one(family: Family) -> Attack:
    return Attack(family.hop(family.root(budget=Budget(calls=3)), budget=None), family.daughter)


@attack(Reason.DELEGATION_WIDENED_LIMITS)
def a_greatest_depth_that_rises(family: Family) -> Attack:
    return Attack(family.hop(max_depth=3), family.daughter)


@attack(Reason.DELEGATION_WIDENED_LIMITS)
def given_on_to_anybody_where_the_parent_names_some(family: Family) -> Attack:
    return Attack(family.hop(family.root(may_act=("writer",)), may_act=()), family.daughter)


@attack(Reason.DELEGATION_ACTOR_MISMATCH)
def given_on_to_an_actor_that_it_may_not_be_given_to(family: Family) -> Attack:
    return Attack(family.hop(family.root(may_act=("reader",))), family.daughter)


@attack(Reason.DELEGATION_TOO_DEEP)
def deeper_than_its_root_allows(family: Family) -> Attack:
    hop = family.hop(family.root(max_depth=1))
    return Attack(family.last(hop), family.granddaughter)


@attack(Reason.DELEGATION_TOO_DEEP)
def deeper_than_the_gate_allows(family: Family) -> Attack:
    grant, giver = family.root(max_depth=99), family.mother
    for depth in range(1, 6):
        receiver = SessionMaker(f"s-deep-{depth}", act=f"agent-{depth}")
        grant, giver = giver.handed_on(grant, f"g-deep-{depth}", family.now_ms, receiver), receiver
    return Attack(grant, giver)


@attack(Reason.DELEGATION_TOO_DEEP)
def a_chain_of_a_thousand_hops(family: Family) -> Attack:
    hop = family.hop()
    return Attack(with_chain(hop, *[hop.chain[0]] * 1_000), family.daughter)


@attack(Reason.DELEGATION_UID_REUSED)
def the_id_of_its_parent(family: Family) -> Attack:
    return Attack(family.hop(uid="g-1"), family.daughter)


@attack(Reason.DELEGATION_UID_REUSED)
def the_id_of_its_grandmother(family: Family) -> Attack:
    return Attack(family.last(uid="g-1"), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_chain_in_another_order(family: Family) -> Attack:
    last = family.last()
    return Attack(with_chain(last, *reversed(last.chain)), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_chain_without_its_middle(family: Family) -> Attack:
    last = family.last()
    return Attack(with_chain(last, last.chain[0]), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_chain_without_its_root(family: Family) -> Attack:
    last = family.last()
    return Attack(with_chain(last, last.chain[1]), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def no_chain_at_all(family: Family) -> Attack:
    return Attack(with_chain(family.last()), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_hop_of_another_chain_with_the_same_ids(family: Family) -> Attack:
    """The daughter was given little once, and much another time, under the same ids."""
    little, much = family.hop(scopes=()), family.hop()
    return Attack(with_chain(family.last(little), *lineage_of(much)), family.granddaughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_parent_whose_proof_was_replaced(family: Family) -> Attack:
    hop = family.hop()
    root = replace(hop.chain[0], proof=Proof(alg=ProofAlg.HMAC_SHA256, value=bytes(32)))
    return Attack(with_chain(hop, root), family.daughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def an_ancestor_that_takes_back(family: Family) -> Attack:
    return Attack(family.hop(family.mother.grant("g-1", family.now_ms, op=DelegationOp.REVOKE)), family.daughter)


@attack(Reason.DELEGATION_CHAIN_BROKEN)
def a_hop_that_says_it_is_a_root(family: Family) -> Attack:
    root = family.root(parent_uid="g-0")
    return Attack(root, family.mother)


@attack(Reason.DELEGATION_SUBJECT_CHANGED)
def another_user_on_the_way(family: Family) -> Attack:
    family.daughter.sub = "bob"
    return Attack(family.hop(sub="bob"), family.daughter)


@attack(Reason.DELEGATION_SUBJECT_CHANGED)
def another_tenant_on_the_way(family: Family) -> Attack:
    root = family.root(tenant_uid="other")
    return Attack(family.hop(root, tenant_uid="acme"), family.daughter)


@attack(Reason.DELEGATION_SUBJECT_CHANGED)
def another_transaction_on_the_way(family: Family) -> Attack:
    return Attack(family.hop(family.root(txn="t-1"), txn="t-2"), family.daughter)


@attack(Reason.DELEGATION_SESSION_MISMATCH)
def of_another_tenant(family: Family) -> Attack:
    """Its record says so, but not what was signed."""
    return Attack(family.root(tenant_uid="other"), family.mother)


@attack(Reason.DELEGATION_ACTOR_MISMATCH)
def given_on_in_the_name_of_somebody_else(family: Family) -> Attack:
    return Attack(family.hop(delegator=agent("chief"), issuer_uid="chief"), family.daughter)


@attack(Reason.DELEGATION_ACTOR_MISMATCH)
def issued_in_the_name_of_somebody_else(family: Family) -> Attack:
    return Attack(family.hop(issuer_uid="chief"), family.daughter)


@attack(Reason.DELEGATION_OUTLIVES_PARENT)
def a_life_beyond_its_parents(family: Family) -> Attack:
    return Attack(family.hop(exp=family.now_ms + 11 * MINUTE_MS), family.daughter)


@attack(Reason.DELEGATION_OUTLIVES_PARENT)
def a_life_beyond_that_of_an_expired_parent(family: Family) -> Attack:
    root = family.root(iat=family.now_ms - 2 * MINUTE_MS, exp=family.now_ms - MINUTE_MS)
    return Attack(family.hop(root, exp=family.now_ms + MINUTE_MS), family.daughter)


@attack(Reason.DELEGATION_OUTLIVES_PARENT)
def issued_before_its_parent(family: Family) -> Attack:
    return Attack(family.hop(iat=family.now_ms - 1), family.daughter)


@attack(Reason.DELEGATION_LIVES_TOO_LONG)
def a_root_that_outlives_a_stop_of_it(family: Family) -> Attack:
    return Attack(family.root(exp=family.now_ms + GRANT_LIFE_MS_MAX + 1), family.mother)


@attack(Reason.DELEGATION_LIVES_TOO_LONG)
def a_short_hop_from_a_root_that_lives_too_long(family: Family) -> Attack:
    return Attack(family.hop(family.root(iat=family.now_ms - GRANT_LIFE_MS_MAX)), family.daughter)


@attack(Reason.DELEGATION_EXPIRED)
def expired_with_its_parent(family: Family) -> Attack:
    root = family.root(iat=family.now_ms - 2 * MINUTE_MS, exp=family.now_ms - MINUTE_MS)
    return Attack(family.hop(root), family.daughter)


@attack(Reason.DELEGATION_EXPIRED)
def expired_at_this_very_instant(family: Family) -> Attack:
    return Attack(family.root(iat=family.now_ms - MINUTE_MS, exp=family.now_ms), family.mother)


@attack(Reason.DELEGATION_FROM_FUTURE)
def issued_in_the_future(family: Family) -> Attack:
    return Attack(family.root(iat=family.now_ms + 30_001), family.mother)


@attack(Reason.DELEGATION_FROM_FUTURE)
def a_hop_issued_in_the_future(family: Family) -> Attack:
    return Attack(family.hop(iat=family.now_ms + 30_001), family.daughter)


@attack(Reason.DELEGATION_UNTRUSTED_ROOT)
def a_root_of_an_issuer_that_is_no_anchor(family: Family) -> Attack:
    return Attack(family.root(issuer_uid="https://evil.example"), family.mother)


@attack(Reason.DELEGATION_UNTRUSTED_ROOT)
def an_issuer_whose_name_looks_the_same(family: Family) -> Attack:
    return Attack(family.root(issuer_uid="https://issu\u0435r.example"), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_without_proof(family: Family) -> Attack:
    return Attack(family.root(unproven={"proof": None}), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_that_its_agent_has_signed_itself(family: Family) -> Attack:
    return Attack(resigned(family.root(), hop_grant_key(family.mother.secret)), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_signed_with_the_key_that_proves_intents(family: Family) -> Attack:
    return Attack(resigned(family.root(), HmacGrantKey(family.mother.secret)), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_under_the_key_of_another_tenant(family: Family) -> Attack:
    root = family.root()
    return Attack(resigned(root, root_grant_key(ROOT_KEY, "other", root.issuer_uid)), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_under_the_key_of_another_issuer(family: Family) -> Attack:
    return Attack(resigned(family.root(), root_grant_key(ROOT_KEY, "acme", "https://other.example")), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_of_a_far_issuer_under_a_key_of_this_deployment(family: Family) -> Attack:
    return Attack(family.root(issuer_uid=FAR_ISSUER), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_of_a_far_issuer_under_a_strangers_key(family: Family) -> Attack:
    return Attack(family.root(issuer_uid=FAR_ISSUER, key=STRANGERS_KEY), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_root_of_this_deployment_under_the_key_of_a_far_issuer(family: Family) -> Attack:
    return Attack(family.root(key=FAR_KEY), family.mother)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_hop_without_proof(family: Family) -> Attack:
    return Attack(family.hop(unproven={"proof": None}), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_hop_signed_by_whom_it_is_for(family: Family) -> Attack:
    return Attack(resigned(family.hop(), hop_grant_key(family.daughter.secret)), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_hop_signed_with_the_key_that_proves_intents(family: Family) -> Attack:
    return Attack(resigned(family.hop(), HmacGrantKey(family.mother.secret)), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_hop_under_the_sessions_key_where_a_key_was_bound(family: Family) -> Attack:
    root = family.root(cnf_jkt=MOTHERS_KEY.jkt)
    return Attack(family.hop(root), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_hop_under_a_strangers_key_where_a_key_was_bound(family: Family) -> Attack:
    root = family.root(cnf_jkt=MOTHERS_KEY.jkt)
    return Attack(family.hop(root, key=STRANGERS_KEY), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_strangers_key_that_says_it_is_the_bound_one(family: Family) -> Attack:
    root = family.root(cnf_jkt=MOTHERS_KEY.jkt)
    signed = family.hop(root, key=STRANGERS_KEY)
    assert signed.proof is not None
    own = MOTHERS_KEY.prove(b"something else")
    return Attack(replace(signed, proof=replace(signed.proof, kid=own.kid)), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def a_key_of_its_own_where_none_was_bound(family: Family) -> Attack:
    return Attack(family.hop(key=MOTHERS_KEY), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def another_key_bound_after_signing(family: Family) -> Attack:
    return Attack(family.hop(unproven={"cnf_jkt": STRANGERS_KEY.jkt}), family.daughter)


@attack(Reason.DELEGATION_SIGNATURE_INVALID)
def given_to_another_session_after_signing(family: Family) -> Attack:
    """Replayed: the grant was the daughter's."""
    stolen = replace(family.hop(), session_id=family.granddaughter.session_id)
    family.granddaughter.act = family.daughter.act
    family.granddaughter.delegation_uid = stolen.uid
    assert body_of(stolen).proof == family.hop().proof
    return Attack(stolen, family.granddaughter)
