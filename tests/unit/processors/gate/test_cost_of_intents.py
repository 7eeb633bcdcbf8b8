"""What an intent costs, counted in what other work on the machine can't change: see ADR 0094."""

from __future__ import annotations

import dis
import enum
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any, ClassVar

import pytest

from streams.model.canonical import canonical_args
from streams.model.verdict import Outcome
from streams.policy.cel import work
from streams.processors.rows import TimerKind, timer_payload, verdict_row_key
from streams.processors.session_row import SessionRow
from streams.provenance.atoms import shapes
from streams.provenance.atoms.found import AtomKind
from streams.provenance.extraction.arguments import arguments_in
from tests.unit.processors.provenance_pack.talks import talk
from tests.unit.processors.provenance_pack.tools import FILE, LETTER, SEND

LOOKS_MAX = 20
"""Before they were taken out of the functions that every intent comes through, there were 55 here."""
FUNCTIONS_MAX = 148
"""Before some were taken out, tracing a call called 167 functions here, then 149 and 142 (ADR 0107). Three further
facts take four."""
_LOG = ("/streams/inmemory/", "/streams/history/", "/tests/")


def test_an_intent_looks_at_few_members_of_enumerations() -> None:
    session = talk()
    session.say("Answer the letter m-7001, write to anna@home.example.")
    session.read(
        LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": "carl@other.example", "text": "See /var/log/app.txt"}
    )
    for _ in range(8):
        # Results that are awaited: what is done for each of them is what makes an intent slow.
        assert session.judge(LETTER, {"id": "m-7001"}).outcome is Outcome.ALLOW
    # The first call of a tool makes its rules into code.
    session.judge(SEND, {"to": ["anna@home.example"], "body": "Good day"})
    looks = _looks_at_members(lambda: session.judge(SEND, {"to": ["anna@home.example"], "body": "Hello"}))
    assert looks.total() < LOOKS_MAX, looks.most_common()


def _looks_at_members(run: Callable[[], object]) -> Counter[tuple[str, str]]:
    """Return how often code outside of the log in memory looks at a member of an enumeration by its name."""
    looks: Counter[tuple[str, str]] = Counter()

    def on_step(frame: FrameType, event: str, _arg: Any) -> Any:
        name = _members_in(frame.f_code).get(frame.f_lasti) if event == "opcode" else None
        if name is not None and isinstance(frame.f_globals.get(name[0]), enum.EnumType):
            looks[frame.f_code.co_qualname, ".".join(name)] += 1
        return on_step

    def on_call(frame: FrameType, _event: str, _arg: Any) -> Any:
        if any(part in frame.f_code.co_filename for part in _LOG):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return on_step

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        run()
    finally:
        sys.settrace(before)
    return looks


@cache
def _members_in(code: CodeType) -> dict[int, tuple[str, str]]:
    """Return the names that code looks up in what one of its globals is, by the place of the instruction."""
    steps = list(dis.get_instructions(code))
    pairs = pairwise(steps)
    return {
        after.offset: (before.argval, after.argval)
        for before, after in pairs
        if before.opname == "LOAD_GLOBAL" and after.opname == "LOAD_ATTR" and after.argval.isupper()
    }


def test_what_a_session_has_read_is_joined_once_for_an_intent(monkeypatch: pytest.MonkeyPatch) -> None:
    session = talk()
    session.judge(FILE, {"path": "/workspace/plan.txt"})
    joined, join = [], SessionRow.effective_label
    monkeypatch.setattr(SessionRow, "effective_label", lambda row: joined.append(row) or join(row))
    session.judge(SEND, {"to": ["anna@home.example"], "body": "Hello"})
    assert len(joined) == 1


def test_few_functions_are_called_to_trace_a_call() -> None:
    session = talk()
    session.say("Send invoice INV-20003 to anna@home.example.")
    session.read(
        LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": "carl@other.example", "text": "INV-20003 is 45.5 EUR"}
    )
    args = {"to": "anna@home.example", "subject": "Invoice INV-20003", "body": "The invoice is attached."}
    session.judge(SEND, args)
    calls = _calls_to_trace(lambda: session.judge(SEND, args))
    assert calls.total() < FUNCTIONS_MAX, calls.most_common()


def test_addresses_are_not_taken_apart_in_a_session_that_has_read_nothing() -> None:
    args = {"to": ["bob@shop.example"], "body": "See https://shop.example/orders/INV-20003?by=carl7.lee8"}
    session = talk()
    session.judge(SEND, args)
    assert "pieces_of" not in _calls_to_trace(lambda: session.judge(SEND, args))
    session.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": "carl@other.example", "text": "Hello"})
    assert "pieces_of" in _calls_to_trace(lambda: session.judge(SEND, args))


def _calls_to_trace(run: Callable[[], object]) -> Counter[str]:
    """Return how often each function of provenance is called."""
    calls: Counter[str] = Counter()

    def on_call(frame: FrameType, event: str, _arg: Any) -> None:
        if event == "call" and "/provenance/" in frame.f_code.co_filename:
            calls[frame.f_code.co_qualname] += 1

    before = sys.getprofile()
    sys.setprofile(on_call)
    try:
        run()
    finally:
        sys.setprofile(before)
    return calls


def test_a_path_of_a_usual_form_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_classify", None)
    (argument,), are_all = arguments_in({"path": "/Workspace/it/billing.txt"})
    assert are_all
    assert [(each.kind, each.value) for each in argument.wholes] == [(AtomKind.PATH, "/workspace/it/billing.txt")]
    assert not argument.is_usual


@pytest.mark.parametrize("value", [True, 7, 0.5, None])
def test_a_single_value_has_no_size_whatever_it_is_not(value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "Mapping", None)
    assert work.by_size((value, {"a": 1})) == 2


class _Asked(bytes):
    """A key that notes what is looked for in it: bytes are, by an error that is made and dropped."""

    kinds: ClassVar[set[type]] = set()

    def __contains__(self, item: Any) -> bool:
        self.kinds.add(type(item))
        return super().__contains__(item)


def test_keys_are_searched_for_a_number() -> None:
    key = _Asked(b"acme/s-1")
    assert verdict_row_key(key, "i-1").endswith(b"acme/s-1\x00i-1")
    assert timer_payload(TimerKind.PENDING, key).endswith(b"acme/s-1\x00")
    assert key.kinds == {int}


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"a":0.5}', b'{"a":0.5}'),
        ('{"a":1.0}', b'{"a":1}'),
        ('{"a":12345678901234567}', None),
        ('{"a":"\\u0041"}', b'{"a":"A"}'),
        ('{"a":"\u00e9"}', '{"a":"\u00e9"}'.encode()),
        ('{"a":"x"}', b'{"a":"x"}'),
    ],
)
def test_numbers_and_escapes_still_get_their_care(text: str, canonical: bytes | None) -> None:
    if canonical is None:
        with pytest.raises(ValueError, match="integer"):
            canonical_args(text)
        return
    assert canonical_args(text)[1] == canonical
