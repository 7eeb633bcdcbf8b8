"""Rules that matched a call, in words. What a rule in shadow would have done must not read as what was done."""

from __future__ import annotations

from streams.model.verdict import RuleHit, RuleMode


def effect_text(hit: RuleHit) -> str:
    """Return what a rule does, such as `deny`; and that it is in shadow, where it changes no verdict."""
    return hit.effect.value.lower() + (", shadow" if hit.mode is RuleMode.SHADOW else "")


def name_text(rule_id: str, *, is_shadow: bool) -> str:
    """Return the id of a rule for a list that names no effects."""
    return f"{rule_id} in shadow" if is_shadow else rule_id
