"""Find wording that readers stumble over: `python -m scripts.prose`.

Spelling is codespell's task. This looks for phrases and terms that `prose_words.txt` lists, in everything a person
reads: pages, docstrings, comments and messages. It also finds documents that are cited and do not exist. Code within
backticks or a code block is not looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
WORDS_FILE = Path(__file__).with_name("prose_words.txt")
PLACES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "streams", "simulation", "scripts", "examples")

NOT_YET: tuple[str, ...] = ()
"""Rooms and pages whose wording is still to be revised. Take a line out once it has been; add none."""

_ARROW = " => "
_SPACE = r"\s+"
_BEGINNING, _END = r"(?<![\w.-])(?=\w)", r"(?![\w-])"
_PYTHON_PROSE = re.compile(
    r"""#(?P<comment>[^\n]*)"""
    r'''|"""(?P<long>(?:\\.|[^\\])*?)"""'''
    r'''|"(?P<double>(?:\\.|[^"\\\n])*)"'''
    r"""|'(?P<single>(?:\\.|[^'\\\n])*)'""",
    re.DOTALL,
)
_PAGE_CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[^\n]*$|(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n+)+", re.M | re.S)
_INLINE_CODE = re.compile(r"(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)*?(?<!`)(?P=ticks)(?!`)", re.DOTALL)
_ADDRESS = re.compile(r"\]\([^)\s]*\)|https?://\S+")
_CITED = re.compile(r"\b(?:docs/(?:adr|explanation|how-to|reference|tutorial)/[\w/.-]+|[A-Z][A-Z0-9_]{3,})\.md\b")
_NOT_NEWLINE = re.compile(r"[^\n]")


class WordsError(Exception):
    """The list of words cannot be used; the message names the line."""


class Rules(NamedTuple):
    """Phrases that must not appear, each with what to write instead; `any_of_them` finds all in lower-case text.

    It has no groups and no flags: then an alternative costs next to nothing where its first letter is not there.
    """

    any_of_them: re.Pattern[str]
    advice: tuple[tuple[re.Pattern[str], str], ...]


class Finding(NamedTuple):
    """A phrase that was found; `line` counts from 1."""

    path: Path
    line: int
    found: str
    advice: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: found `{self.found}`, write {self.advice}"


def read_rules(path: Path = WORDS_FILE) -> Rules:
    """Read the list of words.

    Raises:
        WordsError: a line is not `pattern => advice`, or its pattern is not a regular expression.
    """
    patterns: list[str] = []
    advice: list[str] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, instead = line.partition(_ARROW)
        try:
            re.compile(pattern)
        except re.error as error:
            raise WordsError(f"{path.name}:{number}: `{pattern}` is not a regular expression: {error}") from None
        if not pattern or not instead.strip():
            raise WordsError(f"{path.name}:{number}: write `pattern{_ARROW}what to write instead`")
        patterns.append(pattern.replace(" ", _SPACE))
        advice.append(instead.strip())
    each = tuple((re.compile(rf"(?:{pattern}){_END}"), text) for pattern, text in zip(patterns, advice, strict=True))
    return Rules(re.compile(rf"{_BEGINNING}(?:{'|'.join(patterns)}){_END}"), each)


def check(rules: Rules, root: Path = ROOT) -> list[Finding]:
    """Look through the repository, without the rooms of `NOT_YET`. Reads files; blocking."""
    return [finding for path in _files(root) for finding in check_file(path, rules, root)]


def check_file(path: Path, rules: Rules, root: Path = ROOT) -> list[Finding]:
    """Look through one file, a page or Python source."""
    text = path.read_text("utf-8")
    prose = python_prose(text) if path.suffix == ".py" else page_prose(text)
    lowered = prose.lower()
    starts = [match.start() for match in rules.any_of_them.finditer(lowered)]
    found = [(_line(lowered, start), *_phrase(lowered, start, rules)) for start in starts]
    if path.suffix == ".py":
        cited = (match for match in _CITED.finditer(prose) if not (root / match[0]).is_file())
        found += [(_line(prose, match.start()), match[0], "the path of a document that exists") for match in cited]
    name = path.relative_to(root)
    return [Finding(name, line, " ".join(phrase.split()), advice) for line, phrase, advice in sorted(found)]


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _phrase(lowered: str, start: int, rules: Rules) -> tuple[str, str]:
    """Return the phrase that begins there, and what to write instead."""
    found = ((pattern.match(lowered, start), advice) for pattern, advice in rules.advice)
    return next((match[0], advice) for match, advice in found if match is not None)


def python_prose(source: str) -> str:
    """Return Python source with everything but comments and texts replaced by spaces; lines stay where they are."""
    pieces, end = [], 0
    for match in _PYTHON_PROSE.finditer(source):
        kind = match.lastgroup or ""
        start, stop = match.span(kind)
        pieces += [_blank(source[end:start]), source[start:stop]]
        end = stop
    # `None` in code must not look like the word `none`: `null` has the same length.
    return _without_code("".join((*pieces, _blank(source[end:])))).replace("None", "null")


def page_prose(page: str) -> str:
    """Return a page in Markdown with its code and addresses replaced by spaces; lines stay where they are."""
    return _ADDRESS.sub(_blanked, _without_code(_PAGE_CODE.sub(_blanked, page)))


def _without_code(text: str) -> str:
    return _INLINE_CODE.sub(_blanked, text)


def _blanked(match: re.Match[str]) -> str:
    return _blank(match[0])


def _blank(text: str) -> str:
    return _NOT_NEWLINE.sub(" ", text)


def _files(root: Path) -> Iterator[Path]:
    for place in PLACES:
        path = root / place
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        for each in found:
            name = each.relative_to(root).as_posix()
            revised = not any(name == room or name.startswith(f"{room}/") for room in NOT_YET)
            if each.suffix in (".py", ".md") and revised:
                yield each


def main() -> int:
    """Print what was found to standard error; return the exit status."""
    try:
        findings = check(read_rules())
    except WordsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
