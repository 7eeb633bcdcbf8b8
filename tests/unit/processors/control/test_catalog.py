"""Catalog entries and their signatures, through a driven gate: what counts, what does not, and what stops a tool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulation.records import reviewed, tool_entry
from streams.audit.reviewers import Reviewers
from streams.audit.signatures import SigningKey
from streams.model.alert import Alert
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.catalog import EntryState, OutputLabel, ToolCatalogEntry
from streams.model.catalog_signature import entry_key, entry_message, parse_entry_key
from streams.model.labels import CLEAN, WORST
from streams.model.reasons import ControlReason, DeadLetterReason, Reason
from streams.model.topics import ALERT, CATALOG, RULESET
from streams.model.types import Proof, ProofAlg
from streams.model.verdict import Outcome
from streams.ports import Outgoing
from streams.processors.control.catalog import Catalog
from tests.kit import FILES_READ, GATE_SETTINGS, GateBench

replace = msgspec.structs.replace


def key(number: int) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))


ANN, BOB, EVE = key(1), key(2), key(3)
NAMED = {"ann": str(ANN.public), "bob": str(BOB.public)}
ONE = Reviewers.of(NAMED, required=1, allow_unsigned=False)
TWO = Reviewers.of(NAMED, required=2, allow_unsigned=False)
UNSIGNED, INVALID = DeadLetterReason.CATALOG_UNSIGNED, DeadLetterReason.CATALOG_SIGNATURE_INVALID
SELF, OLD = DeadLetterReason.CATALOG_SELF_APPROVED, DeadLetterReason.CATALOG_ROLLED_BACK


def entry(version: int = 2, **changes: Any) -> ToolCatalogEntry:
    return replace(FILES_READ, **{"catalog_version": version, "proposed_by": "carol", **changes})


def bench(reviewers: Reviewers = ONE) -> GateBench:
    """A gate where ann has signed version 1 of every tool, or both have."""
    made = GateBench(reviewers=reviewers, signed_by=ANN)
    if reviewers is TWO:
        made.publish(reviewed(entry(1), ANN, BOB))
        made.dead_letters(CATALOG.name)
    return made


def test_a_tool_that_enough_reviewers_have_signed_can_be_called() -> None:
    assert bench(ONE).judge().outcome is Outcome.ALLOW
    assert bench(TWO).judge().outcome is Outcome.ALLOW


ATTACKS: dict[str, tuple[Callable[[], ToolCatalogEntry], DeadLetterReason]] = {
    "nobody has signed it": (entry, UNSIGNED),
    "somebody unknown has signed it": (lambda: reviewed(entry(), EVE), UNSIGNED),
    "its signature names no key": (
        lambda: replace(entry(), signatures=(replace(reviewed(entry(), ANN).signatures[0], kid=None),)),
        UNSIGNED,
    ),
    "eve signs in ann's name": (
        lambda: replace(entry(), signatures=(replace(reviewed(entry(), EVE).signatures[0], kid=ANN.public.kid),)),
        INVALID,
    ),
    "an hmac in ann's name": (
        lambda: replace(entry(), signatures=(Proof(alg=ProofAlg.HMAC_SHA256, kid=ANN.public.kid, value=bytes(32)),)),
        INVALID,
    ),
    "who proposed it has approved it": (lambda: reviewed(entry(proposed_by="ann"), ANN), SELF),
    "in other letters": (lambda: reviewed(entry(proposed_by=" \uff21NN "), ANN), SELF),
    "nobody says who proposed it": (lambda: reviewed(entry(proposed_by=None), ANN), SELF),
    "the signature of other facts": (
        lambda: replace(entry(destructive=False), signatures=reviewed(entry(), ANN).signatures),
        INVALID,
    ),
    "the signature of another definition": (
        lambda: replace(entry(definition_digest=bytes(32)), signatures=reviewed(entry(), ANN).signatures),
        INVALID,
    ),
    "the signature of another tenant": (
        lambda: replace(
            entry(header=replace(FILES_READ.header, tenant_uid="other")), signatures=reviewed(entry(), ANN).signatures
        ),
        INVALID,
    ),
    "the signature of another tool": (
        lambda: replace(entry(), signatures=reviewed(entry(name="write"), ANN).signatures),
        INVALID,
    ),
    "the signature of an older version": (
        lambda: replace(entry(3), signatures=reviewed(entry(2), ANN).signatures),
        INVALID,
    ),
    "the signature of a rejection": (
        lambda: replace(entry(), signatures=reviewed(entry(state=EntryState.BLOCKED), ANN).signatures),
        INVALID,
    ),
    "a deprecation that nobody has signed": (lambda: entry(state=EntryState.DEPRECATED), UNSIGNED),
    "ann's good signature and a bad one of bob": (
        lambda: replace(
            entry(),
            signatures=(
                *reviewed(entry(), ANN).signatures,
                replace(reviewed(entry(), EVE).signatures[0], kid=BOB.public.kid),
            ),
        ),
        INVALID,
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_approves_and_each_is_on_record(attack: str) -> None:
    make, reason = ATTACKS[attack]
    made = bench()
    before = made.judge().outcome
    made.audits()
    made.publish(make())
    assert before is Outcome.ALLOW
    # It may have been a withdrawal that went wrong: what was approved before must not go on.
    assert made.judge().reason == Reason.TOOL_UNKNOWN
    assert made.judge(make(), {"path": "a"}).outcome is Outcome.DENY
    assert made.dead_letters(CATALOG.name) == [reason]
    assert [audit.reason for audit in made.audits(AuditEventType.CONTROL)] == [reason]
    (alert,) = [read.record for read in made.driver.read(ALERT.name)]
    assert isinstance(alert, Alert)
    assert (alert.analytic_uid, alert.types) == (reason, ("ASI03", "ASI04"))


def test_two_are_two_people() -> None:
    made = bench(TWO)
    for only in (reviewed(entry(2), ANN), reviewed(entry(3), ANN, EVE)):
        made.publish(only)
        assert made.dead_letters(CATALOG.name) == [UNSIGNED]
        assert made.judge().outcome is Outcome.DENY
    made.publish(reviewed(entry(4, proposed_by="ann"), ANN, BOB))
    assert made.judge().outcome is Outcome.ALLOW


def test_who_proposed_may_approve_where_the_settings_say_so() -> None:
    alone = Reviewers.of(NAMED, required=1, allow_unsigned=False, separate_duties=False)
    made = bench(alone)
    made.publish(reviewed(entry(proposed_by="ann"), ANN))
    assert made.judge().outcome is Outcome.ALLOW


class TestVersions:
    def test_only_a_higher_version_replaces_what_is_in_force(self) -> None:
        made = bench()
        second = reviewed(entry(2, destructive=False), ANN)
        made.publish(second)
        for older in (reviewed(entry(1), ANN), reviewed(entry(2, open_world=False), ANN)):
            made.publish(older)
            assert made.dead_letters(CATALOG.name) == [OLD]
        assert made.judge().tool.catalog_version == 2
        made.restart()
        assert made.judge().tool.catalog_version == 2

    def test_an_old_approval_does_not_come_back_over_a_withdrawal(self) -> None:
        made = bench()
        made.publish(reviewed(entry(2, state=EntryState.BLOCKED), BOB))
        made.publish(reviewed(entry(1), ANN))
        assert made.judge().reason == Reason.TOOL_NOT_APPROVED
        made.restart()
        assert made.judge().outcome is Outcome.DENY

    def test_the_same_entry_again_is_nothing(self) -> None:
        made = bench()
        second = reviewed(entry(2), ANN)
        made.publish(second)
        made.audits()
        made.publish(second)
        assert made.dead_letters(CATALOG.name) == []
        assert made.audits(AuditEventType.CONTROL) == []
        assert made.judge().outcome is Outcome.ALLOW

    def test_a_newest_entry_that_is_taken_off_leaves_no_older_one(self) -> None:
        made = bench()
        second = reviewed(entry(2), ANN)
        made.publish(second)
        made.driver.pipe(CATALOG.name, entry_key(second), None)
        assert made.judge().reason == Reason.TOOL_UNKNOWN
        reasons = [audit.reason for audit in made.audits(AuditEventType.CONTROL)]
        assert reasons[-1] == ControlReason.TOOL_REMOVED
        made.publish(reviewed(entry(1), ANN))
        made.publish(second)
        assert made.judge().outcome is Outcome.DENY
        made.publish(reviewed(entry(3), ANN))
        assert made.judge().outcome is Outcome.ALLOW

    def test_an_old_entry_may_be_taken_off(self) -> None:
        made = bench()
        made.publish(reviewed(entry(2), ANN))
        made.driver.pipe(CATALOG.name, entry_key(entry(1)), None)
        assert made.judge().outcome is Outcome.ALLOW


class TestStops:
    def test_whoever_writes_the_topic_can_stop_and_not_start_a_tool(self) -> None:
        made = bench()
        stop = entry(9_000_000_000_000, state=EntryState.BLOCKED)
        made.publish(stop)
        assert made.judge().reason == Reason.TOOL_NOT_APPROVED
        for again in (reviewed(entry(1), ANN), entry(9_000_000_000_001), entry(3, state=EntryState.PROPOSED)):
            made.publish(again)
            assert made.judge().outcome is Outcome.DENY
        made.driver.pipe(CATALOG.name, entry_key(stop), None)
        assert made.judge().outcome is Outcome.DENY
        made.publish(reviewed(entry(2), ANN))
        assert made.judge().outcome is Outcome.ALLOW

    def test_what_can_not_be_read_is_a_stop(self) -> None:
        made = bench()
        made.driver.pipe(CATALOG.name, entry_key(entry(2)), b"\x07garbage")
        assert made.judge().outcome is Outcome.DENY
        made.publish(reviewed(entry(1), ANN))
        assert made.judge().outcome is Outcome.DENY

    def test_an_entry_under_the_key_of_another_is_one_of_both(self) -> None:
        made = bench()
        other = tool_entry("web", "fetch")
        made.driver.pipe(CATALOG.name, entry_key(other), reviewed(entry(2), ANN))
        assert made.dead_letters(CATALOG.name) == [DeadLetterReason.KEY_MISMATCH]
        assert made.judge().outcome is Outcome.DENY
        assert made.judge(other, {}).outcome is Outcome.DENY

    def test_a_proposal_stops_nothing(self) -> None:
        made = bench()
        made.publish(entry(2, state=EntryState.PROPOSED, definition_digest=bytes(32)))
        assert made.judge().outcome is Outcome.ALLOW
        assert made.judge(entry(definition_digest=bytes(32))).reason == Reason.TOOL_DEFINITION_CHANGED


class TestMemory:
    """Signatures don't expire, so the topic alone can't tell what is past: a gate's partitions remember it."""

    def test_a_wiped_topic_with_an_old_approval_approves_nothing(self) -> None:
        catalog = Catalog(ONE)
        first, second = reviewed(entry(1), ANN), reviewed(entry(2), ANN)
        for offset, each in enumerate((first, second)):
            catalog.offer(entry_key(each), each, offset)
        memory = catalog.memory()
        assert memory is not None
        started = Catalog(ONE)
        started.offer(entry_key(first), first, 0)
        assert started.tools
        started.recall(memory)
        assert not started.tools
        started.offer(entry_key(first), first, 1)
        assert not started.tools
        started.take_events()
        started.advance(0)
        started.advance(10_000)
        assert [event.reason for event in started.take_events()] == [ControlReason.CATALOG_TOPIC_BEHIND]
        started.offer(entry_key(second), second, 2)
        assert started.tools
        started.advance(20_000)
        started.advance(40_000)
        assert [event.reason for event in started.take_events()] == [ControlReason.TOOL_APPROVED]

    def test_rules_and_tools_that_are_both_behind_are_both_told(self) -> None:
        """As after a log that was rolled back."""
        made = bench()
        log = made.driver.log
        for topic in (CATALOG.name, RULESET.name):
            for found in made.driver.read_raw(topic):
                log.append(Outgoing(topic, 0, found.key, None))
            log.append(Outgoing(topic, 0, b"last", None))
            log.compact(topic)
        made.restart()
        for _ in range(2):
            made.wait(6_000)
        reasons = sorted(str(each.reason) for each in made.audits(AuditEventType.CONTROL))
        behind = [each for each in reasons if each.endswith("_behind")]
        assert behind == ["catalog_topic_behind", "rules_topic_behind"]

    def test_a_stop_that_was_taken_off_the_topic_still_holds(self) -> None:
        catalog = Catalog(ONE)
        first, stop = reviewed(entry(1), ANN), entry(2, state=EntryState.BLOCKED)
        for offset, each in enumerate((first, stop)):
            catalog.offer(entry_key(each), each, offset)
        started = Catalog(ONE)
        started.offer(entry_key(first), first, 0)
        memory = catalog.memory()
        assert memory is not None
        started.recall(memory)
        assert not started.tools
        second = reviewed(entry(2), BOB)
        started.offer(entry_key(second), second, 3)
        assert started.tools

    def test_the_other_of_two_under_one_version_does_not_take_its_place(self) -> None:
        left, right = reviewed(entry(1), ANN), reviewed(entry(1, destructive=False), BOB)
        catalog, started = Catalog(ONE), Catalog(ONE)
        catalog.offer(entry_key(left), left, 0)
        started.offer(entry_key(right), right, 0)
        memory = catalog.memory()
        assert memory is not None
        started.recall(memory)
        assert not started.tools

    def test_a_gate_that_starts_knows_the_same(self) -> None:
        made = bench()
        made.publish(reviewed(entry(2), ANN))
        made.publish(entry(3))
        made.restart()
        assert made.judge().outcome is Outcome.DENY
        made.publish(reviewed(entry(3), BOB))
        made.restart()
        assert made.judge().tool.catalog_version == 3

    def test_it_stays_the_same_object_until_it_changes(self) -> None:
        catalog = Catalog(ONE)
        assert catalog.memory() is None
        first = reviewed(entry(1), ANN)
        catalog.offer(entry_key(first), first, 0)
        memory = catalog.memory()
        catalog.offer(entry_key(first), first, 1)
        assert catalog.memory() is memory


