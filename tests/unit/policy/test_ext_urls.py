"""`url()`: one reading or none."""

from __future__ import annotations

import pytest

from streams.policy.cel.values import DistinctTexts
from streams.policy.ext.urls import texts_of
from tests.unit.policy.conditions import error, value

OWN = {"own": ("example.com", "10.1.2.3", "münchen.de")}


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://example.com", "example.com"),
        ("HTTPS://EXAMPLE.com./x", "example.com"),
        ("https://user:secret@example.com/", "example.com"),
        ("https://example.com/@evil.com", "example.com"),
        ("https://münchen.de", "xn--mnchen-3ya.de"),
        ("https://xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("https://\uff27\uff2f\uff2f\uff27\uff2c\uff25。com", "google.com"),
        ("http://a_b.example.com", "a_b.example.com"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f000001/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://127.1", "127.0.0.1"),
        ("http://\uff11\uff12\uff17.0.0.1", "127.0.0.1"),
        ("http://[::1]:8080/", "::1"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
        ("http://[::FFFF:7f00:1]/", "127.0.0.1"),
        ("http://[2001:DB8:0::1]/", "2001:db8::1"),
    ],
)
def test_a_host_has_one_form(text: str, host: str) -> None:
    assert value("url(args.u).host()", u=text) == host
    assert value("isUrl(args.u)", u=text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "//example.com",
        "http:example.com",
        "http:/example.com",
        "http:///example.com",
        "http:\\\\example.com",
        "http://example.com\\@evil.com",
        "http://example.com\\.evil.com",
        "http://evil.com\t.example.com",
        "http://evil.com\n.example.com",
        "http://evil.com\r\nHost: example.com",
        " http://example.com",
        "http://example.com ",
        "http://exa mple.com",
        "http://evil.com@@example.com",
        "http://a@b@example.com",
        "http://evil.com#@example.com",
        "http://evil.com?@example.com",
        "http://evil.com%2f@example.com",
        "http://evil.com%00.example.com",
        "http://ex%61mple.com",
        "http://example.com:",
        "http://example.com:80:80",
        "http://example.com:0",
        "http://example.com:080",
        "http://example.com:65536",
        "http://example.com:8a",
        "http://.example.com",
        "http://example..com",
        "http://example.com..",
        "http://-example.com",
        "http://exam-.ple.com",
        "http://" + "a" * 64 + ".com",
        "http://" + "a." * 130 + "com",
        "http://xn--a",
        "http://xn--",
        "http://example.com\u2215evil.com",
        "http://example.com\uff0fevil.com",
        "http://exam\u200bple.com",
        "http://exam\u00adple.com",
        "http://exam\u202eple.com",
        "http://fa\u00df.de",
        "http://0177.0.0.1",
        "http://127.0.0.01",
        "http://256.256.256.256",
        "http://1.2.3.4.5",
        "http://4294967296",
        "http://foo.0x4",
        "http://1.2.3.4x.5",
        "http://[::1",
        "http://::1",
        "http://[::1]x",
        "http://[fe80::1%25eth0]",
        "http://[::1.2.3]",
        "http://[1.2.3.4]",
        "javascript://example.com/%0aalert(1)",
        "file:///etc/passwd",
        "file://example.com/etc/passwd",
        "gopher://example.com",
        "data:text/html,x",
        "http://example.com/%zz",
        "http://example.com/%",
        "http://example.com/a%2fb",
        "http://example.com/a%5Cb",
        "http://example.com/a%00b",
        "http://example.com/%252e%252e/admin",
        "http://example.com/%c0%ae%c0%ae/admin",
        "http://example.com/../admin",
        "http://example.com/%2e%2e/admin",
        "http://example.com/a/..;/admin",
        "http://example.com/a//../../admin",
        "http://example.com/\uff0e\uff0e/admin",
        "http://example.com/\ud800",
        "http://example.com/" + "a" * 8_200,
    ],
)
def test_what_has_two_readings_is_no_url(text: str) -> None:
    assert value("isUrl(args.u)", u=text) is False
    problem = error("url(args.u).host() == 'x'", u=text)
    # Errors are kept where arguments are not.
    assert len(text) < 12 or text not in problem


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("http://a", "/"),
        ("http://a/", "/"),
        ("http://a?x", "/"),
        ("http://a/b/./c/../d", "/b/d"),
        ("http://a/b/%2e%2E/d", "/d"),
        ("http://a//b///c", "/b/c"),
        ("http://a/b/..", "/"),
        ("http://a/b/c/..", "/b/"),
        ("http://a/b/", "/b/"),
        ("http://a/%C3%A9%20x", "/é x"),
        ("http://a/b;c=d/e", "/b;c=d/e"),
        ("http://a/b?c=/../d#/../e", "/b"),
    ],
)
def test_a_path_is_decoded_and_has_no_dots(text: str, path: str) -> None:
    assert value("url(args.u).path()", u=text) == path


