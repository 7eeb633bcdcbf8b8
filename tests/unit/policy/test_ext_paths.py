"""`path()` and `glob()`."""

from __future__ import annotations

import pytest

from tests.unit.policy.conditions import error, value


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/", "/"),
        ("//", "/"),
        ("/srv/app", "/srv/app"),
        ("/srv//app/", "/srv/app"),
        ("/srv/./app/../x", "/srv/x"),
        ("/srv/...", "/srv/..."),
        ("/srv/a b/.env", "/srv/a b/.env"),
        ("/srv/50%", "/srv/50%"),
        ("/srv/Foo$Bar.class", "/srv/Foo$Bar.class"),
        ("/srv/é/日本", "/srv/é/日本"),
    ],
)
def test_a_path_has_one_form(text: str, path: str) -> None:
    assert value("string(path(args.p))", p=text) == path
    assert value("isPath(args.p)", p=text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "srv/app",
        "./app",
        "..",
        "/..",
        "/srv/../../etc",
        "~/.ssh",
        "~root/.ssh",
        "/srv/\x00/etc",
        "/srv/a\n",
        "/srv/\x7f",
        "\\\\host\\share",
        "/srv/..\\..\\etc",
        "C:/Windows",
        "c:\\Windows",
        "file:///etc/passwd",
        "/srv/%2e%2e/etc",
        "/srv/%2E%2E%2Fetc",
        "/srv/%252e",
        "/srv/%5c..",
        "/srv/%u002e",
        "/srv/${HOME}",
        "/srv/$(id)",
        "/srv/`id`",
        "/srv/\uff0e\uff0e/etc",
        "/srv/\u2025/etc",
        "/srv\uff0fetc",
        "/srv/a\u202e",
        "/srv/\u200b",
        "/srv/e\u0301",
        "/srv/\ud800",
        "/proc/self/root/etc/passwd",
        "/proc/1/cwd",
        "/proc/self/task/1/fd/3",
        "/dev/fd/3",
        "/dev/stdin",
        "/srv/" + "a" * 4_096,
    ],
)
def test_what_may_be_another_path_is_none(text: str) -> None:
    assert value("isPath(args.p)", p=text) is False
    problem = error("path(args.p).within('/')", p=text)
    assert len(text) < 12 or text not in problem


def test_a_relative_path_starts_from_a_folder() -> None:
    assert value("string(path(args.p, '/srv/app'))", p="x/../y") == "/srv/app/y"
    assert value("string(path(args.p, '/srv/app'))", p="../y") == "/srv/y"
    assert value("string(path(args.p, '/srv/app'))", p="/etc") == "/etc"
    assert value("string(path(args.p, path('/srv')))", p="y") == "/srv/y"
    assert value("string(path(args.p, '/'))", p=".") == "/"
    assert value("isPath(args.p, '/srv')", p="a") is True
    assert value("isPath(args.p, '/srv')", p="../..") is False
    for folder in ("srv", "~", "/srv/\x00"):
        error("path(args.p, args.f).within('/')", p="y", f=folder)
    assert error("path(args.p).within('/')", p="y") == "path is relative: give its folder as the second argument"


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("/srv/app", True),
        ("/srv/app/x/y", True),
        ("/srv/app/../app/x", True),
        ("/srv/application", False),
        ("/srv", False),
        ("/srv/app/../x", False),
        ("/SRV/app", False),
        ("/data/x", True),
    ],
)
def test_folders_end_at_their_slashes(text: str, within: bool) -> None:
    assert value("path(args.p).within(lists.roots)", {"roots": ("/srv/app/", "/data")}, p=text) is within
    assert value("path(args.p).within('/srv/app') || path(args.p).within(path('/data'))", p=text) is within
    assert value("path(args.p).within('/')", p=text) is True


def test_a_root_that_is_no_path_is_an_error() -> None:
    error("path('/srv').within(args.r)", r=["srv"])
    error("path('/srv').within(args.r)", r=[1])
    error("path('/srv').within(args.r)", r=None)


