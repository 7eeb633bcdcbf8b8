"""Addresses that look like another one, in a real gate with the starter rules: no way to write them hides them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from simulation.records import UNTRUSTED, SessionMaker, tool_entry
from streams.model.catalog import ArgumentRole, ArgumentUse
from streams.model.verdict import Outcome, Verdict
from streams.provenance.sources.memory import ATOMS_MAX
from tests.carrying import MAILS, NOTE, NOTES
from tests.carrying import SEND as MAIL
from tests.kit import BUNDLE
from tests.starter import starter_source
from tests.unit.processors.office import SESSIONS, STAFF, Office, apart
from tests.unit.processors.talk import Talk

READS = {"read_only": True, "destructive": False, "open_world": False, "reversible": True}
LETTER = tool_entry("box", "open", **READS, output_label=UNTRUSTED)
LIST = tool_entry("box", "list", **READS, output_label=UNTRUSTED)
SEND = tool_entry(
    "box", "send", destructive=False, open_world=True, reversible=False, sink_args=("/to", "/to/*", "/text"),
    arg_roles=(ArgumentUse(path="/text", role=ArgumentRole.CONTENT),),
)  # fmt: skip
EDIT = tool_entry("box", "edit", destructive=False, open_world=False, reversible=True, sink_args=("/path",))
RIGHT = "billing@northlight.example"
FORGED = "billing@n0rthlight.example"
CYRILLIC = "n\u043erthlight.example"
PUNYCODE = "xn--nrthlight-02h.example"
LOOKS_KNOWN, LOOKS_OTHER = "PROV-022", "PROV-023"


@pytest.fixture
def talk() -> Talk:
    return Talk(starter_source().files, (LETTER, LIST, SEND, EDIT), scopes=("box:read", "box:write"))


def fired(verdict: Verdict) -> set[str]:
    assert verdict.errors == ()
    return {hit.rule_id for hit in verdict.rules}


def sent(talk: Talk, value: object, *, said: str = f"Ask {RIGHT} about m-7001 in a mail.") -> set[str]:
    """The rules that fire when a mail goes to what a letter that the user has pointed at names as a whole field."""
    talk.say(said)
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": value})
    return fired(talk.judge(SEND, {"to": value, "body": "Hello"}))


def test_the_right_address_runs(talk: Talk) -> None:
    assert not sent(talk, RIGHT) & {LOOKS_KNOWN, LOOKS_OTHER}


@pytest.mark.parametrize(
    "value",
    [
        FORGED,
        f"mailto:{FORGED}",
        f"mailto:{FORGED}?subject=Bill",
        f"kim@shop.example, {FORGED}",
        f"{RIGHT}; {FORGED}",
        f"Northlight <{FORGED}>",
        f"Northlight <{FORGED}>, Kim <kim@shop.example>",
        f"{FORGED}.",
        f"https://pay.example/?to={FORGED}",
        "https://pay.example/?next=https%3A%2F%2Fn0rthlight.example%2Fbill",
        f"https://pay.example/?next=https://other.example/?to={FORGED}",
        "https://pay.example/n0rthlight.example/bill",
        "billing%40n0rthlight.example",
        "//n0rthlight.example/bill",
        "\\\\n0rthlight.example\\bills",
        "https:\\\\n0rthlight.example\\bill",
        "https:/n0rthlight.example/bill",
        "ftp:n0rthlight.example",
        "ftp:northlgiht.example",
        "https:/kim@northlgiht.example",
        "billing@n0rthlight\u3002example",
        "; ".join([*(f"kim{number}@shop.example" for number in range(40)), FORGED]),
    ],
)
def test_an_address_is_compared_wherever_it_stands_in_the_value(talk: Talk, value: str) -> None:
    assert LOOKS_KNOWN in sent(talk, value)


@pytest.mark.parametrize(
    "value",
    [
        f"billing@{CYRILLIC}",
        f"https://{CYRILLIC}/bill",
        f"billing@{PUNYCODE}",
        f"https://{PUNYCODE}/bill",
        "https://mail.n\u043erthlight.example/bill",
        "billing@n\u043erthl1ght.example",
        "billing@n0rth1ight.example",
        "billing@\uff4eorthlight.example",
        "billing@northl\u00ecght.example",
        "https://n\u043erthlight\u3002example/bill",
    ],
)
def test_letters_of_another_alphabet_are_compared(talk: Talk, value: str) -> None:
    assert LOOKS_KNOWN in sent(talk, value)


def test_a_short_host_in_another_alphabet_is_the_same_to_the_eye(talk: Talk) -> None:
    assert LOOKS_KNOWN in sent(talk, "kim@\u0430cme.example", said="Ask kim@acme.example about m-7001 in a mail.")


def test_a_foreign_label_before_the_right_domain_is_no_look_alike(talk: Talk) -> None:
    assert LOOKS_KNOWN not in sent(talk, "https://p\u043ech.northlight.example/bill")


@pytest.mark.parametrize(
    "value",
    [
        "ftp://n0rthlight.example/bills",
        "wss://n0rthlight.example/bills",
        "ftp://n0rthlight.example:2121/bills",
        "https://n0rthlight.example:8443/bills",
        "n0rthlight.example:8443",
        "https://kim@n0rthlight.example/bills",
        "https://kim:pw@n0rthlight.example/bills",
        "https://a@b@n0rthlight.example/bills",
        f"https://{'a' * 500}@n0rthlight.example/bills",
    ],
)
def test_a_host_is_compared_behind_each_scheme_with_its_port_and_its_user(talk: Talk, value: str) -> None:
    assert LOOKS_KNOWN in sent(talk, value)


def test_the_name_of_a_bucket_is_compared(talk: Talk) -> None:
    said = "Put m-7001 into s3://northlight-bills/2026 in a mail."
    assert LOOKS_KNOWN in sent(talk, "s3://n0rthlight-bills/2026", said=said)


def test_a_right_host_is_known_by_its_port(talk: Talk) -> None:
    said = "Send m-7001 to https://northlight.example:8443/bills in a mail."
    assert LOOKS_KNOWN in sent(talk, "https://n0rthlight.example:8443/bills", said=said)


def test_links_in_a_long_text_are_content(talk: Talk) -> None:
    text = "The bill is at https://n0rthlight.example/bill, as he says. " * 6
    talk.say(f"Ask {RIGHT} about m-7001 in a mail.")
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "text": text})
    assert LOOKS_KNOWN not in fired(talk.judge(SEND, {"to": RIGHT, "text": text}))
    assert LOOKS_KNOWN in fired(talk.judge(SEND, {"to": RIGHT, "text": text[:60]}))


def test_labels_in_front_do_not_use_up_the_lookups(talk: Talk) -> None:
    labels = [f"{sign * 24}" for sign in "abcdef"]
    assert LOOKS_KNOWN in sent(talk, f"https://{'.'.join(labels)}.n0rthlight.cloudprovider.example/bill",
                               said="Ask https://northlight.cloudprovider.example about m-7001 in a mail.")  # fmt: skip


def test_a_host_of_more_lookalikes_than_are_looked_up_is_a_question(talk: Talk) -> None:
    labels = ["".join(chr(97 + (place + index) % 26) for index in range(60)) for place in range(3)]
    assert LOOKS_OTHER in sent(talk, f"https://{'.'.join(labels)}.example/bill")


@pytest.mark.parametrize("name", ["models.py", "src/models.py", "./models.py"])
def test_names_of_files_are_no_addresses_that_look_alike(talk: Talk, name: str) -> None:
    talk.say("Change model.py and all files beside it.")
    talk.read(LIST, {}, [{"name": "model.py"}, {"name": name}])
    assert not fired(talk.judge(EDIT, {"path": name})) & {LOOKS_KNOWN, LOOKS_OTHER}


@pytest.mark.parametrize("value", ["billing@n0rthlight.sh", "https://n0rthlight.sh/bill"])
def test_addresses_whose_last_label_could_end_a_file_are_compared(talk: Talk, value: str) -> None:
    assert LOOKS_KNOWN in sent(talk, value, said="Ask billing@northlight.sh about m-7001 in a mail.")


def companies(count: int) -> list[str]:
    return [f"kim@{chr(97 + number % 26)}ompanydepot{number}.example" for number in range(count)]


def test_a_list_of_companies_is_compared(talk: Talk) -> None:
    assert LOOKS_OTHER not in read_and_sent(talk, companies(120))


def test_a_list_that_uses_up_the_lookups_is_a_question(talk: Talk) -> None:
    long = [f"kim@{chr(97 + number % 26)}{'abcdefghijklmnopqrstuvw' * 2}{number}.example" for number in range(120)]
    assert LOOKS_OTHER in read_and_sent(talk, long)


def read_and_sent(talk: Talk, addresses: list[str]) -> set[str]:
    talk.say(f"Send the minutes to {RIGHT} and to all of m-7001 in a mail.")
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": addresses})
    return fired(talk.judge(SEND, {"to": addresses, "body": "Hello"}))


def test_a_session_without_room_asks_since_the_right_address_may_be_what_was_left_out(talk: Talk) -> None:
    talk.say("Answer m-7001 in a mail.")
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": FORGED})
    assert LOOKS_OTHER not in fired(talk.judge(SEND, {"to": FORGED, "body": "Hello"}))
    for part in flood():
        talk.read(LIST, {}, part)
    talk.read(LIST, {}, [{"id": "m-7002", "from": RIGHT}])
    assert LOOKS_OTHER in fired(talk.judge(SEND, {"to": FORGED, "body": "Hello"}))


def flood() -> Iterable[list[dict[str, str]]]:
    """More values of others than a session has room for."""
    for part in range(5):
        yield [{"code": f"FLD-{part}{number:05}"} for number in range(ATOMS_MAX // 4)]


RULES = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - id: P-2
    effect: deny
    match: {tools: [post.send]}
    when: 'origins.exists(o, o.sink && has(o.resembles) && o.resembles == "known")'
    reason: it looks like a known one
"""


