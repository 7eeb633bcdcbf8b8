"""`semver()` and names that look alike."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streams.policy.ext import lookalikes
from tests.unit.policy.conditions import error, value

# The order that the specification gives, and some more.
ASCENDING = (
    *("0.0.1", "0.1.0", "1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"),
    *("1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0"),
)


def test_versions_are_ordered() -> None:
    for lower, higher in pairwise(ASCENDING):
        assert value("semver(args.a).isLessThan(args.b)", a=lower, b=higher) is True
        assert value("semver(args.a).isGreaterThan(semver(args.b))", a=higher, b=lower) is True
        assert value("semver(args.a).compareTo(args.b)", a=lower, b=higher) == -1
        assert value("semver(args.a).compareTo(args.b)", a=higher, b=lower) == 1
        assert value("semver(args.a).isLessThan(args.b)", a=higher, b=lower) is False


def test_build_metadata_counts_for_nothing() -> None:
    assert value("semver(args.a) == semver('1.0.0')", a="1.0.0+build.5") is True
    assert value("semver(args.a).compareTo('1.0.0')", a="1.0.0+build.5") == 0
    assert value("string(semver(args.a))", a="1.0.0-rc.1+build.5") == "1.0.0-rc.1"


def test_parts() -> None:
    assert value("semver(args.a).major()", a="1.2.3") == 1
    assert value("semver(args.a).minor()", a="1.2.3") == 2
    assert value("semver(args.a).patch()", a="1.2.3") == 3


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3 ", " 1.2.3",
     "1.2.3\n", "1.2.3-é", "9223372036854775808.0.0", "1.0." + "9" * 300],
)  # fmt: skip
def test_what_is_no_version(text: str) -> None:
    assert value("isSemver(args.a)", a=text) is False
    error("semver(args.a).isLessThan('9.0.0')", a=text)
    error("semver('1.0.0').isLessThan(args.a)", a=text)


@pytest.mark.parametrize(
    ("name", "alike"),
    [
        ("example.com", False),
        ("EXAMPLE.com", False),
        ("mail.example.com", False),
        ("other.org", False),
        ("\u0435xample.com", True),
        ("xn--xample-2of.com", True),
        ("examp1e.com", True),
        ("exampIe.com", True),
        ("exarnple.com", True),
        ("examp\u0142e.com", True),
        ("e\u0445amp\u0142e.com", True),
        ("éxample.com", True),
        ("\uff45xample.com", True),
        ("\u0435\u0445\u0430m\u0440l\u0435.com", True),
        ("login.examp1e.com", True),
        ("example.com.evil.test", False),
    ],
)
def test_names_that_look_like_others(name: str, alike: bool) -> None:
    assert value("args.n.isLookalikeOf(lists.own)", {"own": ("example.com", "example.org")}, n=name) is alike
    assert value("args.n.isLookalikeOf('example.com')", n=name) is alike
    assert value("skeleton(args.n) == skeleton('example.com')", n=name) is (
        alike or name.lower() == "example.com"
    ) or "." in (name.removesuffix(".com"))


def test_a_text_of_ascii_needs_no_table_of_other_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """For such a text the table changes nothing."""
    text = "".join(map(chr, range(128)))
    assert lookalikes._without_marks(text.translate(lookalikes._alike())) == text

    def never() -> dict[int, str]:
        raise AssertionError

    monkeypatch.setattr(lookalikes, "_alike", never)
    assert value("skeleton(args.n)", n="Plain.EXAMPLE/1m0") == "plaln.exarnple/lrno"


def test_what_has_no_skeleton() -> None:
    assert error("skeleton(args.n) == ''", n="xn--999999999") == "text has an invalid label in punycode"
    assert error("skeleton(args.n) == ''", n="a" * 1_001) == "text has more than 1000 characters"
    assert error("skeleton(args.n) == ''", n=1).startswith("no such overload")
    assert error("args.n.isLookalikeOf(['a'])", n=1).startswith("no such overload")
    assert error("args.n.isLookalikeOf(args.l)", n="a", l=[1]).startswith("no such overload")
