"""The files that a command's arguments name, for programs whose options are known here.

Only programs of everyday reading and removing are listed. An option that is not listed makes the files unknown, and so
does a word that is known only at run time. So a file can't hide behind an option.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass

from streams.policy.ext.shell_words import Word

FOLDER_CHANGERS = frozenset(("cd", "chdir", "pushd"))
"""Builtins after which relative paths start at another folder. `popd` only returns to one of those before."""

_GLOB_MARKS = re.compile(r"[*?\[]")
_NO_GLOBS = re.compile(
    r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|\$\(\([0-9 +*/%()-]*\)\)|\$[*?@#$!-]|\$\{[A-Za-z0-9_]*[^}A-Za-z0-9_'\"`$*\[]*\}",
    re.DOTALL,
)
"""Parts of a word in which `*`, `?` and `[` are ordinary characters."""

_NUMBER_OPTION = re.compile(r"[-+][0-9]+\Z")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class _Program:
    """The options of a program.

    Attributes:
        flags: short options without a value.
        valued: short options whose value is not a file.
        file_valued: short options whose value is a file.
        long: long options without a value, or with one that is not a file, after `=`.
        pattern: the first operand is a pattern, unless one of the options in `pattern_options` gives it.
        pattern_options: see `pattern`.
        here_if: without an operand, the program reads the folder that it is in: always ("*"), or with one of these
            options.
        numbers: `-5` is an option.
    """

    flags: str = ""
    valued: str = ""
    file_valued: str = ""
    long: frozenset[str] = frozenset()
    pattern: bool = False
    pattern_options: str = ""
    here_if: str = ""
    numbers: bool = False


_GREP = _Program(
    "EFGPivwxcLlqsobHhnTZaIrRUyz", "eABCmdD", "f",
    _names("color colour recursive ignore-case line-number word-regexp fixed-strings extended-regexp perl-regexp count "
           "files-with-matches files-without-match invert-match include exclude exclude-dir max-count only-matching "
           "no-messages quiet silent with-filename no-filename after-context before-context context null text"),
    pattern=True, pattern_options="ef", here_if="rR", numbers=True,
)  # fmt: skip
_PROGRAMS: Mapping[str, _Program] = {
    "cat": _Program("AbeEnstTuv", long=_names("number show-all show-ends show-tabs squeeze-blank number-nonblank")),
    "head": _Program("qvz", "nc", long=_names("lines bytes quiet silent verbose"), numbers=True),
    "tail": _Program("qvzfF", "ncs", long=_names("lines bytes quiet silent verbose follow retry"), numbers=True),
    "wc": _Program("clmLw", long=_names("bytes chars lines words max-line-length")),
    "grep": _GREP,
    "egrep": _GREP,
    "fgrep": _GREP,
    "ls": _Program(
        "aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1", "ITw",
        long=_names("all almost-all color colour human-readable recursive reverse sort time time-style full-time "
                    "classify directory inode size group-directories-first ignore hide width"),
        here_if="*",
    ),
    "stat": _Program("Lft", "c", long=_names("format printf dereference terse file-system")),
    "du": _Program(
        "0abchHklLmsSx", "dBt", here_if="*",
        long=_names("all apparent-size bytes total human-readable summarize max-depth si one-file-system exclude"),
    ),
    "df": _Program("ahHiklmPTv", "Btx", long=_names("all human-readable inodes total type exclude-type si")),
    "diff": _Program(
        "qsyrcuNwbBiEZadtTpe", "UCWxIF",
        long=_names("brief recursive unified side-by-side new-file ignore-all-space ignore-space-change context color "
                    "ignore-case exclude suppress-common-lines report-identical-files"),
    ),
    "cmp": _Program("bls", "ni", long=_names("silent quiet verbose print-bytes bytes")),
    "cut": _Program("snz", "bcdf", long=_names("bytes characters delimiter fields only-delimited complement "
                                               "output-delimiter")),
    "realpath": _Program("emLPqsz", long=_names("canonicalize-existing canonicalize-missing no-symlinks quiet")),
    "rm": _Program("rRfivdI", long=_names("recursive force verbose dir one-file-system interactive preserve-root")),
    "rmdir": _Program("pv", long=_names("parents verbose ignore-fail-on-non-empty")),
    "mkdir": _Program("pv", "m", long=_names("parents verbose mode")),
    "touch": _Program("acm", "dt", long=_names("date no-create time")),
}  # fmt: skip
_WITHOUT_FILES = frozenset(
    (
        *("echo", "pwd", "basename", "dirname", "tr", "test", "[", "[[", "true", "false", ":", "sleep", "seq"),
        *("printf", "popd", "dirs", "exit", "break", "continue", "type", "whoami", "uname", "nproc"),
    )
)
"""Programs that read no file, or only ask whether a file exists. Wildcards among their words still list folders."""


def named_files(name: str, args: tuple[Word, ...]) -> tuple[str, ...] | None:
    """Return the files that the arguments of a command name, in their order.

    Args:
        name: the name of the command, without a system folder.
        args: its words after the name.

    Returns:
        The files as written, with their wildcards; None if they are not known.
    """
    if name in _WITHOUT_FILES:
        return expanded_names(args)
    if name in FOLDER_CHANGERS:
        target = changed_folder(args)
        return None if target is None else (target,)
    program = _PROGRAMS.get(name)
    if program is None or any(arg.path is None for arg in args):
        return None
    found = list(_sorted_out(program, [str(arg.path) for arg in args]))
    if ("", None) in found:
        return None
    options = "".join(option for option, _ in found)
    operands = [value for option, value in found if not option and value is not None]
    files = [value for option, value in found if option in program.file_valued and option and value is not None]
    if program.pattern and not any(option in options for option in program.pattern_options):
        operands = operands[1:]
    if not operands and (program.here_if == "*" or any(option in options for option in program.here_if)):
        operands = ["."]
    return (*files, *(value for value in operands if value != "-"))


def expanded_names(words: Iterable[Word]) -> tuple[str, ...] | None:
    """Return the wildcards among words, which tell the names of files to a program that reads none: `echo /etc/*`.

    Args:
        words: the words that a shell expands.

    Returns:
        The wildcards as written; None if one of them is not known.
    """
    found: list[str] = []
    for word in words:
        if word.literal or not _GLOB_MARKS.search(_NO_GLOBS.sub("", word.text)):
            continue
        if word.path is None:
            return None
        found.append(word.path)
    return tuple(found)


def _sorted_out(program: _Program, texts: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield `(option, its value or None)` and `("", operand)`; `("", None)` stands for an unknown option."""
    at, only_operands = 0, False
    while at < len(texts):
        text = texts[at]
        at += 1
        if only_operands or not text.startswith(("-", "+")) or text in ("-", "+"):
            yield "", text
        elif text == "--":
            only_operands = True
        elif program.numbers and _NUMBER_OPTION.match(text):
            continue
        elif text.startswith("+"):
            yield "", text
        elif text.startswith("--"):
            if text[2:].partition("=")[0] not in program.long:
                yield "", None
        else:
            taken = yield from _cluster(program, text[1:], texts[at] if at < len(texts) else None)
            at += taken


