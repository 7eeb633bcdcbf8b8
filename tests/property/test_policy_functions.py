"""Functions of conditions against independent readers: whatever they accept, these read alike, and nothing crashes."""

from __future__ import annotations

import email.utils
import posixpath
import re
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.fuzz.shell import SHELLS, names_not_found, run_shell_fuzz, run_shell_texts
from streams.policy import EvaluationError
from streams.policy.ext.emails import to_email_addresses
from streams.policy.ext.file_paths import to_path
from streams.policy.ext.globs import read_glob
from streams.policy.ext.hosts import read_host
from streams.policy.ext.shell import to_shell
from streams.policy.ext.table import EXTENSION_FUNCTIONS
from streams.policy.ext.urls import to_url

SHELL_SEEDS = 4
SHELL_TEXTS = 2_500
PIPELINES = ("cat <<'E'\nx+=1\nE\n\nE\n-k A=aacommand |builtin ", "cd d; aa \"c d\" > f; \u00e9|\\'; bb #'A=aa[")
"""Texts whose two commands of a pipeline report errors at the same time."""
PIPELINE_RUNS = 25

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=5)
    | st.text(alphabet=st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(arguments=st.lists(anything, min_size=0, max_size=3))
@pytest.mark.parametrize("name", sorted(EXTENSION_FUNCTIONS))
def test_every_function_is_total(name: str, arguments: list[Any]) -> None:
    try:
        EXTENSION_FUNCTIONS[name](*arguments)
    except EvaluationError:
        pass
    except TypeError:
        # A wrong number of arguments: the checker lets none through, and the evaluator makes it an error.
        assert len(arguments) != 1 or name in ("isLookalikeOf", "hostWithin", "domainWithin", "within", "compareTo",
                                               "isLessThan", "isGreaterThan")  # fmt: skip


def texts(*pieces: str, size: int = 14) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=size).map("".join)


hostile_urls = texts(
    *(
        "http",
        "https",
        "ftp",
        ":",
        "/",
        "//",
        "\\",
        "@",
        "#",
        "?",
        ".",
        "..",
        "%2e",
        "%2f",
        "%00",
        "%",
        "[",
        "]",
        "::1",
    ),
    *(
        "example",
        "evil",
        "com",
        "127",
        "0x7f",
        "0177",
        "1",
        "a",
        "é",
        "\u3002",
        "\uff0e",
        "\t",
        "\n",
        " ",
        ";",
        "&",
        "-",
    ),
)


@settings(max_examples=1_500, deadline=None)
@given(prefix=st.sampled_from(["http://", "https://a.com", "http://a@", ""]), rest=hostile_urls)
def test_a_url_that_is_accepted_has_one_host(prefix: str, rest: str) -> None:
    text = prefix + rest
    try:
        url = to_url(text)
    except EvaluationError:
        return
    other = urlsplit(text)
    assert other.scheme == url.scheme
    name = other.hostname or ""
    assert read_host(f"[{name}]" if ":" in name else name) == url.host
    assert other.port is None or other.port == url.port
    assert re.fullmatch(r"[a-z0-9_.:-]+", url.host.text)
    assert url.path.startswith("/")
    assert not {"..", "."} & set(url.path.split("/"))
    # Reading its own form again changes nothing.
    host = f"[{url.host.text}]" if ":" in url.host.text else url.host.text
    assert to_url(f"{url.scheme}://{host}:{url.port}/").host == url.host


hostile_mail = texts(
    *(
        "a",
        "bob",
        "evil.test",
        "example.com",
        "@",
        "@",
        ",",
        ";",
        ":",
        "<",
        ">",
        '"',
        "\\",
        "(",
        ")",
        " ",
        ".",
        "[",
        "]",
    ),
    *("\n", "\r\n", "\x00", "%", "!", "é", "\u3002", "\uff20"),
)


@settings(max_examples=1_500, deadline=None)
@given(text=hostile_mail)
def test_addresses_that_are_accepted_are_the_standard_library_s(text: str) -> None:
    try:
        found = to_email_addresses(text)
    except EvaluationError:
        return
    others = [address for _, address in email.utils.getaddresses([text])] if text.strip() else []
    assert [address.partition("@")[0] for address in others] == [address.local for address in found]
    assert [read_host(address.partition("@")[2]).text for address in others] == [address.domain for address in found]


hostile_paths = texts(
    "/", "/", ".", "..", "a", "srv", "etc", "~", "%2e", "%2f", "\\", "\x00", " ", "$", "{", "é", "\u2025", ":"
)


@settings(max_examples=1_500, deadline=None)
@given(text=hostile_paths)
def test_a_path_that_is_accepted_is_the_standard_library_s(text: str) -> None:
    try:
        path = to_path(text, "/srv/app").whole
    except EvaluationError:
        return
    assert path == posixpath.normpath(posixpath.join("/srv/app", text)).replace("//", "/")


