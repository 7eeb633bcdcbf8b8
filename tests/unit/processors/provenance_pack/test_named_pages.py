"""Pages that are opened after private and untrusted data were read (EGR-020)."""

from __future__ import annotations

import pytest

from simulation.records import UNTRUSTED, tool_entry
from tests.unit.processors.provenance_pack.talks import letter, talk
from tests.unit.processors.provenance_pack.tools import PERSON, READS
from tests.unit.processors.talk import Talk

FETCH = tool_entry(
    "web", "fetch", **{**READS, "open_world": True}, output_label=UNTRUSTED, sink_args=("/url",)
)  # fmt: skip
PAGE = "https://www.fonts.example/corda"


def _is_denied(session: Talk, **args: str) -> bool:
    verdict = session.judge(FETCH, args)
    return "EGR-020" in {hit.rule_id for hit in verdict.rules}


@pytest.mark.parametrize(
    ("url", "denied"),
    [
        (PAGE, False),
        ("https://www.fonts.example/CoRda", True),
        ("https://www.fonts.example/%63orda", True),
        ("https://www.fonts.example/corda///", True),
        ("https://www.fonts.example/corda')')))'", True),
        ("https://www.fonts.example/corda.", True),
        ("https://www.fonts.example:443/corda", True),
        ("https://www.font\u017f.example/corda", True),
        ("https://www.fonts.example/corda?code=4471", True),
        ("https://www.fonts.example/corda#4471", True),
        ("https://www.fonts.example/corda/mail", True),
        ("https://www.other.example/corda", True),
    ],
)
def test_a_page_that_the_user_has_named_carries_nothing_out(url: str, *, denied: bool) -> None:
    session = talk(FETCH)
    session.say(f"What is the price of the font on {PAGE}? Tell me in a mail.")
    session.read(PERSON, {"name": "Anna"}, {"name": "Anna", "code": "4471"})
    letter(session, "See https://www.other.example/corda for our own fonts.")
    assert _is_denied(session, url=url) is denied


def test_what_is_sent_with_it_can_carry_something() -> None:
    session = talk(FETCH)
    session.say(f"What is the price of the font on {PAGE}?")
    session.read(PERSON, {"name": "Anna"}, {"name": "Anna", "code": "4471"})
    letter(session, "The weather was good.")
    assert _is_denied(session, url=PAGE, params="code=4471")
    assert not _is_denied(session, url=PAGE)
