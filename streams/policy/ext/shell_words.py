"""The words of shell text: their values, and whether these are known before the text runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streams.policy.errors import EvaluationError

_GLOB_MARKS = frozenset("*?[")
_NEVER_BARE = frozenset("$`\"'();|&<> \t\n")
_BRACES = re.compile(r"\{.*(,|\.\.).*\}", re.DOTALL)
_STILL_EXPANDED = re.compile(r"(?<!\\)(?:\\\\)*(`|\$[A-Za-z0-9_({?!#@*$-])")
_ESCAPED_IN_QUOTES = re.compile(r"\\([$`\"\\]|\n)")
_NUMBERS_IN_BRACES = re.compile(r"\{-?[0-9]+\.\.-?[0-9]+\}\Z")
_NESTED_QUOTE = re.compile(r"['\"\\]")
_NUMBER_OR_SIGN = frozenset(("number", "(", ")", "+", "-", "*", "/", "%", "$((", "))"))


@dataclass(frozen=True, slots=True)
class Word:
    """One word.

    Attributes:
        text: the value of the word if `literal` is true; otherwise its source.
        literal: the value is known.
        splits: the word can become several words or none.
        glob: the text with its wildcards, if `*` and `?` are all that is not known.
    """

    text: str
    literal: bool = True
    splits: bool = False
    glob: str | None = None

    @property
    def path(self) -> str | None:
        """Return the text that the word has as a path, in which a wildcard stands for itself; None if not known."""
        return self.text if self.literal else self.glob


@dataclass(frozen=True, slots=True)
class Reading:
    """A word, the substitutions inside it, which run commands, and the variables whose values it contains."""

    word: Word
    substitutions: tuple[Any, ...] = ()
    variables: tuple[str, ...] = ()


def source_of(node: Any) -> str:
    """Return the text of a node."""
    return str(node.text.decode())


def read_word(node: Any) -> Reading:
    """Read a word of the tree.

    Raises:
        EvaluationError: its meaning is not certain.
    """
    source = source_of(node)
    parts: list[Word] = []
    substitutions: list[Any] = []
    variables: list[str] = []
    for piece in node.children if node.type == "concatenation" else (node,):
        reading = _read_piece(piece)
        parts.append(reading.word)
        substitutions += reading.substitutions
        variables += reading.variables
    literal = all(part.literal for part in parts)
    splits = any(part.splits for part in parts)
    if _BRACES.search(source) and "{" in "".join(part.text for part in parts):
        # Braces inside quotes have no special meaning, but treating them as if they had is safe.
        literal, splits = False, True
    if source.startswith("~"):
        literal = False
    text = "".join(part.text for part in parts) if literal else source
    return Reading(
        Word(text, literal, splits, None if literal else _glob(parts, source)), tuple(substitutions), tuple(variables)
    )


def _glob(parts: list[Word], source: str) -> str | None:
    """Return a word whose only unknown parts are the wildcards `*` and `?`, or None.

    A wildcard at the beginning of a name matches no name that begins with a dot. `.*` matches `..` in some shells.
    """
    texts = [part.path for part in parts]
    if source.startswith("~") or None in texts or _BRACES.search(source):
        return None
    text = "".join(str(part) for part in texts)
    wild = (segment for segment in text.split("/") if _GLOB_MARKS & set(segment))
    return None if any(segment.startswith(".") or "[" in segment for segment in wild) else text


def _read_piece(node: Any) -> Reading:
    kind = node.type
    if kind in ("word", "number", "variable_name", "test_operator"):
        if node.named_children:
            raise _unsupported(kind)
        return Reading(_read_bare(source_of(node)))
    if kind == "string":
        return _read_quoted(node)
    if kind == "raw_string":
        return Reading(Word(source_of(node)[1:-1]))
    if kind == "ansi_c_string":
        return Reading(_read_ansi_c(source_of(node)))
    if kind in ("simple_expansion", "expansion", "command_substitution", "process_substitution"):
        substitutions, variables = _expansion(node)
        return Reading(Word(source_of(node), literal=False, splits=True), substitutions, variables)
    if kind == "arithmetic_expansion":
        _require_constants(node)
        return Reading(Word(source_of(node), literal=False))
    if kind == "brace_expression" and _NUMBERS_IN_BRACES.match(source_of(node)):
        return Reading(Word(source_of(node), literal=False, splits=True))
    raise _unsupported(kind)


def _read_bare(source: str) -> Word:
    """Read text without quotes. Backslashes are removed, and wildcards make the value unknown."""
    out: list[str] = []
    wild = False
    at = 0
    while at < len(source):
        character = source[at]
        if character == "\\":
            following = source[at + 1 : at + 2]
            if not following:
                raise EvaluationError("shell text ends in a backslash")
            if following != "\n":
                out.append(following)
            at += 2
            continue
        if character in _NEVER_BARE:
            raise EvaluationError("shell text has an operator within a word")
        wild = wild or character in _GLOB_MARKS
        out.append(character)
        at += 1
    text = "".join(out)
    return Word(text, literal=not wild, splits=wild, glob=text if wild else None)


def _read_ansi_c(source: str) -> Word:
    """Read `$'...'`, whose value differs between shells: dash reads a dollar sign and a text in single quotes.

    To dash, the text ends at the first quote. To bash, a quote after a backslash does not end it, so the shells would
    disagree about what follows.
    """
    if "'" in source[2:-1]:
        raise EvaluationError("shell text has a quote in $'...', which shells read differently")
    return Word(source, literal=False)


def _read_quoted(node: Any) -> Reading:
    """Read a text in double quotes."""
    substitutions: list[Any] = []
    variables: list[str] = []
    expansions = [child for child in node.children if child.is_named and child.type != "string_content"]
    for child in expansions:
        if child.type == "arithmetic_expansion":
            _require_constants(child)
        elif child.type in ("simple_expansion", "expansion", "command_substitution"):
            if child.type == "expansion" and _NESTED_QUOTE.search(source_of(child)):
                raise EvaluationError(
                    "shell text has a quote within an expansion in quotes: shells read it differently"
                )
            inner, names = _expansion(child)
            substitutions += inner
            variables += names
        else:
            raise _unsupported(child.type)
    source = source_of(node)
    if not (source.startswith('"') and source.endswith('"') and len(source) >= 2):
        raise _unsupported("string")
    if expansions:
        between = "".join(source_of(child) for child in node.children if child.type == "string_content")
    else:
        between = source[1:-1]
    if _STILL_EXPANDED.search(between):
        raise EvaluationError("shell text has an unsupported expansion")
    if expansions:
        return Reading(Word(source, literal=False), tuple(substitutions), tuple(variables))
    return Reading(Word(_ESCAPED_IN_QUOTES.sub(lambda found: found[1].strip("\n"), between)))


_VARIABLES = ("variable_name", "special_variable_name")
_SAFE_OPERATORS = frozenset((":-", "-", ":=", "=", ":?", "?", ":+", "+", "#", "##", "%", "%%"))
_ASSIGNING_OPERATORS = frozenset((":=", "="))
PLAIN_VARIABLE = re.compile(r"[a-z_][a-z0-9_]*\Z")
"""Names of variables that no shell and no common program gives a meaning to."""


def _expansion(node: Any) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """Return the substitutions inside an expansion, and its variables.

    Kinds of expansion that evaluate text are rejected.
    """
    if node.type in ("command_substitution", "process_substitution"):
        return (node,), ()
    inner = [child for child in node.children if child.type not in ("${", "}", "$")]
    if node.type == "simple_expansion":
        if len(inner) != 1 or inner[0].type not in _VARIABLES:
            raise _unsupported("expansion")
        return (), (source_of(inner[0]),)
    found: list[Any] = []
    variables = [source_of(child) for child in inner if child.type in _VARIABLES]
    operators = [child.type for child in inner if not child.is_named]
    if len(operators) > 1 or not _SAFE_OPERATORS.issuperset(operators):
        raise _unsupported("expansion")
    if _ASSIGNING_OPERATORS.intersection(operators) and not all(map(PLAIN_VARIABLE.match, variables)):
        raise EvaluationError("shell text has an expansion that can assign to a variable with a meaning")
    for child in inner:
        if child.type in _VARIABLES or not child.is_named:
            continue
        if child.type == "regex":
            if any(mark in source_of(child) for mark in "$`"):
                raise _unsupported("expansion")
        elif child.type in ("command_substitution", "process_substitution"):
            found.append(child)
        else:
            reading = read_word(child)
            found += reading.substitutions
            variables += reading.variables
    return tuple(found), tuple(variables)


def _require_constants(node: Any) -> None:
    """Reject arithmetic on variables, because it evaluates their values, which can run commands."""
    for child in node.children:
        if child.type in ("binary_expression", "unary_expression", "parenthesized_expression"):
            _require_constants(child)
        elif child.type not in _NUMBER_OR_SIGN or child.named_children:
            raise EvaluationError("shell text has arithmetic on values other than numbers")


def _unsupported(kind: str) -> EvaluationError:
    return EvaluationError(f"shell text has an unsupported construct: {kind}")


def literal_texts(words: Iterable[Word]) -> tuple[str, ...] | None:
    """Return the values of words, or None if one is not known."""
    listed = tuple(words)
    return tuple(word.text for word in listed) if all(word.literal for word in listed) else None
