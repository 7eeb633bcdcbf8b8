"""Records that can't be read, or lie where they don't belong."""

from __future__ import annotations

from msgspec.structs import replace

from streams.model.keys import partition_for
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEventType
from streams.model.topics import INTENT, SESSION
from streams.ports import Outgoing
from tests.kit import FILES_READ, GateBench, wire
from tests.unit.engine.dead_letters.letter import Cases, Letter, an_intent, encoded, registered_in, sent

CASES: Cases = {}
case = registered_in(CASES)


@case(DeadLetterReason.KEY_MISSING)
def no_key() -> Letter:
    return sent(INTENT.name, an_intent(), key=None)


@case(DeadLetterReason.KEY_MISMATCH)
def the_key_of_another_session() -> Letter:
    return sent(INTENT.name, an_intent(), key=b"acme|s-2")


@case(DeadLetterReason.KEY_MISMATCH)
def the_key_of_another_tenant() -> Letter:
    return sent(INTENT.name, an_intent(), key=b"globex|s-1")


@case(DeadLetterReason.PARTITION_MISMATCH)
def a_partition_that_is_not_its_keys() -> Letter:
    bench = GateBench(partitions=2)
    intent = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    elsewhere = 1 - partition_for(bench.session.key, 2)
    bench.driver.log.append(Outgoing(INTENT.name, elsewhere, bench.session.key, wire().encode(INTENT.name, intent)))
    bench.driver.settle()
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.VALUE_MISSING)
def no_value() -> Letter:
    return sent(SESSION.name, None)


@case(DeadLetterReason.VALUE_MISSING)
def an_empty_value() -> Letter:
    return sent(INTENT.name, b"")


@case(DeadLetterReason.FRAMING_INVALID)
def the_wrong_magic_byte() -> Letter:
    return sent(INTENT.name, b"\x01" + encoded()[1:])


@case(DeadLetterReason.FRAMING_INVALID)
def fewer_bytes_than_a_schema_id_has() -> Letter:
    return sent(INTENT.name, b"\x00\x00\x01")


@case(DeadLetterReason.FRAMING_INVALID)
def a_header_that_is_no_schema_id() -> Letter:
    return sent(INTENT.name, encoded(), headers=(("__value_schema_id", b"\x01abc"),))


@case(DeadLetterReason.SCHEMA_UNKNOWN)
def a_schema_id_that_nobody_has() -> Letter:
    return sent(INTENT.name, b"\x00\x7f\xff\xff\xff" + encoded()[5:])


@case(DeadLetterReason.SCHEMA_UNKNOWN)
def a_schema_guid_that_nobody_has() -> Letter:
    return sent(INTENT.name, encoded()[5:], headers=(("__value_schema_id", b"\x01" + bytes(16)),))


@case(DeadLetterReason.SCHEMA_MISMATCH)
def a_record_of_another_topic() -> Letter:
    bench = GateBench()
    return sent(INTENT.name, wire().encode(SESSION.name, bench.session.established(bench.now_ms)))


@case(DeadLetterReason.RECORD_TRUNCATED)
def a_record_that_is_cut() -> Letter:
    return sent(INTENT.name, encoded()[:-20])


@case(DeadLetterReason.RECORD_TRUNCATED)
def a_record_with_something_behind_it() -> Letter:
    return sent(INTENT.name, encoded() + b"\x00")


@case(DeadLetterReason.RECORD_INVALID)
def a_text_that_is_not_utf_8() -> Letter:
    return sent(INTENT.name, encoded().replace(b"a.txt", b"a\xff\xfe\xfdt"))


@case(DeadLetterReason.RECORD_INVALID)
def a_tenant_with_a_bar_in_it() -> Letter:
    intent = an_intent()
    return sent(INTENT.name, replace(intent, header=replace(intent.header, tenant_uid="a|b")), key=b"a|b|s-1")


@case(DeadLetterReason.RECORD_INVALID)
def a_session_id_with_nul_in_it() -> Letter:
    return sent(INTENT.name, replace(an_intent(), session_id="s\x00"), key=b"acme|s\x00")


@case(DeadLetterReason.RECORD_INVALID)
def a_session_key_without_end() -> Letter:
    session_id = "s" * 600
    return sent(INTENT.name, replace(an_intent(), session_id=session_id), key=f"acme|{session_id}".encode())


@case(DeadLetterReason.RECORD_INVALID)
def an_event_type_that_is_not_known_here() -> Letter:
    bench = GateBench()
    return sent(SESSION.name, bench.session.event(SessionEventType.UNKNOWN, bench.now_ms))


@case(DeadLetterReason.RECORD_TOO_LARGE)
def more_than_a_mebibyte() -> Letter:
    bench = GateBench()
    bench.driver.log.alter_config(INTENT.name, {"max.message.bytes": "3000000"})
    bench.driver.pipe(INTENT.name, bench.session.key, encoded() + bytes(2_000_000))
    return Letter(bench, INTENT.name)
