"""What the watch reads of verdicts and audit records is what they say, whoever wrote them and however they end."""

from __future__ import annotations

from typing import get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.fleet.fleet import Plan, make_fleet
from simulation.fleet.records import audit_of, verdict_of
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas, record_class
from streams.codec.wire import CodecWire
from streams.history.driver import Driver
from streams.model.audit import Seal
from streams.model.catalog import ArgumentRole
from streams.model.errors import RecordError
from streams.model.keys import session_key_of
from streams.model.reasons import DeadLetterReason
from streams.model.topics import AUDIT, BEHAVIOUR, SEAL, VERDICT
from streams.model.types import Record, ToolRef
from streams.model.verdict import ArgumentOrigin, ValueOrigin
from streams.ports import Outgoing
from streams.processors.watch.features import behaviour_of
from streams.processors.watch.keying import Keying
from streams.processors.watch.seen import SEEN, SeenVerdict
from streams.topology import KEYING
from tests.unit.processors.watch.watch_bench import QUICK, SHIPPED

WHOLE = Codec(CommittedSchemas.load())
IN_PART = WHOLE.reading(SEEN)
FLEET = [each.activity for each in make_fleet(9, Plan(4, 3, 1, 0.2, 1))][:200]


def fields_of(kind: type[Record]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def assert_part(part: object, whole: object) -> None:
    """A field of a part is equal to that of the whole, or is a part of it."""
    if isinstance(part, tuple) and isinstance(whole, tuple):
        assert len(part) == len(whole)
        for each, other in zip(part, whole, strict=True):
            assert_part(each, other)
        return
    if type(part) is type(whole):
        assert part == whole
        return
    assert isinstance(part, Record)
    for name in fields_of(type(part)):
        assert_part(getattr(part, name), getattr(whole, name))


def test_the_parts_of_a_record_are_those_of_the_whole() -> None:
    for each in FLEET:
        for topic, record in ((VERDICT.name, verdict_of(each)), (AUDIT.name, audit_of(each))):
            part = IN_PART.decode(topic, WHOLE.encode(topic, record))
            assert type(part) is SEEN[topic]
            assert_part(part, record)
        verdict = verdict_of(each)
        seen = IN_PART.decode(VERDICT.name, WHOLE.encode(VERDICT.name, verdict))
        assert isinstance(seen, SeenVerdict)
        assert behaviour_of(SHIPPED.features, seen) == behaviour_of(SHIPPED.features, verdict)


def test_what_the_catalog_says_of_arguments_is_read() -> None:
    origins = (
        ArgumentOrigin(pointer="/mark", role=ArgumentRole.DESTINATION, origin=ValueOrigin.TEXT, instructed=True),
        ArgumentOrigin(pointer="/weight", role=ArgumentRole.AMOUNT, paths=("a.b",)),
    )
    verdict = msgspec.structs.replace(
        verdict_of(FLEET[0]),
        tool=ToolRef(server_id="post", name="office"),
        args_json='{"mark": "https://drop.example/x", "weight": 3}',
        origins=origins,
    )
    seen = IN_PART.decode(VERDICT.name, WHOLE.encode(VERDICT.name, verdict))
    assert_part(seen, verdict)
    assert isinstance(seen, SeenVerdict)
    event = behaviour_of(SHIPPED.features, seen)
    assert (event.destination, event.amount) == ("drop.example", 3.0)
    assert event == behaviour_of(SHIPPED.features, verdict)


def items_of(kind: object) -> tuple[object, ...]:
    """Return the classes of a tuple's items, or the class itself."""
    return get_args(kind) if get_origin(kind) is tuple else (kind,)


def is_part(kind: object, whole: object) -> bool:
    """Return whether a class has a part of the fields of another one, with the same types and defaults."""
    classes = isinstance(kind, type) and isinstance(whole, type) and issubclass(kind, Record) and kind is not whole
    if not classes:
        return False
    fields, of = fields_of(kind), fields_of(whole)
    return all((of[name].type, of[name].default) == (field.type, field.default) for name, field in fields.items())


@pytest.mark.parametrize("topic", SEEN)
def test_fields_have_the_types_and_defaults_of_the_record(topic: str) -> None:
    whole = fields_of(record_class(topic))
    for name, field in fields_of(SEEN[topic]).items():
        wanted = whole[name]
        assert (field.default, field.required) == (wanted.default, wanted.required)
        mine, its = items_of(field.type), items_of(wanted.type)
        assert len(mine) == len(its)
        for each, other in zip(mine, its, strict=True):
            if not is_part(each, other):
                assert each == other


@pytest.mark.parametrize("topic", SEEN)
def test_a_value_that_ends_too_early_or_too_late_is_no_record(topic: str) -> None:
    record = verdict_of(FLEET[0]) if topic == VERDICT.name else audit_of(FLEET[0])
    value = WHOLE.encode(topic, record)
    for cut in (*(value[:end] for end in range(len(value))), value + b"\x00"):
        with pytest.raises(RecordError) as raised:
            IN_PART.decode(topic, cut)
        assert raised.value.reason in DeadLetterReason


@given(at=st.integers(5, 10_000), byte=st.integers(0, 255), topic=st.sampled_from(sorted(SEEN)))
@settings(max_examples=300)
def test_bytes_that_are_wrong_never_do_more_than_raise(at: int, byte: int, topic: str) -> None:
    record = verdict_of(FLEET[0]) if topic == VERDICT.name else audit_of(FLEET[0])
    value = bytearray(WHOLE.encode(topic, record))
    value[5 + at % (len(value) - 5)] = byte
    try:
        whole = WHOLE.decode(topic, bytes(value))
    except RecordError:
        # What is skipped is looked at less closely, and may pass.
        try:
            IN_PART.decode(topic, bytes(value))
        except RecordError:
            return
    else:
        assert_part(IN_PART.decode(topic, bytes(value)), whole)


def test_other_records_of_these_topics_are_read_whole() -> None:
    seal = Seal(
        header=audit_of(FLEET[0]).header,
        partition=0,
        first=7,
        frontier=b"",
        leaves=b"\x01" * 32,
        kinds=b"A",
        continues=False,
        signed_head="head",
    )
    assert IN_PART.decode(VERDICT.name, WHOLE.encode(SEAL.name, seal)) == seal


def test_keying_writes_the_same_whichever_way_it_reads() -> None:
    written = []
    for codec in (WHOLE, IN_PART):
        wire = CodecWire(codec)
        driver = Driver(spec=KEYING, processor=Keying(wire, SHIPPED.features, QUICK), wire=wire, start_ms=1)
        for each in FLEET:
            key = session_key_of(each.tenant, each.session)
            for topic, record in ((VERDICT.name, verdict_of(each)), (AUDIT.name, audit_of(each))):
                value = WHOLE.encode(topic, record)
                driver.log.append(Outgoing(topic, 0, key, value), timestamp_ms=each.time_ms)
        driver.clock.set_ms(FLEET[-1].time_ms)
        driver.settle()
        written.append([(r.key, r.value) for _, r in driver.log.written_since([BEHAVIOUR.name], -1)])
    assert written[0] == written[1]
    assert len(written[0]) >= len(FLEET)