def _cluster(program: _Program, letters: str, following: str | None) -> Generator[tuple[str, str | None], None, int]:
    """Yield the options of a cluster such as `-rn5`, and return how many more words it takes."""
    for index, letter in enumerate(letters):
        if letter in program.flags:
            yield letter, None
        elif letter in program.valued or letter in program.file_valued:
            rest = letters[index + 1 :]
            yield letter, rest or following
            return 0 if rest else 1
        else:
            yield "", None
            return 0
    return 0


def changed_folder(args: tuple[Word, ...]) -> str | None:
    """Return the folder that `cd` changes to, as written; None if it is not known."""
    rest = list(args)
    while rest and rest[0].literal and rest[0].text in ("-L", "-P", "-e", "--"):
        if rest.pop(0).text == "--":
            break
    if len(rest) != 1 or not rest[0].literal or not rest[0].text or rest[0].text.startswith(("-", "+")):
        return None
    return rest[0].text


class Folders:
    """The folders in which a command can run: the one in which the text starts, and those to which it may change.

    A folder stays in the set after a change, because the change may fail, or happen in a subshell. So the set is larger
    than necessary, and never too small. After a change to an unknown folder, the set is unknown.
    """

    COUNT_MAX = 8

    def __init__(self) -> None:
        self._known: tuple[str, ...] | None = ("",)

    def change(self, args: tuple[Word, ...]) -> None:
        """Add the folders to which `cd` with these arguments leads."""
        target = changed_folder(args)
        if target is None or self._known is None:
            self._known = None
            return
        # Without duplicates, in order.
        changed = dict.fromkeys((*self._known, *(_joined(folder, target) for folder in self._known)))
        self._known = tuple(changed) if len(changed) <= self.COUNT_MAX else None

    def forget(self) -> None:
        """Make the set unknown."""
        self._known = None

    def resolve(self, files: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return every path that files can have, or None if one of them is not known."""
        found: list[str] = []
        for file in files:
            if file.startswith("/"):
                found.append(file)
            elif self._known is None:
                return None
            else:
                found += (_joined(folder, file) for folder in self._known)
        return tuple(found)


def _joined(folder: str, file: str) -> str:
    return file if not folder or file.startswith("/") else f"{folder}/{file}"
