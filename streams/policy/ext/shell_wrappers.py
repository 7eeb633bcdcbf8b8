"""Finds the commands that other commands run: `sudo`, `env`, `xargs`, `find -exec`, `bash -c` and so on.

An inner command is accepted only if it is certain which words belong to it. Options that are not listed here, and words
that are known only at run time, make the whole text an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from streams.policy.errors import EvaluationError
from streams.policy.ext.shell_script import EVALUATING_VARIABLES
from streams.policy.ext.shell_words import Word

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=")
# Without `k`, which makes assignments of arguments.
_CODE_CLUSTER = re.compile(r"-[abefhlmnprtuvxilBCEHPT]*c[abefhlmnprtuvxilBCEHPT]*\Z")
_FLAG_CLUSTER = re.compile(r"[-+][abefhlmnprtuvxisBCEHPT]+\Z")
_SET_CLUSTER = re.compile(r"[-+][abefhmnuvxCEo]+\Z")
_SET_NAMES = frozenset(
    ("allexport", "errexit", "errtrace", "noclobber", "noglob", "nounset", "pipefail", "verbose", "xtrace")
)

SHELLS = frozenset(("sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash"))
_SHELL_FLAGS = frozenset(("--login", "--noprofile", "--norc", "--posix", "--restricted", "--verbose", "--noediting"))

_OPAQUE = re.compile(
    r"(python|pypy|perl|ruby|node|nodejs|deno|bun|php|lua|luajit|Rscript|tclsh|wish|expect|osascript|pwsh|powershell|"
    r"awk|gawk|mawk|nawk|sed|ssh|mosh|rsh|docker|podman|nerdctl|kubectl|nsenter|chroot|unshare|systemd-run|at|batch|"
    r"crontab|su|runuser|screen|tmux|script|gdb|strace|ltrace|parallel|make|gmake|npm|npx|pnpm|yarn|uvx|pipx|source|"
    r"\.|fish|csh|tcsh|vi|vim|nvim|ed|ex|emacs|java|go|cargo|ld\.so|rlwrap|socat|m4|gcc|cc|jshell)[0-9.]*\Z"
)
"""Programs that run code, here or on another machine, from their arguments, their input or a file."""

_REDEFINING_COMMANDS = frozenset(
    ("alias", "bind", "compgen", "complete", "coproc", "enable", "fc", "function", "hash", "let", "select", "shopt")
)
_VARIABLE_BUILTINS = frozenset(
    (
        *("read", "unset", "declare", "typeset", "local", "readonly", "export", "getopts", "wait"),
        *("mapfile", "readarray"),
    )
)
"""Builtins whose arguments are names of variables. They can be array elements, whose index is evaluated."""

_PLAIN_DECLARATION = re.compile(r"-[xrgaAplufF]+\Z")
_NAME_OR_OPTION = re.compile(r"[A-Za-z0-9_./=:,+-]*\Z")
_UNARY_TESTS = frozenset(f"-{letter}" for letter in "abcdefghknprstuwxzGLNOS")
_BINARY_TESTS = frozenset(("=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "<", ">"))


class InnerCommand(NamedTuple):
    """A command that a wrapper runs: its words or shell text, and the variables that are set for it."""

    words: tuple[Word, ...] = ()
    code: str | None = None
    env: tuple[str, ...] = ()
    elevated: bool = False
    later: bool = False  # it runs at another time than where it stands


class WrapperContents(NamedTuple):
    """What a command runs: inner commands; `opaque` means that it also runs code that is not part of the text."""

    inner: tuple[InnerCommand, ...] = ()
    opaque: bool = False
    elevated: bool = False


@dataclass(frozen=True, slots=True)
class _Wrapper:
    """The options of a wrapper, with and without a value, and the number of words before the inner command.

    Options that change the folder are left out on purpose: relative paths of the inner command would start there.
    """

    valued: str = ""
    flags: str = ""
    long_valued: frozenset[str] = frozenset()
    long_flags: frozenset[str] = frozenset()
    positionals: int = 0
    assignments: bool = False
    elevated: bool = False
    joined: bool = False
    stops: str = ""  # options that exclude an inner command


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WRAPPERS: Mapping[str, _Wrapper] = {
    "sudo": _Wrapper(
        "ugpCTrthU",
        "AbBEHknPSNv",
        _names("user group prompt close-from command-timeout role type host other-user"),
        _names("askpass background bell preserve-env set-home reset-timestamp non-interactive preserve-groups stdin"),
        assignments=True,
        elevated=True,
        stops="ise",
    ),
    "doas": _Wrapper("u", "n", elevated=True, stops="sCL"),
    "pkexec": _Wrapper(long_valued=_names("user"), long_flags=_names("disable-internal-agent"), elevated=True),
    "env": _Wrapper(
        "u",
        "i0v",
        _names("unset"),
        _names("ignore-environment null debug"),
        assignments=True,
    ),
    "nohup": _Wrapper(),
    "setsid": _Wrapper(flags="cfw", long_flags=_names("ctty fork wait")),
    "nice": _Wrapper("n", "", _names("adjustment")),
    "ionice": _Wrapper("cn", "t", _names("class classdata"), _names("ignore"), stops="pPu"),
    "chrt": _Wrapper("TPD", "bfiorR", positionals=1, stops="pm"),
    "taskset": _Wrapper(flags="", positionals=1, stops="pc"),
    "timeout": _Wrapper(
        "ks", "v", _names("kill-after signal"), _names("preserve-status foreground verbose"), positionals=1
    ),
    "time": _Wrapper(flags="p"),
    "stdbuf": _Wrapper("ioe", "", _names("input output error")),
    "command": _Wrapper(flags="p", stops="vV"),
    "builtin": _Wrapper(),
    "exec": _Wrapper(),  # the options that bash knows are names of commands to dash
    "busybox": _Wrapper(),
    "toybox": _Wrapper(),
    "watch": _Wrapper(
        "nq", "bcdegtwx", _names("interval equexit"), _names("beep color differences errexit chgexit"), joined=True
    ),
    "flock": _Wrapper("wE", "sxunoF", _names("timeout"), _names("shared exclusive nonblock close"), positionals=1),
}

_XARGS = _Wrapper(
    "adEILnPs", "0rtpxo", _names("arg-file delimiter replace max-args max-procs max-lines max-chars"),
    _names("null no-run-if-empty verbose interactive exit open-tty"),
)  # fmt: skip


def inspect_command(name: str, words: tuple[Word, ...]) -> WrapperContents:
    """Return what a command runs.

    Args:
        name: its name, without a system folder.
        words: all of its words, including the name.

    Raises:
        EvaluationError: it is not certain what the command runs.
    """
    args = words[1:]
    if name in _REDEFINING_COMMANDS:
        raise EvaluationError("shell text changes what later commands mean")
    _refuse_evaluation(name, args)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(args)
    if name in SHELLS:
        return _shell(args)
    wrapper = _WRAPPERS.get(name)
    if wrapper is not None:
        return _wrapped(wrapper, args)
    return WrapperContents(opaque=_OPAQUE.match(name) is not None)


def _refuse_evaluation(name: str, args: tuple[Word, ...]) -> None:
    """Reject arguments that a builtin may evaluate: `read 'a[$(id)]'`, for example, runs `id`."""
    refused = EvaluationError("shell text passes an argument that the builtin may evaluate")
    if name in _VARIABLE_BUILTINS:
        for arg in args:
            declared = _ASSIGNMENT.match(arg.text) is not None
            if not declared and (not arg.literal or not _NAME_OR_OPTION.match(arg.text)):
                raise refused
            if name in ("declare", "typeset", "local") and arg.text.startswith("-"):
                if not _PLAIN_DECLARATION.match(arg.text):
                    raise refused
            elif name in ("mapfile", "readarray") and arg.text.startswith("-") and "C" in arg.text:
                raise refused
    elif name == "printf" and args:
        if not args[0].literal or args[0].text.startswith("-v"):
            raise refused
    elif name in ("test", "["):
        _refuse_odd_test([arg for arg in args if arg.text != "]"], refused)
    elif name == "set":
        _refuse_odd_options(args)


def _refuse_odd_options(args: tuple[Word, ...]) -> None:
    """Reject options of `set` that change what later text means: with `-k`, `ls PATH=/x` sets a variable."""
    for arg in args:
        text = _known(arg)
        if text == "--":
            return
        if not (_SET_CLUSTER.match(text) or text in _SET_NAMES):
            raise EvaluationError("shell text changes what later commands mean")


def _refuse_odd_test(args: list[Word], refused: EvaluationError) -> None:
    """Reject a test that is not in a simple form: an unknown word must not be able to be an operator."""
    while args and args[0].literal and args[0].text == "!":
        args = args[1:]
    if any(arg.splits and not arg.literal for arg in args):
        raise refused
    if len(args) == 2 and args[0].literal and args[0].text in _UNARY_TESTS:
        return
    if len(args) == 3 and args[1].literal and args[1].text in _BINARY_TESTS:
        return
    if len(args) > 1 and not (len(args) == 3 and all(arg.literal for arg in args)):
        raise refused
    if any(arg.literal and arg.text in ("-v", "-R") for arg in args[:-1]):
        raise refused


def _known(word: Word) -> str:
    if not word.literal:
        raise EvaluationError("shell text has a command whose words are known only at run time")
    return word.text


def _wrapped(wrapper: _Wrapper, args: tuple[Word, ...]) -> WrapperContents:
    rest, stopped = _after_options(wrapper, args)
    if stopped:
        return WrapperContents(opaque=wrapper.elevated, elevated=wrapper.elevated)
    env: list[str] = []
    while wrapper.assignments and rest and (found := _ASSIGNMENT.match(_name_part(rest[0]))):
        if found[1] in EVALUATING_VARIABLES:
            raise EvaluationError("shell text assigns to a variable whose value is evaluated")
        env.append(found[1])
        rest = rest[1:]
    if wrapper.assignments and rest and "=" in rest[0].text:
        # `env` takes any word with this sign for a variable, also one that no shell would: `env 1=x rm`.
        raise EvaluationError("shell text has an assignment to a name that no variable has")
    for word in rest[: wrapper.positionals]:
        _known(word)
    rest = rest[wrapper.positionals :]
    if not rest:
        return WrapperContents(opaque=wrapper.elevated, elevated=wrapper.elevated)
    if not wrapper.assignments and _ASSIGNMENT.match(rest[0].text):
        # After `time`, which is a keyword, it is an assignment if it is not quoted, and otherwise a command.
        raise EvaluationError("shell text has an assignment where a command is expected")
    if wrapper.joined:
        inner = InnerCommand(code=" ".join(map(_known, rest)), elevated=wrapper.elevated)
    else:
        inner = InnerCommand(rest, env=tuple(env), elevated=wrapper.elevated)
    return WrapperContents((inner,), elevated=wrapper.elevated)


def _name_part(word: Word) -> str:
    """Return the text of a word that may be an assignment. Its value may be unknown, but it must be one word."""
    if word.splits:
        raise EvaluationError("shell text has a command whose words are known only at run time")
    return word.text


def _after_options(wrapper: _Wrapper, args: tuple[Word, ...]) -> tuple[tuple[Word, ...], bool]:
    """Return the words after the options of a wrapper, and whether an option means that there is no inner command."""
    at = 0
    while at < len(args):
        if not args[at].literal:
            _name_part(args[at])
            break
        text = args[at].text
        if text == "--":
            return args[at + 1 :], False
        if not text.startswith("-") or text == "-":
            break
        if text.startswith("--"):
            name, has_value, _ = text[2:].partition("=")
            if name in wrapper.long_valued:
                at += 0 if has_value else 1
            elif name not in wrapper.long_flags:
                raise EvaluationError("shell text has a wrapper command with an unknown option")
        else:
            taken, stopped = _cluster(wrapper, text[1:])
            if stopped:
                return (), True
            at += taken
        at += 1
    return args[at:], False


def _cluster(wrapper: _Wrapper, letters: str) -> tuple[int, bool]:
    """Return how many more words a cluster of short options takes, and whether it excludes an inner command."""
    for index, letter in enumerate(letters):
        if letter in wrapper.stops:
            return 0, True
        if letter in wrapper.valued:
            return (0 if letters[index + 1 :] else 1), False
        if letter not in wrapper.flags:
            raise EvaluationError("shell text has a wrapper command with an unknown option")
    return 0, False


def _shell(args: tuple[Word, ...]) -> WrapperContents:
    """Read `bash -c TEXT`. A shell with a script, or without arguments, is opaque."""
    wants_code, at = False, 0
    while at < len(args):
        text = _known(args[at])
        if _CODE_CLUSTER.match(text):
            wants_code = True
        elif text in ("-o", "+o", "-O", "+O"):
            at += 1
        elif text in ("--", "-"):
            at += 1
            break
        elif text in _SHELL_FLAGS or _FLAG_CLUSTER.match(text):
            pass
        elif text.startswith(("-", "+")):
            raise EvaluationError("shell text starts a shell with an unknown option")
        else:
            break
        at += 1
    if not wants_code:
        return WrapperContents(opaque=True)
    if at >= len(args):
        raise EvaluationError("shell text starts a shell with `-c` but without a command")
    return WrapperContents((InnerCommand(code=_known(args[at])),))


def _eval(args: tuple[Word, ...]) -> WrapperContents:
    return WrapperContents((InnerCommand(code=" ".join(map(_known, args))),)) if args else WrapperContents()


def _trap(args: tuple[Word, ...]) -> WrapperContents:
    texts = [text for text in map(_known, args) if text not in ("-p", "-l", "--")]
    return (
        WrapperContents((InnerCommand(code=texts[0], later=True),))
        if len(texts) > 1 and texts[0] not in ("-", "")
        else WrapperContents()
    )


def _find(args: tuple[Word, ...]) -> WrapperContents:
    """Read `find ... -exec COMMAND ;` with any number of commands."""
    if any(arg.splits for arg in args):
        raise EvaluationError("shell text has a command whose words are known only at run time")
    inner: list[InnerCommand] = []
    at = 0
    while at < len(args):
        if args[at].text in ("-exec", "-execdir", "-ok", "-okdir"):
            end = at + 1
            while end < len(args) and args[end].text not in (";", "+"):
                end += 1
            if end == at + 1 or end == len(args):
                raise EvaluationError("shell text has a `find` with an unterminated command")
            inner.append(InnerCommand(tuple(_unknown_where("{}", word) for word in args[at + 1 : end])))
            at = end
        at += 1
    return WrapperContents(tuple(inner))


def _xargs(args: tuple[Word, ...]) -> WrapperContents:
    rest, _ = _after_options(_XARGS, args)
    if not rest:
        return WrapperContents((InnerCommand((Word("echo"), _INPUT)),))
    options = [arg.text for arg in args[: len(args) - len(rest)]]
    mark = ""
    for index, option in enumerate(options):
        if option.startswith("--replace"):
            mark = option.partition("=")[2] or "{}"
        elif option.startswith("-") and "I" in option:
            mark = option.partition("I")[2] or (options[index + 1] if index + 1 < len(options) else "{}")
    words = tuple(_unknown_where(mark, word) for word in rest) if mark else (*rest, _INPUT)
    return WrapperContents((InnerCommand(words),))


def _unknown_where(mark: str, word: Word) -> Word:
    """Return a word whose value is unknown if it contains the placeholder `mark`."""
    return Word(word.text, literal=False) if mark in (word.path or word.text) else word


_INPUT = Word("", literal=False, splits=True)

_SPECIAL: Mapping[str, Callable[[tuple[Word, ...]], WrapperContents]] = {
    "eval": _eval,
    "trap": _trap,
    "find": _find,
    "xargs": _xargs,
}
