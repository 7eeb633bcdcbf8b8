"""What an executor holds against a verdict: every refusal, and that nothing else passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import pytest

from streams.model.canonical import sha256
from streams.model.reasons import Reason, Refusal
from streams.model.revocation_targets import Call
from streams.model.types import Header, ToolRef
from streams.model.verdict import InclusionProof, Obligation, Outcome, Verdict, VerdictMode
from streams.sdk.executor.verdict_checks import (
    FIELD_CHECKS,
    VERDICT_LIFE_MS_MAX,
    Cleared,
    ObligationError,
    Refused,
    Standard,
    check,
    is_for,
    meet_obligations,
)
from streams.sdk.tools import FunctionTool
from streams.services.gate.settings import GateSection
from tests.unit.sdk.hands import ACTOR, LIFE_MS, TENANT, TOOL, key_of, make_verdict


@dataclass
class Revocations:
    """A view that says what it is told to."""

    stale: bool = False
    read_up_to: int = 100
    reason: Reason | None = None
    asked: Call | None = None

    def is_stale(self) -> bool:
        return self.stale

    def caught_up(self, offset: int) -> bool:
        return offset <= self.read_up_to

    def reason_against(self, call: Call, now_ms: int) -> Reason | None:
        self.asked = call
        return self.reason


def standard(**changes: object) -> Standard:
    fields: dict[str, object] = {
        "server_ids": {"mail"},
        "tools": {"mail/send": FunctionTool(lambda args: args, TOOL.definition_digest)},
        "revocations": Revocations(),
    }
    return Standard(**{**fields, **changes})


def judged(
    verdict: Verdict, now_ms: int | None = None, key: bytes | None = None, **changes: object
) -> Cleared | Refused:
    at_ms = verdict.evaluated_at if now_ms is None else now_ms
    return check(verdict, key_of(verdict) if key is None else key, standard(**changes), at_ms)


def refusal(result: Cleared | Refused) -> Refusal:
    assert isinstance(result, Refused)
    assert result.text
    return result.refusal


def test_a_sound_verdict_clears_the_arguments_that_were_judged() -> None:
    verdict = make_verdict()
    cleared = judged(verdict)
    assert isinstance(cleared, Cleared)
    assert cleared.args == {"to": ["bob@example.com"], "subject": "hi"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"outcome": Outcome.DENY}, Refusal.NOT_ALLOWED),
        ({"outcome": Outcome.QUARANTINE}, Refusal.NOT_ALLOWED),
        ({"outcome": Outcome.REQUIRE_APPROVAL}, Refusal.NOT_ALLOWED),
        ({"outcome": Outcome.DEFER}, Refusal.NOT_ALLOWED),
        ({"mode": VerdictMode.SHADOW}, Refusal.NOT_ENFORCED),
        ({"mode": VerdictMode.REPLAY}, Refusal.NOT_ENFORCED),
        ({"audience": "git"}, Refusal.NOT_MINE),
        ({"audience": ""}, Refusal.NOT_MINE),
        ({"tool": ToolRef(server_id="git", name="send")}, Refusal.NOT_MINE),
        ({"tool": ToolRef(server_id="mail", name="delete")}, Refusal.UNKNOWN_TOOL),
        ({"tool": msgspec.structs.replace(TOOL, definition_digest=b"\x08" * 32)}, Refusal.DEFINITION_CHANGED),
        ({"args_json": '{"subject":"hi","to":["eve@evil.example"]}'}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"args_digest": b"\x00" * 32}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"args_json": '{"a":1,"a":2}', "args_digest": sha256(b'{"a":1,"a":2}')}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"args_json": "[1]", "args_digest": sha256(b"[1]")}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"args_json": '{"a":NaN}', "args_digest": sha256(b'{"a":NaN}')}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"args_json": "{" * 10_000, "args_digest": sha256(b"{" * 10_000)}, Refusal.ARGS_DIGEST_MISMATCH),
        ({"obligations": (Obligation(id="o-1", type="redact"),)}, Refusal.UNKNOWN_OBLIGATION),
        ({"revocation_offset": 101}, Refusal.REVOCATIONS_STALE),
        (
            {"proof": InclusionProof(leaf_index=0, tree_size=1, path=(), signed_head="origin\n1\n")},
            Refusal.UNREADABLE,
        ),
    ],
)
def test_each_flaw_of_a_verdict_is_refused_with_its_code(changes: dict[str, object], expected: Refusal) -> None:
    assert refusal(judged(make_verdict(**changes))) is expected


def test_arguments_in_another_form_of_the_same_value_are_the_judged_ones() -> None:
    verdict = make_verdict(args_json='{ "subject": "hi", "to": ["bob@example.com"] }')
    assert isinstance(judged(verdict), Cleared)


@pytest.mark.parametrize("key", [b"", b"acme|s-2", b"other|s-1", b"acme|s-1 "])
def test_the_key_must_be_that_of_the_session(key: bytes) -> None:
    verdict = make_verdict()
    assert refusal(check(verdict, key or None, standard(), verdict.evaluated_at)) is Refusal.KEY_MISMATCH


def test_a_tenant_that_could_share_a_key_is_refused() -> None:
    header = Header(id=make_verdict().verdict_id, source="gate", time=0, tenant_uid="ac|me")
    verdict = make_verdict(header=header)
    assert refusal(check(verdict, b"ac|me|s-1", standard(), verdict.evaluated_at)) is Refusal.KEY_MISMATCH


@pytest.mark.parametrize(("after_ms", "allowed"), [(0, True), (LIFE_MS - 1, True), (LIFE_MS, False), (10**9, False)])
def test_a_verdict_ends(after_ms: int, allowed: bool) -> None:
    verdict = make_verdict()
    result = judged(verdict, now_ms=verdict.evaluated_at + after_ms)
    assert isinstance(result, Cleared) is allowed
    if not allowed:
        assert refusal(result) is Refusal.VERDICT_EXPIRED


def test_a_clock_that_is_too_far_behind_can_not_judge_expiry() -> None:
    verdict = make_verdict()
    assert isinstance(judged(verdict, now_ms=verdict.evaluated_at - 5_000), Cleared)
    assert refusal(judged(verdict, now_ms=verdict.evaluated_at - 5_001)) is Refusal.VERDICT_EXPIRED


def test_a_definition_that_can_not_be_asked_for_is_taken_for_changed() -> None:
    class Gone(FunctionTool):
        def definition_digest(self) -> bytes | None:
            raise OSError("the server has gone")

    assert refusal(judged(make_verdict(), tools={"mail/send": Gone(lambda args: args)})) is Refusal.DEFINITION_CHANGED


@pytest.mark.parametrize("approved", [None, b"\x08" * 32])
def test_definitions_are_compared_when_both_are_known(approved: bytes | None) -> None:
    verdict = make_verdict(tool=msgspec.structs.replace(TOOL, definition_digest=approved))
    unpinned = {"mail/send": FunctionTool(lambda args: args)}
    assert isinstance(judged(verdict, tools=unpinned), Cleared)


def test_obligations_are_met_with_the_judged_arguments_or_the_call_is_refused() -> None:
    met: list[Mapping[str, object]] = []

    def meet(obligation: Obligation, verdict: Verdict, args: Mapping[str, object]) -> None:
        if obligation.properties_json != "{}":
            raise ObligationError("not like that")
        met.append(args)

    fine, bad = Obligation(id="o-1", type="log"), Obligation(id="o-2", type="log", properties_json='{"to":"x"}')
    verdict = make_verdict(obligations=(fine, bad))
    cleared = judged(verdict, obligations={"log": meet})
    assert isinstance(cleared, Cleared)
    assert met == [], "checking alone meets none"
    refused = meet_obligations(verdict, cleared)
    assert refused is not None
    assert refusal(refused) is Refusal.UNKNOWN_OBLIGATION
    assert met == [{"to": ["bob@example.com"], "subject": "hi"}]
    unknown = Obligation(id="o-3", type="wipe")
    other = judged(make_verdict(obligations=(fine, unknown)), obligations={"log": meet})
    assert refusal(other) is Refusal.UNKNOWN_OBLIGATION


def test_no_verdict_lives_longer_than_a_gate_can_let_it() -> None:
    verdict = make_verdict()
    longest = msgspec.structs.replace(verdict, expires_at=verdict.evaluated_at + VERDICT_LIFE_MS_MAX)
    assert isinstance(judged(longest), Cleared)
    longer = msgspec.structs.replace(longest, expires_at=longest.expires_at + 1)
    result = judged(longer)
    assert isinstance(result, Refused)
    assert result.refusal is Refusal.UNREADABLE
    assert "3600001 ms" in result.text
    dated_back = msgspec.structs.replace(longest, evaluated_at=0)
    assert refusal(judged(dated_back, now_ms=verdict.evaluated_at)) is Refusal.UNREADABLE


def test_the_longest_life_is_the_gates() -> None:
    [bound] = [part for part in GateSection.model_fields["verdict_ttl_ms"].metadata if hasattr(part, "le")]
    assert bound.le == VERDICT_LIFE_MS_MAX


def test_revocations_are_asked_with_everything_they_can_name() -> None:
    revocations = Revocations(reason=Reason.REVOKED_SUBJECT)
    verdict = make_verdict(delegation_path=("d-1", "d-2"))
    assert refusal(judged(verdict, revocations=revocations)) is Refusal.REVOKED
    assert revocations.asked == Call(
        tenant_uid=TENANT, session_id="s-1", sub="alice", act=ACTOR, delegation_uids=("d-1", "d-2"), tool=TOOL
    )


def test_stale_revocations_refuse_even_what_is_not_revoked() -> None:
    assert refusal(judged(make_verdict(), revocations=Revocations(stale=True))) is Refusal.REVOCATIONS_STALE


def test_what_comes_first_names_the_refusal() -> None:
    verdict = make_verdict(outcome=Outcome.DENY, mode=VerdictMode.SHADOW, audience="git", args_json="{}")
    assert refusal(judged(verdict, key=b"x")) is Refusal.KEY_MISMATCH
    assert refusal(judged(verdict)) is Refusal.NOT_ALLOWED
    verdict = msgspec.structs.replace(verdict, outcome=Outcome.ALLOW)
    assert refusal(judged(verdict)) is Refusal.NOT_ENFORCED
    verdict = msgspec.structs.replace(verdict, mode=VerdictMode.ENFORCE)
    assert refusal(judged(verdict)) is Refusal.NOT_MINE
    verdict = msgspec.structs.replace(verdict, audience=None)
    assert refusal(judged(verdict)) is Refusal.ARGS_DIGEST_MISMATCH


def test_a_verdict_may_be_addressed_to_another_name_of_the_executor() -> None:
    verdict = make_verdict(audience="mail-eu")
    assert refusal(judged(verdict)) is Refusal.NOT_MINE
    assert isinstance(judged(verdict, audiences={"mail-eu"}), Cleared)


def test_only_enforced_allows_of_own_calls_are_an_executors_business() -> None:
    assert is_for(make_verdict(), standard())
    for changes in ({"outcome": Outcome.DENY}, {"mode": VerdictMode.SHADOW}, {"audience": "git"}):
        assert not is_for(make_verdict(**changes), standard())


def test_every_field_of_a_verdict_has_its_check() -> None:
    assert set(FIELD_CHECKS) == set(Verdict.__struct_fields__)
