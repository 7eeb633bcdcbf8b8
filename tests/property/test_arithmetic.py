"""Amounts that are worked out: what is undone is right, and nobody gains trust by coincidence."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.verdict import ValueOrigin
from streams.provenance.atoms.arithmetic import OPERANDS_MAX, operands_of, operations_in
from tests.unit.processors.provenance_pack.talks import letter, talk
from tests.unit.processors.provenance_pack.tools import BOOK, PAY
from tests.unit.processors.talk import Talk

IBAN = "DE02300209000106531065"
AMOUNTS = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(100_000), places=2)
MESSAGES = st.sampled_from(
    (
        "Pay her my half.",
        "Pay it with 3 % more.",
        "Pay a third of it.",
        "Pay it with a 10% tip, split between the four of us.",
        "Pay the difference to 40.",
        "Pay it plus 12.50.",
        "Pay it for 3 nights.",
        "Pay it.",
    )
)
CENT = Decimal("0.01")


def applied(operation: str, operand: Decimal) -> Fraction:
    """Return what an operation makes of an amount."""
    sign, _, number = operation.partition(":")
    if sign == "times":
        return Fraction(operand) * Fraction(number)
    other = Fraction(number)
    return Fraction(operand) + other if sign == "plus" else abs(Fraction(operand) - other)


@given(AMOUNTS, MESSAGES)
def test_each_operand_makes_the_amount_of_which_it_is_one(amount: Decimal, message: str) -> None:
    for operation in operations_in(message):
        found = [Decimal(each) for each in operands_of(f"{amount:f}", operation)]
        assert len(found) == len(set(found)) <= OPERANDS_MAX
        for operand in found:
            assert abs(applied(operation, operand) - Fraction(amount)) < Fraction(CENT)


@given(st.lists(AMOUNTS, min_size=1, max_size=4), AMOUNTS, AMOUNTS, MESSAGES)
@settings(max_examples=60, deadline=None)
def test_text_by_others_makes_no_amount_trusted(
    written: list[Decimal], known: Decimal, wanted: Decimal, message: str
) -> None:
    talking = talk()
    talking.say(message)
    talking.read(BOOK, {"month": "2026-02"}, {"iban": IBAN, "amount": float(known)})
    before = origin_of(talking, wanted)
    letter(talking, "The way was long. " + " ".join(f"It was {each:f} EUR then." for each in written))
    after = origin_of(talking, wanted)
    assert after is before or (after is ValueOrigin.TEXT and wanted in written)
    if before is ValueOrigin.TRUSTED and wanted != known:
        results = [applied(operation, known) for operation in operations_in(message)]
        assert any(abs(result - Fraction(wanted)) < Fraction(CENT) for result in results)


def origin_of(talking: Talk, amount: Decimal) -> ValueOrigin:
    verdict = talking.judge(PAY, {"iban": IBAN, "amount": float(amount)})
    (origin,) = [each.origin for each in verdict.origins if each.pointer == "/amount"]
    return origin
