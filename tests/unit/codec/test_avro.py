"""Framings, bounds and refusals of the codec."""

from __future__ import annotations

import time
from operator import is_

import msgspec
import pytest

from streams.codec.avro import VALUE_BYTES_MAX, WRITTEN_BYTES_MAX, Codec
from streams.codec.encoding_cache import FORMS_MAX, Forms
from streams.codec.scalars import ARRAY_ITEMS_MAX, INSTANT_MS_MAX, INSTANT_MS_MIN
from streams.codec.schemas import CommittedSchemas
from streams.model.approval import ApprovalDecision
from streams.model.control import Baseline
from streams.model.delegation import Delegation, GrantBody
from streams.model.errors import InvariantError, RecordError
from streams.model.intent import Intent
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REPORT, SESSION
from streams.model.types import Actor, Recurring
from tests.records import ACTOR, HEADER, INTENT

SCHEMAS = CommittedSchemas.load()
CODEC = Codec(SCHEMAS)
TOPIC = "agent.intent.v1"
VALUE = CODEC.encode(TOPIC, INTENT)
GUID = SCHEMAS.current(TOPIC).guid
BASELINE = Baseline(header=HEADER, agent="a", epoch="e", version=1, intents_count=2, state=b"")


def refusal(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = (), topic: str = TOPIC) -> RecordError:
    with pytest.raises(RecordError) as raised:
        CODEC.decode(topic, value, headers)
    return raised.value


def altered(old: bytes, new: bytes) -> bytes:
    """The intent's value with the one place that reads `old` made `new`."""
    assert VALUE.count(old) == 1, "pick bytes that are there once"
    return VALUE.replace(old, new)


class TestFramings:
    def test_the_prefix_is_a_zero_and_the_schema_id(self) -> None:
        assert VALUE[:5] == b"\x00" + SCHEMAS.current(TOPIC).id.to_bytes(4, "big")
        assert CODEC.decode(TOPIC, VALUE) == INTENT

    def test_the_guid_may_stand_in_the_header(self) -> None:
        headers = (("traceparent", b"00"), ("__value_schema_id", b"\x01" + GUID))
        assert CODEC.decode(TOPIC, VALUE[5:], headers) == INTENT

    def test_the_id_may_stand_in_the_header(self) -> None:
        assert CODEC.decode(TOPIC, VALUE[5:], (("__value_schema_id", VALUE[:5]),)) == INTENT

    def test_the_header_of_the_keys_schema_is_none_of_ours(self) -> None:
        assert CODEC.decode(TOPIC, VALUE, (("__key_schema_id", b"\x01" + GUID),)) == INTENT

    @pytest.mark.parametrize("value", [None, b""])
    def test_no_value(self, value: bytes | None) -> None:
        assert refusal(value).reason == DeadLetterReason.VALUE_MISSING

    @pytest.mark.parametrize("value", [b"\x00", VALUE[:4], b"\x01" + VALUE[1:], b'{"intent_id": "json"}'])
    def test_no_prefix(self, value: bytes) -> None:
        assert refusal(value).reason == DeadLetterReason.FRAMING_INVALID

    @pytest.mark.parametrize("header", [b"", b"\x01", b"\x01" + GUID[:15], b"\x00" + GUID, b"\x02" + GUID, None])
    def test_no_guid_in_the_header(self, header: bytes) -> None:
        assert refusal(VALUE, (("__value_schema_id", header),)).reason == DeadLetterReason.FRAMING_INVALID

    def test_unknown_ids(self) -> None:
        error = refusal(b"\x00\x00\x00\x00\x07" + VALUE[5:])
        assert error.reason == DeadLetterReason.SCHEMA_UNKNOWN
        assert str(error) == "schema id 7 of topic `agent.intent.v1` is not known here"
        unknown = (("__value_schema_id", b"\x01" + bytes(16)),)
        assert refusal(VALUE[5:], unknown).reason == DeadLetterReason.SCHEMA_UNKNOWN

    def test_ids_of_another_record(self) -> None:
        other = SCHEMAS.current("agent.verdict.v1")
        error = refusal(b"\x00" + other.id.to_bytes(4, "big") + VALUE[5:])
        assert error.reason == DeadLetterReason.SCHEMA_MISMATCH
        assert "belongs to subject `agent.verdict.v1-value`" in str(error)
        header = (("__value_schema_id", b"\x01" + other.guid),)
        assert refusal(VALUE[5:], header).reason == DeadLetterReason.SCHEMA_MISMATCH

    @pytest.mark.parametrize("topic", ["agent.alert.ocsf.v1", "stoplog.gate.changelog", "nowhere"])
    def test_topics_without_records_are_our_mistake(self, topic: str) -> None:
        with pytest.raises(InvariantError, match=topic):
            CODEC.decode(topic, VALUE)

    @pytest.mark.parametrize("topic", ["stoplog.gate.changelog", "nowhere"])
    def test_nothing_is_encoded_for_them(self, topic: str) -> None:
        with pytest.raises(InvariantError, match=topic):
            CODEC.encode(topic, INTENT)

    def test_only_alerts_are_written_as_ocsf(self) -> None:
        with pytest.raises(RecordError, match="holds no records of type `Intent`") as raised:
            CODEC.encode("agent.alert.ocsf.v1", INTENT)
        assert raised.value.reason == DeadLetterReason.SCHEMA_MISMATCH


