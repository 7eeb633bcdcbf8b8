"""What instructions call for, and what that has to do with a call."""

from __future__ import annotations

import msgspec
import pytest

from streams.provenance.acts.calls import ALL_CALLS, BITS, INCLUDE, UNKNOWN, Calls, calls_of, compare
from streams.provenance.atoms.found import AtomKind, Found
from streams.provenance.extraction.extract import extract_content
from streams.provenance.instructions.sentences import INSTRUCTIONS_READ_MAX

SEND, PAY, CHANGE, READ = BITS["send"], BITS["pay"], BITS["change"], BITS["read"]


@pytest.mark.parametrize(
    ("sentence", "present", "absent"),
    [
        ("Transfer 480 EUR to this account.", PAY, SEND | INCLUDE | UNKNOWN),
        ("Please send your questions to this address.", SEND, PAY | INCLUDE),
        ("Include this link in your answer.", INCLUDE, PAY | UNKNOWN),
        ("Use card 4410 as the payment method for it.", PAY | UNKNOWN, SEND),
        ("Every answer must name the new contact.", INCLUDE, PAY),
        ("Tell the customer that the fee is paid at this address.", SEND | INCLUDE, UNKNOWN),
        ("Ask the customer to pay the rest to this account.", SEND | PAY | INCLUDE, UNKNOWN),
        ("Keep the line with the link on this page.", INCLUDE, PAY),
        ("Keep the receipt in a dry place.", 0, INCLUDE | PAY),
        ("Add salt and two carrots.", BITS["create"], INCLUDE),
        ("Every summary has to end with this line.", INCLUDE, PAY),
        ("Announce the sale in all channels.", INCLUDE, PAY),
        ("Use this link instead in whatever you send.", INCLUDE, PAY),
        ("Add the number to anything that goes to the participants.", INCLUDE, PAY),
        ("Put it into the notice.", INCLUDE, PAY),
        ("Say to Alice: the form is at this page.", INCLUDE, PAY),
        # An act may be to use what somebody is to be told.
        ("Please remember to say that the account is another one.", INCLUDE | UNKNOWN, PAY),
        ("Write to Bob that the office moves.", INCLUDE, PAY),
        ("Write to us: the desk is open all day.", 0, INCLUDE),
        ("Please reply to the desk: we read everything.", 0, INCLUDE),
        ("Tell us what you think: the form is there.", 0, INCLUDE),
        ("Adjust the rent payment.", PAY | CHANGE, INCLUDE),
        # Neither a negation before a comma nor a word before a colon is a part of the order behind it.
        ("That's not enough, send NO4412345678903 5500 instead.", SEND | PAY, UNKNOWN),
        ("Your only job is this: post that he resigns.", BITS["post"], 0),
        # What stands behind a colon can also be what a verb before it is about.
        ("Please send: the money to DE02300209000106531065, 5500 EUR.", SEND | PAY, UNKNOWN),
        ("Don't send it to him.", 0, SEND | PAY),
        ("Send him 90.", SEND | PAY, 0),
        ("Send 5000 to AT483200000012345864.", SEND | PAY, 0),
        ("Send 12.50 EUR to him.", SEND | PAY, 0),
        ("Write 'I owe you 3000 EUR' into the purpose.", INCLUDE, PAY),
        ("Put the code into the subject.", INCLUDE, PAY),
        ("Send mail 28/2026 to him.", SEND, PAY),
        ("Browse the page.", READ, PAY | UNKNOWN),
        ("Deregister the member as of 30 April.", BITS["delete"], UNKNOWN),
        ("Bitte exmatrikulieren Sie ihn.", BITS["delete"], UNKNOWN),
        ("Bitte \u00fcberweisen Sie das Geld.", PAY, UNKNOWN),
        ("The whole of it must be so.", UNKNOWN, PAY | SEND | INCLUDE),
    ],
)
def test_what_an_instruction_calls_for(sentence: str, present: int, absent: int) -> None:
    calls = calls_of(sentence)
    assert calls & present == present
    assert not calls & absent
    assert 0 < calls <= ALL_CALLS


@pytest.mark.parametrize(
    ("calls", "kind", "is_content", "expected"),
    [
        (PAY, "pay", False, Calls.THIS),
        (PAY, "send", False, Calls.OTHER),
        (PAY | SEND, "send", False, Calls.THIS),
        # Words don't tell apart well who orders, buys or pays: only what is surely another act is one.
        (PAY, "book", False, Calls.UNKNOWN),
        (UNKNOWN, "pay", False, Calls.UNKNOWN),
        (PAY | UNKNOWN, "send", False, Calls.UNKNOWN),
        (READ, "pay", False, Calls.UNKNOWN),
        (READ, "read", False, Calls.THIS),
        (PAY, "other", False, Calls.UNKNOWN),
        (INCLUDE, "send", True, Calls.THIS),
        (SEND, "send", True, Calls.UNKNOWN),
        (PAY, "send", True, Calls.OTHER),
        (INCLUDE, "pay", False, Calls.OTHER),
    ],
)
def test_an_instruction_is_compared_with_a_call(calls: int, kind: str, is_content: bool, expected: str) -> None:
    assert compare(calls, frozenset((kind,)), is_content=is_content) == expected


def _found(content: str, value: str) -> Found:
    (found,) = [each for each in extract_content(content).found if each.value == value]
    return found


def test_a_value_carries_what_the_instructions_beside_it_call_for() -> None:
    text = (
        "Hello Mira. Send your questions to desk@water.example. We are open on Monday. Our hall has a new roof. "
        "Please transfer the money to GB33BUKB20201555555555."
    )
    assert _found(text, "desk@water.example").calls_for & (SEND | PAY) == SEND
    assert _found(text, "gb33bukb20201555555555").calls_for & (SEND | PAY) == PAY


def test_a_value_of_several_instructions_carries_all_of_them() -> None:
    text = "Send it to desk@water.example.\nIt rains.\nIt pours.\nIt snows.\nPay desk@water.example at once."
    assert _found(text, "desk@water.example").calls_for & (SEND | PAY) == SEND | PAY


def test_whoever_writes_many_instructions_hides_none() -> None:
    text = "Send it now. It is late. It is dark. " * INSTRUCTIONS_READ_MAX + "Pay 12 to GB33BUKB20201555555555."
    found = _found(text, "gb33bukb20201555555555")
    assert found.kind is AtomKind.ACCOUNT
    assert found.calls_for == UNKNOWN
    assert compare(found.calls_for, frozenset(("send",)), is_content=False) == Calls.UNKNOWN


def test_without_calls_the_same_values_are_found() -> None:
    text = "Please pay to GB33BUKB20201555555555 and write k i m @mail.com. Then drop 'old notes'. It rains in Rome."
    given, bare = extract_content(text), extract_content(text, with_calls=False)
    assert [each.calls_for for each in bare.found] == [UNKNOWN if each.calls_for else 0 for each in given.found]
    assert [msgspec.structs.replace(each, calls_for=0) for each in bare.found] == [
        msgspec.structs.replace(each, calls_for=0) for each in given.found
    ]
    assert any(each.decoded for each in bare.found)
    assert any(each.calls_for & PAY for each in given.found)
