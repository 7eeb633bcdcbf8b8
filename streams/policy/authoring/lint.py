"""Checks a bundle for errors and for doubtful rules: `check_bundle`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import re2

from streams.policy.authoring.lint_functions import PATTERN_RECEIVERS, report_bad_arguments
from streams.policy.authoring.lint_values import report_unknown_values
from streams.policy.authoring.matched_tools import KnownTools
from streams.policy.authoring.proof_findings import AlreadyReported, Progress, report_proofs
from streams.policy.authoring.prover import STOPPING_EFFECTS
from streams.policy.authoring.unreachable import report_unreachable
from streams.policy.cel.structural_hash import start_offset
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, Select, walk
from streams.policy.errors import Finding, Findings, Location, Severity, nearest
from streams.policy.language.bundle import BUNDLE_FILE, RULES_SUFFIX, Bundle, BundleSource, Match, Pack, Rule
from streams.policy.language.check_memory import CheckedMemories, check_memories
from streams.policy.language.compile import CheckedRule, check_rules, entities_struct, history_struct, list_constants
from streams.policy.language.fact_types import Facts
from streams.policy.language.macros import ExpandedText
from streams.policy.language.parse import parse_bundle
from streams.policy.language.parse_match import dot_hint
from streams.policy.language.paths import read_paths
from streams.policy.language.schema import walk_fields
from streams.policy.language.tool_types import ToolTypes
from streams.policy.results import Mode, RuleEffect

_DURATION = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(h|ms|us|ns|m|s)")
_PATTERN_CHARS_SHOWN = 200
_OWASP_IDS = tuple(f"ASI{number:02}" for number in range(1, 11))
_LIKE_AN_ID = re.compile(r"(?i)(as[il1][-_]?[0-9o]+|aml[._-]?t[-_.]?[0-9]+.*)\Z")
_AN_ID = re.compile(rf"({'|'.join(_OWASP_IDS)}|AML\.T[0-9]{{4}}(\.[0-9]{{3}})?)\Z")
_SECURITY_LISTS = frozenset(("provenance", "hops"))


@dataclass(frozen=True, slots=True)
class LintReport:
    """All findings, ordered by location.

    Attributes:
        findings: at most `FINDINGS_MAX`; `left_out_count` is the number of further ones.
        is_proven: whether the solver was used.
        unproven: the rules of which something is not known because the solver has reached its limit of questions.
        name: how the bundle's own file calls it; empty if that file can't be read.
    """

    findings: tuple[Finding, ...]
    is_proven: bool = False
    unproven: frozenset[str] = frozenset()
    left_out_count: int = 0
    name: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the bundle is accepted, because it has no errors."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def check_bundle(
    source: BundleSource,
    tools: Mapping[str, ToolTypes] | None = None,
    *,
    prove: bool = False,
    examples: Iterable[Facts] = (),
    progress: Progress | None = None,
) -> LintReport:
    """Find errors and doubtful rules in a bundle. Never raises because of the content of the bundle.

    Args:
        source: the files of the bundle, which are not trusted.
        tools: argument types by `server_id/name`; if they are given, patterns that match no tool are reported.
        prove: use the solver to find rules that never count, are redundant, or stop nothing. This takes seconds.
        examples: facts of intents, such as those of test cases; they answer some questions without the solver.
        progress: told how many steps of the proofs are done, and of how many.

    Raises:
        SolverMissingError: `prove` is true and z3 is not installed.
    """
    findings = Findings()
    bundle = parse_bundle(source, findings)
    if bundle is None:
        return LintReport(findings.sorted())
    rules = check_rules(bundle, tools or {}, findings)
    memories = check_memories(bundle, tools or {}, findings)
    if findings.has_errors:
        return LintReport(findings.sorted(), name=bundle.name)
    report_missing_rules(source, findings)
    _report_unused_names(bundle, rules, memories, findings)
    report_bad_arguments(rules, list_constants(bundle), findings)
    known = KnownTools(tools or ())
    _report_slashes(bundle, known, findings)
    reported = _report_equal_conditions(rules, findings)
    reported = report_unreachable(rules, reported, findings)
    _report_unread_memories(bundle, rules, findings)
    _report_unread_entities(bundle, rules, memories, findings)
    optional = _optional_paths(bundle)
    for rule in rules:
        _lint_rule(rule, optional, findings)
        _report_unknown_tags(rule.rule, findings)
        if tools:
            _report_unmatched_patterns(rule, known, findings)
    _report_keys_of_all_calls(memories, findings)
    for _, expression in memories.expressions:
        _lint_literals(expression.tree, expression.expanded, None, findings)
    unproven: frozenset[str] = frozenset()
    if prove:
        constants, own = list_constants(bundle), (history_struct(bundle), entities_struct(bundle))
        unproven = report_proofs(rules, constants, own, examples, reported, findings, progress=progress)
    return LintReport(findings.sorted(), prove, unproven, findings.left_out_count, bundle.name)


def report_missing_rules(source: BundleSource, findings: Findings) -> None:
    """Report a bundle without any rule file. A gate accepts it and denies every call, which nobody can have meant."""
    if set(source.files) == {BUNDLE_FILE}:
        hint = f"write rules in `PACK/NAME{RULES_SUFFIX}`"
        findings.error("no_rules", Location(BUNDLE_FILE, 1, 1), "the bundle has no file with rules", hint=hint)


def _report_unused_names(
    bundle: Bundle, rules: tuple[CheckedRule, ...], memories: CheckedMemories, findings: Findings
) -> None:
    by_pack: dict[str, tuple[set[str], set[str]]] = {}
    for rule in rules:
        for name in (rule.rule.pack, ""):
            macros, lists = by_pack.setdefault(name, (set(), set()))
            for expanded in (rule.expanded, *(part.expanded for part in rule.explain)):
                macros |= expanded.macros
                lists |= expanded.lists
    for pack_name, expression in memories.expressions:
        for name in (pack_name, ""):
            macros, lists = by_pack.setdefault(name, (set(), set()))
            macros |= expression.expanded.macros
            lists |= expression.expanded.lists
    for pack in (bundle.shared, *bundle.packs):
        used_macros, used_lists = by_pack.get(pack.name, (set(), set()))
        _report_unused(pack, used_macros, used_lists, findings)


def _report_unused(pack: Pack, macros: set[str], lists: set[str], findings: Findings) -> None:
    for macro in pack.macros:
        if macro.name not in macros:
            findings.warning("unused_macro", macro.body.location, f"macro `{macro.name}` is not used")
    for item in pack.lists:
        if item.name not in lists:
            findings.warning("unused_list", item.location, f"list `{item.name}` is not used")


def _report_equal_conditions(rules: tuple[CheckedRule, ...], findings: Findings) -> AlreadyReported:
    """Report rules that have the same condition and match as another one, and an equal or opposite effect."""
    seen: dict[tuple[object, ...], CheckedRule] = {}
    overruled: set[str] = set()
    repeated: set[str] = set()
    for rule in rules:
        if rule.rule.mode is Mode.OFF:
            continue
        match = rule.rule.match
        key = (
            " ".join(rule.checked.text.split()),
            *(tuple(sorted(pattern.text for pattern in patterns))
              for patterns in (match.tools, match.servers, match.agents, match.tenants)),
            match.tool_version.text if match.tool_version else None,
        )  # fmt: skip
        first = seen.setdefault(key, rule)
        if first is rule:
            continue
        permits = [one for one in (first, rule) if one.rule.effect is RuleEffect.PERMIT]
        stops = [one for one in (first, rule) if one.rule.effect in STOPPING_EFFECTS and one.rule.mode is Mode.ENFORCE]
        at, other = rule.rule.location, first.rule.id
        if permits and stops:
            overruled.add(permits[0].rule.id)
            message = f"has the condition and match of rule `{other}` and the opposite effect: the permit never counts"
            findings.warning("contradiction", at, message, rule_id=rule.rule.id)
        elif first.rule.effect is rule.rule.effect:
            repeated.add(rule.rule.id)
            findings.warning(
                "duplicate", at, f"has the same condition, match and effect as rule `{other}`", rule_id=rule.rule.id
            )
    return AlreadyReported(overruled=frozenset(overruled), repeated=frozenset(repeated))


def _report_slashes(bundle: Bundle, known: KnownTools, findings: Findings) -> None:
    """Report patterns with a `/` after the dot that match no known tool: probably `SERVER/TOOL` was meant."""
    for match, rule_id in _matches(bundle):
        for pattern in match.tools:
            if "/" in pattern.text and not known.has_match(Match((pattern,), match.servers)):
                message = f"pattern `{pattern.text}` matches only tools that have a `/` in their name"
                hint = dot_hint(pattern.text)
                findings.warning("slash_in_tool", pattern.location, message, rule_id=rule_id, hint=hint)


def _report_keys_of_all_calls(memories: CheckedMemories, findings: Findings) -> None:
    """Report budgets of every call whose key is an argument: every call without that argument is denied."""
    for item in memories.budgets:
        budget = item.budget
        if item.key is None or "args" not in item.key.facts or budget.match is not None or budget.when is not None:
            continue
        message = f"budget `{budget.name}` is about every tool, so a call that has no value for its `key` is denied"
        hint = "name the tools that have the argument under `match`"
        findings.warning("key_of_all_calls", item.key.expanded.at(0), message, hint=hint)


def _matches(bundle: Bundle) -> Iterator[tuple[Match, str | None]]:
    """Yield every match of a bundle with the id of its rule, or None for memories and budgets."""
    for pack in bundle.packs:
        yield from ((rule.match, rule.id) for rule in pack.rules)
        kept = [*(memory.match for memory in pack.memories), *(budget.match for budget in pack.budgets)]
        kept += [memory.reset.match for memory in pack.memories if memory.reset is not None]
        kept += [memory.since.match for memory in pack.memories if memory.since is not None]
        kept += [entity.match for entity in pack.entities]
        yield from ((match, None) for match in kept if match is not None)


def _report_unmatched_patterns(rule: CheckedRule, known: KnownTools, findings: Findings) -> None:
    for pattern in rule.rule.match.tools:
        if "/" not in pattern.text and not known.has_match(Match((pattern,), rule.rule.match.servers)):
            message = f"pattern `{pattern.text}` matches no tool of the catalog"
            findings.warning("no_tool", pattern.location, message, rule_id=rule.rule.id)


def _optional_paths(bundle: Bundle) -> frozenset[str]:
    """Return the paths of optional fields, of the schema and of the bundle's memories."""
    history = history_struct(bundle)
    return _OPTIONAL | {f"history.{field.name}" for field in history.fields if field.optional}


