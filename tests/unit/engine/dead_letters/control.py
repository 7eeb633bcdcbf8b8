"""What people and programs publish for all: tools, rules, stops, attributes."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from simulation.records import release, reviewed, revocation, ruleset
from streams.audit.attribute_writers import AttributeWriters, signed_attributes
from streams.audit.publishers import Publishers
from streams.audit.releasers import Releasers
from streams.audit.reviewers import ANYBODY, Reviewers
from streams.model.attributes import EntityAttributes, Room, entity_key
from streams.model.catalog import ToolCatalogEntry
from streams.model.proof import derived_uuid
from streams.model.reasons import DeadLetterReason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.topics import ATTRIBUTES, CATALOG, REVOCATION, RULESET
from streams.model.types import Header, Proof, ProofAlg, Record
from tests.kit import BUNDLE, BUNDLE_FILES, FILES_READ, START_MS, GateBench
from tests.unit.engine.dead_letters.letter import KEY, Cases, Letter, registered_in, sent

CASES: Cases = {}
case = registered_in(CASES)

PUBLISHERS = Publishers.of({"ann": str(KEY.public)}, required=1, allow_unsigned=False)
WRITERS = AttributeWriters.of({"crm": str(KEY.public)}, deployment="prod")
REVIEWERS = Reviewers.of({"ann": str(KEY.public)}, required=1, allow_unsigned=False)


def attributes(**changes: Any) -> EntityAttributes:
    made = EntityAttributes(
        header=Header(id=derived_uuid("attributes"), source="crm", time=2, tenant_uid="acme"),
        kind="customer",
        id="c-1",
        attributes_json='{"tier":"gold"}',
    )
    return replace(made, **changes)


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
    old = attributes(header=replace(new.header, time=1))
    signed = [signed_attributes(each, KEY, "prod") for each in (new, old)]
    return attributes_sent(GateBench(writers=WRITERS), *signed)


@case(DeadLetterReason.ATTRIBUTES_FULL)
def attributes_without_room() -> Letter:
    return attributes_sent(GateBench(attributes_room=Room(100)), attributes())


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
