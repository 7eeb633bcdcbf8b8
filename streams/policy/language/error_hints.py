"""Hints for common mistakes, such as words and operators that other products and languages use.

The functions here are called only after an error was found; they never reject anything themselves.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.policy.errors import NAME_CHARS_MAX

_LOGIC = "write `&&`, `||` and `!` for and, or and not"
_QUOTE = "put the whole value in single quotes, or on a line of its own below `>-`"
_METHOD = 'write it as a method, as in `agent.id.startsWith("a")`'
_IF = "write `CONDITION ? A : B`, or join conditions with `&&`"

EFFECT_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("allow", "accept", "grant", "pass"), "permit"),
    **dict.fromkeys(("block", "forbid", "reject", "refuse", "prohibit", "drop"), "deny"),
    **dict.fromkeys(("ask", "approve", "approval", "confirm", "escalate", "review"), "require_approval"),
    **dict.fromkeys(("delay", "hold", "wait"), "defer"),
    **dict.fromkeys(("freeze", "isolate"), "quarantine"),
}
"""The names that other products use for effects."""

MODE_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("on", "active", "block", "enabled", "enforcing"), "enforce"),
    **dict.fromkeys(("audit", "dry-run", "dry_run", "dryrun", "log", "monitor", "permissive", "test"), "shadow"),
    **dict.fromkeys(("disable", "disabled", "none"), "off"),
}
"""The names that other products use for modes."""

CONSTANT_SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
    **dict.fromkeys(("None", "nil", "NULL"), "null"),
}
"""The names that other languages use for constants."""

_TEXT_METHODS = frozenset(
    {"charAt", "contains", "endsWith", "indexOf", "lastIndexOf", "lowerAscii"}
    | {"replace", "split", "startsWith", "substring", "trim", "upperAscii"}
)
"""What other languages also have as functions: `contains(text, part)`."""

_TOKEN_HINTS: Mapping[str, str] = {
    "=": "write `==` to compare",
    "===": "write `==`",
    "!==": "write `!=`",
    "<>": "write `!=`",
    "=>": "write `>=`",
    "=<": "write `<=`",
    "&": "write `&&`",
    "|": "write `||`",
    **dict.fromkeys(("and", "or", "not"), _LOGIC),
    **dict.fromkeys(("is", "equals", "eq"), "write `==` to compare"),
    **dict.fromkeys(("like", "contains", "matches", "startswith", "endswith"), _METHOD),
    **dict.fromkeys(("if", "then", "else"), _IF),
    **dict.fromkeys("\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb", "write straight quotes, `\"` or `'`"),
    "`": "write text in `\"` or `'`",
    ";": "join conditions with `&&`",
}
"""Hints by the token that the parser does not expect."""

_REPAIRS: Mapping[str, str] = {
    "=": "==",
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "=>": ">=",
    "=<": "<=",
    "&": "&&",
    "|": "||",
    ";": "&&",
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "equals": "==",
    "eq": "==",
}
"""What was meant by a token that the parser does not expect, where that is certain."""

_CONTEXT_CHARS = 100
"""How many characters around an error are searched: an expression can be long, and is not trusted."""

_OPERATOR_CHARACTERS = tuple("=!<>&|")
_TOKEN = re.compile(r"[=!<>&|]+|\w+|\S|$")
_LAST_TOKEN = re.compile(r"([=!<>&|]+|\w+|\S)\s*\Z")
_NUMBER_WITH_COMMA = re.compile(r"[0-9],[0-9]{3}")
_MISSING_TOKEN = re.compile(r"missing '(.*?)' at|expecting \{?'([\])}:])'")
_DEPTH = re.compile(r"recursion (?:limit|depth)\D*([0-9]+)")
_NOT_IN = re.compile(r"not\s+in\b", re.IGNORECASE)
_RESERVED = re.compile(r"reserved identifier: (\w+)")

_CONTAINS = re.compile(r"([\w.]+)\.contains\(([^()]*)\)")
_NULL = re.compile(r"([\w.]+)\s*([!=]=)\s*null|null\s*([!=]=)\s*([\w.]+)")
_VERSION_COMPARISONS = {
    ">": "a.isGreaterThan(b)",
    ">=": "!a.isLessThan(b)",
    "<": "a.isLessThan(b)",
    "<=": "!a.isGreaterThan(b)",
    "==": "a.compareTo(b) == 0",
    "!=": "a.compareTo(b) != 0",
}


class SyntaxProblem(NamedTuple):
    """An error at an offset of an expression, and what to do about it."""

    offset: int
    message: str
    hint: str | None = None


def suggest_word(text: str, known: Iterable[str], others: Mapping[str, str]) -> str | None:
    """Return a hint with the known word that an unknown one stands for, or None.

    Args:
        text: the unknown word.
        known: the known words.
        others: synonyms of the known words.
    """
    known, word = list(known), text.strip().lower()
    if word in known or word in others:
        return f"write `{others.get(word, word)}`"
    close = difflib.get_close_matches(word[:NAME_CHARS_MAX], [*known, *others], n=1)
    return f"did you mean `{others.get(close[0], close[0])}`?" if close else None


def explain_syntax_error(report: str, text: str, offset: int) -> SyntaxProblem:
    """Return a syntax error in terms that the author of a rule understands.

    Args:
        report: the parser's message.
        text: the expression.
        offset: where the parser stopped.
    """
    if not text.strip():
        return SyntaxProblem(offset, "the expression is empty", "write `true` for a condition that always holds")
    if reserved := _RESERVED.search(report):
        return SyntaxProblem(offset, f"`{reserved[1]}` is a reserved word", _TOKEN_HINTS.get(reserved[1]))
    start, symbol = _token_at(text, offset)
    if not symbol:
        return SyntaxProblem(offset, *_explain_end(report, text))
    if "token recognition" in report and symbol in ('"', "'"):
        advice = f"close it with `{symbol}`; if it is closed, {_QUOTE}, because YAML reads ` #` as a comment"
        return SyntaxProblem(offset, f"text that begins with `{symbol}` is not closed", advice)
    hint = "write `!(a in b)`" if _NOT_IN.match(text, start) else _TOKEN_HINTS.get(symbol.lower())
    if symbol == "," and _NUMBER_WITH_COMMA.match(text, max(start - 1, 0)):
        hint = "write numbers without commas"
    return SyntaxProblem(start, f"unexpected `{symbol}`", hint)


class Repair(NamedTuple):
    """A text in which one token is replaced by the one that was meant.

    Attributes:
        end: the offset behind the new token.
        grown_chars: by how many characters the text is longer than before.
    """

    text: str
    end: int
    grown_chars: int


def repaired(text: str, offset: int) -> Repair | None:
    """Return the expression with the unexpected token at `offset` replaced; None if it is not certain by what.

    With the text repaired, the parser finds the next mistake, instead of guessing what the first one meant.
    """
    start, symbol = _token_at(text, offset)
    meant = _REPAIRS.get(symbol.lower())
    if meant is None or start != offset:
        return None
    return Repair(text[:start] + meant + text[start + len(symbol) :], start + len(meant), len(meant) - len(symbol))


def _token_at(text: str, offset: int) -> tuple[int, str]:
    """Return the token that the parser did not expect: the whole operator, or the `not` before it."""
    before = _LAST_TOKEN.search(text, max(offset - _CONTEXT_CHARS, 0), offset)
    if before is not None and before[1].lower() == "not":
        return before.start(1), before[1]
    start = offset
    if text[offset : offset + 1] in _OPERATOR_CHARACTERS:
        while start > max(offset - _CONTEXT_CHARS, 0) and text[start - 1] in _OPERATOR_CHARACTERS:
            start -= 1
    found = _TOKEN.match(text, start, offset + _CONTEXT_CHARS)
    return start, found[0] if found else ""


def _explain_end(report: str, text: str) -> tuple[str, str | None]:
    if missing := _MISSING_TOKEN.search(report):
        return f"`{missing[1] or missing[2]}` is missing at the end", None
    last = _LAST_TOKEN.search(text, max(len(text) - _CONTEXT_CHARS, 0))
    return "the expression is incomplete", f"write what follows `{last[1]}`" if last else None


def explain_parser_report(report: str) -> tuple[str, str | None]:
    """Return a report on the expression as a whole in terms that the author of a rule understands, and a hint."""
    if depth := _DEPTH.search(report):
        hint = "split it into several rules, or search a list with `in`"
        return f"the expression is nested more than {depth[1]} levels deep", hint
    return report[:1].lower() + report[1:], None


def call_hint(name: str, types: str, text: str, offset: int) -> str | None:
    """Return a hint for a function or an operator that has no overload for its arguments.

    Args:
        name: the function or operator.
        types: the types of the arguments, separated by commas.
        text: the expression.
        offset: where the call is.
    """
    if name == "contains" and types.startswith("list("):
        found = _match_around(_CONTAINS, text, offset)
        return f"write `{found[2].strip()} in {found[1]}`" if found else "write `VALUE in LIST`"
    if name in _VERSION_COMPARISONS and "Semver" in types:
        return f"write `{_VERSION_COMPARISONS[name]}` for versions `a` and `b`"
    if name in ("==", "!="):
        return _equality_hint(name, types, text, offset)
    if name in ("<", "<=", ">", ">="):
        return f"`{name}` compares two numbers, or two texts{_constant_hint(types)}"
    if name in ("&&", "||", "!"):
        return "a condition is true or false: compare a text or a number, and write `size(LIST) > 0` about a list"
    return None


def form_hint(name: str, text: str, offset: int) -> str:
    """Return a hint for a function of the language that has no form in which it is called here.

    Args:
        name: the function.
        text: the expression.
        offset: where the name is.
    """
    if name in _TEXT_METHODS and not text[:offset].rstrip().endswith("."):
        return f"write it as a method of a text, as in `args.to.{name}(...)`"
    return "check the number and the types of its arguments"


def _equality_hint(name: str, types: str, text: str, offset: int) -> str:
    advice = "`==` compares values of one type"
    if "null_type" in types:
        found = _match_around(_NULL, text, offset)
        path = (found[1] or found[4]) if found else "FIELD"
        return f"{advice}; write `{'!' if name == '==' else ''}has({path})` to test whether it is present"
    if types.count("list(") == 1:
        return f"{advice}; write `VALUE in LIST` to search a list"
    return advice + _constant_hint(types)


def _constant_hint(types: str) -> str:
    """Return how a constant is written that somebody has put in quotes, to go behind a hint; empty for other types."""
    found = set(types.split(", "))
    if found == {"bool", "string"}:
        return "; write `true` and `false` without quotes"
    return (
        "; write a number in quotes only where the other side is a text"
        if found in ({"int", "string"}, {"double", "string"})
        else ""
    )


def _match_around(pattern: re.Pattern[str], text: str, offset: int) -> re.Match[str] | None:
    """Return the match of a pattern at an offset, unless it contains the full name of a list, which nobody wrote."""
    near = pattern.finditer(text, max(offset - _CONTEXT_CHARS, 0), offset + _CONTEXT_CHARS)
    found = (match for match in near if match.start() <= offset < match.end())
    return next((match for match in found if "lists." not in match[0]), None)


_YAML_HINTS: tuple[tuple[str, str], ...] = (
    ("alphabetic or numeric", 'put text that begins with `*`, `&` or `!` in quotes, as in `["*"]`'),
    ("mapping values", f"if the text contains `: `, {_QUOTE}; otherwise check the indentation"),
    ("cannot start any token", "put text that begins with this character in quotes; indent with spaces, not with tabs"),
    ("comment or line break", f"`>` and `|` begin text on the lines below: {_QUOTE}"),
    ("sequence entries", f"if the text begins with `- `, {_QUOTE}; otherwise check the indentation"),
    ("mapping keys", f"if the text begins with `? `, {_QUOTE}; otherwise check the indentation"),
    ("tab character", "indent with spaces"),
    ("expected ','", "a bracket before this is not closed, or a text inside it needs quotes"),
)
_QUOTED_VALUE = re.compile(r"[^:]*:\s+[\"'\[{]|\s*-\s+[\"'\[{]")


def yaml_hint(problem: str, context: str, line: str) -> str | None:
    """Return a hint for a file that is not valid YAML.

    Args:
        problem: the message of the YAML library.
        context: what the library was reading.
        line: the line at which it stopped.
    """
    if "quoted scalar" in context:
        return "a quote is not closed"
    if "expected key" in problem or "'-' indicator" in problem:
        if _QUOTED_VALUE.match(line):
            return f"a value that begins with a quote or a bracket must end with it: {_QUOTE}"
        return "check the indentation"
    return next((hint for part, hint in _YAML_HINTS if part in problem), None)
