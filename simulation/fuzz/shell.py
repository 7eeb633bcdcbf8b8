"""Differential fuzzing of `shell()`: bash itself runs every text that is accepted, and must run nothing unseen.

    python -m simulation.fuzz.shell --texts 100000 --seed 7

Bash is started without a program in reach, so that each command ends in its `command_not_found_handle`, which notes
what was looked for. Builtins do run, in an empty folder.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random  # noqa: TID251 - a fuzzer is made of chance; its seed is an argument
from typing import NamedTuple

from streams.policy.errors import EvaluationError
from streams.policy.ext.shell import to_shell

BASH = "/bin/bash"
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
    "set ", "declare ", "~", "+(",
)
_FORMS = (
    "{0} | {1}", "{0} && {1}", "{0} \"$({1})\"", "{0} `{1}`", "{0} '{1}'", "{0} \"{1}\"", "eval '{0}'",
    "{0} ${{x:-{1}}}", "if {0}; then {1}; fi", "{{ {0}; {1}; }}", "({0}; {1})", "{0} <<< \"{1}\"", "{0} # {1}",
    "case {0} in {1}) aa;; esac", "{0} > {1}", "A={0} {1}", "command {0}", "trap '{0}' EXIT", "[ {0} = {1} ] && bb",
    "cat <<'E'\n{0}\nE\n{1}", "cat <<E\n{0}\nE\n{1}", "time {0}", "{0} \\\n {1}", "{0} <({1})",
    "for i in {0}; do {1}; done", "{0} \"a`{1}`\"",
)
# fmt: on
_HARNESS = r"""
command_not_found_handle() { printf '%s:%s\0' "$number" "$1" >> "$folder/ran"; return $((RANDOM % 2)); }
number=0
while IFS= read -r -d '' text <&9; do
  ( x='y[$(hidden)]'; cd "$folder/work" || exit; ulimit -t 1; eval "$text" ) < /dev/null > /dev/null 2>&1 9<&-
  number=$((number + 1))
done 9< "$folder/texts"
"""


class Unseen(NamedTuple):
    """A command that bash looked for, and the names that had been listed."""

    text: str
    ran: str
    seen: tuple[str, ...]


class Result(NamedTuple):
    """How many texts were accepted, in how many of these a command was looked for, and what had not been listed."""

    accepted: int
    ran: int
    unseen: tuple[Unseen, ...]


def run_shell_fuzz(seed: int, texts: int, folder: Path) -> Result:
    """Make texts, and let bash run those that are accepted. Blocking, about a minute for 100,000.

    Args:
        seed: of the texts.
        texts: how many to make.
        folder: an empty one.
    """
    pick = Random(seed)  # noqa: S311 - not for secrets
    accepted: list[tuple[str, tuple[str, ...]]] = []
    for _ in range(texts):
        text = _text(pick, 0)
        try:
            accepted.append((text, tuple(command["name"] for command in to_shell(text)["commands"])))
        except EvaluationError:
            continue
    (folder / "work").mkdir()
    (folder / "texts").write_bytes(b"".join(text.encode() + b"\0" for text, _ in accepted))
    (folder / "ran").touch()
    subprocess.run(  # noqa: S603 - texts are run on purpose, with nothing in reach
        [BASH, "--norc", "--noprofile", "-c", _HARNESS],
        env={"PATH": "/nowhere", "folder": str(folder), "HOME": str(folder)},
        timeout=RUN_S_MAX,
        check=False,
    )
    entries = [
        entry.decode(errors="replace").partition(":") for entry in (folder / "ran").read_bytes().split(b"\0") if entry
    ]
    unseen = tuple(
        Unseen(accepted[int(number)][0], name, accepted[int(number)][1])
        for number, _, name in entries
        if name not in accepted[int(number)][1]
    )
    return Result(len(accepted), len({number for number, _, _ in entries}), unseen)


def _text(pick: Random, depth: int) -> str:
    if pick.random() < ODD_SHARE or depth > DEPTH_MAX:
        return "".join(pick.choice(_TOKENS) for _ in range(pick.randint(1, PIECES_MAX)))
    if pick.random() < PLAIN_SHARE:
        return pick.choice(("aa", "aa bb", 'aa "c d"'))
    return pick.choice(_FORMS).format(_text(pick, depth + 1), _text(pick, depth + 1))


def main() -> int:
    """Run from the command line; the exit status is 1 when bash ran what was not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run_shell_fuzz(options.seed, options.texts, Path(folder))
    for unseen in result.unseen:
        sys.stdout.write(f"{unseen.text!r} ran {unseen.ran!r}, seen {unseen.seen}\n")
    sys.stdout.write(
        f"{options.texts} texts, {result.accepted} accepted, commands run in {result.ran}, "
        f"{len(result.unseen)} not seen, seed {options.seed}\n"
    )
    return 1 if result.unseen else 0


if __name__ == "__main__":
    raise SystemExit(main())
