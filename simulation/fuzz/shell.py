"""Differential fuzzing of `shell()`: shells run every text that is accepted, and must do nothing unseen.

    python -m simulation.fuzz.shell --texts 100000 --seed 7

Bash, dash and the shell of BusyBox run the texts, as far as they are installed; the output names those that are not.
They must neither look for a command that was not listed, nor give one other arguments than those that were, nor write
a file that was not.

Bash is started without a program in reach, so that each command ends in its `command_not_found_handle`, which notes
what was looked for. The other shells have no such function. They find small programs, which note their name and their
arguments, under every name that is listed for a text and under the names of which texts are made. Their error messages
name the other commands. No listed command is left to these messages, because they are not written in one piece: two
commands of a pipeline can mix theirs. Builtins do run, each text in a folder of its own.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random  # noqa: TID251 - a fuzzer is made of chance; its seed is an argument
from typing import Any, NamedTuple

from streams.policy.errors import EvaluationError
from streams.policy.ext.shell import to_shell

SHELLS: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash", "--norc", "--noprofile"),
    "dash": ("dash",),
    "busybox": ("busybox", "sh"),
}
RUN_S_MAX = 900
DEPTH_MAX = 2
PIECES_MAX = 7
ODD_SHARE = 0.55
PLAIN_SHARE = 0.3

# fmt: off
_TOKENS = (
    "aa", "bb", "cc", " ", " ", " ", "\n", ";", "&", "&&", "||", "|", "$(", "`", "(", ")", "{", "}", "{ ", "; }",
    "\"", "\"", "'", "'", "\\", "\\\n", "$", "$x", "${x}", "\"$x\"", "${x:-", "$((", "))", "[[ ", " ]]", "[ ", " ]",
    "#", " #", "!", "! ", "<", ">", "<<<", "<<E\n", "\nE\n", ">&", "2>&1", "&>", "<(", ">(", "$'", "$\"", "*", "?",
    "[", "=", "A=", "A=aa", "a[", "] ", "eval ", "command ", "exec ", "echo ", "time ", "if ", "then ", "else ",
    "; then ", "; fi", "fi", "case ", " in ", " esac", ";;", "f()", "function ", "for ", "do ", "; do ", "done",
    "; done", "@(", "!(", "{aa,bb}", "..", ",", "%", "^", "-", "\t", "\u00e9", "export ", "local ", "test ",
    "builtin ", "trap ", "coproc ", "env ", "nohup ", "1", "0", "x", "`aa`", "'aa'", "\"$(aa)\"", "\\\"", "\\'",
    "\\`", "\\$", "$@", "$*", "$#", "${#x}", "${x/", "${x^", "${!x}", "printf ", "read ", "unset ", "until ", "-c ",
    "set ", "declare ", "~", "+(", "\u00c1", "\u0106\u0187", " > f", " > f", "cd d", "cd .. ", "$'a\\'", "\\'; bb #'",
    "[[ aa ", " > g ]]", " || bb ]]", "x+=1", "A+=aa ", "x+=(", "\"${x:-'", "'}\"", "chdir d", "&>> f ", "|& ",
    "-k ", "$[", " <&-", " 2>&- ", "exec -a ", "<<'E'\n", "<<\\E\n", "12> f", "pushd d", "popd ",
)
_FORMS = (
    "{0} | {1}", "{0} && {1}", "{0} \"$({1})\"", "{0} `{1}`", "{0} '{1}'", "{0} \"{1}\"", "eval '{0}'",
    "{0} ${{x:-{1}}}", "if {0}; then {1}; fi", "{{ {0}; {1}; }}", "({0}; {1})", "{0} <<< \"{1}\"", "{0} # {1}",
    "case {0} in {1}) aa;; esac", "{0} > {1}", "A={0} {1}", "command {0}", "trap '{0}' EXIT", "[ {0} = {1} ] && bb",
    "cat <<'E'\n{0}\nE\n{1}", "cat <<E\n{0}\nE\n{1}", "time {0}", "{0} \\\n {1}", "{0} <({1})",
    "for i in {0}; do {1}; done", "{0} \"a`{1}`\"", "cd d; {0} > f; {1}", "{{ cd d; {0}; }} > f",
    "(cd ..; {0} > f); {1} > g", "{0} $'a{1}'",
    "[[ {0} ]] {1}", "\"${{x:-{0}}}\" {1}", "\"${{x:-'{0}'}}\"; {1}", "[[ aa && {0} ]]", "[[ {0} > f ]]",
    "{0} >> f; {1}", "[ {0} > f ]", "aa \"${{x:-'{0}'}}\"", "aa \"${{x:-`{0}`}}\"",
    "while aa; do {0}; cd d; {1} > f; done",
    "{0} <&- {1}", "{0} 2>&- {1}", "aa 3>&-; {0}", "2> f {0}", "{0} <<< x {1}", "{0} >&2 {1}",
    "aa {0} <<'E' {1}\nx\nE\n",
    "{0} 2>&1 > f {1}", "{0} -- {1}", "A=1 B=2 {0} {1}", "! {0} {1}", "time -p {0} {1}", "{0} &\n{1}",
    "until cd d; do {0} > f; done; {1}", "for i in 1 2; do cd ..; {0} > f; done", "aa ${{x:-'{0}'}}", "aa ${{x#'{0}'}}",
)
# fmt: on
_BASH_HARNESS = r"""
command_not_found_handle() {
  local words; printf -v words '\1%s' "$@"; printf '%s%s\0' "$number" "$words" >> "$folder/ran"
  return $((RANDOM % 2)); }
