"""The compiled ruleset: what the gate asks for each intent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from streams.policy.bundle import Bundle, BundleSource, Rule
from streams.policy.combine import Progress, combine, progress_of
from streams.policy.compile import CheckedRule, check_rules, list_constants
from streams.policy.errors import BundleError, EvaluationError, Findings
from streams.policy.evaluate import Evaluator, evaluator
from streams.policy.explain import explain_matches
from streams.policy.globs import CallerMatcher, ToolMatcher, caller_matcher, is_literal
from streams.policy.parse import parse_bundle
from streams.policy.results import Mode, PolicyResult
from streams.policy.schema import FACT_NAMES, Facts
from streams.policy.tooltypes import ToolTypes

PROGRAMS_MAX = 4_096
"""Tools whose applicable rules are kept ready; past it all are dropped and found again as they come."""

_ALWAYS_NEEDED = frozenset({"tool"})


class _Entry(NamedTuple):
    """One applicable rule of a tool."""

    checked: CheckedRule
    condition: Evaluator
    callers: CallerMatcher | None


class _Program(NamedTuple):
    """The applicable rules of one version of one tool, by rule id."""

    entries: tuple[_Entry, ...]
    types: ToolTypes | None
    needs: frozenset[str]


class CompiledRuleset:
    """A bundle that was accepted. Not thread-safe: it keeps a cache per tool.

    Attributes:
        digest: SHA-256 of the bundle's files (32 bytes), which every verdict records.
        name: the bundle's name.
        version: its version.
        mode: enforce or shadow; in a shadow bundle nothing counts, so that every outcome is DENY `no_permit` and
            `PolicyResult.shadow` says what it would be.
        needs: the top-level facts that some rule reads.
        bundle: what was compiled, for reports.
    """

    def __init__(
        self, bundle: Bundle, digest: bytes, rules: tuple[CheckedRule, ...], tools: Mapping[str, ToolTypes]
    ) -> None:
        self.digest = digest
        self.name = bundle.name
        self.version = bundle.version
        self.mode = bundle.mode
        self.bundle = bundle
        self.rules = tuple(rule for rule in rules if rule.rule.mode is not Mode.OFF)
        self._constants = list_constants(bundle)
        self._tools = tools
        self._index = _Index(self.rules)
        self._conditions: dict[tuple[str, tuple[str, str] | None], Evaluator] = {}
        self._programs: dict[tuple[str, str, str], _Program] = {}
        self.needs = frozenset().union(_ALWAYS_NEEDED, *(_needs_of(rule) for rule in self.rules))

    def needs_for(self, server_id: str, tool_name: str) -> frozenset[str]:
        """The top-level facts that rules for any version of a tool read; `tool` is always among them.

        `approval` and `deferral` count towards the outcome too: give them whenever there are any.
        """
        rules = (rule for rule in self._index.candidates(server_id, tool_name))
        return frozenset().union(_ALWAYS_NEEDED, *(_needs_of(rule) for rule in rules))

    def applicable(self, server_id: str, tool_name: str, version: str) -> tuple[CheckedRule, ...]:
        """The rules for one version of a tool, by rule id."""
        return tuple(self._index.applicable(server_id, tool_name, version))

    def evaluate(self, facts: Facts) -> PolicyResult:
        """Judge one intent.

        Args:
            facts: see `schema.py`; at least `tool` and what `needs_for` names. A fact that is missing puts the
                rules that read it in error, which fails closed.

        Returns:
            The outcome. Never raises on facts of the wrong shape: they deny.
        """
        tool = facts.get("tool")
        if not isinstance(tool, Mapping):
            return combine((), (), Progress(), "?")
        key = (tool.get("server_id"), tool.get("name"), tool.get("version", ""))
        program = self._programs.get(key)  # type: ignore[arg-type]
        server_id, name, version = key
        if program is None:
            if not (isinstance(server_id, str) and isinstance(name, str) and isinstance(version, str)):
                return combine((), (), Progress(), "?")
            program = self._program(server_id, name, version)
        if program.types is not None and isinstance(args := facts.get("args"), Mapping):
            fitted = program.types.coerce(args)
            facts = facts if fitted is args else {**facts, "args": fitted}
        hits, failed = _run(program, facts)
        explanations = explain_matches(hits, facts, self._constants)
        matched = tuple(hit.rule for hit in hits)
        return combine(matched, failed, progress_of(facts), f"{server_id}.{name}", explanations)

    def _program(self, server_id: str, name: str, version: str) -> _Program:
        entries = tuple(
            _Entry(rule, self._condition(rule, (server_id, name)), caller_matcher(rule.rule.match))
            for rule in self._index.applicable(server_id, name, version)
        )
        needs = frozenset().union(_ALWAYS_NEEDED, *(_needs_of(entry.checked) for entry in entries))
        program = _Program(entries, self._tools.get(f"{server_id}/{name}"), needs)
        if len(self._programs) >= PROGRAMS_MAX:
            self._programs.clear()
        self._programs[server_id, name, version] = program
        return program

    def _condition(self, rule: CheckedRule, tool: tuple[str, str]) -> Evaluator:
        variant = tool if tool in rule.variants else None
        key = (rule.rule.id, variant)
        found = self._conditions.get(key)
        if found is None:
            checked = rule.variants[variant] if variant else rule.checked
            found = self._conditions[key] = evaluator(checked, self._constants)
        return found


def _run(program: _Program, facts: Facts) -> tuple[list[CheckedRule], list[tuple[Rule, str]]]:
    hits: list[CheckedRule] = []
    failed: list[tuple[Rule, str]] = []
    for entry in program.entries:
        rule = entry.checked.rule
        try:
            if entry.callers is not None and not _calls(entry.callers, facts):
                continue
            value = entry.condition(facts)
        except EvaluationError as error:
            failed.append((rule, str(error)))
            continue
        if value is True:
            hits.append(entry.checked)
        elif value is not False:
            failed.append((rule, "condition is not a bool"))
    return hits, failed


def _calls(callers: CallerMatcher, facts: Facts) -> bool:
    agent, tenant = facts.get("agent"), facts.get("tenant", "")
    agent_id = agent.get("id", "") if isinstance(agent, Mapping) else ""
    if not isinstance(agent_id, str) or not isinstance(tenant, str):
        raise EvaluationError("agent or tenant is not text")
    return callers.matches(agent_id, tenant)


def _needs_of(rule: CheckedRule) -> frozenset[str]:
    match = rule.rule.match
    extra = {name for name, patterns in (("agent", match.agents), ("tenant", match.tenants)) if patterns}
    return (rule.facts | extra) & FACT_NAMES


class _Index:
    """Finds the rules of a tool without looking at those that name other tools."""

    def __init__(self, rules: tuple[CheckedRule, ...]) -> None:
        self._rules = [(rule, ToolMatcher(rule.rule.match)) for rule in rules]
        self._by_server: dict[str, list[int]] = {}
        self._anywhere: list[int] = []
        for index, rule in enumerate(rules):
            servers = {pattern.text.partition(".")[0] for pattern in rule.rule.match.tools}
            if all(is_literal(server) for server in servers):
                for server in servers:
                    self._by_server.setdefault(server, []).append(index)
            else:
                self._anywhere.append(index)

    def applicable(self, server_id: str, name: str, version: str) -> list[CheckedRule]:
        """The rules for one version of a tool, by rule id."""
        return [rule for rule, matcher in self._near(server_id) if matcher.matches(server_id, name, version)]

    def candidates(self, server_id: str, name: str) -> list[CheckedRule]:
        """The rules for any version of a tool."""
        return [rule for rule, matcher in self._near(server_id) if matcher.matches(server_id, name, None)]

    def _near(self, server_id: str) -> list[tuple[CheckedRule, ToolMatcher]]:
        indexes = sorted([*self._by_server.get(server_id, ()), *self._anywhere])
        return [self._rules[index] for index in indexes]


def compile_bundle(source: BundleSource, tools: Mapping[str, ToolTypes] | None = None) -> CompiledRuleset:
    """Parse, check and compile a bundle.

    Args:
        source: the bundle's files, not trusted.
        tools: argument types by `server_id/name`, from the tools' input schemas.

    Raises:
        BundleError: with every error that was found; nothing of a bad bundle is used.
    """
    findings = Findings()
    bundle = parse_bundle(source, findings)
    if bundle is None:
        raise BundleError(findings.errors())
    rules = check_rules(bundle, tools or {}, findings)
    if findings.has_errors:
        raise BundleError(findings.errors())
    return CompiledRuleset(bundle, source.digest, rules, dict(tools or {}))
