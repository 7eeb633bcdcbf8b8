"""Every reason of a dead letter, reached through the driven gate; each letter is on the record, and nothing stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulation.records import SessionMaker, release, reviewed, revocation, ruleset
from streams.audit.attribute_writers import AttributeWriters, signed_attributes
from streams.audit.publishers import Publishers
from streams.audit.releasers import Releasers
from streams.audit.reviewers import ANYBODY, Reviewers
from streams.audit.signatures import SigningKey
from streams.model.approval import ApprovalStatus
from streams.model.attributes import EntityAttributes, entity_key
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import GrantBody
from streams.model.intent import Intent
from streams.model.keys import partition_for
from streams.model.proof import derived_uuid
from streams.model.reasons import DEAD_LETTER_TEXTS, DeadLetterReason, Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.session import SessionEventType
from streams.model.topics import (
    APPROVAL_DECISION,
    ATTRIBUTES,
    AUDIT_REPORTED,
    BUDGET_REQUEST,
    CATALOG,
    DELEGATION,
    INTENT,
    REPORT,
    REVOCATION,
    RULESET,
    SESSION,
)
from streams.model.types import Actor, Header, Proof, ProofAlg, Record, SubProfile
from streams.ports import Headers, Outgoing
from streams.ports.processor import Output
from streams.processors.dedup.unproven import UNPROVEN_PER_SESSION_MAX
from streams.processors.gate.gate import Gate
from tests.kit import (
    BUNDLE,
    BUNDLE_FILES,
    FILES_READ,
    HOUR_MS,
    MAIL_SEND,
    START_MS,
    GateBench,
    wire,
)
from tests.unit.delegation.family import MOTHERS_KEY

replace = msgspec.structs.replace


class Letter(NamedTuple):
    """A record that ends as a dead letter: the bench it was sent on, and its topic."""

    bench: GateBench
    topic: str


# Some cases leave no rules, or not this tool, in force.
WHEN_IT_GOES_ON = (Reason.PERMITTED, Reason.NO_RULESET, Reason.TOOL_UNKNOWN)
Case = Callable[[], Letter]
CASES: dict[str, tuple[DeadLetterReason, Case]] = {}


def case(reason: DeadLetterReason) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES[function.__name__] = (reason, function)
        return function

    return register


KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
PUBLISHERS = Publishers.of({"ann": str(KEY.public)}, required=1, allow_unsigned=False)
WRITERS = AttributeWriters.of({"crm": str(KEY.public)}, deployment="prod")
REVIEWERS = Reviewers.of({"ann": str(KEY.public)}, required=1, allow_unsigned=False)


def sent(topic: str, record: Record | bytes | None, key: bytes | None = b"acme|s-1", headers: Headers = ()) -> Letter:
    bench = GateBench()
    bench.driver.pipe(topic, key, record, headers=headers)
    return Letter(bench, topic)


def an_intent() -> Intent:
    bench = GateBench()
    return bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)


def encoded() -> bytes:
    return wire().encode(INTENT.name, an_intent())


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


@case(DeadLetterReason.RECORD_INVALID)
def a_session_without_its_subject() -> Letter:
    bench = GateBench(with_session=False)
    made = replace(bench.session.established(bench.now_ms), sub=None)
    bench.driver.pipe(SESSION.name, bench.session.key, bench.session.proven(made))
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.WRITER_UNPROVEN)
def a_session_that_an_executor_opens() -> Letter:
    bench = GateBench(with_session=False)
    made = replace(bench.session.established(bench.now_ms), proof=None)
    bench.driver.pipe(SESSION.name, bench.session.key, made)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.WRITER_UNPROVEN)
def a_session_that_an_executor_ends() -> Letter:
    bench = GateBench()
    ended = bench.session.event(SessionEventType.SESSION_ENDED, bench.now_ms, unproven={"proof": None})
    bench.driver.pipe(SESSION.name, bench.session.key, ended)
    return Letter(bench, SESSION.name)


def reported(kinds: Sequence[SessionEventType], *, proven: bool = True, allowed: bool = True) -> Letter:
    """Reports of one call, in this order."""
    bench = GateBench()
    intent = bench.propose() if allowed else bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    for kind in kinds:
        fields: dict[str, Any] = {"intent_id": intent.intent_id, "tool": intent.tool}
        made = bench.session.event(kind, bench.now_ms, unproven={} if proven else {"proof": None}, **fields)
        bench.driver.pipe(REPORT.name, bench.session.key, made)
    return Letter(bench, REPORT.name)


@case(DeadLetterReason.REPORT_UNPROVEN)
def a_report_without_a_proof() -> Letter:
    return reported([SessionEventType.TOOL_NOT_RUN], proven=False)


@case(DeadLetterReason.REPORT_UNPROVEN)
def a_message_without_a_proof() -> Letter:
    return reported([SessionEventType.USER_MESSAGE], proven=False)


@case(DeadLetterReason.REPORT_OF_NO_CALL)
def a_report_of_a_call_that_nobody_proposed() -> Letter:
    return reported([SessionEventType.TOOL_RESULT], allowed=False)


@case(DeadLetterReason.REPORT_CONTRADICTS)
def a_second_report_that_differs() -> Letter:
    return reported([SessionEventType.TOOL_RESULT, SessionEventType.TOOL_NOT_RUN])


@case(DeadLetterReason.GRANT_INVALID)
def a_grant_with_too_long_a_chain() -> Letter:
    bench = GateBench()
    grant = bench.session.grant("g-1", bench.now_ms)
    root = GrantBody(**{name: getattr(grant, name) for name in GrantBody.__struct_fields__})
    bench.driver.pipe(DELEGATION.name, bench.session.key, replace(grant, chain=(root,) * 9))
    return Letter(bench, DELEGATION.name)


@case(DeadLetterReason.RECORD_TOO_LARGE)
def more_than_a_mebibyte() -> Letter:
    bench = GateBench()
    bench.driver.log.alter_config(INTENT.name, {"max.message.bytes": "3000000"})
    bench.driver.pipe(INTENT.name, bench.session.key, encoded() + bytes(2_000_000))
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.RECORD_INVALID)
def an_intent_whose_names_would_fill_its_verdict() -> Letter:
    bench = GateBench()
    bench.propose(sub="x" * 600_000)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.RECORD_INVALID)
def an_intent_with_a_name_too_long_to_wait() -> Letter:
    bench = GateBench(with_session=False)
    bench.propose(sub="x" * 600_000)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.RECORD_TOO_LARGE)
def a_session_that_is_too_large_to_be_kept() -> Letter:
    bench = GateBench(with_session=False)
    # Each is small enough, what is kept of both is not.
    bench.establish(bench.session, scopes=("y" * 600_000,))
    purpose = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="x" * 600_000)
    bench.driver.pipe(SESSION.name, bench.session.key, purpose)
    return Letter(bench, SESSION.name)


def attributes(**changes: Any) -> EntityAttributes:
    made = EntityAttributes(
        header=Header(id=derived_uuid("attributes"), source="crm", time=2, tenant_uid="acme"),
        kind="customer",
        id="c-1",
        attributes_json='{"tier":"gold"}',
    )
    return msgspec.structs.replace(made, **changes)


def attributes_sent(bench: GateBench, *records: EntityAttributes) -> Letter:
    for record in records:
        bench.driver.pipe(ATTRIBUTES.name, entity_key("acme", "customer", "c-1"), record)
    return Letter(bench, ATTRIBUTES.name)


@case(DeadLetterReason.ATTRIBUTES_INVALID)
def attributes_that_are_no_object() -> Letter:
    return attributes_sent(GateBench(), attributes(attributes_json="[]"))


@case(DeadLetterReason.ATTRIBUTES_UNPROVEN)
def attributes_that_nobody_has_signed() -> Letter:
    return attributes_sent(GateBench(writers=WRITERS), attributes())


@case(DeadLetterReason.ATTRIBUTES_OUTDATED)
def attributes_that_were_signed_before_those_held() -> Letter:
    new = attributes()
    old = attributes(header=msgspec.structs.replace(new.header, time=1))
    signed = [signed_attributes(each, KEY, "prod") for each in (new, old)]
    return attributes_sent(GateBench(writers=WRITERS), *signed)


@case(DeadLetterReason.ATTRIBUTES_FULL)
def attributes_without_room() -> Letter:
    return attributes_sent(GateBench(attributes_bytes_max=100), attributes())


@case(DeadLetterReason.BROKER_TIME_AHEAD)
def a_record_that_a_broker_stamped_far_ahead() -> Letter:
    bench = GateBench()
    bench.judge(FILES_READ, {"path": "a.txt"})
    stamped_ms = bench.now_ms + 30 * 24 * HOUR_MS
    bench.driver.log.append(Outgoing(INTENT.name, 0, bench.session.key, encoded()), timestamp_ms=stamped_ms)
    bench.driver.settle()
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.EVENT_FROM_FUTURE)
def a_session_event_from_the_future() -> Letter:
    bench = GateBench()
    return sent(SESSION.name, bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms + 30_001))


@case(DeadLetterReason.EVENT_FROM_FUTURE)
def an_intent_from_beyond_what_is_remembered() -> Letter:
    bench = GateBench()
    bench.propose(time_ms=bench.now_ms + 24 * HOUR_MS + 1)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.SEQUENCE_REPLAYED)
def a_session_that_is_established_twice() -> Letter:
    bench = GateBench()
    bench.establish(bench.session)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.SEQUENCE_REPLAYED)
def a_purpose_that_is_set_again_by_its_old_event() -> Letter:
    bench = GateBench()
    old = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="anything")
    new = bench.session.event(SessionEventType.PURPOSE_SET, bench.now_ms, purpose="little")
    for event in (old, new, old):
        bench.driver.pipe(SESSION.name, bench.session.key, event)
    return Letter(bench, SESSION.name)


@case(DeadLetterReason.INTENT_TOO_OLD)
def an_intent_from_before_what_is_remembered() -> Letter:
    bench = GateBench()
    bench.propose(time_ms=bench.now_ms - 24 * HOUR_MS)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.VERDICT_GIVEN_BEFORE)
def an_intent_that_comes_again_when_the_bytes_of_its_verdict_are_not_kept_any_longer() -> Letter:
    bench = GateBench()
    intent = bench.propose()
    bench.wait(HOUR_MS // 2)
    bench.send(intent)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.TOO_MANY_UNPROVEN)
def an_intent_that_could_be_proven_later_and_is_one_too_many() -> Letter:
    bench = GateBench()
    for _ in range(UNPROVEN_PER_SESSION_MAX + 1):
        bench.propose(key=MOTHERS_KEY)
    return Letter(bench, INTENT.name)


@case(DeadLetterReason.CATALOG_INVALID)
def a_tool_whose_schema_is_none() -> Letter:
    return an_entry(replace(FILES_READ, input_schema_json='{"type": 7}'))


@case(DeadLetterReason.CATALOG_INVALID)
def a_tool_whose_schema_refers_elsewhere() -> Letter:
    schema = '{"$ref": "https://example.com/schema.json"}'
    return an_entry(replace(FILES_READ, input_schema_json=schema))


@case(DeadLetterReason.CATALOG_INVALID)
def a_tool_whose_schema_is_no_object() -> Letter:
    return an_entry(replace(FILES_READ, input_schema_json="true"))


@case(DeadLetterReason.CATALOG_INVALID)
def a_tool_of_a_server_with_a_slash() -> Letter:
    return an_entry(replace(FILES_READ, server_id="a/b"))


@case(DeadLetterReason.CATALOG_INVALID)
def a_tool_whose_digest_is_that_of_another_definition() -> Letter:
    return an_entry(replace(FILES_READ, definition_json='{"name": "read", "inputSchema": {}}'))


@case(DeadLetterReason.CATALOG_UNSIGNED)
def an_approval_that_nobody_has_signed() -> Letter:
    return an_entry(replace(FILES_READ, catalog_version=2), reviewers=REVIEWERS)


@case(DeadLetterReason.CATALOG_SIGNATURE_INVALID)
def an_approval_with_a_forged_signature() -> Letter:
    forged = Proof(alg=ProofAlg.ED25519, kid=KEY.public.kid, value=bytes(64))
    return an_entry(replace(FILES_READ, catalog_version=2, signatures=(forged,)), reviewers=REVIEWERS)


@case(DeadLetterReason.CATALOG_SELF_APPROVED)
def an_approval_by_who_proposed_it() -> Letter:
    return an_entry(reviewed(replace(FILES_READ, catalog_version=2, proposed_by="Ann"), KEY), reviewers=REVIEWERS)


@case(DeadLetterReason.CATALOG_ROLLED_BACK)
def an_approval_of_a_version_that_is_past() -> Letter:
    return an_entry(reviewed(replace(FILES_READ, catalog_version=0, proposed_by="bob"), KEY), reviewers=REVIEWERS)


def an_entry(entry: ToolCatalogEntry, reviewers: Reviewers = ANYBODY) -> Letter:
    bench = GateBench(reviewers=reviewers, signed_by=KEY)
    bench.publish(entry)
    return Letter(bench, CATALOG.name)


@case(DeadLetterReason.RELEASE_UNPROVEN)
def a_release_that_nobody_has_signed() -> Letter:
    key, record = revocation(RevocationKind.TENANT, "other", time_ms=START_MS, state=RevocationState.RELEASED)
    return after_a_stop(key, record)


@case(DeadLetterReason.RELEASE_OUTDATED)
def a_release_of_what_was_stopped_before() -> Letter:
    return after_a_stop(*release(RevocationKind.TENANT, "other", time_ms=START_MS, lifts_before=0, key=KEY))


@case(DeadLetterReason.STOP_DELETED)
def a_tombstone_on_a_stop_in_force() -> Letter:
    return after_a_stop(b"TENANT:other", None)


def after_a_stop(key: bytes, record: Record | None) -> Letter:
    bench = GateBench(releasers=Releasers.of({"ann": str(KEY.public)}))
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.TENANT, "other", time_ms=bench.now_ms))
    bench.driver.pipe(REVOCATION.name, key, record)
    return Letter(bench, REVOCATION.name)


@case(DeadLetterReason.BUNDLE_INVALID)
def rules_that_do_not_compile() -> Letter:
    files = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace("testing", "elsewhere")}
    return sent(RULESET.name, ruleset(files, serial=2), key=b"default")


@case(DeadLetterReason.BUNDLE_INVALID)
def rules_that_are_not_those_of_their_digest() -> Letter:
    return sent(RULESET.name, replace(ruleset(BUNDLE_FILES, serial=2), digest=bytes(32)), key=b"default")


@case(DeadLetterReason.BUNDLE_ROLLED_BACK)
def a_serial_below_that_of_the_rules_in_force() -> Letter:
    return sent(RULESET.name, ruleset(BUNDLE_FILES, serial=0), key=b"default")


@case(DeadLetterReason.BUNDLE_ROLLED_BACK)
def other_rules_under_the_serial_of_those_in_force() -> Letter:
    return sent(RULESET.name, replace(ruleset(BUNDLE_FILES, serial=1), published_by="another"), key=b"default")


@case(DeadLetterReason.BUNDLE_UNSIGNED)
def rules_that_nobody_has_signed() -> Letter:
    return Letter(GateBench(publishers=PUBLISHERS), RULESET.name)


@case(DeadLetterReason.BUNDLE_SIGNATURE_INVALID)
def rules_with_a_forged_signature() -> Letter:
    forged = Proof(alg=ProofAlg.ED25519, kid=KEY.public.kid, value=bytes(64))
    bench = GateBench(publishers=PUBLISHERS, with_rules=False)
    bench.driver.pipe(RULESET.name, b"default", replace(ruleset(BUNDLE_FILES), signatures=(forged,)))
    return Letter(bench, RULESET.name)


def decided(**changes: object) -> Letter:
    """A decision about an intent that awaits one, changed."""
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "one"})
    made = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",))
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, replace(made, **changes))
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_AWAITED)
def a_decision_about_what_was_never_asked() -> Letter:
    bench = GateBench()
    decision = bench.session.decision(an_intent(), "lena", bench.now_ms)
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_AWAITED)
def a_decision_that_comes_too_late() -> Letter:
    bench = GateBench()
    intent = bench.propose(MAIL_SEND, {"ask": "one"})
    bench.wait(HOUR_MS // 4)
    decision = bench.session.decision(intent, "lena", bench.now_ms, groups=("leads",))
    bench.driver.pipe(APPROVAL_DECISION.name, bench.session.key, decision)
    return Letter(bench, APPROVAL_DECISION.name)


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_about_other_arguments() -> Letter:
    return decided(args_digest=bytes(32))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_of_another_task() -> Letter:
    return decided(task_id=an_intent().intent_id)


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_somebody_of_another_group() -> Letter:
    return decided(approver_groups=("interns",))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_a_program() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="bot", sub_profile=SubProfile.AI_AGENT))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_the_subject_alone() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="alice", sub_profile=SubProfile.USER))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_by_the_agent() -> Letter:
    return decided(approver=Actor(iss="https://issuer.example", sub="assistant", sub_profile=SubProfile.USER))


@case(DeadLetterReason.APPROVAL_NOT_VALID)
def a_decision_that_decides_nothing() -> Letter:
    return decided(status=ApprovalStatus.PENDING)


@case(DeadLetterReason.PROCESSING_FAILED)
def a_record_that_the_gate_stumbles_over() -> Letter:
    bench = GateBench()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gate, "process", _stumble)
        bench.propose()
    return Letter(bench, INTENT.name)


def _stumble(*_args: object) -> list[Output]:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("name", CASES)
def test_the_reason_is_reached(name: str) -> None:
    reason, send = CASES[name]
    bench, topic = send()
    letters = bench.driver.read_raw(f"{topic}.dlq")
    assert [dict(letter.headers)["stoplog.reason"].decode() for letter in letters] == [reason.value]
    (audit,) = bench.audits(AuditEventType.DEAD_LETTER)
    headers = dict(letters[0].headers)
    place = "/".join(headers[f"__connect.errors.{part}"].decode() for part in ("topic", "partition", "offset"))
    assert (audit.reason, audit.inputs) == (reason.value, (place,))
    assert audit.reason_text
    _assert_goes_on(bench)


def _assert_goes_on(bench: GateBench) -> None:
    """The partition has not stopped: another session's intent is judged as if nothing had happened."""
    other = SessionMaker("s-after")
    bench.establish(other)
    assert bench.judge(FILES_READ, {"path": "b.txt"}, session=other).reason in WHEN_IT_GOES_ON