number=0
while IFS= read -r -d '' text <&9; do
  ( x='y[$(hidden)]'; cd "$folder/work/$number/a/b/c" || exit; ulimit -t 1; eval "$text" ) \
    < /dev/null > /dev/null 2>&1 9<&-
  number=$((number + 1))
done 9< "$folder/texts"
"""
_PLAIN_HARNESS = r"""
number=0
while [ "$number" -lt "$count" ]; do
  ( x='y[$(hidden)]'; export number; cd "$folder/work/$number/a/b/c" || exit; ulimit -t 1; . "$folder/text/$number" ) \
    < /dev/null > /dev/null 2> "$folder/errors/$number"
  number=$((number + 1))
done
"""
# In one write, as commands in the background write too.
_NOTE = (
    "#!/bin/sh\nIFS=$(printf '\\1'); printf '%s\\0' \"$number$IFS${{0##*/}}${{1+$IFS$*}}\" >> '{folder}/ran'\n"
    "exit $(($$ % 2))\n"
)
_NOTED = (
    "aa",
    "bb",
    "cc",
    "hidden",
    "0",
    "1",
    "x",
    "E",
    "i",
    "aaaa",
    "bbbb",
    "aabb",
    "bbaa",
    "1aa",
    "aa1",
    "-",
    "^",
    "%",
)
_NAME_BYTES_MAX = 255
"""Of a file, in the file systems of Linux."""
_ENDING = b": not found"
_NOT_FOUND = re.compile(rb": (?:line )?[0-9]+: (?:\S*/text/[0-9]+: )?(?:(?:exec|eval): )*(.*): not found\n")


class Unseen(NamedTuple):
    """What a shell did that was not listed: the command that it looked for, its arguments, or a file that it wrote."""

    shell: str
    text: str
    did: str
    seen: tuple[str, ...]


class Result(NamedTuple):
    """The result of a run.

    Attributes:
        accepted: how many texts were accepted.
        ran: in how many of these a command was looked for, by shell.
        compared: how many commands were looked for whose arguments are known, by shell.
        wrote: how many files were written, by shell.
        absent: the shells that are not installed.
        unseen: what had not been listed.
    """

    accepted: int
    ran: Mapping[str, int]
    compared: Mapping[str, int]
    wrote: Mapping[str, int]
    absent: tuple[str, ...]
    unseen: tuple[Unseen, ...]


class _Accepted(NamedTuple):
    text: str
    names: tuple[str, ...]
    args: Mapping[str, frozenset[tuple[str, ...]] | None]
    writes: tuple[str, ...] | None


class _Ran(NamedTuple):
    """A command that a shell looked for: the number of the text, and the words; `args` is None if only the name is."""

    number: int
    name: str
    args: tuple[str, ...] | None = None


def absent_shells() -> tuple[str, ...]:
    """Return the names of the shells that are not installed."""
    return tuple(name for name, command in SHELLS.items() if shutil.which(command[0]) is None)


def run_shell_fuzz(seed: int, texts: int, folder: Path) -> Result:
    """Make texts, and let every installed shell run those that are accepted. Blocking, minutes for 100,000.

    Args:
        seed: of the texts.
        texts: how many to make.
        folder: an empty one.
    """
    pick = Random(seed)  # noqa: S311 - not for secrets
    return run_shell_texts((_text(pick, 0) for _ in range(texts)), folder)


def run_shell_texts(texts: Iterable[str], folder: Path) -> Result:
    """Let every installed shell run those of the texts that are accepted. Blocking.

    Args:
        texts: what may be accepted. Each runs, so these must be harmless.
        folder: an empty one.
    """
    accepted: list[_Accepted] = []
    for text in texts:
        try:
            found = to_shell(text)
        except EvaluationError:
            continue
        names = tuple(command["name"] for command in found["commands"])
        writes = found.get("writes")
        accepted.append(
            _Accepted(text, names, _args_by_name(found["commands"]), writes and tuple(map(posixpath.normpath, writes)))
        )
    absent = absent_shells()
    ran, compared, wrote, unseen = {}, {}, {}, []
    for shell in SHELLS:
        if shell not in absent:
            inner = folder / shell
            entries = _run(shell, accepted, inner)
            files = list(_written(inner, len(accepted)))
            ran[shell], wrote[shell] = len({entry.number for entry in entries}), len(files)
            unseen += [
                Unseen(shell, accepted[entry.number].text, entry.name, accepted[entry.number].names)
                for entry in entries
                if entry.name not in accepted[entry.number].names
            ]
            known = [(entry, accepted[entry.number].args.get(entry.name)) for entry in entries]
            compared[shell] = sum(listed is not None and entry.args is not None for entry, listed in known)
            unseen += [
                Unseen(shell, accepted[entry.number].text, f"{entry.name} {entry.args}", tuple(map(str, listed)))
                for entry, listed in known
                if listed is not None and entry.args is not None and entry.args not in listed
            ]
            unseen += [
                Unseen(shell, accepted[number].text, f"> {path}", writes)
                for number, path in files
                if (writes := accepted[number].writes) is not None and path not in writes
            ]
    return Result(len(accepted), ran, compared, wrote, absent, tuple(unseen))


def _args_by_name(commands: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[tuple[str, ...]] | None]:
    """Return the arguments that each command is listed with; None if those of one of its calls are not known."""
    found: dict[str, frozenset[tuple[str, ...]] | None] = {}
    for command in commands:
        before, args = found.get(command["name"], frozenset()), command.get("args")
        found[command["name"]] = None if before is None or args is None else before | {args}
    return found


def _run(shell: str, accepted: list[_Accepted], folder: Path) -> list[_Ran]:
    """Let a shell run the texts, and return the commands that it looked for."""
    for name in ("text", "errors", "bin"):
        (folder / name).mkdir(parents=True)
    for number, each in enumerate(accepted):
        (folder / "work" / str(number) / "a" / "b" / "c" / "d").mkdir(parents=True)
        (folder / "text" / str(number)).write_bytes(each.text.encode())
    (folder / "texts").write_bytes(b"".join(each.text.encode() + b"\0" for each in accepted))
    (folder / "ran").touch()
    listed = {name for each in accepted for name in each.names if _is_file_name(name)}
    for name in listed.union(_NOTED) if shell != "bash" else ():
        path = folder / "bin" / name
        path.write_text(_NOTE.format(folder=folder))
        path.chmod(0o700)
    program, *options = SHELLS[shell]
    subprocess.run(  # noqa: S603 - texts are run on purpose, with nothing in reach
        [str(shutil.which(program)), *options, "-c", _BASH_HARNESS if shell == "bash" else _PLAIN_HARNESS],
        env={"PATH": str(folder / "bin"), "folder": str(folder), "HOME": str(folder), "count": str(len(accepted))},
        timeout=RUN_S_MAX,
        check=False,
    )
    found = [
        entry.decode(errors="replace").split("\1") for entry in (folder / "ran").read_bytes().split(b"\0") if entry
    ]
    # To dash, a test in double brackets is a command; its end is not listed as an argument.
    entries = [_Ran(int(number), name, tuple(args[:-1] if name == "[[" else args)) for number, name, *args in found]
    for number in range(len(accepted)) if shell != "bash" else ():
        errors = (folder / "errors" / str(number)).read_bytes() if (folder / "errors" / str(number)).exists() else b""
        entries += [_Ran(number, name) for name in names_not_found(errors)]
    return entries


def _is_file_name(name: str) -> bool:
    return "/" not in name and name not in (".", "..") and len(name.encode()) <= _NAME_BYTES_MAX


def names_not_found(errors: bytes) -> list[str]:
    """Return the commands that a shell did not find.

    Args:
        errors: what it wrote to its standard error.

    Returns:
        The names. Where one can't be read, because two messages are mixed, all of `errors` stands for it.
    """
    names = _NOT_FOUND.findall(errors)
    return [name.decode(errors="replace") for name in (names if len(names) == errors.count(_ENDING) else [errors])]


def _written(folder: Path, count: int) -> Iterator[tuple[int, str]]:
    """Yield the files that texts have written, relative to the folder in which the text started."""
    for number in range(count):
        start = folder / "work" / str(number) / "a" / "b" / "c"
        for parent, _, names in os.walk(folder / "work" / str(number)):
            for name in names:
                yield number, os.path.relpath(Path(parent) / name, start)


def _text(pick: Random, depth: int) -> str:
    if pick.random() < ODD_SHARE or depth > DEPTH_MAX:
        return "".join(pick.choice(_TOKENS) for _ in range(pick.randint(1, PIECES_MAX)))
    if pick.random() < PLAIN_SHARE:
        return pick.choice(("aa", "aa bb", 'aa "c d"'))
    return pick.choice(_FORMS).format(_text(pick, depth + 1), _text(pick, depth + 1))


def main() -> int:
    """Run from the command line; the exit status is 1 when a shell did what was not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run_shell_fuzz(options.seed, options.texts, Path(folder))
    for unseen in result.unseen:
        sys.stdout.write(f"{unseen.shell}: {unseen.text!r} did {unseen.did!r}, seen {unseen.seen}\n")
    for shell in result.absent:
        sys.stdout.write(f"{shell} is not installed: it ran nothing\n")
    done = ", ".join(
        f"{shell} ran {result.ran[shell]} ({result.compared[shell]} commands with known arguments) and wrote "
        f"{result.wrote[shell]} files"
        for shell in result.ran
    )
    sys.stdout.write(
        f"{options.texts} texts, {result.accepted} accepted, {done}, {len(result.unseen)} not seen, "
        f"seed {options.seed}\n"
    )
    return 1 if result.unseen else 0


if __name__ == "__main__":
    raise SystemExit(main())
