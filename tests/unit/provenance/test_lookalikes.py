"""Hosts that differ by one slip."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import pytest

from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.sources.lookalikes import CALL_LOOKUPS_MAX, HOST_LOOKUPS_MAX, Comparison, lookalikes
from streams.provenance.sources.memory import Entry, Seen

KNOWN = Seen.ALIKE | Seen.ALIKE_KNOWN


def compared(entries: Mapping[str, int], *founds: Found, is_full: bool = False) -> int:
    """What founds look like in a session that has seen hosts with these flags."""
    kept = {name: Entry(b"12345678", flags) for name, flags in entries.items()}
    return Comparison(lambda _, name: kept.get(name), is_full=is_full).of(founds)


@pytest.mark.parametrize(
    ("forged", "right"),
    [
        ("northpaek.example", "northpeak.example"),
        ("n0rthpeak.example", "northpeak.example"),
        ("g00gle.example", "google.example"),
        ("norrthpeak.example", "northpeak.example"),
        ("notpeak.example", "nottpeak.example"),
        ("modern.example", "modem.example"),
        ("north-peak.example", "northpeak.example"),
        ("northpeak.example", "north-peak.example"),
        ("northpeak.co", "northpeak.com"),
        ("north-peak.co", "northpeak.com"),
        ("mail.northpeak.cm", "northpeak.com"),
        ("mail.northpeak.cm", "mail.northpeak.com"),
        ("mail.n0rthpeak.example", "northpeak.example"),
        ("mail.n0rthpeak.example", "mail.northpeak.example"),
        ("n0rthpeak.co.example", "northpeak.co.example"),
        ("n0rthpea1.example", "northpeal.example"),
        ("n\u043erthpeak.example", "northpeak.example"),
        ("mail.n\u043erthpeak.example", "northpeak.example"),
        ("n\u043ertphe\u0430k.example", "northpeak.example"),
        ("n0rthpeak.example:8443", "northpeak.example:8443"),
        ("n0rthpeak.example:8443", "northpeak.example"),
        ("n0rthpeak-bills", "northpeak-bills"),
        ("\u0430cme.example", "acme.example"),
    ],
)
def test_a_slip_leads_back_to_the_right_host(forged: str, right: str) -> None:
    assert right in set(lookalikes(forged))


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("eu12.example", "eu21.example"),
        ("server12.example", "server21.example"),
        ("server12.example", "server1.example"),
        ("north.example", "south.example"),
        ("acme.example", "amce.example"),
        ("acme.co", "acme.com"),
        ("northpeak.de", "northpeak.com"),
        ("server1.example", "server-1.example"),
        ("northpeak.exmaple", "northpeak.example"),
        ("northpeak.example", "northpeak.example"),
        ("m\u0430il.northpeak.example", "northpeak.example"),
    ],
)
def test_hosts_that_are_no_slip_of_each_other_do_not_look_alike(host: str, other: str) -> None:
    assert other not in set(lookalikes(host))


@pytest.mark.parametrize(
    "host",
    [
        ".".join(["a" * 9, "b" * 60, "c" * 60, "n0rthpeak", "example"]),
        ".".join(["abcdefghijklmnopqrstuvwxyz" * 2, "n0rthpeak", "example"]),
        ".".join([*("abcdefghijklmnopqrstuvwxyz" for _ in range(6)), "n0rthpeak", "example"]),
    ],
)
def test_the_domain_is_compared_before_the_bound_is_reached(host: str) -> None:
    assert "northpeak.example" in set(islice(lookalikes(host), HOST_LOOKUPS_MAX))


def test_the_two_shortest_domains_are_always_compared() -> None:
    longest = ["abcdefghijklmnopqrstuvwxyz015" * 2 + str(number) for number in range(4)]
    found = list(islice(lookalikes(".".join([*longest, "example"])), HOST_LOOKUPS_MAX))
    assert {len(host.split(".")) for host in found} >= {2, 3}
    wrong = longest[2].replace("c", "cc", 1)
    assert f"{wrong}.{longest[3]}.example" in found


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (AtomKind.ADDRESS, "ines@n0rthpeak.example"),
        (AtomKind.URL, "n0rthpeak.example/pay?id=1"),
        (AtomKind.URL, "ftp:n0rthpeak.example/pay"),
        (AtomKind.URL, "ftp:n0rthpeak.example"),
        (AtomKind.URL, "n0rthpeak.example:8443/pay"),
        (AtomKind.URL, "pay.example/?to=ines@n0rthpeak.example"),
        (AtomKind.URL, "pay.example/n0rthpeak.example"),
        (AtomKind.HOST, "n0rthpeak.example"),
        (AtomKind.HOST, "n0rthpeak.example:8443"),
    ],
)
@pytest.mark.parametrize("flags", [Seen.USER, Seen.TRUSTED, Seen.TRUSTED | Seen.WRITTEN | Seen.FIELD])
def test_an_address_whose_host_looks_like_a_known_one_is_found(kind: AtomKind, value: str, flags: int) -> None:
    assert compared({"northpeak.example": flags}, Found(kind, value)) == KNOWN


@pytest.mark.parametrize("other", [Seen.FIELD, Seen.TEXT, Seen.WRITTEN | Seen.TEXT, Seen.WRITTEN | Seen.TRUSTED])
def test_a_further_look_alike_that_others_write_changes_nothing(other: int) -> None:
    seen = {"northpeak.example": Seen.TRUSTED, "norhtpeak.example": other, "n0rthpeak.example": other}
    assert compared(seen, Found(AtomKind.HOST, "n0rthpeak.example")) & KNOWN == KNOWN


def test_an_address_that_looks_like_one_of_others_looks_like_that() -> None:
    assert compared({"northpeak.example": Seen.FIELD}, Found(AtomKind.HOST, "n0rthpeak.example")) == Seen.ALIKE


def test_a_host_that_the_user_knows_looks_like_no_other_one() -> None:
    entries = dict.fromkeys(("northpeak.example", "n0rthpeak.example", "n0rthpeak.example:8443"), Seen.USER)
    assert compared(entries, Found(AtomKind.HOST, "n0rthpeak.example")) == 0
    assert compared(entries, Found(AtomKind.HOST, "n0rthpeak.example:8443")) == 0


def test_what_is_no_address_has_no_host() -> None:
    looked: list[str] = []
    assert Comparison(lambda _, name: looked.append(name)).of([Found(AtomKind.ID, "n0rthpeak")]) == 0
    assert not looked


def test_names_of_files_in_a_path_are_no_hosts() -> None:
    found = Found(AtomKind.URL, "files.example/reports.pdf")
    assert compared({"report.pdf": Seen.USER}, found) == 0


def test_a_call_looks_up_no_more_than_its_bound_and_each_host_once() -> None:
    looked: list[str] = []
    comparison = Comparison(lambda _, name: looked.append(name))
    for number in range(2_000):
        flags = comparison.of([Found(AtomKind.HOST, f"{chr(97 + number % 26)}orthpeak{number}.example")])
    assert flags == Seen.NOT_COMPARED
    assert len(looked) <= CALL_LOOKUPS_MAX
    count = len(looked)
    assert comparison.of([Found(AtomKind.ADDRESS, "ines@aorthpeak0.example")]) == 0
    assert len(looked) == count


def test_a_session_without_room_can_not_say_that_a_host_looks_like_none() -> None:
    found = Found(AtomKind.HOST, "n0rthpeak.example")
    assert compared({}, found, is_full=True) == Seen.NOT_COMPARED
    assert compared({"n0rthpeak.example": Seen.USER}, found, is_full=True) == 0
    assert compared({}, Found(AtomKind.HOST, "acme.example"), is_full=True) == 0


def test_a_mailbox_where_anybody_can_have_one_is_no_slip_for_another_host() -> None:
    seen = {"homail.com": Seen.TEXT}
    assert compared(seen, Found(AtomKind.ADDRESS, "ann@hotmail.com")) == 0
    assert compared({"hotmail.com": Seen.TEXT}, Found(AtomKind.ADDRESS, "ann@hotmaill.com")) == Seen.ALIKE
    assert compared(seen, Found(AtomKind.HOST, "hotmail.com")) == Seen.ALIKE
