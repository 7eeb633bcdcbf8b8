"""Finds the rules that can apply to the same tools as a given rule, without comparing it with all others.

**Idea.** What two patterns both match begins with what stands before the first wildcard of each. So of these two
beginnings, one begins with the other. Rules are kept by the beginnings of their patterns, and compared only with those
that this leaves.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from streams.policy.language.bundle import Match, Pattern
from streams.policy.language.compile import CheckedRule
from streams.policy.language.globs import ToolMatcher, is_literal, named_tools

_WILD = re.compile(r"[*?]")
_END = "\x00"
"""Ends the beginning of a pattern without a wildcard. So a longer name does not begin with a shorter one."""


class OverlapIndex:
    """Rules by the tools that they are about."""

    def __init__(self, rules: Iterable[CheckedRule]) -> None:
        """Take the rules."""
        self._rules = sorted(rules, key=lambda rule: rule.rule.id)
        self._named = [named_tools(rule.rule.match) for rule in self._rules]
        self._matchers: dict[int, ToolMatcher] = {}
        self._by_beginning: dict[str, list[int]] = {}
        for number, rule in enumerate(self._rules):
            for beginning in _beginnings(rule.rule.match):
                self._by_beginning.setdefault(beginning, []).append(number)
        self._beginnings = sorted(self._by_beginning)

    def of(self, rule: CheckedRule) -> list[CheckedRule]:
        """Return these rules, ordered by id; the rule itself is one of them."""
        near = {number for beginning in _beginnings(rule.rule.match) for number in self._near(beginning)}
        own = named_tools(rule.rule.match)
        if own is not None:
            found = (number for number in near if self._is_for_any(number, own))
        else:
            matcher = _matcher(rule)
            found = (number for number in near if _is_any_matched(matcher, self._named[number]))
        return [self._rules[number] for number in sorted(found)]

    def _near(self, beginning: str) -> Iterator[int]:
        for end in range(len(beginning)):
            yield from self._by_beginning.get(beginning[:end], ())
        for at in range(bisect_left(self._beginnings, beginning), len(self._beginnings)):
            if not self._beginnings[at].startswith(beginning):
                return
            yield from self._by_beginning[self._beginnings[at]]

    def _is_for_any(self, number: int, tools: frozenset[tuple[str, str]]) -> bool:
        """Return whether a rule can apply to one of these tools."""
        named = self._named[number]
        if named is not None:
            return not named.isdisjoint(tools)
        matcher = self._matchers.get(number)
        if matcher is None:
            matcher = self._matchers[number] = _matcher(self._rules[number])
        return _is_any_matched(matcher, tools)


def _beginnings(match: Match) -> set[str]:
    return {_beginning(pattern) for pattern in match.tools}


def _beginning(pattern: Pattern) -> str:
    return pattern.text + _END if is_literal(pattern.text) else beginning_of(pattern.text)


def beginning_of(glob: str) -> str:
    """Return what everything begins with that a glob matches: its text before the first wildcard."""
    return _WILD.split(glob, maxsplit=1)[0]


def _matcher(rule: CheckedRule) -> ToolMatcher:
    return ToolMatcher(Match(rule.rule.match.tools, rule.rule.match.servers))


def _is_any_matched(matcher: ToolMatcher, tools: frozenset[tuple[str, str]] | None) -> bool:
    """Return whether one of these tools is matched; None stands for tools that are not named, of which one may be."""
    return tools is None or any(matcher.matches(*tool, None) for tool in tools)