def slow_glob(pattern: str, text: str) -> bool:
    """What a glob of letters, `*`, `?` and `**` between slashes means, by trying everything."""
    if not pattern:
        return not text
    if pattern.startswith("/**/"):
        rest = pattern[4:]
        return text.startswith("/") and any(
            slow_glob(rest, text[at:]) for at in range(1, len(text) + 1) if text[at - 1] == "/"
        )
    if pattern == "/**":
        return not text or text.startswith("/")
    if pattern[0] == "*":
        return any(slow_glob(pattern[1:], text[at:]) for at in range(len(text) + 1) if "/" not in text[:at])
    if pattern[0] == "?":
        return text[:1] not in ("", "/") and slow_glob(pattern[1:], text[1:])
    return text[:1] == pattern[0] and slow_glob(pattern[1:], text[1:])


@settings(max_examples=800, deadline=None)
@given(
    pattern=st.lists(st.sampled_from(["/a", "/b", "/**", "/*", "/?", "/a*", "/*b"]), min_size=1, max_size=4).map(
        "".join
    ),
    text=texts("/", "a", "b", size=7),
)
def test_globs_against_trying_everything(pattern: str, text: str) -> None:
    assert read_glob(pattern).matches(text) is slow_glob(pattern, text)


@pytest.mark.parametrize("seed", range(SHELL_SEEDS))
def test_shells_do_nothing_that_was_not_seen(seed: int, tmp_path: Path) -> None:
    result = run_shell_fuzz(seed, SHELL_TEXTS, tmp_path)
    for shell in result.absent:
        sys.stdout.write(f"{shell} is not installed: it ran nothing\n")
    assert result.accepted > SHELL_TEXTS // 6
    assert set(result.ran) | set(result.absent) == set(SHELLS)
    assert result.ran, "install bash, dash or busybox"
    for shell, ran in result.ran.items():
        assert ran > result.accepted // 3, shell
        assert result.compared[shell] > result.accepted // 3, shell
        assert result.wrote[shell] > SHELL_TEXTS // 200, shell
    assert result.unseen == ()


def test_arguments_that_were_not_seen_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_last_argument(text: str) -> dict[str, Any]:
        found = to_shell(text)
        return {**found, "commands": [{**command, "args": command["args"][:-1]} for command in found["commands"]]}

    texts = ["aa bb 'c d'", "command aa 1", "aa; bb x | cc y"]
    assert run_shell_texts(texts, tmp_path / "as it is").unseen == ()
    monkeypatch.setattr("simulation.fuzz.shell.to_shell", without_the_last_argument)
    result = run_shell_texts(texts, tmp_path / "less")
    assert result.ran, "install bash, dash or busybox"
    for shell in result.ran:
        assert {unseen.text for unseen in result.unseen if unseen.shell == shell} == set(texts)


def test_errors_of_a_pipeline_are_no_unseen_command(tmp_path: Path) -> None:
    result = run_shell_texts(PIPELINES * PIPELINE_RUNS, tmp_path)
    assert result.accepted == len(PIPELINES) * PIPELINE_RUNS
    assert result.ran, "install bash, dash or busybox"
    for shell, ran in result.ran.items():
        assert ran == result.accepted, shell
        # Errors that name a listed command could be mixed with others.
        assert not [file for file in (tmp_path / shell / "errors").iterdir() if b"not found" in file.read_bytes()]
    assert result.unseen == ()


@pytest.mark.parametrize(
    ("errors", "names"),
    [
        (b"dash: 1: /t/text/3: zz: not found\ndash: 2: /t/text/3: \xc3\xa9: not found\n", ["zz", "\u00e9"]),
        (b"dash: 1: cd: can't cd to d\n", []),
        (b"dash: 1: /t/text/3: zz: not founddash: 1: /t/text/3: \ny: not found\n", None),
        (b"dash: 1: /t/text/3: dash: 1: /t/text/3: zz: not foundy: not found\n\n", None),
    ],
)
def test_mixed_errors_hide_no_command(errors: bytes, names: list[str] | None) -> None:
    assert names_not_found(errors) == ([errors.decode()] if names is None else names)


@settings(max_examples=300, deadline=None)
@given(
    words=st.lists(
        st.text(string.ascii_letters + "$`\"' ;|&\\*{}~()<>#!", min_size=1, max_size=6), min_size=1, max_size=4
    )
)
def test_quoted_words_are_read_as_they_were(words: list[str]) -> None:
    quoted = " ".join("'" + word.replace("'", "'\"'\"'") + "'" for word in words)
    try:
        (command,) = to_shell(f"ls {quoted}")["commands"]
    except EvaluationError:
        return
    assert command["args"] == tuple(words)


def test_every_function_that_is_declared_is_there() -> None:
    from streams.policy.cel.functions import FUNCTIONS
    from streams.policy.language.function_declarations import FUNCTION_NAMES

    folded: set[str] = {"has", "all", "exists", "exists_one", "existsOne", "filter", "map", "transformList",
                        "transformMap", "transformMapEntry"}  # fmt: skip
    missing: list[Callable[..., Any] | str] = [
        name for name in FUNCTION_NAMES if name not in FUNCTIONS and name not in folded
    ]
    assert missing == []