@pytest.mark.parametrize("planted", [None, "northlight.example", "n0rhtlight.example", "n0rthlight.example"])
def test_nothing_that_others_plant_in_a_note_makes_a_look_alike_pass(planted: str | None) -> None:
    """The right address is in trusted data; others have had it, or another look-alike, written into a note."""
    office = Office(rules={"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES})
    first = office.opened(SESSIONS[0])
    if planted is not None:
        office.read(first, MAILS, f"Our address is billing@{planted}, by the way.")
        assert office.call(first, NOTE, {"text": f"Northlight: billing@{planted}"}).outcome is Outcome.ALLOW
    second = office.opened(apart(first))
    office.read(second, STAFF, RIGHT)
    office.read(second, NOTES, "Nothing new." if planted is None else f"Northlight: billing@{planted}")
    office.read(second, MAILS, f"My address is {FORGED}.")
    assert office.call(second, MAIL, {"to": FORGED}).outcome is Outcome.DENY


def test_the_host_of_the_user_himself_is_known() -> None:
    office = Office(rules={"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": RULES})
    session = office.opened(SessionMaker(sub="kim@northlight.example"))
    office.read(session, MAILS, f"My address is {FORGED}, and Paula's is paula@northlight.example.")
    assert office.call(session, MAIL, {"to": FORGED}).outcome is Outcome.DENY
    assert office.call(session, MAIL, {"to": "paula@northlight.example"}).outcome is Outcome.ALLOW
