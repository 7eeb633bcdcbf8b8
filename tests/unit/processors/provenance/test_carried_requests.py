"""What the user has counted, named as a sum, or left out holds in the sessions to which an agent delegates, too."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from simulation.records import ROOT_KEY, tool_entry
from streams.model.session import SessionEventType, TaskScope
from streams.model.topics import REPORT
from streams.model.verdict import Verdict
from streams.provenance.acts.kinds import SUM
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import described
from tests.starter import starter_source
from tests.unit.processors.office import SESSIONS, Office, apart
from tests.unit.processors.provenance_pack.tools import ACTS, AMOUNT, LETTER

PAY = tool_entry("bank", "pay", **ACTS, sink_args=("/iban",), schema=AMOUNT)
RESERVE = tool_entry("trips", "reserve_room", **ACTS, kind="book")
WRITE = tool_entry("post", "send", **ACTS, sink_args=("/to",))
IBAN = "DE02300209000106531065"
CALM = "It was a long way, and the weather was good on all of the days."


class Delegating:
    """A session to which the user speaks, and one that an agent has opened for the same conversation."""

    def __init__(self, **fields: str) -> None:
        self.office = Office(entries=(LETTER, PAY, RESERVE, WRITE), rules=starter_source().files)
        self.own, self.sub = SESSIONS[0], apart(SESSIONS[0])
        for session in (self.own, self.sub):
            self.office.establish(session, scopes=("box:read",), **fields)

    def say(self, text: str) -> None:
        self.office.say(self.own, text, conversation_id="talk")

    def read(self) -> None:
        self.office.read(self.sub, LETTER, CALM, "talk")

    def judge(self, entry: object, args: dict[str, object]) -> set[str]:
        verdict: Verdict = self.office.call(self.sub, entry, args, "talk")
        return {hit.rule_id for hit in verdict.rules if hit.rule_id.startswith("PROV")}


@pytest.fixture
def delegating() -> Delegating:
    return Delegating()


def test_what_he_has_counted_is_known(delegating: Delegating) -> None:
    delegating.say("Book a room for 14 nights, for two persons.")
    delegating.read()
    assert "PROV-094" in delegating.judge(RESERVE, {"nights": 3650})
    assert "PROV-094" in delegating.judge(RESERVE, {"guests": 8})
    assert "PROV-094" not in delegating.judge(RESERVE, {"nights": 14, "guests": 2})
    assert "PROV-094" not in delegating.judge(RESERVE, {"beds": 8})


def test_the_largest_amount_is_known(delegating: Delegating) -> None:
    delegating.say(f"Pay 250.50 EUR to {IBAN}.")
    delegating.read()
    assert "PROV-093" in delegating.judge(PAY, {"iban": IBAN, "amount": 5000})
    assert "PROV-093" not in delegating.judge(PAY, {"iban": IBAN, "amount": 250.5})


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-5", "much", "1e999999999", "9" * 40])
def test_an_amount_that_cannot_be_read_covers_none(amount: str, delegating: Delegating) -> None:
    scopes = (TaskScope(kind="pay"), TaskScope(kind=SUM, amount_max=amount))
    text = f"Pay 250 EUR to {IBAN}."
    session, office = delegating.own, delegating.office
    event = session.event(SessionEventType.USER_MESSAGE, office.now_ms, conversation_id="talk")
    event = replace(described(event, text, atom_key(ROOT_KEY, session.tenant, session.sub)), task_scopes=scopes)
    office.driver.pipe(REPORT.name, session.key, session.proven(event))
    delegating.read()
    assert "PROV-093" in delegating.judge(PAY, {"iban": IBAN, "amount": 5000})


def test_it_holds_until_he_asks_for_something_else(delegating: Delegating) -> None:
    delegating.say(f"Book a room for 14 nights, and pay 250 EUR to {IBAN}.")
    delegating.read()
    delegating.office.wait(60_000)
    delegating.say("Now book another room, and pay the rent.")
    assert "PROV-094" not in delegating.judge(RESERVE, {"nights": 3650})
    assert "PROV-093" not in delegating.judge(PAY, {"iban": IBAN, "amount": 5000})


def test_a_purpose_limits_a_session_whose_user_has_asked_for_nothing() -> None:
    delegating = Delegating(purpose="book a room for 14 nights")
    delegating.say("Good morning.")
    delegating.read()
    assert "PROV-094" in delegating.judge(RESERVE, {"nights": 3650})


def test_whom_he_has_left_out_is_known(delegating: Delegating) -> None:
    delegating.say("Mail the report to anna@home.example, but not to eve@other.example.")
    assert "PROV-095" in delegating.judge(WRITE, {"to": "eve@other.example"})
    assert "PROV-095" not in delegating.judge(WRITE, {"to": "anna@home.example"})


def test_what_he_has_left_out_elsewhere_he_may_name_here(delegating: Delegating) -> None:
    delegating.say("Mail the report to anna@home.example, but not to eve@other.example.")
    delegating.office.say(delegating.sub, "Mail eve@other.example.", conversation_id="talk")
    assert "PROV-095" not in delegating.judge(WRITE, {"to": "eve@other.example"})
