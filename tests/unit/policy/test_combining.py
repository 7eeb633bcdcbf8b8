"""How rules combine: fail closed, in any order, with shadow rules that change nothing."""

import pytest

from streams.policy import Effect, Mode, Reason, RuleEffect, ShadowOutcome, bundle_from_files, compile_bundle
from tests.unit.policy.rulefiles import HEAD, facts, rule, ruleset

EXTRA = {"require_approval": {"approval": "{group: g}"}, "defer": {"defer": "30s"}}


def make(effect: str, when: str = '"true"', rule_id: str | None = None, **more: str) -> str:
    return rule(id=rule_id or f"R-{effect}", effect=effect, when=when, **EXTRA.get(effect, {}), **more)


ERROR = "args.nothing == 1"
ORDER = [
    (["quarantine", "deny", "require_approval", "defer", "permit"], Effect.QUARANTINE, Reason.QUARANTINED_BY_RULE),
    (["deny", "require_approval", "defer", "permit"], Effect.DENY, Reason.RULE_DENIED),
    (["require_approval", "defer"], Effect.DENY, Reason.NO_PERMIT),
    (["require_approval", "defer", "permit"], Effect.REQUIRE_APPROVAL, Reason.APPROVAL_REQUIRED),
    (["defer", "permit"], Effect.DEFER, Reason.DEFERRED_BY_RULE),
    (["permit"], Effect.ALLOW, Reason.PERMITTED),
    ([], Effect.DENY, Reason.NO_PERMIT),
]


@pytest.mark.parametrize(("effects", "effect", "reason"), ORDER)
def test_the_strongest_effect_wins(effects: list[str], effect: Effect, reason: Reason) -> None:
    result = ruleset("".join(make(name) for name in effects) or make("permit", when='"false"')).evaluate(facts())
    assert (result.effect, result.reason) == (effect, reason)
    assert [match.effect for match in result.rules] == sorted(effects, key=lambda name: f"R-{name}")


@pytest.mark.parametrize("effect", ["deny", "quarantine", "require_approval", "defer"])
def test_an_error_in_any_enforced_rule_but_a_permit_denies(effect: str) -> None:
    result = ruleset(make("permit") + make(effect, ERROR)).evaluate(facts())
    assert (result.effect, result.reason) == (Effect.DENY, Reason.RULE_ERROR)
    assert [(failure.rule_id, failure.text) for failure in result.errors] == [(f"R-{effect}", "no such key: nothing")]
    assert result.reason_text == f"rule `R-{effect}` can't be evaluated: no such key: nothing"


def test_an_error_in_a_permit_does_not_permit_and_does_not_deny() -> None:
    broken = make("permit", ERROR, "P-1")
    alone = ruleset(broken).evaluate(facts())
    assert (alone.effect, alone.reason, len(alone.errors)) == (Effect.DENY, Reason.NO_PERMIT, 1)
    beside = ruleset(broken + make("permit", rule_id="P-2")).evaluate(facts())
    assert (beside.effect, beside.reason) == (Effect.ALLOW, Reason.PERMITTED)
    assert [failure.rule_id for failure in beside.errors] == ["P-1"]


def test_a_quarantine_is_stronger_than_an_error() -> None:
    result = ruleset(make("quarantine") + make("deny", ERROR)).evaluate(facts())
    assert result.effect is Effect.QUARANTINE
    assert len(result.errors) == 1


def test_a_deny_is_named_before_an_error() -> None:
    result = ruleset(make("deny") + make("defer", ERROR)).evaluate(facts())
    assert (result.effect, result.reason) == (Effect.DENY, Reason.RULE_DENIED)


def test_no_rules_at_all_deny() -> None:

    result = compile_bundle(bundle_from_files({"bundle.yaml": HEAD})).evaluate(facts())
    assert (result.effect, result.reason) == (Effect.DENY, Reason.NO_PERMIT)
    assert result.reason_text == "no rule permits `pay.refund`"


@pytest.mark.parametrize("effect", ["deny", "quarantine", "require_approval", "defer"])
@pytest.mark.parametrize("when", ['"true"', ERROR])
def test_a_shadow_rule_is_recorded_and_changes_nothing(effect: str, when: str) -> None:
    result = ruleset(make("permit") + make(effect, when, mode="shadow")).evaluate(facts())
    assert (result.effect, result.reason) == (Effect.ALLOW, Reason.PERMITTED)
    recorded = [*result.rules, *result.errors]
    assert [item.mode for item in recorded if item.rule_id == f"R-{effect}"] == [Mode.SHADOW]
    assert result.shadow is not None
    assert result.shadow.changed
    assert (result.obligations, result.approval, result.defer_ms, result.tags) == ((), None, None, ())


def test_a_shadow_permit_does_not_permit() -> None:
    result = ruleset(make("permit", mode="shadow")).evaluate(facts())
    assert result.effect is Effect.DENY
    assert result.shadow == ShadowOutcome(Effect.ALLOW, Reason.PERMITTED, changed=True)


def test_a_shadow_bundle_says_what_it_would_do() -> None:
    result = ruleset(make("permit"), head=HEAD + "mode: shadow\n").evaluate(facts())
    assert (result.effect, result.reason) == (Effect.DENY, Reason.NO_PERMIT)
    assert result.shadow == ShadowOutcome(Effect.ALLOW, Reason.PERMITTED, changed=True)


def test_a_rule_that_is_off_does_nothing_but_must_be_right() -> None:
    result = ruleset(make("permit") + make("deny", mode="off")).evaluate(facts())
    assert result.effect is Effect.ALLOW
    assert [match.rule_id for match in result.rules] == ["R-permit"]
    assert result.shadow is None


