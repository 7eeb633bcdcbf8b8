"""The largest amount of money that a user's message names."""

from __future__ import annotations

import time

import pytest

from streams.provenance.acts.kinds import SUM
from streams.provenance.requests.scope import derive_scopes


def _sum(text: str) -> str | None:
    return next((scope.amount_max for scope in derive_scopes(text) if scope.kind == SUM), None)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Pay 250 EUR to Anna.", "250"),
        ("Pay Anna 30 EUR, and Ben $250.50.", "250.5"),
        ("Pay Anna 250.", None),
        ("Set up 50 a month for Anna, starting on the 15th.", "50"),
        ("Richte 50 monatlich f\u00fcr Anna ein.", "50"),
        ("Mets en place 50 par mois pour Anna.", "50"),
        ("Remind me of Anna 2 times a month.", None),
        # Thousands, as they are written in six languages
        ("\u00dcberweise 1.200 \u20ac an Anna.", "1200"),
        ("Transfiere 12.500 euros a Anna.", "12500"),
        ("\u00dcberweise 1.200,50 \u20ac an Anna.", "1200.5"),
        ("Envoie 1 200 \u20ac \u00e0 Anna.", "1200"),
        ("Envoie 1\u202f200,50 \u20ac \u00e0 Anna.", "1200.5"),
        ("Paie \u20ac 1 200 \u00e0 Anna.", "1200"),
        ("\u00dcberweise 1'200.50 CHF an Anna.", "1200.5"),
        ("Pay Anna $1,200.", "1200"),
        # In short
        ("Pay Anna $5k.", "5000"),
        ("Pay Anna 1.5k EUR.", "1500"),
        ("Pay Anna $2 million.", "2000000"),
        ("Pay Anna $1.5m.", "1500000"),
        ("\u00dcberweise Anna 3 Mio. Euro.", "3000000"),
        ("Paie 2 millions d'euros \u00e0 Anna.", "2000000"),
        ("Paga 20 mil euros a Anna.", "20000"),
        ("Paga 2 millones de euros a Anna.", "2000000"),
        # Of which country
        ("Pay Anna US$ 250.", "250"),
        ("Pague R$ 250 a Anna.", "250"),
        ("Pague 250 reais a Anna.", "250"),
        ("Pay Anna \u20b95000.", "5000"),
        ("Pay Anna 5000 JPY.", "5000"),
        ("Paga 300 pesos a Anna.", "300"),
        ("Pague 300 francos a Anna.", "300"),
        ("Commande 3 livres et paie la facture.", None),
        ("Order a pack of 3 pen refills and pay for it.", None),
        # For each
        ("Pay Anna \u20ac250 per day.", None),
        ("Pay Anna $250 each.", None),
        ("Pay Anna 80 EUR a night.", None),
        ("Pay Anna 80 EUR/hour.", None),
        ("Paie 80 \u20ac par nuit \u00e0 Anna.", None),
        ("Paga a Anna 80 euros por noche.", None),
        ("Paga ad Anna 80 euro a notte.", None),
        ("Zahle Anna 80 Euro am Tag.", None),
        # Regularly
        ("Pay Anna 80 EUR a month.", "80"),
        ("Zahle Anna 80 Euro im Monat.", "80"),
        ("Paga a Anna 80 euros al mes.", "80"),
        # For something
        ("Paga 250 euros por el alquiler a Anna.", "250"),
        ("Paga 250 euro per l'affitto ad Anna.", "250"),
        ("Pay \u0663\u0660 EUR to Anna.", None),
    ],
)
def test_the_largest_amount_is_stated(text: str, amount: str | None) -> None:
    assert _sum(text) == amount


@pytest.mark.parametrize("part", ["1,", "1 ", "1 000", "$1 ", "eur 1 ", "1k ", "us$", "1 \u20ac a ", "1' "])
def test_a_long_message_is_read_in_linear_time(part: str) -> None:
    text = "pay " + part * 20_000
    begun = time.process_time()
    _sum(text)
    assert time.process_time() - begun < 2
