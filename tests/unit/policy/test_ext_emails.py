"""`emailAddress()` and `emailAddresses()`: what every mail program reads alike."""

from __future__ import annotations

import pytest

from tests.unit.policy.conditions import error, value


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.B+tag@Example.COM", "Ann.B+tag@example.com"),
        ("<ann@example.com>", "ann@example.com"),
        ("Ann B <ann@example.com>", "ann@example.com"),
        ('"B, Ann" <ann@example.com>', "ann@example.com"),
        ('"Ann \\"B\\"" <ann@example.com>', "ann@example.com"),
        ("Ann Müller <ann@münchen.de>", "ann@xn--mnchen-3ya.de"),
        ("ann@\uff25\uff38\uff21\uff2d\uff30\uff2c\uff25.com", "ann@example.com"),
        ("ann@\u0435xample.com", "ann@xn--xample-2of.com"),
        ("root@localhost", "root@localhost"),
        ("  ann@example.com ", "ann@example.com"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    assert value("string(emailAddress(args.to))", to=text) == address
    assert value("emailAddress(args.to).local() + '@' + emailAddress(args.to).domain()", to=text) == address
    assert value("isEmailAddress(args.to)", to=text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@evil.test@example.com",
        "ann@evil.test, ann@example.com",
        "ann@evil.test;ann@example.com",
        "ann@evil.test ann@example.com",
        '"ann@example.com" <x@evil.test>',
        "ann@example.com <x@evil.test>",
        "<ann@example.com> <x@evil.test>",
        "<x@evil.test> ann@example.com",
        "ann <<x@evil.test>>",
        '"ann@example.com"@evil.test',
        '"a b"@example.com',
        "(ann@example.com)x@evil.test",
        "x@evil.test(ann@example.com)",
        "ann@(comment)example.com",
        "team: ann@example.com;",
        "<@evil.test:ann@example.com>",
        "ann%evil.test@example.com",
        "evil.test!ann@example.com",
        "ann@[127.0.0.1]",
        "ann@127.0.0.1",
        "ann@2130706433",
        "ann@0x7f.1",
        "ann@example.com.",
        "ann@.example.com",
        "ann@example..com",
        "ann@exa mple.com",
        ".ann@example.com",
        "ann.@example.com",
        "a..b@example.com",
        "ann@example.com\n",
        "ann@example.com\r\nBcc: x@evil.test",
        "ann@example.com\x00@evil.test",
        "ann@exam\u200bple.com",
        "ann\uff20evil.test@example.com",
        "ann@evil.test\uff0cann@example.com",
        "änn@example.com",
        '"ann <x@evil.test>',
        '"ann" b" <x@evil.test>',
        "ann\\ <ann@example.com>",
        "a" * 65 + "@example.com",
        "ann@" + "a" * 64 + ".com",
        "a@b.c," * 5_500,
    ],
)
def test_what_has_two_readings_is_no_address(text: str) -> None:
    assert value("isEmailAddress(args.to)", to=text) is False
    problem = error("emailAddress(args.to).domain() == 'x'", to=text)
    assert len(text) < 12 or text not in problem


def domains(to: object) -> list[str]:
    return list(value("emailAddresses(args.to).map(a, a.domain())", to=to))


def test_several_addresses() -> None:
    assert domains("a@x.com, b@y.com") == ["x.com", "y.com"]
    assert domains('"B, A" <a@x.com>,b@y.com') == ["x.com", "y.com"]
    assert domains(["a@x.com", "b@y.com, C <c@z.com>"]) == ["x.com", "y.com", "z.com"]
    assert domains(None) == domains("") == domains("  ") == domains([]) == []


@pytest.mark.parametrize(
    "to", ["a@x.com,", ",a@x.com", "a@x.com,,b@y.com", ["a@x.com", ""], [None], [["a@x.com"]], 1, {}]
)
def test_a_list_with_something_else_in_it(to: object) -> None:
    error("emailAddresses(args.to).all(a, true)", to=to)


def test_there_are_at_most_so_many() -> None:
    assert len(domains(["a@x.com"] * 500)) == 500
    assert error("emailAddresses(args.to).all(a, true)", to=["a@x.com"] * 501) == "there are more than 500 addresses"
    assert error("emailAddresses(args.to).all(a, true)", to=",".join(["a@x.com"] * 501)) == (
        "there are more than 500 addresses"
    )


@pytest.mark.parametrize(
    ("to", "own"),
    [
        ("a@example.com", True),
        ("a@MAIL.Example.com", True),
        (["a@example.com", "b@corp.example.com"], True),
        ("a@example.com, b@evil.test", False),
        ("a@notexample.com", False),
        ("a@example.com.evil.test", False),
        ("Example.com <a@evil.test>", False),
        ("a@\u0435xample.com", False),
    ],
)
def test_whether_all_are_within_domains(to: object, own: bool) -> None:
    assert value("emailAddresses(args.to).all(a, a.domainWithin(lists.own))", {"own": ("example.com",)}, to=to) is own
    assert value("emailAddresses(args.to).all(a, a.domainWithin('example.com'))", to=to) is own


def test_methods_are_of_addresses_only() -> None:
    for call in ("local()", "domain()"):
        assert error(f"args.a.{call} == 'x'", a="x@y.com").startswith("no such overload")
    assert error("args.a.domainWithin(['y.com'])", a="x@y.com").startswith("no such overload")
    assert error("emailAddress(args.a).domain() == 'x'", a=["x@y.com"]).startswith("no such overload")
    assert error("isEmailAddress(args.a)", a=["x@y.com"]).startswith("no such overload")
