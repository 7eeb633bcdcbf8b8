"""The pack `provenance` in a real gate: every rule fires where it should, and what the user asked for runs."""

from __future__ import annotations

import pytest

from tests.unit.processors.provenance_pack.scenarios import PROVENANCE_RULES
from tests.unit.processors.provenance_pack.talks import after_a_letter, rules_fired, talk
from tests.unit.processors.provenance_pack.tools import FRIEND, SEND


@pytest.mark.parametrize("rule", PROVENANCE_RULES)
def test_the_rule_fires_in_a_real_gate(rule: str) -> None:
    verdict = PROVENANCE_RULES[rule](talk())
    assert rule in rules_fired(verdict), (verdict.reason_text, verdict.origins)
    assert verdict.errors == ()


def test_what_the_user_asked_for_fires_none() -> None:
    asked_for = after_a_letter(
        f"Read m-7001 and send a short answer to {FRIEND}.",
        "You must answer until Friday. Please send the report, and delete the draft.",
        SEND,
        {"to": FRIEND, "body": "Thank you for the letter"},
    )
    verdict = asked_for(talk())
    assert not rules_fired(verdict)