class TestBounds:
    def test_a_value_above_the_limit(self) -> None:
        assert refusal(VALUE + bytes(VALUE_BYTES_MAX)).reason == DeadLetterReason.RECORD_TOO_LARGE

    def test_a_record_above_what_a_broker_takes(self) -> None:
        large = msgspec.structs.replace(INTENT, args_json="x" * WRITTEN_BYTES_MAX)
        with pytest.raises(RecordError, match="above the limit") as raised:
            CODEC.encode(TOPIC, large)
        assert raised.value.reason == DeadLetterReason.RECORD_TOO_LARGE

    def test_the_largest_record(self) -> None:
        room = WRITTEN_BYTES_MAX - len(CODEC.encode(TOPIC, msgspec.structs.replace(INTENT, args_json="x" * 70_000)))
        largest = msgspec.structs.replace(INTENT, args_json="x" * (70_000 + room))
        value = CODEC.encode(TOPIC, largest)
        assert len(value) == WRITTEN_BYTES_MAX
        assert CODEC.decode(TOPIC, value) == largest

    @pytest.mark.parametrize("length", [2**62, 2**40, 2**31, 1_000_000])
    def test_a_length_beyond_the_end_allocates_nothing(self, length: int) -> None:
        error = refusal(altered(b"\x22s-20251125-000001", zigzag(length) + b"s-20251125-000001"))
        assert error.reason == DeadLetterReason.RECORD_TRUNCATED
        assert "Intent.session_id at byte" in str(error)

    @pytest.mark.parametrize("length", [-1, -17, -(2**63)])
    def test_a_length_below_zero(self, length: int) -> None:
        error = refusal(altered(b"\x22s-20251125-000001", zigzag(length) + b"s-20251125-000001"))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "below zero" in str(error)

    @pytest.mark.parametrize("number", [b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x00", b"\xff" * 4000])
    def test_integers_of_more_than_64_bits(self, number: bytes) -> None:
        error = refusal(altered(b"\x06c-9\x0e", b"\x06c-9" + number))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "Intent.turn" in str(error)

    @pytest.mark.parametrize("count", [ARRAY_ITEMS_MAX + 1, 2**31, 2**62, -(2**63)])
    def test_arrays_without_end(self, count: int) -> None:
        size = zigzag(4) if count < 0 else b""
        error = refusal(altered(b"\x02\x48" + HEADER.id.encode() + b"\x00", zigzag(count) + size + bytes(9)))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "Intent.claimed_sources" in str(error)

    def test_no_longer_array_is_written_than_read(self) -> None:
        fits = msgspec.structs.replace(INTENT, claimed_sources=("",) * ARRAY_ITEMS_MAX)
        assert CODEC.decode(TOPIC, CODEC.encode(TOPIC, fits)) == fits
        with pytest.raises(RecordError, match=r"Intent\.claimed_sources: array has more than"):
            CODEC.encode(TOPIC, msgspec.structs.replace(INTENT, claimed_sources=("",) * (ARRAY_ITEMS_MAX + 1)))

    def test_the_worst_value_takes_no_second(self) -> None:
        """A megabyte of the smallest grants there are."""
        nobody = Actor(iss="", sub="")
        times = {"iat": 0, "exp": 0}
        grant = GrantBody(
            tenant_uid="",
            uid="",
            root_uid="",
            depth=0,
            max_depth=0,
            issuer_uid="",
            sub="",
            delegator=nobody,
            act=nobody,
            **times,
        )
        fields = {name: getattr(grant, name) for name in GrantBody.__struct_fields__}
        topic = "agent.delegation.v1"
        head = CODEC.encode(topic, Delegation(header=HEADER, **fields))[:-1]
        item = CODEC.encode(topic, Delegation(header=HEADER, chain=(grant,), **fields))[len(head) + 1 : -1]
        hostile = head + (zigzag(5_000) + item * 5_000) * 100
        before = time.thread_time()
        error = refusal(hostile[:VALUE_BYTES_MAX], topic=topic)
        # Of the processor, because others share the machine.
        assert time.thread_time() - before < 1
        assert error.reason == DeadLetterReason.RECORD_INVALID


class TestArrayBlocks:
    """Other writers may put an array into several blocks, and a block's size before it."""

    SOURCES = b"\x02\x48" + HEADER.id.encode() + b"\x00"
    ITEM = b"\x48" + HEADER.id.encode()

    def test_several_blocks(self) -> None:
        record = CODEC.decode(TOPIC, altered(self.SOURCES, b"\x02" + self.ITEM + b"\x04" + self.ITEM * 2 + b"\x00"))
        assert isinstance(record, Intent)
        assert record.claimed_sources == (HEADER.id,) * 3

    def test_blocks_with_their_size(self) -> None:
        record = CODEC.decode(TOPIC, altered(self.SOURCES, zigzag(-2) + zigzag(74) + self.ITEM * 2 + b"\x00"))
        assert isinstance(record, Intent)
        assert record.claimed_sources == (HEADER.id,) * 2

    def test_blocks_with_a_wrong_size(self) -> None:
        error = refusal(altered(self.SOURCES, zigzag(-2) + zigzag(73) + self.ITEM * 2 + b"\x00"))
        assert error.reason == DeadLetterReason.RECORD_INVALID

    def test_the_bound_counts_over_all_blocks(self) -> None:
        block = zigzag(6_000) + bytes(6_000)
        assert refusal(altered(self.SOURCES, block * 2 + b"\x00")).reason == DeadLetterReason.RECORD_INVALID


class TestContent:
    def test_text_that_is_not_utf_8(self) -> None:
        error = refusal(altered(b"s-20251125-000001", b"s-20251125-00000\xff"))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert (
            str(error) == f"topic `{TOPIC}`: Intent.session_id at byte {VALUE.index(b's-20251125')}: text is not UTF-8"
        )

    @pytest.mark.parametrize("surrogate", [b"\xed\xa0\x80", b"\xc0\x80"])
    def test_surrogates_and_overlong_forms(self, surrogate: bytes) -> None:
        changed = altered(b"s-20251125-000001", b"s-20251125-000001"[: -len(surrogate)] + surrogate)
        assert refusal(changed).reason == DeadLetterReason.RECORD_INVALID

    @pytest.mark.parametrize(
        "text", [b"0192f3c1x7a5b-7c3d-8e9f-0123456789ab", b"g192f3c1-7a5b-7c3d-8e9f-0123456789ab", b"-" * 36]
    )
    def test_what_is_not_a_uuid(self, text: bytes) -> None:
        marked = msgspec.structs.replace(INTENT, approval_id="11111111-7a5b-7c3d-8e9f-0123456789ab")
        value = CODEC.encode(TOPIC, marked).replace(b"11111111-7a5b-7c3d-8e9f-0123456789ab", text)
        error = refusal(value)
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "Intent.approval_id" in str(error)

    @pytest.mark.parametrize("index", [b"\x01", b"\x0a", b"\x7f", b"\x80\x01", b"\xff"])
    def test_an_enum_has_no_symbol_of_that_index(self, index: bytes) -> None:
        """An index of -1 must not count from the end: the last symbol of an outcome is ALLOW."""
        error = refusal(altered(b"\x12billing-7\x08", b"\x12billing-7" + index))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "Intent.act.sub_profile" in str(error)

    @pytest.mark.parametrize("index", [b"\x01", b"\x04", b"\x82\x00"])
    def test_a_union_has_no_branch_of_that_index(self, index: bytes) -> None:
        error = refusal(altered(b"\x02\x06c-9", index + b"\x06c-9"))
        assert error.reason == DeadLetterReason.RECORD_INVALID

    def test_a_boolean_is_0_or_1(self) -> None:
        topic = "agent.approval.decision.v1"
        decision = ApprovalDecision(
            header=HEADER,
            task_id=HEADER.id,
            intent_id=HEADER.id,
            session_id="s",
            approver=ACTOR,
            args_digest=bytes(32),
            comment="last",
        )
        value = CODEC.encode(topic, decision)
        assert value.endswith(b"\x01\x02\x08last\x00\x00")
        assert refusal(value[:-9] + b"\x02\x02\x08last\x00\x00", topic=topic).reason == DeadLetterReason.RECORD_INVALID

    @pytest.mark.parametrize("instant", [INSTANT_MS_MIN, -1, 0, INSTANT_MS_MAX])
    def test_instants_with_a_date(self, instant: int) -> None:
        record = msgspec.structs.replace(INTENT, deadline=instant)
        assert CODEC.decode(TOPIC, CODEC.encode(TOPIC, record)) == record

    @pytest.mark.parametrize("instant", [INSTANT_MS_MIN - 1, INSTANT_MS_MAX + 1, 2**63 - 1, -(2**63)])
    def test_instants_without_a_date(self, instant: int) -> None:
        error = refusal(altered(zigzag(INTENT.deadline or 0), zigzag(instant)))
        assert error.reason == DeadLetterReason.RECORD_INVALID
        assert "Intent.deadline" in str(error)


class TestWriting:
    """What could not be read again is not written."""

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"session_id": "\ud800"}, "Intent.session_id"),
            ({"session_id": b"bytes"}, "Intent.session_id"),
            ({"session_id": None}, "Intent.session_id"),
            ({"intent_id": "not-a-uuid"}, "Intent.intent_id"),
            ({"args_digest": b"short"}, "Intent.args_digest"),
            ({"deadline": 2**62}, "Intent.deadline"),
            ({"turn": 2**63}, "Intent.turn"),
            ({"turn": "seven"}, "Intent.turn"),
            ({"act": None}, "Intent.act"),
            ({"tool": INTENT}, "Intent.tool"),
        ],
    )
    def test_a_field_that_is_not_what_its_class_says(self, changes: dict[str, object], where: str) -> None:
        with pytest.raises(RecordError) as raised:
            CODEC.encode(TOPIC, msgspec.structs.replace(INTENT, **changes))
        assert raised.value.reason == DeadLetterReason.RECORD_INVALID
        assert where in str(raised.value)

    def test_another_record(self) -> None:
        with pytest.raises(RecordError, match="holds no records of type `Baseline`") as raised:
            CODEC.encode(TOPIC, BASELINE)
        assert raised.value.reason == DeadLetterReason.SCHEMA_MISMATCH

    def test_a_record_of_a_subclass_is_another_record(self) -> None:
        class Mine(Intent, frozen=True, kw_only=True):
            more: int = 0

        mine = Mine(**{name: getattr(INTENT, name) for name in Intent.__struct_fields__})
        with pytest.raises(RecordError, match="type `Mine`"):
            CODEC.encode(TOPIC, mine)


