"""Requests in languages in which they are not read."""

from __future__ import annotations

import pytest

from streams.provenance.requests.languages import FOREIGN, is_foreign
from streams.provenance.requests.scope import derive_scopes


@pytest.mark.parametrize(
    "text",
    [
        "Kan du svara Kim att jag kommer på fredag? Lägg också in det i kalendern.",
        "Kan du betale regningen fra tandlægen?",
        "Svar Kim at jeg ikke kommer, og skriv det i kalenderen.",
        "Betaal de rekening van de tandarts, die staat in mijn mail.",
        "Proszę, odpowiedz Kim, że nie mogę przyjść w piątek.",
        "Prosím, napiš Kim, že nepřijdu.",
        "Voisitko vastata Kimille, että tulen perjantaina?",
        "Küldj egy levelet Kimnek, hogy nem jövök.",
        "Bana bir yer bul, lütfen.",
        "Te rog să nu îi scrii lui Kim, și anulează cursa pentru mâine.",
        "Напиши Киму, что я приду в пятницу",
        "キムに金曜日に行くとメールして",
        "请给小金发邮件说我周五来",
    ],
)
def test_a_request_in_another_language_is_known_as_one(text: str) -> None:
    assert is_foreign(text)
    assert FOREIGN in {scope.kind for scope in derive_scopes(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Answer Per Åkesson på kommunen that it comes on Friday.",
        "Ask Łukasz and Zoë whether 山田 is there.",
        "Antworte Kim, dass ich am Freitag nicht komme, und trag es im Kalender ein.",
        "Réponds à Kim que je viens vendredi, et ajoute-le à mon agenda.",
        "Contesta a Kim que voy el viernes y ponlo en mi agenda, por favor.",
        "Responde ao Kim que vou na sexta e põe na minha agenda.",
        "Rispondi a Kim che vengo venerdì e mettilo in agenda.",
        "ok",
        "",
    ],
)
def test_a_request_in_a_language_that_is_read_is_none(text: str) -> None:
    assert not is_foreign(text)
