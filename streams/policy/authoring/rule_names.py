"""Checks the ids of rules that cases and scenarios name."""

from __future__ import annotations

from streams.policy.errors import Location, nearest
from streams.policy.language.yaml_mapping import MappingReader
from streams.policy.results import Mode
from streams.policy.runtime.ruleset import CompiledRuleset


class RuleNames:
    """The rules that an expectation may name."""

    def __init__(self, ruleset: CompiledRuleset) -> None:
        self._active = frozenset(rule.rule.id for rule in ruleset.rules)
        packs = ruleset.bundle.packs
        self._off = frozenset(rule.id for pack in packs for rule in pack.rules if rule.mode is Mode.OFF)

    def check(self, reader: MappingReader, location: Location, rule_id: str) -> bool:
        """Return whether an expectation may name the rule, and report it if not."""
        if rule_id in self._active:
            return True
        if rule_id in self._off:
            hint = "expect it no longer, or set its `mode` to `shadow` to have it evaluated"
            reader.error("rule_off", location, f"rule `{rule_id}` is off, so it matches no call", hint)
        else:
            reader.error("unknown_rule", location, f"unknown rule `{rule_id}`", nearest(rule_id, self._active))
        return False