def test_results_of_enforced_rules_have_no_shadow() -> None:
    assert ruleset(make("permit")).evaluate(facts()).shadow is None


def test_tags_and_obligations_come_from_what_counts() -> None:
    first = make("permit", rule_id="P-1", tags="[B, A]", obligations="[{id: o1, type: log, properties: {a: [1]}}]")
    second = make("permit", rule_id="P-2", tags="[A, C]", obligations="[{id: o2, type: mask}]")
    silent = make("permit", '"false"', "P-3", tags="[D]", obligations="[{id: o3, type: mask}]")
    result = ruleset(first + second + silent).evaluate(facts())
    assert result.tags == ("A", "B", "C")
    assert [(item.id, item.type, dict(item.properties)) for item in result.obligations] == [
        ("o1", "log", {"a": [1]}),
        ("o2", "mask", {}),
    ]
    denied = ruleset(first + make("deny", tags="[X]")).evaluate(facts())
    assert denied.obligations == ()
    assert denied.tags == ("A", "B", "X")


TWO = "{group: leads, quorum: 2, ttl: 5m}"


class TestApproval:
    RULES = (
        make("permit")
        + rule(id="A-1", effect="require_approval", when="args.amount > 10", approval="{group: leads, ttl: 15m}")
        + rule(id="A-2", effect="require_approval", when="args.amount > 50", approval=TWO)
        + rule(id="A-3", effect="require_approval", when="args.amount > 90", approval="{group: board, quorum: 3}")
    )

    def judge(self, amount: int, granted: bool = True, **granted_by: int) -> tuple[Effect, str | None]:
        approval = {"granted": granted, "granted_by": granted_by}
        result = ruleset(self.RULES).evaluate(facts(args={"amount": amount}, approval=approval))
        return result.effect, result.approval.group if result.approval else None

    def test_the_strictest_settings_of_a_group_count(self) -> None:
        approval = ruleset(self.RULES).evaluate(facts(args={"amount": 60})).approval
        assert approval is not None
        assert (approval.group, approval.quorum, approval.ttl_ms) == ("leads", 2, 300_000)
        assert approval.bind == ("tool", "args", "session")

    def test_an_approval_satisfies_its_rules(self) -> None:
        assert self.judge(20) == (Effect.REQUIRE_APPROVAL, "leads")
        assert self.judge(20, leads=1) == (Effect.ALLOW, None)
        assert self.judge(60, leads=1) == (Effect.REQUIRE_APPROVAL, "leads")
        assert self.judge(60, leads=2) == (Effect.ALLOW, None)

    def test_groups_are_asked_in_turn(self) -> None:
        assert self.judge(100) == (Effect.REQUIRE_APPROVAL, "leads")
        assert self.judge(100, leads=2) == (Effect.REQUIRE_APPROVAL, "board")
        assert self.judge(100, board=3) == (Effect.REQUIRE_APPROVAL, "leads")
        assert self.judge(100, leads=2, board=3) == (Effect.ALLOW, None)

    def test_what_was_not_granted_does_not_count(self) -> None:
        assert self.judge(20, granted=False, leads=1) == (Effect.REQUIRE_APPROVAL, "leads")
        assert self.judge(20, others=5) == (Effect.REQUIRE_APPROVAL, "leads")

    @pytest.mark.parametrize(
        "approval",
        [None, True, {}, {"granted": True}, {"granted": 1, "granted_by": {"leads": 9}},
         {"granted": True, "granted_by": {"leads": "9"}}, {"granted": True, "granted_by": {"leads": True}},
         {"granted": True, "granted_by": ["leads"]}],
    )  # fmt: skip
    def test_an_odd_approval_is_none(self, approval: object) -> None:
        result = ruleset(self.RULES).evaluate(facts(args={"amount": 20}) | {"approval": approval})
        assert result.effect is Effect.REQUIRE_APPROVAL

    def test_an_approval_does_not_lift_a_deny(self) -> None:
        judged = ruleset(self.RULES + make("deny")).evaluate(
            facts(args={"amount": 20}, approval={"granted": True, "granted_by": {"leads": 9}})
        )
        assert judged.effect is Effect.DENY


class TestDeferral:
    RULES = make("permit") + make("defer", rule_id="W-1") + rule(id="W-2", effect="defer", when='"true"', defer="1m")

    @pytest.mark.parametrize(
        ("waited", "effect"),
        [
            (0, Effect.DEFER),
            (30_000, Effect.DEFER),
            (59_999, Effect.DEFER),
            (60_000, Effect.ALLOW),
            ("60000", Effect.DEFER),
        ],
    )
    def test_the_longest_window_counts(self, waited: object, effect: Effect) -> None:
        result = ruleset(self.RULES).evaluate(facts(deferral={"waited_ms": waited}))
        assert result.effect is effect
        assert result.defer_ms == (60_000 if effect is Effect.DEFER else None)

    def test_an_approval_comes_first(self) -> None:
        result = ruleset(self.RULES + make("require_approval")).evaluate(facts())
        assert result.effect is Effect.REQUIRE_APPROVAL
        assert result.defer_ms == 60_000


def test_effects_are_named_as_in_the_verdict() -> None:
    assert {str(effect) for effect in Effect} == {"ALLOW", "DENY", "QUARANTINE", "REQUIRE_APPROVAL", "DEFER"}
    assert {str(effect) for effect in RuleEffect} == {"permit", "deny", "quarantine", "require_approval", "defer"}
