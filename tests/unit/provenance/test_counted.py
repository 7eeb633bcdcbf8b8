"""Of which things a user's message says how many."""

from __future__ import annotations

import pytest

from streams.provenance.requests.counted import COUNTED, COUNTED_MAX, is_counted
from streams.provenance.requests.scope import derive_scopes


def _counted(text: str) -> set[str]:
    kinds = [str(scope.kind) for scope in derive_scopes(text)]
    return {kind.removeprefix(COUNTED) for kind in kinds if kind.startswith(COUNTED)}


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("Give her access for 14 days.", "day"),
        ("Sign us up, 40 singers, and order lunch.", "singer"),
        ("Book the flight for Paul and me, two bags.", "bag"),
        ("Order 3 large boxes.", "box"),
        ("Give 100 of my minutes to my brother.", "minute"),
        ("Gib 100 von meinen Minuten meinem Bruder.", "minute"),
        ("Donne 100 de mes minutes \u00e0 mon fr\u00e8re.", "minute"),
        ("Da 100 dei miei minuti a mio fratello.", "minute"),
        ("Set a limit of 4500.", "limit"),
        ("Book a table for three.", "person"),
        ("Book a table for 4 tomorrow at 20:00.", "person"),
        ("Reserviere einen Tisch f\u00fcr 4 heute Abend.", "person"),
        ("Bestell drei Flaschen Wasser.", "bottle"),
        ("Gib der Pension vier Sterne.", "star"),
        ("R\u00e9serve une chambre pour deux nuits.", "night"),
        ("R\u00e9serve une table pour quatre.", "person"),
        ("Reserva una mesa para cuatro personas.", "person"),
        ("D\u00e1 cinco estrelas a eles.", "star"),
        ("Prenota per tre notti.", "night"),
        ("Buche ein Zimmer f\u00fcr f\u00fcnf N\u00e4chte.", "night"),
        ("Reserviere einen Tisch f\u00fcr vier.", "person"),
        ("Bestelle 5 St\u00fcck davon.", "piece"),
        ("Buche einen Raum f\u00fcr zw\u00f6lf G\u00e4ste.", "person"),
        ("Reserva por tr\u00eas noites.", "night"),
    ],
)
def test_a_message_says_how_many(text: str, thing: str) -> None:
    assert thing in _counted(text)


@pytest.mark.parametrize(
    "text",
    [
        "Cancel booking 17.",
        "Book NW310 on 2 May.",
        "Pay the bill.",
        "Pay 12 of the 40",
        "Call 555-0102 at 10.30 please.",
    ],
)
def test_an_id_a_date_and_a_time_count_nothing(text: str) -> None:
    assert not _counted(text)


def test_only_some_things_are_stated() -> None:
    text = "Order " + ", ".join(f"{number} {'abcdefghijkl'[number]}things" for number in range(2, 12))
    assert len(_counted(text)) == COUNTED_MAX


def test_an_argument_counts_the_thing_that_it_is_called_after() -> None:
    assert is_counted("day", frozenset({"day"}))
    assert not is_counted("night", frozenset({"day"}))
    assert is_counted("guest", frozenset({"person"}))
    assert not is_counted("guest", frozenset({"bag"}))
    assert is_counted("baggage", frozenset({"bag"}))
    assert not is_counted("quantity", frozenset({"bag"}))


@pytest.mark.parametrize(("said", "is_said"), [("Reorder the filters, two packs.", True), ("Two eggs, please.", False)])
def test_a_quantity_is_what_goods_are_sold_by(said: str, *, is_said: bool) -> None:
    assert is_counted("quantity", _counted(said)) is is_said


def test_an_amount_is_compared_with_shares_alone() -> None:
    assert is_counted("amount", {"share"})
    assert is_counted("quantity", {"share"})
    assert not is_counted("amount", {"day"})