def _report_unread_memories(bundle: Bundle, rules: tuple[CheckedRule, ...], findings: Findings) -> None:
    trees = [part.tree for rule in rules for part in (rule.checked, *(one.checked for one in rule.explain))]
    read = {path[1:2] for tree in trees for path in read_paths(tree) if path[0] == "history"}
    for memory in (memory for pack in bundle.packs for memory in pack.memories):
        if read.isdisjoint(((), (memory.name,), (memory.age_name,))):
            findings.warning("unused_memory", memory.location, f"no rule reads memory `{memory.name}`")


def _report_unread_entities(
    bundle: Bundle, rules: tuple[CheckedRule, ...], memories: CheckedMemories, findings: Findings
) -> None:
    trees = [part.tree for rule in rules for part in (rule.checked, *(one.checked for one in rule.explain))]
    trees += [expression.tree for _, expression in memories.expressions]
    read = {path[1:2] for tree in trees for path in read_paths(tree) if path[0] == "entities"}
    for entity in (entity for pack in bundle.packs for entity in pack.entities):
        if () not in read and (entity.name,) not in read:
            text = f"no rule, memory or budget reads entity `{entity.name}`"
            findings.warning("unused_entity", entity.location, text)


def _lint_rule(rule: CheckedRule, optional: frozenset[str], findings: Findings) -> None:
    def warn(code: str, node: Expr, message: str, hint: str | None = None) -> None:
        at = rule.expanded.at(start_offset(node))
        findings.warning(code, at, message, rule_id=rule.rule.id, hint=hint)

    tree = rule.checked.tree
    # Whoever writes `true` means it.
    is_meant = rule.expanded.text.strip() == "true"
    if isinstance(tree, Const) and not is_meant and rule.rule.mode is not Mode.OFF:
        word = "always" if tree.value else "never"
        warn("constant", tree, f"the condition is constant: the rule {word} matches")
    guarded = {_dotted(node) for node in walk(tree) if isinstance(node, Select) and node.test}
    for expanded, checked in ((rule.expanded, rule.checked), *((part.expanded, part.checked) for part in rule.explain)):
        _lint_literals(checked.tree, expanded, rule.rule.id, findings)
    for node in walk(tree):
        if isinstance(node, Select) and not node.test:
            path = _dotted(node)
            if path in optional and path not in guarded:
                warn("unguarded", node, f"`{path}` can be missing: the rule is then in error",
                     f"test it first with `has({path})`")  # fmt: skip
        elif isinstance(node, Comprehension):
            _lint_fold(rule, tree, node, warn)


