"""Hosts that differ by one slip."""

from __future__ import annotations

from itertools import islice

import pytest

from streams.provenance.found import AtomKind, Found
from streams.provenance.lookalikes import HOSTS_MAX, lookalike_flags, lookalikes
from streams.provenance.memory import Entry, Seen


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
        ("mail.n0rthpeak.example", "northpeak.example"),
        ("mail.n0rthpeak.example", "mail.northpeak.example"),
        ("n0rthpeak.co.example", "northpeak.co.example"),
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
        ("northpeak.exmaple", "northpeak.example"),
        ("northpeak.example", "northpeak.example"),
    ],
)
def test_hosts_that_are_no_slip_of_each_other_do_not_look_alike(host: str, other: str) -> None:
    assert other not in set(lookalikes(host))


def test_the_domain_is_compared_before_the_bound_is_reached() -> None:
    host = ".".join(["a" * 9, "b" * 60, "c" * 60, "n0rthpeak", "example"])
    assert "northpeak.example" in set(islice(lookalikes(host), HOSTS_MAX))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (AtomKind.ADDRESS, "ines@n0rthpeak.example"),
        (AtomKind.URL, "n0rthpeak.example/pay?id=1"),
        (AtomKind.HOST, "n0rthpeak.example"),
    ],
)
def test_an_address_has_the_flags_of_the_host_that_its_own_looks_like(kind: AtomKind, value: str) -> None:
    entries = {"northpeak.example": Entry(b"12345678", Seen.USER)}
    assert lookalike_flags([Found(kind, value)], lambda _, name: entries.get(name)) == Seen.USER


def test_a_host_that_the_user_knows_looks_like_no_other_one() -> None:
    entries = {name: Entry(b"12345678", Seen.USER) for name in ("northpeak.example", "n0rthpeak.example")}
    found = Found(AtomKind.HOST, "n0rthpeak.example")
    assert lookalike_flags([found], lambda _, name: entries.get(name)) == 0


def test_what_is_no_address_has_no_host() -> None:
    looked: list[str] = []
    assert lookalike_flags([Found(AtomKind.ID, "n0rthpeak")], lambda _, name: looked.append(name)) == 0
    assert not looked