class TestRecurringLists:
    """Written once, and the same as any other list."""

    RECORD = msgspec.structs.replace(INTENT, claimed_sources=())

    def test_it_is_written_as_any_other_list(self) -> None:
        many = Recurring(f"source {number}" for number in range(3))
        for sources in (many, tuple(many), many, Recurring(many), Recurring()):
            record = msgspec.structs.replace(self.RECORD, claimed_sources=sources)
            assert CODEC.encode(TOPIC, record) == CODEC.encode(TOPIC, self._plain(record))

    def test_one_that_can_not_be_written_is_not_kept(self) -> None:
        wrong = Recurring(["a", "\ud800"])
        for _ in range(2):
            with pytest.raises(RecordError, match=r"Intent\.claimed_sources"):
                CODEC.encode(TOPIC, msgspec.structs.replace(self.RECORD, claimed_sources=wrong))

    def test_what_is_kept_is_bounded(self) -> None:
        forms = Forms()
        lists = [Recurring([number]) for number in range(FORMS_MAX + 2)]
        for each in lists:
            forms.keep(each, b"%d" % each[0])
        kept = [each for each in lists if forms.find(each) is not None]
        assert 0 < len(kept) <= FORMS_MAX
        assert all(forms.find(each) == b"%d" % each[0] for each in kept)

    def _plain(self, record: Intent) -> Intent:
        return msgspec.structs.replace(record, claimed_sources=tuple(record.claimed_sources))


def test_topics_whose_records_are_of_one_kind_share_their_code() -> None:
    """To compile it is most of the time of a short command that reads both."""
    event = SessionEvent(header=HEADER, type=SessionEventType.SESSION_ENDED, session_id="s-1", sequence=1)
    codes = []
    for topic in (SESSION.name, REPORT.name):
        codec = Codec(SCHEMAS)
        value = codec.encode(topic, event)
        assert codec.decode(topic, value) == event
        assert value[1:5] == SCHEMAS.current(topic).id.to_bytes(4, "big")
        [decoder], [(encoder, _)] = codec._decoders.values(), codec._encoders.values()
        codes.append((decoder.function.__code__, encoder.function.__code__))
    assert codes[0] == codes[1]
    assert all(map(is_, *codes))


def zigzag(value: int) -> bytes:
    left = (value << 1) ^ (value >> 63)
    out = bytearray()
    while left > 127:
        out.append(left & 127 | 128)
        left >>= 7
    return bytes([*out, left])
