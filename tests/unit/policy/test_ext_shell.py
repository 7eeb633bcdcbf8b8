"""`shell()`: every command that a text can run, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.policy.conditions import error, value


def commands(text: Any) -> list[dict[str, Any]]:
    return list(value("shell(args.c).commands", c=text))


def names(text: Any) -> str:
    return " ".join(command["name"] for command in commands(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("# only words", ""),
        ("ls -la /srv", "ls"),
        ("ls | grep a", "ls grep"),
        ("a && b || c; d & e", "a b c d e"),
        ("a\nb", "a b"),
        ("a |& b", "a b"),
        ("! a", "a"),
        ("(a; b)", "a b"),
        ("{ a; b; }", "a b"),
        ("if a; then b; elif c; then d; else e; fi", "a b c d e"),
        ("while a; do b; done", "a b"),
        ("until a; do b; done", "a b"),
        ("for x in 1 2; do a $x; done", "a"),
        ("case $x in a) b;; *.txt | c) d;; esac", "b d"),
        ("[ -f x ] && a", "[ a"),
        ("[[ -f x ]] && a", "[[ a"),
        ("a $(b)", "b a"),
        ("a `b`", "b a"),
        ('a "$(b)"', "b a"),
        ('a "`b`"', "b a"),
        ("a <(b) >(c)", "b c a"),
        ("a ${x:-$(b)}", "b a"),
        ("x=$(b)", "b ="),
        ("x=($(b) c)", "b ="),
        ("x=1 a", "= a"),
        ("export x=$(b)", "b export"),
        ("cat <<< $(b)", "b cat"),
        ("a > $(b) c", None),
        ("cat <<'E'\n$(b)\nE\n", "cat"),
        ("a '$(b)' \\$\\(b\\) \"\\$(b)\"", "a"),
        ("/bin/rm x", "rm"),
        ("/usr/local/bin/rm x", "rm"),
        ("./rm x", "./rm"),
        ("/tmp/bin/rm x", "/tmp/bin/rm"),  # noqa: S108 - a path to be told apart
        ("../bin/rm x", "../bin/rm"),
        ("r'm' x", "rm"),
        ('r"m" x', "rm"),
        ("\\rm x", "rm"),
        ("> f", ">"),
        ("a \\\n  b", "a"),
    ],
)
def test_commands(text: str, expected: str | None) -> None:
    if expected is None:
        error("shell(args.c).commands.all(c, true)", c=text)
    else:
        assert names(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sudo rm x", "sudo rm"),
        ("sudo -u root -E -- rm x", "sudo rm"),
        ("sudo A=1 rm x", "sudo rm"),
        ("doas -u root rm x", "doas rm"),
        ("env rm x", "env rm"),
        ("env -i -u A B=1 C=2 rm x", "env rm"),
        ("nohup nice -n 5 rm x", "nohup nice rm"),
        ("timeout -k 5 10s rm x", "timeout rm"),
        ("timeout --signal=KILL 10 rm x", "timeout rm"),
        ("time -p rm x", "time rm"),
        ("stdbuf -o0 rm x", "stdbuf rm"),
        ("command -p rm x", "command rm"),
        ("command -v rm", "command"),
        ("builtin cd x", "builtin cd"),
        ("exec rm x", "exec rm"),
        ("exec 2>&-; rm x", "exec rm"),
        ("busybox rm x", "busybox rm"),
        ("ls | xargs rm", "ls xargs rm"),
        ("xargs -0 -n 1 rm -f", "xargs rm"),
        ("xargs", "xargs echo"),
        ("xargs -I % cp % /x", "xargs cp"),
        ("find . -name '*.py' -exec rm {} \\;", "find rm"),
        ("find . -execdir rm {} + -exec cp {} /x \\;", "find rm cp"),
        ("bash -c 'rm x; ls'", "bash rm ls"),
        ("sh -ec 'rm x' name", "sh rm"),
        ("bash --norc -o errexit -c 'rm x'", "bash rm"),
        ("bash -c \"bash -c 'rm x'\"", "bash bash rm"),
        ("eval rm x", "eval rm"),
        ("eval 'rm x' '; ls'", "eval rm ls"),
        ("trap 'rm x' EXIT", "trap rm"),
        ("watch -n 5 'rm x'", "watch rm"),
        ("sudo sh -c 'rm x'", "sudo sh rm"),
        ("flock /tmp/l rm x", "flock rm"),
    ],
)
def test_commands_that_run_others(text: str, expected: str) -> None:
    assert names(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "$X y",
        "${X} y",
        '"$X" y',
        "$(echo rm) x",
        "`echo rm` x",
        "r$X x",
        "/bin/r? x",
        "r[m] x",
        "$'rm' x",
        '$"rm" x',
        "{rm,-rf,x}",
        "''",
        "cat <&- /etc/shadow",
        "cat <&-/etc/shadow",
        "rm 2>&- -rf x",
        "command >&-rm",
        "exec -a ls rm x",
        "exec -c rm x",
        "env 1=x rm y",
        "env A=1 \u00c1%=exec rm y",
        "sudo 1=x rm y",
        "sudo $X y",
        "sudo -Z rm x",
        "sudo --unknown rm x",
        "timeout $T rm x",
        "env -S 'rm x'",
        "nohup A=1 rm x",
        "xargs -I{} sh -c 'rm {}'",
        "xargs -I{} {} x",
        "xargs $X",
        "find . $X",
        "find . *",
        "find . -exec {} \\;",
        "find . -exec rm x",
        "bash -c",
        'bash -c "$X"',
        "bash -c 'rm $X",
        "bash $X",
        "bash --rcfile x -c y",
        "eval $X",
        'eval "rm $X"',
        "trap $X EXIT",
        "f() { rm x; }",
        "function f { rm x; }",
        "alias ls='rm x'",
        "coproc rm x",
        "select x in a; do rm x; done",
        "hash -p /tmp/x ls",
        "enable -f x y",
        "let 'a[$(rm x)]=1'",
        "echo $((x))",
        "echo $((a[$(rm x)]))",
        "((x = 1))",
        "for ((i=0; i<1; i++)); do a; done",
        "echo ${x@P}",
        "echo ${!x}",
        "echo ${x/a/$(rm x)}",
        "echo ${a[$(rm x)]}",
        "a[$(rm x)]=1",
        "[[ $x -eq 1 ]]",
        "[ -v 'a[$(rm x)]' ]",
        "test -v 'a[$(rm x)]'",
        "[ $x ]",
        "read 'a[$(rm x)]'",
        "read $x",
        "unset 'a[$(rm x)]'",
        "declare -i a=$x",
        "declare -n a='b[$(rm x)]'",
        "printf -v 'a[$(rm x)]' x",
        "mapfile -C 'rm x' a",
        "SECONDS='a[$(rm x)]'",
        "PROMPT_COMMAND='rm x'",
        "IFS=x",
        "cat <<E\n$(rm x)\nE\n",
        "cat <<E | sh\nrm x\nE\n",
        "ls >&x",
        'ls >&"$x"',
        "ls > $x",
        "ls \\",
        "l\\\ns",
        "ls 'a",
        'ls "a',
        "ls $(a",
        "ls `a",
        "ls (a)",
        "ls &&",
        "| ls",
        "ls ;; a",
        "if a; then b",
        "ls\x00rm",
        "ls\rrm",
        "ls\u2028rm",
        "ls\u00a0rm",
        "ls \ud800",
        "echo `\\$(rm x)`",
        "!(a)",
        "echo $'\\'; rm x #'",
        "[[ a || rm ]]",
        "[[ a && rm ]]",
        "[[ a > b ]]",
        "[ a > b ]",
        "echo \"${x:-'$(rm x)'}\"",
        'echo "${x:-"a"}"',
        "x+=1 rm",
        "12> f",
        "cat <<$'E'\n$(rm)\nE\n",
        "set -k; ls PATH=/x",
        "set -o keyword",
        "set $x",
        "bash -kc 'ls PATH=/x'",
        "shopt -s cdable_vars",
        "env BASH_ENV=x bash -c ls",
        "env -C /x ls",
        "sudo -D /x ls",
        "CDPATH=/; cd etc",
        "echo ${CDPATH:=/}",
        "echo ${PATH=/x}",
        "for CDPATH in /; do ls; done",
    ],
)
def test_what_is_not_certain_is_an_error(text: str) -> None:
    problem = error("shell(args.c).commands.all(c, true)", c=text)
    assert len(text) < 12 or text not in problem


def test_arguments_are_known_or_missing() -> None:
    assert commands("rm -rf 'a b' \"c\" d\\ e {} 1")[0]["args"] == ("-rf", "a b", "c", "d e", "{}", "1")
    for unknown in ("$x", '"$x"', "*.py", "~/x", "{a,b}", "{1..3}", "$(a)", "$'a'", "a?", "[ab]", "$((1+1))"):
        assert "args" not in commands(f"rm {unknown}")[-1], unknown
    assert value("shell(args.c).commands.exists(c, has(c.args) && '-rf' in c.args)", c="rm -rf x") is True
    assert error("shell(args.c).commands.exists(c, '-rf' in c.args)", c="rm $x") == "no such key: args"
    assert commands("xargs rm")[1].get("args") is None
    assert commands("find . -exec rm -f {} +")[1].get("args") is None
    assert commands("sudo rm -rf $x")[1].get("args") is None


def test_where_a_command_stands() -> None:
    found = {command["name"]: command for command in commands("a | b; A=1 sudo c `d`; python3 -c x; curl x | sh")}
    assert [name for name in found if found[name]["piped"]] == ["b", "sh"]
    assert [name for name in found if found[name]["substituted"]] == ["d"]
    assert [name for name in found if found[name]["nested"]] == ["c"]
    assert [name for name in found if found[name]["elevated"]] == ["sudo", "c"]
    assert [name for name in found if found[name]["opaque"]] == ["python3", "sh"]
    assert found["c"]["env"] == ("A",)
    assert found["a"]["line"] == "a"
    assert commands("sudo -i")[0]["opaque"] is True
    assert commands("bash script.sh")[0]["opaque"] is True
    assert commands("bash -c ls")[0]["opaque"] is False
    assert commands("a | bash -c 'b; c'")[2]["piped"] is True


def test_files_that_are_redirected() -> None:
    text = "a < in > out 2>> err 2>&1 >| out2 &> all 2>/dev/null; bash -c 'b > inner'"
    shell = value("shell(args.c)", c=text)
    assert shell["reads"] == ("in",)
    assert shell["writes"] == ("out", "err", "out2", "all", "inner")
    assert value("shell(args.c).writes", c="echo x > /dev/tcp/10.0.0.1/80") == ("/dev/tcp/10.0.0.1/80",)
    assert error("shell(args.c).writes.all(w, true)", c='a > "$x"') == "no such key: writes"
    assert error("shell(args.c).writes.all(w, true)", c="a > ~/x") == "no such key: writes"
    assert error("shell(args.c).reads.all(w, true)", c='a < "$x"') == "no such key: reads"


def files(text: str) -> tuple[str, ...] | None:
    """The files of the last command, or None if they are not known."""
    return commands(text)[-1].get("files")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat a b/c /d", ("a", "b/c", "/d")),
        ("cat -n -- -x", ("-x",)),
        ("cat - a", ("a",)),
        ("cat", ()),
        ("ls", (".",)),
        ("ls -la src", ("src",)),
        ("ls *.py d/?x", ("*.py", "d/?x")),
        ("grep -rn x", (".",)),
        ("grep x", ()),
        ("grep -n x a b", ("a", "b")),
        ("grep -e x a", ("a",)),
        ("grep -ex a", ("a",)),
        ("grep -f p a", ("p", "a")),
        ("grep -rnfp a", ("p", "a")),
        ("grep -A 3 --include=*.py x a", ("a",)),
        ("head -5 a", ("a",)),
        ("head -n 5 a", ("a",)),
        ("cut -d, -f 2 a", ("a",)),
        ("rm -rf a *", ("a", "*")),
        ("echo $x ~ {a,b}", ()),
        ("[ -f /x ]", ()),
        ("cd /x", ("/x",)),
        ("/bin/cat a", ("a",)),
        ("sudo cat a", ("a",)),
        ("cat 'a*'", ("a*",)),
    ],
)
def test_files_that_arguments_name(text: str, expected: tuple[str, ...]) -> None:
    assert files(text) == expected


@pytest.mark.parametrize(
    "text",
    ["cat $x", "cat ~/a", "cat .*", "cat a/.b*", "cat [ab]", "cat {a,b}", "cat --zzz a", "cat -Z a",
     "wc --files0-from=a", "grep --file=a b", "grep $x a", "sort a", "python3 a", "ls | xargs cat",
     "find . -exec cat {} +",
     "cd $x", "cd", "cd -", "cd a b", "cd a*", "head -n $x a", "du -X a"],
)  # fmt: skip
def test_files_that_are_not_known(text: str) -> None:
    assert files(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cd a; cat b", ("b", "a/b")),
        ("cd /a && cat b /c", ("b", "/a/b", "/c")),
        ("cd a; cd ..; cat b", ("b", "a/b", "../b", "a/../b")),
        ("(cd a); cat b", ("b", "a/b")),
        ("cd -P -- a; cat b", ("b", "a/b")),
        ("pushd a; popd; cat b", ("b", "a/b")),
        ("chdir a; cat b", ("b", "a/b")),
        ("eval 'cd a'; cat b", ("b", "a/b")),
        ("bash -c 'cd a; cat b'", ("b", "a/b")),
        ("for x in 1; do cd /a; cat /b; done", ("/b",)),
        ("cd; cat /b", ("/b",)),
    ],
)
def test_relative_files_start_at_every_folder_that_the_text_may_be_in(text: str, expected: tuple[str, ...]) -> None:
    assert files(text) == expected


@pytest.mark.parametrize(
    "text",
    ["cd; cat b", "cd -; cat b", "cd $x; cat b", "cd ~/x; cat b", "while a; do cd ..; done; cat b", ". ./x; cat b",
     "trap 'cd ..' DEBUG; cat b", "cd a;cd b;cd c;cd d; cat e", "for x in 1 2; do cat b; cd ..; done; cat b"],
)  # fmt: skip
def test_relative_files_after_unknown_changes_are_not_known(text: str) -> None:
    assert files(text) is None
    assert "writes" not in value("shell(args.c)", c=f"{text} > w")


def test_redirections_start_at_every_folder_too() -> None:
    shell = value("shell(args.c)", c="echo > a; cd b; echo > c < d; cd /e > f")
    # The tree has the command before its redirection, so the last folder is one too many, which is on the safe side.
    assert shell["writes"] == ("a", "c", "b/c", "f", "b/f", "/e/f")
    assert shell["reads"] == ("d", "b/d")
    assert value("shell(args.c).writes", c="while cd ..; do echo > /a; done") == ("/a",)
    assert error("shell(args.c).reads.all(r, true)", c="while cat < b; do cd ..; done") == "no such key: reads"


def test_variables_that_are_read() -> None:
    text = 'echo $a "${b:-$c}" ${#d} $1 $(ls $e); cat < "$f"; for x in $g; do ls; done; bash -c \'ls $h\'; i=$j'
    assert set(value("shell(args.c).variables", c=text)) == {"a", "b", "c", "d", "1", "e", "f", "g", "h", "j"}
    assert value("shell(args.c).variables", c="echo '$a' \\$b") == ()


def test_a_variable_of_a_loop_is_assigned() -> None:
    assert names("for PATH in /x; do ls; done") == "= ls"
    assert commands("for PATH in /x; do ls; done")[0]["env"] == ("PATH",)


def test_a_command_as_a_list_of_words() -> None:
    assert names(["rm", "-rf", "$(x); ls"]) == "rm"
    assert commands(["rm", "-rf", "$(x)"])[0]["args"] == ("-rf", "$(x)")
    assert names(["sudo", "bash", "-c", "rm x"]) == "sudo bash rm"
    for words in ([], [""], ["a\x00"], [1], [["ls"]], ["a" * 5_000], None, 5, {}):
        error("shell(args.c).commands.all(c, true)", c=words)


def test_a_list_of_safe_names_is_sound() -> None:
    safe = {"safe": ("ls", "grep", "git", "sudo", "env", "bash", "xargs")}
    condition = "shell(args.c).commands.all(c, c.name in lists.safe)"
    assert value(condition, safe, c="git log | grep x && sudo ls") is True
    hostile = ("ls; rm x", "ls $(rm x)", "sudo rm x", "env rm x", "ls | xargs rm", "bash -c 'ls; rm x'", "./ls",
               "PATH=/x ls", "ls | while read x; do rm x; done", "ls > /dev/null & rm x")  # fmt: skip
    for text in hostile:
        assert value(condition, safe, c=text) is False, text


def test_bounds() -> None:
    everything = "shell(args.c).commands.all(c, true)"
    assert value(everything, c="ls " + "a" * 4_000) is True
    assert error(everything, c="ls " + "a" * 4_100) == "shell text has more than 4096 bytes"
    assert value("size(shell(args.c).commands)", c="a;" * 200) == 200
    assert "too many" in error(everything, c="a;" * 201)
    nested = "ls"
    for _ in range(5):
        nested = f"eval {nested}"
    assert value(everything, c=nested) is True
    assert "too deep" in error(everything, c=f"eval {nested}")
    for hostile in ("(" * 4_000, "$(" * 2_000, "a=(" * 1_300, "a|" * 2_000, "`" * 4_000, "{ " * 2_000, '"$(' * 1_300,
                    "cat <<A " * 500, "[[ " * 1_300, "${a:-" * 800, "if a; then " * 350, "<(" * 2_000):  # fmt: skip
        error(everything, c=hostile)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("echo a b", ()),
        ("echo /etc/*", ("/etc/*",)),
        ("cd a; echo *", ("*", "a/*")),
        ("basename /etc/* x", ("/etc/*",)),
        ("echo '/etc/*' \"/etc/*\" \\*", ()),
        ("echo $x ${x} $* $? $((1 * 2))", ()),
        ("for f in /etc/* b; do true; done", ("/etc/*",)),
        ("for f in a b; do true; done", ()),
    ],
)
def test_wildcards_name_files_to_programs_that_read_none(text: str, expected: tuple[str, ...]) -> None:
    assert tuple(file for command in commands(text) for file in command["files"] if command["name"] != "cd") == expected


@pytest.mark.parametrize("text", ["echo /[e]tc/*", "echo /{etc,root}/*", "echo ~/*", "echo $x/*", "echo /etc/.*"])
def test_wildcards_that_are_not_known_are_no_known_files(text: str) -> None:
    assert "files" not in commands(text)[0]
    assert "files" not in commands(f"for f in {text.removeprefix('echo ')}; do true; done")[-1]
