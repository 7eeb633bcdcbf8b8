"""Whatever bytes come on whatever input, the gate goes on, and nothing vanishes."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.records import SessionMaker, entry_key, revocation, ruleset
from streams.history.recording import place_of
from streams.model.audit import AuditEventType
from streams.model.errors import RecordError
from streams.model.revocation import RevocationKind
from streams.model.topics import (
    APPROVAL_DECISION,
    CATALOG,
    DELEGATION,
    INTENT,
    REVOCATION,
    RULESET,
    SESSION,
)
from streams.model.types import Record
from streams.ports import Received
from streams.topology import GATE
from tests.kit import BUNDLE_FILES, FILES_READ, START_MS, GateBench, wire

INPUTS = (SESSION.name, DELEGATION.name, APPROVAL_DECISION.name, INTENT.name)
CONTROL = (REVOCATION.name, CATALOG.name, RULESET.name)
FEW = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def well_formed() -> dict[str, tuple[bytes, Record]]:
    """A record for each topic, with its key."""
    maker = SessionMaker()
    intent = maker.intent(FILES_READ, {"path": "a.txt"}, START_MS)
    return {
        SESSION.name: (maker.key, maker.established(START_MS)),
        DELEGATION.name: (maker.key, maker.grant("g-1", START_MS)),
        APPROVAL_DECISION.name: (maker.key, maker.decision(intent, "lena", START_MS)),
        INTENT.name: (maker.key, intent),
        REVOCATION.name: revocation(RevocationKind.MODEL, "example/m", time_ms=START_MS),
        CATALOG.name: (entry_key(FILES_READ), FILES_READ),
        RULESET.name: (b"default", ruleset(BUNDLE_FILES, serial=7)),
    }


@st.composite
def mangled(draw: st.DrawFn) -> tuple[str, bytes | None, bytes | None]:
    """A topic, a key and a value: noise, or a good record with some bytes of it changed, cut or added."""
    topic = draw(st.sampled_from((*INPUTS, *CONTROL)))
    good_key, record = well_formed()[topic]
    # A broker refuses records without a key on compacted topics.
    key = draw(st.sampled_from((good_key, None if topic in INPUTS else b"")) | st.binary(max_size=40))
    if draw(st.booleans()):
        return topic, key, draw(st.none() | st.binary(max_size=200))
    value = bytearray(wire().encode(topic, record))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(value) - 1, 0)))
        how = draw(st.sampled_from(("change", "cut", "add")))
        if how == "cut":
            del value[at:]
        elif how == "add":
            value[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif value:
            value[at] = draw(st.integers(0, 255))
    return topic, key, bytes(value)


@FEW
@given(st.lists(mangled(), min_size=1, max_size=12))
def test_any_bytes_on_any_input_lead_to_something_and_stop_nothing(records: list[tuple[str, bytes, bytes]]) -> None:
    bench = GateBench()
    sent = [bench.driver.pipe(topic, key, value) for topic, key, value in records]
    letters = _letters(bench)
    audited = [place for audit in bench.audits(AuditEventType.DEAD_LETTER) for place in audit.inputs]
    assert sorted(audited) == sorted(letters)
    assert len(set(letters)) == len(letters)
    for received in sent:
        assert place_of(received) in letters or _is_readable(received), f"{place_of(received)} vanished"
    bench.verdicts()
    other = SessionMaker("s-after", tenant="globex")
    bench.establish(other)
    bench.propose(session=other)
    assert len(bench.verdicts()) == 1


def _letters(bench: GateBench) -> list[str]:
    topics = [topic.dlq for topic in (*GATE.inputs, *GATE.broadcast) if topic.dead_letters]
    found = [dict(letter.headers) for letter in bench.driver.read_raw(*topics)]
    parts = ("topic", "partition", "offset")
    return ["/".join(headers[f"__connect.errors.{part}"].decode() for part in parts) for headers in found]


def _is_readable(received: Received) -> bool:
    """Whether it may have meant something: it decodes, or is a tombstone of a control topic."""
    if received.value is None:
        return received.topic in CONTROL and received.key is not None
    try:
        wire().decode(received.topic, received.value, received.headers)
    except RecordError:
        return False
    return True


@FEW
@given(st.lists(st.tuples(st.sampled_from(INPUTS), st.binary(max_size=300)), min_size=1, max_size=30))
def test_noise_is_all_dead_letters(noise: list[tuple[str, bytes]]) -> None:
    bench = GateBench(partitions=3)
    for topic, value in noise:
        bench.driver.pipe(topic, value[:20], value)
    assert len(_letters(bench)) == len(noise)
    assert bench.judge().outcome.value == "ALLOW"


LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@FEW
@given(st.text(max_size=60), JSON)
def test_any_arguments_get_a_verdict(text: str, value: object) -> None:
    bench = GateBench()
    for args in (text, json.dumps(value), json.dumps({"path": value})):
        bench.propose(FILES_READ, args)
    assert len(bench.verdicts()) + len(_letters(bench)) == 3
    assert bench.judge().outcome.value == "ALLOW"
