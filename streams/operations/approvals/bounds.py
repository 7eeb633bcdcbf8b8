"""Makes the bounds of a grant from the calls that a person was shown and from what the person wrote.

What the person does not name stays as it was shown: each call brings its own set of arguments, so that a value of one
call is not combined with a value of another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from streams.codec.instants import format_instant
from streams.delegation.constraints import PATTERN_CHARS_MAX, STARS_MAX
from streams.model.approval import GRANTED_TOOLS_MAX, USES_MAX, ApprovalGrant, GrantScope, PendingCall
from streams.model.canonical import CanonicalError, canonical, parse_strict
from streams.model.delegation import ArgumentConstraint, ConstraintType, ToolGrant
from streams.model.plurals import many
from streams.operations.approvals.errors import ApprovalError, MatchFormError
from streams.provenance.pointers import escaped, unescaped

_STATED = re.compile(r"(?P<argument>[^=<]+)(?P<operator><=|=)(?P<pattern>.*)", re.DOTALL)
_ANYTHING = "*"
_AT_MOST = "<="


class Match(NamedTuple):
    """A bound on an argument, as a person has written it: `to=*@corp.example`, `amount<=100`, `body=*`."""

    argument: str
    operator: str
    pattern: str


def parse_match(text: str) -> Match:
    """Read a bound that a person has written.

    Raises:
        MatchFormError: it is not of the form `ARG=PATTERN` or `ARG<=NUMBER`.
    """
    found = _STATED.fullmatch(text)
    if found is None:
        raise MatchFormError(f"`{text[:80]}` is not of the form `ARG=PATTERN` or `ARG<=NUMBER`")
    match = Match(found["argument"].strip(), found["operator"], found["pattern"])
    if match.pattern.count("*") > STARS_MAX or len(match.pattern) > PATTERN_CHARS_MAX:
        raise MatchFormError(f"`{text[:80]}` has more than {STARS_MAX} stars or {PATTERN_CHARS_MAX} characters")
    if match.operator == _AT_MOST and _number(match) is None:
        raise MatchFormError(f"`{text[:80]}`: what follows `{_AT_MOST}` must be a number")
    return match


def grant_of(
    calls: Sequence[PendingCall],
    scope: GrantScope,
    matches: Iterable[Match] = (),
    *,
    uses_max: int | None = None,
    until_ms: int | None = None,
) -> ApprovalGrant:
    """Return a grant for further calls like those that were shown. It answers all rules that have asked.

    Args:
        calls: the calls.
        scope: the task, or the session.
        matches: bounds that replace the values of the calls; several for one argument are alternatives.
        uses_max: how many calls it approves; None: any number.
        until_ms: when it ends; None: with the session.

    Raises:
        ApprovalError: a bound names no argument of the calls, or has no valid value; or the calls differ too much.
    """
    by_argument: dict[str, list[Match]] = {}
    for match in matches:
        by_argument.setdefault(match.argument, []).append(match)
    if uses_max is not None and not 1 <= uses_max <= USES_MAX:
        raise ApprovalError(f"a grant is for 1 to {USES_MAX} calls, not for {uses_max}")
    arguments = [json.loads(call.args_json) for call in calls]
    known = {name for values in arguments for name in values}
    unknown = sorted(by_argument.keys() - known)
    if unknown:
        named = ", ".join(sorted(known)) or "none"
        raise ApprovalError(f"the calls have no argument `{unknown[0]}`; their arguments: {named}")
    tools = list(dict.fromkeys(_tool(call, values, by_argument) for call, values in zip(calls, arguments, strict=True)))
    if len(tools) > GRANTED_TOOLS_MAX:
        raise ApprovalError(
            f"the calls differ in {len(tools)} ways, a grant can have {GRANTED_TOOLS_MAX}: "
            "bound the arguments that differ with `--match`, or approve fewer calls with `--call`"
        )
    return ApprovalGrant(scope=scope, tools=tuple(tools), uses_max=uses_max, until=until_ms)


def _tool(call: PendingCall, values: dict[str, Any], matches: dict[str, list[Match]]) -> ToolGrant:
    if not values:
        # A tool without bounds would accept any arguments.
        return ToolGrant(server_id=call.tool.server_id, name=call.tool.name, constraints=(_no_arguments(),))
    constraints = tuple(
        _bound(name, values[name], matches[name]) if name in matches else _exact(name, values[name])
        for name in sorted(values)
    )
    return ToolGrant(server_id=call.tool.server_id, name=call.tool.name, constraints=constraints)


def _no_arguments() -> ArgumentConstraint:
    return ArgumentConstraint(argument="", type=ConstraintType.EXACT, value_json="{}")


def _exact(name: str, value: object) -> ArgumentConstraint:
    return ArgumentConstraint(argument=_pointer(name), type=ConstraintType.EXACT, value_json=_json(value))


def _bound(name: str, shown: object, matches: Sequence[Match]) -> ArgumentConstraint:
    parts = [_part(match, shown) for match in matches]
    kind, value = parts[0]
    if len(parts) > 1:
        if all(each is ConstraintType.EXACT for each, _ in parts):
            kind, value = ConstraintType.ONE_OF, [value for _, value in parts]
        else:
            kind, value = ConstraintType.ANY, [{"type": each.value, "value": value} for each, value in parts]
    return ArgumentConstraint(argument=_pointer(name), type=kind, value_json=_json(value))


def _part(match: Match, shown: object) -> tuple[ConstraintType, object]:
    """Return the kind and the parameter of one bound.

    Raises:
        ApprovalError: the pattern can't be a value of the argument.
    """
    if match.operator == _AT_MOST:
        number = _number(match)
        if number is None or isinstance(shown, bool) or not isinstance(shown, (int, float)):
            raise ApprovalError(f"`{match.argument}<={match.pattern[:40]}`: both must be numbers")
        # A negative amount is less than any limit, and hardly what is meant.
        return ConstraintType.RANGE, {"min": min(0, number), "max": number}
    if match.pattern == _ANYTHING:
        return ConstraintType.ALL, []
    if isinstance(shown, str):
        kind = ConstraintType.WILDCARD if "*" in match.pattern else ConstraintType.EXACT
        return kind, match.pattern
    try:
        value = parse_strict(match.pattern)
        canonical(value)
    except CanonicalError as error:
        name = match.argument
        text = f"argument `{name}` has a value that is not a text: write it as JSON, or `{name}=*` for any value"
        raise ApprovalError(f"{text} ({error})") from None
    return ConstraintType.EXACT, value


def _number(match: Match) -> int | float | None:
    """Return the number of a bound; None if it is not one that all parsers read alike."""
    try:
        value = parse_strict(match.pattern)
        canonical(value)
    except CanonicalError:
        return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _pointer(name: str) -> str:
    return f"/{escaped(name)}"


def _json(value: object) -> str:
    return canonical(value).decode()


def bound_words(constraint: ArgumentConstraint) -> str:
    """Return what a bound admits, in words."""
    name = unescaped(constraint.argument.removeprefix("/")) or "(all arguments)"
    value = json.loads(constraint.value_json)
    match constraint.type:
        case ConstraintType.ALL if value == []:
            return f"{name}: anything"
        case ConstraintType.EXACT:
            return f"{name}: exactly {constraint.value_json}"
        case ConstraintType.ONE_OF:
            return f"{name}: one of {constraint.value_json}"
        case ConstraintType.WILDCARD:
            return f"{name}: like {value}"
        case ConstraintType.RANGE if isinstance(value, dict):
            low, high = value.get("min"), value.get("max")
            return f"{name}: {'any' if low is None else low} to {'any' if high is None else high}"
    return f"{name}: {constraint.type.value.lower()} {constraint.value_json}"


def grant_words(grant: ApprovalGrant) -> str:
    """Return what a grant approves, in words."""
    count = "any number of calls" if grant.uses_max is None else many(grant.uses_max, "call")
    until = "" if grant.until is None else f", until {format_instant(grant.until)}"
    return f"{count} of this {grant.scope.value.lower()}{until}: " + "; or ".join(map(_tool_words, grant.tools))


def _tool_words(tool: ToolGrant) -> str:
    """Return which calls a tool of a grant admits, in words."""
    bounds = ", ".join(bound_words(each) for each in tool.constraints) or "any arguments"
    return f"{tool.server_id}/{tool.name} with {bounds}"
