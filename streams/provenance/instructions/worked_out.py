"""Orders that say how to work a number out: "order ten times as much", "half of the credit is to be paid out".

What comes out stands nowhere, so nothing connects it with the order. A gate that finds a number from nowhere after such
an order has to expect that this is the one.
"""

from __future__ import annotations

from streams.provenance.sieved import Sieved

_FEW = (
    r"(?:(?<![\d.,])\d[\d.,]{0,15}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
    r"|sixty|hundred"
    r"|thousand|several)"
)
_WORKS_OUT = Sieved(
    # "Ten times as much", "four times the amount"
    rf"\b{_FEW} times (?:as|the|that|this|what|more)\b|\b(?:twice|double|triple|treble|quadruple|halve|tenfold)\b"
    r"|\b(?:double|triple|halv)(?:d|ed|ing)\b"
    # "Half of the credit", "a third of it"
    r"|\b(?:half|(?:a|one|two|three) (?:third|quarter|fifth|tenth)s?)(?: of)? (?:of|the|it|that|this|what|all)\b"
    # "Ten degrees more", "20 EUR less", "by adding 1000", "plus 5", "with a surcharge of ten percent"
    rf"|\b{_FEW} (?:[\w$\u20ac\u00a3%-]{{1,20}} )?(?:more|less|fewer|higher|lower|extra|on top)\b"
    rf"|\b(?:adding|plus|minus|subtract|subtracting|deduct|deducting) {_FEW}\b|\badd {_FEW} (?:\w{{1,12}} )?to (?:it"
    rf"|the|that)\b"
    rf"|\b(?:increas(?:e|ing)|reduc(?:e|ing)|rais(?:e|ing)|lower(?:ing)?)\b[^.!?\n]{{0,40}}? by {_FEW}\b"
    rf"|\b{_FEW} ?(?:%|per ?cent\b)"
)


def says_how_to_work_out(instruction: str) -> bool:
    """Return whether an instruction says how a number is worked out.

    Args:
        instruction: one sentence, in any case.
    """
    return _WORKS_OUT.search(instruction.lower()) is not None