def test_the_parts_of_a_path() -> None:
    assert value("path(args.p).name()", p="/srv/a.tar.GZ") == "a.tar.GZ"
    assert value("path(args.p).extension()", p="/srv/a.tar.GZ") == "gz"
    assert value("path(args.p).extension()", p="/srv/.env") == ""
    assert value("path(args.p).extension()", p="/srv.d/a") == ""
    assert value("string(path(args.p).parent())", p="/srv/a") == "/srv"
    assert value("string(path(args.p).parent().parent())", p="/srv") == "/"
    assert value("path(args.p).segments()", p="/srv/a") == ("srv", "a")
    assert value("path(args.p).segments()", p="/") == ()
    assert value("path(args.p).name()", p="/") == ""
    assert value("path(args.p) == path('/srv')", p="/srv/") is True


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("/srv/*.py", "/srv/a.py", True),
        ("/srv/*.py", "/srv/a/b.py", False),
        ("/srv/**/*.py", "/srv/a.py", True),
        ("/srv/**/*.py", "/srv/a/b/c.py", True),
        ("/srv/**", "/srv", True),
        ("/srv/**", "/srv/a/b", True),
        ("/srv/**", "/srvx", False),
        ("**/.env", "/srv/.env", True),
        ("**/.env", "/srv/x.env", False),
        ("/srv/?", "/srv/a", True),
        ("/srv/?", "/srv/ab", False),
        ("/srv/?x", "/srv//x", False),
        ("/srv/{a,b}.py", "/srv/b.py", True),
        ("/srv/{a,b}.py", "/srv/c.py", False),
        ("/srv/a.py", "/srv/aXpy", False),
        ("/srv/(a|b)+", "/srv/(a|b)+", True),
    ],
)
def test_globs(pattern: str, text: str, matches: bool) -> None:
    assert value("glob(args.g).matches(args.t)", g=pattern, t=text) is matches
    if "//" not in text:
        assert value("path(args.t).matches(args.g)", g=pattern, t=text) is matches
        assert value("path(args.t).matches(glob(args.g))", g=pattern, t=text) is matches
        assert value("glob(args.g).matches(path(args.t))", g=pattern, t=text) is matches


def test_literal_patterns_run_as_generated_code_does() -> None:
    assert value("path(args.p).matches('/srv/**')", p="/srv/a") is True
    assert value("path(args.p).matches('**')", p="/srv/a") is True
    assert value("glob('*.example.com').matches(args.h)", h="a.example.com") is True


@pytest.mark.parametrize(
    "pattern", ["", "[ab]", "a\\b", "{a", "a}", "{a,{b}}", "{*}", "x" * 501, "{" + "a," * 60 + "}"]
)
def test_what_is_no_glob(pattern: str) -> None:
    error("glob(args.g).matches('a')", g=pattern)


def test_texts_still_match_regular_expressions() -> None:
    assert value("args.t.matches('^a+$')", t="aaa") is True
    assert value("matches(args.t, '^a+$')", t="aab") is False
    assert error("args.t.matches('(')", t="a") == "text is not a regular expression"
    assert error("args.t.matches('a')", t=1).startswith("no such overload")
    assert error("glob('a').matches(args.t)", t=1).startswith("no such overload")
    assert error("glob('*').matches(args.t)", t="\ud800") == "text has no utf-8 form"


def test_methods_are_of_paths_only() -> None:
    for call in ("name()", "extension()", "parent()", "segments()"):
        assert error(f"dyn(args.p.{call}) == 'x'", p="/a").startswith("no such overload")
    assert error("args.p.within('/')", p="/a").startswith("no such overload")
    assert error("path(args.p).within('/')", p=1).startswith("no such overload")
    assert error("isPath(args.p)", p=1).startswith("no such overload")


def test_variables_that_a_tool_may_expand_are_an_error() -> None:
    for text in ("$HOME/a", "/a/$HOME/b", "${HOME}/a", "$(a)"):
        assert value("isPath(args.p, '/x')", p=text) is False, text
    for text in ("a$b", "/a/b$c.class", "/a/$", "/a/$1"):
        assert value("isPath(args.p, '/x')", p=text) is True, text