def test_what_is_allowed_can_not_be_used_once_the_approval_of_its_tool_has_ended() -> None:
    made = bench(ONE)
    ends_ms = made.now_ms + GATE_SETTINGS.verdict_ttl_ms // 2
    made.publish(reviewed(entry(2, review_expires=ends_ms), ANN))
    allowed = made.judge()
    assert (allowed.outcome, allowed.expires_at) == (Outcome.ALLOW, ends_ms)


def test_who_approved_is_on_record() -> None:
    made = bench()
    made.audits()
    made.publish(reviewed(entry(2, reviewed_by="bob", review_note="read it twice"), BOB))
    (audit,) = made.audits(AuditEventType.CONTROL)
    assert isinstance(audit, AuditEvent)
    assert (audit.reason, audit.act.sub) == (ControlReason.TOOL_APPROVED, "bob")
    assert audit.tool is not None
    assert audit.tool.catalog_version == 2
    assert "signed by bob" in (audit.reason_text or "")
    assert "read it twice" in (audit.reason_text or "")


OTHER_VALUES: dict[str, Any] = {
    "output_label": WORST,
    "output_labels": (OutputLabel(path="a", label=CLEAN),),
    "sink_args": ("/to",),
    "state": EntryState.DEPRECATED,
}


def test_every_field_is_signed() -> None:
    made = entry()
    message = entry_message(made)
    for name in made.__struct_fields__:
        value = getattr(made, name)
        if name in ("header", "signatures"):
            continue
        if name in OTHER_VALUES:
            other = OTHER_VALUES[name]
        elif isinstance(value, bool):
            other = not value
        elif isinstance(value, bytes):
            other = bytes(32)
        else:
            other = 7 if isinstance(value, int) or name.endswith(("_at", "_expires")) else "other"
        assert entry_message(replace(made, **{name: other})) != message, name
    assert entry_message(replace(made, signatures=reviewed(made, ANN).signatures)) == message


def test_keys_are_taken_apart_as_they_are_made() -> None:
    for server_id, name in (("mail", "send"), ("a@b", "c@d/e@1.x"), ("mail", "a.b")):
        made = tool_entry(server_id, name, catalog_version=12)
        parsed = parse_entry_key(entry_key(made))
        assert parsed is not None
        assert parsed[:3] == (server_id, name, 12)
    for none in (b"", b"mail/send", b"mail@1.a", b"mail/send@x.a", b"mail/send@1", b"/send@1.a", b"\xff/\xff@1."):
        assert parse_entry_key(none) is None