def _report_unknown_tags(rule: Rule, findings: Findings) -> None:
    """Report tags that look like ids of OWASP or ATLAS and have not their form. Tags of one's own may be anything else.

    Alerts are routed by tags, so one that is mistyped keeps an alert from whom it is for.
    """
    for tag in rule.tags:
        if _LIKE_AN_ID.match(tag) and not _AN_ID.match(tag):
            hint = nearest(tag, _OWASP_IDS) or "they are `ASI01` to `ASI10`, and such as `AML.T0051.001`"
            message = f"`{tag}` is not an id of OWASP's agentic risks or of MITRE ATLAS"
            findings.warning("unknown_tag", rule.location, message, rule_id=rule.id, hint=hint)


def _lint_literals(tree: Expr, expanded: ExpandedText, rule_id: str | None, findings: Findings) -> None:
    """Report texts that are not valid regular expressions, durations or addresses, or that a field never equals."""

    def warn(code: str, node: Expr, message: str) -> None:
        findings.warning(code, expanded.at(max(node.offset, 0)), message, rule_id=rule_id)

    for node in walk(tree):
        if isinstance(node, Call):
            _lint_literal(node, warn)
            if (problem := _bad_regex(node)) is not None:
                at = expanded.at(start_offset(node.args[-1]))
                findings.error("bad_regex", at, problem, rule_id=rule_id)
    report_unknown_values(tree, expanded, rule_id, findings)