def test_the_other_parts() -> None:
    text = "HTTPS://user@Example.com:8443/a?b=c&d#e"
    assert value("url(args.u).scheme()", u=text) == "https"
    assert value("url(args.u).port()", u=text) == 8443
    assert value("url(args.u).query()", u=text) == "b=c&d"
    assert value("url(args.u).hasUserInfo()", u=text) is True
    assert value("string(url(args.u))", u=text) == "https://example.com:8443/a?b=c&d"
    assert value("url(args.u).port()", u="http://a") == 80
    assert value("url(args.u).hasUserInfo()", u="http://a/@") is False
    assert value("string(url(args.u))", u="http://[::1]:80/") == "http://[::1]/"
    assert value("url(args.u) == url('http://EXAMPLE.com:80')", u="http://example.com") is True
    assert value("url(args.u).hostIsIp()", u="http://0x7f.1") is True
    assert value("url(args.u).hostIsIp()", u="http://a.0x7g") is False


@pytest.mark.parametrize(
    ("text", "within"),
    [
        ("https://example.com", True),
        ("https://www.example.com", True),
        ("https://a.b.EXAMPLE.com.", True),
        ("https://notexample.com", False),
        ("https://example.com.evil.com", False),
        ("https://example.co", False),
        ("https://com", False),
        ("https://evil.com/example.com", False),
        ("https://example.com@evil.com", False),
        ("https://10.1.2.3", True),
        ("https://0x0a010203", True),
        ("https://[::ffff:10.1.2.3]", True),
        ("https://10.1.2.4", False),
        ("https://x.xn--mnchen-3ya.de", True),
        ("https://munchen.de", False),
    ],
)
def test_domains_end_at_their_dots(text: str, within: bool) -> None:
    assert value("url(args.u).hostWithin(lists.own)", OWN, u=text) is within


def test_a_list_that_holds_no_domains_is_an_error() -> None:
    for item in ("*.example.com", "https://example.com", "example.com/", "", "10.0.0.0/8", "exa mple.com"):
        assert (
            error("url('https://example.com').hostWithin(args.l)", l=[item])
            == "list of domains contains an item that is not a domain"
        )
    assert (
        error("url('https://example.com').hostWithin(args.l)", l=[1]) == "no such overload: hostWithin(rules.Url, list)"
    )
    assert value("url('https://example.com').hostWithin(args.l)", l="com") is True
    assert value("url('https://[::1]').hostWithin(args.l)", l=["0::1"]) is True


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("example.com", True),
        ("1.1.1.1", True),
        ("[2606:4700::1111]", True),
        ("localhost", False),
        ("a.localhost", False),
        ("printer", False),
        ("db.internal", False),
        ("metadata.google.internal", False),
        ("kubernetes.default.svc", False),
        ("nas.local", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("2852039166", False),
        ("0xa9fea9fe", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("[::1]", False),
        ("[::]", False),
        ("[fd00::1]", False),
        ("[fe80::1]", False),
        ("[::ffff:169.254.169.254]", False),
        ("[::127.0.0.1]", False),
        ("[64:ff9b::a9fe:a9fe]", False),
        ("[64:ff9b:1::a00:1]", False),
        ("[2002:a9fe:a9fe::1]", False),
        ("[64:ff9b::101:101]", True),
        ("[64:ff9b:1::101:101]", False),
        ("[2001:0:4136:e378::1]", False),
        ("[2001:10::1]", False),
        ("[2620:4f:8000::1]", False),
        ("[3fff::1]", False),
        ("[5f00::1]", False),
        ("[fec0::1]", False),
        ("[4000::1]", False),
        ("[2a00:1450::5efe:a00:1]", False),
        ("[2a00:1450::200:5efe:a00:1]", False),
        ("[2a00:1450:4001:80b::200e]", True),
        ("192.0.0.8", False),
        ("192.31.196.1", False),
        ("192.52.193.1", False),
        ("192.88.99.1", False),
        ("192.175.48.1", False),
        ("198.20.0.1", True),
        ("168.63.129.16", False),
        ("168.63.129.17", True),
        ("metadata.tencentyun.com", False),
        ("a.lcl.host", False),
        ("x.1u.ms", False),
        ("10-0-0-1.example.org", False),
        ("ip_192_168_0_1.example.org", False),
        ("127.0.0.1.example.org", False),
        ("54-200-1-2.example.org", True),
        ("1-2-3.example.org", True),
        ("300-0-0-1.example.org", True),
        ("127.0.0.1.nip.io", False),
        ("x.localtest.me", False),
    ],
)
def test_what_is_not_on_the_open_internet(host: str, public: bool) -> None:
    assert value("url(args.u).isPublicHost()", u=f"http://{host}/") is public


def test_methods_are_of_urls_only() -> None:
    for call in ("scheme()", "host()", "port()", "query()", "hasUserInfo()", "hostIsIp()", "isPublicHost()"):
        assert error(f"dyn(args.u.{call}) == 1", u="http://a").startswith("no such overload")
    assert error("args.u.hostWithin(['a'])", u={"host": "a"}).startswith("no such overload")
    assert error("url(args.u).host() == 'a'", u=1).startswith("no such overload")
    assert error("isUrl(args.u)", u=None).startswith("no such overload")
    assert value("url(args.u) == url(dyn(url(args.u)))", u="http://a") is True


def test_lists_of_every_kind_are_taken() -> None:
    for domains in (["b.example"], ("b.example",), DistinctTexts(["b.example"])):
        assert texts_of("hostWithin", "a.b.example", domains) == ("b.example",)
