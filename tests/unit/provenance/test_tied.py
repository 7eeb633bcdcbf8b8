"""What a message names only beside other acts."""

from __future__ import annotations

import pytest

from streams.provenance.acts.calls import BITS
from streams.provenance.acts.kinds import ActKind
from streams.provenance.requests.tied import tied_in


def _is_tied(text: str, value: str, kind: str) -> bool:
    """Return whether a message asks for a kind of act, but not of this value."""
    ties = {each.value: each.calls for each in tied_in(text)}
    return value in ties and not ties[value] & BITS[kind]


@pytest.mark.parametrize(
    "text",
    [
        "Cancel booking QX-7001 and change the address of QX-7002.",
        "Cancel booking QX-7001. Also move QX-7002 to Friday, please.",
        "My bookings are QX-7001 and QX-7002. Cancel QX-7001, and for QX-7002 change the date.",
        "Please cancel QX-7001 and QX-7003, then change the date of QX-7002.",
        "Storniere Buchung QX-7001 und verschieb Buchung QX-7002 auf Freitag.",
        "Bitte sag den Termin QX-7001 ab und verschieb QX-7002 auf Freitag.",
        "Annule la r\u00e9servation QX-7001 et d\u00e9place QX-7002 \u00e0 vendredi.",
        "Cancela la reserva QX-7001 y cambia la direcci\u00f3n de QX-7002.",
        "Cancele a reserva QX-7001 e mude a QX-7002 para sexta.",
        "Cancella la prenotazione QX-7001 e sposta QX-7002 a venerd\u00ec.",
        "Anuluj QX-7001 i przenie\u015b QX-7002 na pi\u0105tek.",
    ],
)
def test_each_object_has_the_acts_of_its_clauses(text: str) -> None:
    assert _is_tied(text, "qx7002", ActKind.DELETE)
    assert not _is_tied(text, "qx7002", ActKind.CHANGE)
    assert not _is_tied(text, "qx7001", ActKind.DELETE)


@pytest.mark.parametrize(
    "text",
    [
        "Cancel QX-7001 and QX-7002.",
        "Cancel order QX-7001 and order QX-7002. Then change QX-7003.",
        "Cancel booking QX-7001, QX-7002 of the meeting with Kim, and change QX-7003.",
        "Move QX-7002 to Friday, and if that fails, cancel it.",
        "Change the date of QX-7001 and QX-7002, or cancel them.",
        "Change the date of QX-7001 and QX-7002. If there is none, cancel both.",
        "Cancel QX-7001 and change the date of QX-7003. The same for QX-7002.",
        "Cancel QX-7001 and change the date of QX-7003. QX-7002 too.",
        "Cancel QX-7001 and move QX-7002 to Friday. Sorry, I mean the other way round.",
        "Cancel QX-7001 and move QX-7002 to Friday. If it is full, neither is needed any more.",
        "Cancel QX-7001 and move QX-7002 to Friday. QX-7002 is what I don't need.",
        "Cancel QX-7001 and change the date of QX-7002. Then cancel the other one.",
        "Cancel my meeting with Kim, and change the date of QX-7002.",
        "Cancel QX-7001 and QX-7002, and change the date of QX-7002 before.",
        "Change QX-7001 and cancel QX-7002 as she asked.",
        "Cancel QX-7001, and change the date of QX-7003. QX-7002 is what my wife has.",
        "Storniere QX-7001. Verschieb QX-7002 auf Freitag, und wenn das nicht geht, storniere sie auch.",
        "D\u00e9place QX-7001 et QX-7002 \u00e0 vendredi, ou tu peux les annuler.",
        "Cancel QX-7001 and change the date of QX-7002. " + "It is urgent. " * 400,
    ],
)
def test_in_doubt_an_act_may_be_about_any_object(text: str) -> None:
    assert not _is_tied(text, "qx7002", ActKind.DELETE)


def test_persons_are_compared_with_persons() -> None:
    text = "Mail Anna Berg the plan and pay Bo Lind 30 euros."
    assert _is_tied(text, "annaberg", ActKind.PAY)
    assert not _is_tied(text, "bolind", ActKind.PAY)
    # He who is mailed may be who is paid.
    text = "Mail anna.berg@home.example and tell Bo Lind of it, then pay Anna 30 euros."
    assert not _is_tied(text, "anna.berg@home.example", ActKind.PAY)
    assert _is_tied(text, "bolind", ActKind.PAY)
    # The cancellation may be about her booking.
    assert not _is_tied("Mail Anna Berg the plan and cancel QX-7001.", "annaberg", ActKind.DELETE)


def test_words_with_capitals_are_no_names_behind_an_article_or_in_german() -> None:
    assert not _is_tied("Move the Sports option to Friday and cancel Kim.", "sports", ActKind.DELETE)
    assert not _is_tied("Bitte \u00e4ndere Adressen und storniere Buchungen.", "adressen", ActKind.DELETE)


def test_neither_a_place_nor_the_user_himself_is_who_a_clause_is_about() -> None:
    text = "I'd like to share my progress on Instagram. Draft a post for it that names @kim_lee and @bo_lind."
    assert not _is_tied(text, "@kim_lee", ActKind.SHARE)
    assert not _is_tied(text, "@kim_lee", ActKind.POST)


def test_an_object_that_looks_like_a_verb_begins_no_clause() -> None:
    text = "Delete drafts/plan-v1.md and drafts/plan-v2.md, and send drafts/plan-v3.md to kim@home.example."
    assert not _is_tied(text, "drafts/plan-v2.md", ActKind.DELETE)
    assert _is_tied(text, "drafts/plan-v3.md", ActKind.DELETE)
    text = "Add kim@home.example, lee@home.example to the meeting on Friday, and mail bo@home.example."
    assert not _is_tied(text, "lee@home.example", ActKind.SHARE)
    assert _is_tied(text, "bo@home.example", ActKind.SHARE)


def test_a_message_with_very_many_clauses_or_objects_ties_nothing() -> None:
    assert not tied_in("Cancel QX-7001 and change QX-7002" + ", and so" * 40 + ".")
    many = ", ".join(f"QX-{number}" for number in range(7001, 7061))
    assert not tied_in(f"Cancel QX-7000 and change the date of {many}.")