def _lint_literal(call: Call, warn: Callable[..., None]) -> None:
    last = call.args[-1] if call.args else None
    if not isinstance(last, Const) or not isinstance(last.value, str):
        return
    text = last.value
    if call.function == "duration" and not _is_duration(text):
        warn("bad_duration", last, f"`{text}` is not a duration such as `90s` or `1h30m`")
    elif call.function in ("ip", "containsIP", "cidr", "containsCIDR"):
        parse = ipaddress.ip_address if "ip" in call.function.lower() else ipaddress.ip_network
        try:
            parse(text) if parse is ipaddress.ip_address else ipaddress.ip_interface(text)
        except ValueError:
            warn(
                "bad_address", last, f"`{text}` is not {'an address' if parse is ipaddress.ip_address else 'a network'}"
            )


def _bad_regex(call: Call) -> str | None:
    """Return why the pattern of a call of `matches` is invalid; None if it is valid, or known only at run time."""
    if call.function != "matches" or call.args[0].type.kind in PATTERN_RECEIVERS:
        return None
    text = _constant_text(call.args[-1])
    if text is None:
        return None
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "it can't be parsed"
        shown = text if len(text) <= _PATTERN_CHARS_SHOWN else f"{text[:_PATTERN_CHARS_SHOWN]}..."
        return f"`{shown}` is not a regular expression: {reason}"
    return None


def _constant_text(node: Expr) -> str | None:
    """Return the value of a text, or of constant texts that are joined with `+`; None for other expressions."""
    if isinstance(node, Const):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, Call) or node.function != "_+_":
        return None
    parts = [_constant_text(part) for part in node.args]
    return None if None in parts else "".join(part for part in parts if part is not None)


def _is_duration(text: str) -> bool:
    body = text.lstrip("+-")
    return body == "0" or (bool(body) and _DURATION.sub("", text) == "")


def _lint_fold(rule: CheckedRule, tree: Expr, node: Comprehension, warn: Callable[..., None]) -> None:
    """Report a rule that uses `exists` over a security-relevant list without handling the empty list.

    Over an empty list `exists` is false, so that the rule does not stop the call.
    """
    is_any = isinstance(node.accu_init, Const) and node.accu_init.value is False
    name = node.iter_range.field if isinstance(node.iter_range, Select) else getattr(node.iter_range, "name", "")
    if not is_any or name not in _SECURITY_LISTS or rule.rule.effect is RuleEffect.PERMIT:
        return
    sized = any(
        isinstance(call, Call) and call.function == "size" and any(arg == node.iter_range or _same(arg, node.iter_range)
                                                                   for arg in call.args)
        for call in walk(tree)
    )  # fmt: skip
    if not sized and name == "provenance":
        warn("maybe_empty", node, f"`{name}` can be empty: `exists` is then false and the rule does not match",
             f"decide what an empty list means, as in `size({name}) == 0 || ...`")  # fmt: skip


def _same(one: Expr, other: Expr) -> bool:
    return bool(_dotted(one)) and _dotted(one) == _dotted(other)


def _dotted(node: Expr) -> str:
    """Return `a.b.c` for a chain of fields that starts at a variable, or an empty text."""
    parts: list[str] = []
    while isinstance(node, Select):
        parts.append(node.field)
        node = node.operand
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, Ident) else ""


_OPTIONAL = frozenset(path for path, field in walk_fields() if field.optional and "[]" not in path)
