"""Which matters a message speaks of, and which one a tool changes."""

from __future__ import annotations

import pytest

from streams.provenance.acts.matters import matters_in, matters_of_name, matters_of_tool
from streams.provenance.requests.kinds import plain_request
from streams.provenance.requests.spoken_of import SPEAKS, joined, read_matters, spoken_of


@pytest.mark.parametrize(
    ("message", "matter"),
    [
        ("Two suitcases more, please", "luggage"),
        ("Ein Koffer kommt dazu", "luggage"),
        ("Une valise de plus", "luggage"),
        ("Una maleta m\u00e1s", "luggage"),
        ("Mais uma bagagem", "luggage"),
        ("Una valigia in pi\u00f9", "luggage"),
        ("Jeszcze jedna walizka", "luggage"),
        ("Mein Stromabschlag ist zu hoch", "instalment"),
        ("Gangplatz bitte", "seat"),
        ("The meter says 24903", "reading"),
        ("I moved to another street", "address"),
    ],
)
def test_a_message_names_matters(message: str, matter: str) -> None:
    named, meant = matters_in(plain_request(message))
    assert named == {matter}
    assert named <= meant


@pytest.mark.parametrize(
    ("message", "matter"),
    [
        ("It is too loud here", "sound"),
        ("Something cheaper", "plan"),
        ("We would like a room with a view", "room"),
        ("My contract is too expensive", "plan"),
    ],
)
def test_a_word_for_several_things_speaks_for_a_matter_and_against_none(message: str, matter: str) -> None:
    named, meant = matters_in(plain_request(message))
    assert not named
    assert matter in meant


@pytest.mark.parametrize(
    ("message", "matter"),
    [
        ("Rebook my flight to Friday", "seat"),
        ("My flight was overbooked", "money"),
        ("A flight with skis", "luggage"),
        ("Rebook the train", "seat"),
        ("The seat was wet all the way", "money"),
        ("My insurance wants proof that I drive less", "reading"),
        ("More gigabytes, please", "speed"),
        ("Only 2 gigabytes are left", "limit"),
        ("Another tariff", "limit"),
        ("I want to claim that", "money"),
    ],
)
def test_a_matter_speaks_for_what_belongs_to_it(message: str, matter: str) -> None:
    named, meant = matters_in(plain_request(message))
    assert matter not in named
    assert matter in meant


def test_a_seat_speaks_for_no_luggage() -> None:
    assert "luggage" not in matters_in(plain_request("Change the seat, I take the train"))[1]


def test_a_word_that_is_longer_than_any_is_no_compound() -> None:
    assert matters_in(f"{'x' * 20}abschlag")[0] == {"instalment"}
    assert not matters_in(f"{'x' * 100}abschlag")[0]


@pytest.mark.parametrize(
    "message",
    [
        "Sim, por favor. Claro que sim!",
        "Vale, gracias, como la otra vez",
        "Car il est tard, donc tout de suite",
        "Kun je dat van mij doen?",
        "Jak zawsze, po prostu",
        "Lina Berg, my login is lberg, postcode 8000, telephone 12",
    ],
)
def test_words_of_other_languages_and_who_somebody_is_are_no_matters(message: str) -> None:
    assert not matters_in(plain_request(message))[0]


@pytest.mark.parametrize(
    ("name", "description", "matters"),
    [
        ("add_bags", "", {"luggage"}),
        ("addBagsToTrip", "", {"luggage"}),
        ("change_instalment_of_contract", "", {"instalment"}),
        ("update", "Change the seat of a passenger on a flight.", {"seat"}),
        ("cancel", "Cancel a booking.", set()),
        ("set_limit", "Set the savings.", {"limit"}),
    ],
)
def test_a_tool_changes_what_its_name_says_and_not_where_that_belongs(
    name: str, description: str, matters: set[str]
) -> None:
    assert matters_of_tool(name, description) == matters


def test_an_argument_is_called_after_a_matter() -> None:
    assert matters_of_name("newTariff") == {"plan"}
    assert matters_of_name("note") == frozenset()


def test_what_several_messages_speak_of_is_stated_together() -> None:
    first, second = spoken_of("a suitcase, and the contract"), spoken_of("which tariff?")
    assert first[0].startswith(SPEAKS)
    named, meant = read_matters(joined((*first, *second)))
    assert named == {"luggage", "plan"}
    assert {"luggage", "plan"} <= meant


def test_a_message_about_nothing_that_is_known_states_nothing() -> None:
    assert spoken_of("hello there") == ()


def test_matters_that_nobody_knows_are_not_read() -> None:
    assert read_matters(f"{SPEAKS}luggage everything evil?") == (frozenset({"luggage"}), frozenset({"luggage"}))
