"""Parses shell text with the grammar of `tree-sitter-bash` and checks that the tree covers all of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import tree_sitter
import tree_sitter_bash

from streams.policy.errors import EvaluationError

TEXT_BYTES_MAX = 4_096
TREE_DEPTH_MAX = 60
PARENTHESES_DEPTH_MAX = 40
PARSER_CALLS_MAX = 300
"""How often the parser may report progress, which bounds its work by the same amount on every machine."""

_GAP = re.compile(rb"(?:[ \t\n]|\\\n)*\Z")
_CONTINUED_WORD = re.compile(r"(?<![ \t])\\\n|(?:\A|\n)[ \t]*\\\n")
_REFUSED_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]|[^\S \t\n]|[\u2028\u2029\ufeff\ud800-\udfff]")

_SINGLE_WORD_NODES = frozenset(
    ("concatenation", "simple_expansion", "expansion", "brace_expression", "command_name", "variable_assignment")
)
"""Types of nodes that are one word or a part of one."""

_STANDS_ALONE = frozenset(("{", "!", "[", "[["))
"""Tokens that the shell recognizes only if they are separate words."""


@lru_cache(maxsize=1)
def _language() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_bash.language())


def parse_shell(text: str) -> Any:
    """Return the root node of a shell text.

    Raises:
        EvaluationError: the text does not parse as a whole, or is too large.
    """
    if _REFUSED_CHARACTERS.search(text):
        raise EvaluationError("shell text has an invisible character")
    if _CONTINUED_WORD.search(text):
        raise EvaluationError("shell text has an ambiguous line continuation")
    data = text.encode()
    if len(data) > TEXT_BYTES_MAX:
        raise EvaluationError(f"shell text has more than {TEXT_BYTES_MAX} bytes")
    root = _parse(data)
    _check_coverage(root, data)
    return root


def _parse(data: bytes) -> Any:
    open_count = 0
    for byte in data:
        open_count += (byte == 0x28) - (byte == 0x29)
        if open_count > PARENTHESES_DEPTH_MAX:
            raise EvaluationError("shell text is nested too deeply")
    calls = 0

    def too_long(*_: object) -> bool:
        nonlocal calls
        calls += 1
        return calls > PARSER_CALLS_MAX

    try:
        tree = tree_sitter.Parser(_language()).parse(lambda offset, _: data[offset:], progress_callback=too_long)
    except ValueError:
        raise EvaluationError("shell text takes too long to parse") from None
    if tree.root_node.has_error:
        raise EvaluationError("shell text does not parse")
    return tree.root_node


def _check_coverage(node: Any, data: bytes, depth: int = 0) -> None:
    """Check that the tree covers all of the text, and separates words like the shell.

    Text that the tree skips would run without being seen. Two adjacent words without a space are one word to the shell.

    Raises:
        EvaluationError: the tree does not cover the text.
    """
    if depth > TREE_DEPTH_MAX:
        raise EvaluationError("shell text is nested too deeply")
    if not node.children or node.type == "heredoc_body":
        return
    tight = node.type in _SINGLE_WORD_NODES
    at, last_named, last = node.start_byte, False, ""
    if depth == 0:
        at = 0
    for child in node.children:
        gap = data[at : child.start_byte]
        together = not gap and child.is_named and last_named and child.start_byte < child.end_byte
        if child.start_byte < at or not _GAP.match(gap) or (gap and tight):
            raise EvaluationError("shell text does not parse as a whole")
        together = together or (not gap and (last in _STANDS_ALONE or child.type in ("]", "]]")))
        if together and not tight and node.type not in ("string", "heredoc_redirect"):
            raise EvaluationError("shell text has words without a space between them")
        _check_coverage(child, data, depth + 1)
        at, last_named, last = child.end_byte, child.is_named, "" if child.is_named else child.type
    end = len(data) if depth == 0 else node.end_byte
    if not _GAP.match(data[at:end]) or (tight and at != end):
        raise EvaluationError("shell text does not parse as a whole")