def test_an_intent_on_two_partitions_has_one_final_verdict() -> None:
    """A writer may name any partition; the state of another one does not know what was decided before."""
    bench = GateBench(partitions=2)
    intent = bench.session.intent(FILES_READ, {"path": "a.txt"}, bench.now_ms)
    value = wire().encode(INTENT.name, intent)
    for partition in (0, 1):
        bench.driver.log.append(Outgoing(INTENT.name, partition, bench.session.key, value))
    bench.driver.settle()
    assert [verdict.intent_id for verdict in bench.verdicts()] == [intent.intent_id]
    assert bench.dead_letters(INTENT.name) == [DeadLetterReason.PARTITION_MISMATCH]


def test_what_a_budget_allocator_could_not_process_it_reports_on_a_topic_of_its_own() -> None:
    """The gate that owns the partition is the one writer of its audit records."""
    bench = GateBench()
    bench.driver.pipe(BUDGET_REQUEST.name, b"a budget", b"garbage")
    assert bench.dead_letters(BUDGET_REQUEST.name) == [DeadLetterReason.FRAMING_INVALID.value]
    (reported,) = [read.record for read in bench.driver.read(AUDIT_REPORTED.name)]
    assert isinstance(reported, AuditEvent)
    assert (reported.event_type, reported.reason) == (AuditEventType.DEAD_LETTER, DeadLetterReason.FRAMING_INVALID)
    assert bench.audits(AuditEventType.DEAD_LETTER) == []


def test_no_reason_is_left_out() -> None:
    # Of a status of an alert, the watch makes it: tests/unit/processors/watch/test_feedback.py.
    reached = {reason for reason, _ in CASES.values()} | {DeadLetterReason.ALERT_STATUS_UNPROVEN}
    unreached = sorted(reason.value for reason in set(DeadLetterReason) - reached)
    assert not unreached, f"no case reaches: {', '.join(unreached)}"


def test_every_reason_has_its_text() -> None:
    assert set(DEAD_LETTER_TEXTS) == set(DeadLetterReason)
