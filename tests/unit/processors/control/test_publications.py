"""Publications of rules, as a gate takes them: signatures, serials, shares of sessions, and what is put on record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import SessionMaker, ruleset
from streams.audit.publishers import Publishers
from streams.audit.signatures import SigningKey
from streams.model.alert import Alert
from streams.model.audit import AuditEvent, AuditEventType
from streams.model.bundle_signature import publication_key, publication_message
from streams.model.control import BundleAction, RulesetBundle
from streams.model.topics import ALERT, RULESET
from streams.model.types import Proof, ProofAlg
from streams.operations.signing_keys import make_key_file
from streams.policy import BundleSource, CompiledRuleset, bundle_from_files
from streams.ports import Outgoing
from streams.processors.control.compilation import CompilerFailedError
from tests.kit import BUNDLE, BUNDLE_FILES, GateBench, compile_published

replace = msgspec.structs.replace
DENYING = """apiVersion: rules/v1
pack: testing
rules:
  - {id: D-1, effect: deny, match: {tools: ["*"]}, when: "true", reason: never}
"""
DENY_ALL = {"bundle.yaml": BUNDLE, "testing/testing.rules.yaml": DENYING}
OTHERS = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace('"1"', '"2"')}
BROKEN = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace("testing", "elsewhere")}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SigningKey]:
    folder: Path = tmp_path_factory.mktemp("keys")
    return {name: make_key_file(folder / name) for name in ("ann", "bob", "eve")}


@pytest.fixture
def publishers(keys: dict[str, SigningKey]) -> Publishers:
    named = {name: str(keys[name].public) for name in ("ann", "bob")}
    return Publishers.of(named, required=1, allow_unsigned=False)


def made(
    serial: int, files: dict[str, str] | Any = BUNDLE_FILES, *signers: SigningKey, **changes: Any
) -> RulesetBundle:
    bundle = replace(ruleset(files, serial=serial), **changes)
    message = publication_message(bundle)
    signatures = [Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=key.sign(message)) for key in signers]
    return replace(bundle, signatures=tuple(signatures))


def publish(bench: GateBench, bundle: RulesetBundle) -> str:
    """Publish, and say what the audit says of it."""
    bench.audits()
    bench.driver.pipe(RULESET.name, publication_key(bundle), bundle)
    (told,) = [record for record in bench.audits() if record.event_type is AuditEventType.CONTROL]
    return told.reason or ""


def share_of(bench: GateBench, digest: bytes, count: int = 400) -> float:
    """Which share of new sessions is judged by these rules."""
    found = 0
    for number in range(count):
        session = SessionMaker(f"share-{number}")
        bench.establish(session)
        found += bench.judge(session=session).ruleset_digest == digest
    return found / count


class TestSignatures:
    def test_signed_rules_are_enforced_and_on_record(self, publishers: Publishers, keys: dict[str, SigningKey]) -> None:
        bench = GateBench(publishers=publishers, with_rules=False)
        bundle = made(1, BUNDLE_FILES, keys["bob"], keys["ann"], published_by="carol")
        bench.driver.pipe(RULESET.name, publication_key(bundle), bundle)
        (told,) = bench.audits(AuditEventType.CONTROL)
        assert told.reason == "rules_published"
        assert told.rules_change is not None
        assert (told.rules_change.serial, told.rules_change.signed_by) == (1, ("ann", "bob"))
        assert told.act.sub == told.rules_change.published_by == "carol"
        assert told.ruleset_digest == bundle.digest
        assert told.inputs == ("agent.ruleset.v1/0/0",)
        assert "signed by ann, bob" in (told.reason_text or "")
        verdict = bench.judge()
        assert (verdict.outcome, verdict.ruleset_digest, verdict.ruleset_offset) == ("ALLOW", bundle.digest, 0)

    @pytest.mark.parametrize(
        ("spoil", "reason"),
        [
            (lambda bundle, keys: replace(bundle, signatures=()), "bundle_unsigned"),
            (lambda bundle, keys: made(2, OTHERS, keys["eve"]), "bundle_unsigned"),
            (lambda bundle, keys: replace(bundle, version="3"), "bundle_signature_invalid"),
            (lambda bundle, keys: replace(bundle, serial=9), "bundle_signature_invalid"),
            (lambda bundle, keys: replace(bundle, canary_bp=1), "bundle_signature_invalid"),
            (lambda bundle, keys: replace(bundle, files=ruleset(BUNDLE_FILES).files), "bundle_invalid"),
        ],
    )
    def test_what_is_not_signed_so_changes_nothing_and_alarms(
        self, publishers: Publishers, keys: dict[str, SigningKey], spoil: Callable[..., RulesetBundle], reason: str
    ) -> None:
        bench = GateBench(publishers=publishers, with_rules=False)
        assert publish(bench, made(1, BUNDLE_FILES, keys["ann"])) == "rules_published"
        bench.driver.read(ALERT.name)
        assert publish(bench, spoil(made(2, OTHERS, keys["ann"]), keys)) == reason
        assert bench.dead_letters(RULESET.name) == [reason]
        (alert,) = [read.record for read in bench.driver.read(ALERT.name)]
        assert isinstance(alert, Alert)
        assert alert.analytic_uid == reason
        assert alert.severity_id == (3 if reason == "bundle_invalid" else 5)
        assert bench.judge().ruleset_digest == ruleset(BUNDLE_FILES).digest
        # A forgery does not use up serials: the next real one counts.
        assert publish(bench, made(3, OTHERS, keys["bob"])) == "rules_published"

    def test_two_people_must_sign_where_that_is_wanted(self, keys: dict[str, SigningKey]) -> None:
        named = {name: str(keys[name].public) for name in ("ann", "bob")}
        two = Publishers.of(named, required=2, allow_unsigned=False)
        bench = GateBench(publishers=two, with_rules=False)
        assert publish(bench, made(1, BUNDLE_FILES, keys["ann"])) == "bundle_unsigned"
        assert publish(bench, made(1, BUNDLE_FILES, keys["ann"], keys["bob"])) == "rules_published"

    def test_other_bundles_are_none_of_its_business(self, publishers: Publishers) -> None:
        bench = GateBench(publishers=publishers, with_rules=False)
        bench.driver.pipe(RULESET.name, b"other@1", ruleset(BUNDLE_FILES, name="other"))
        assert bench.audits() == []
        assert bench.dead_letters(RULESET.name) == []


class TestSerials:
    def test_an_old_publication_does_not_come_back(self) -> None:
        bench = GateBench()
        assert publish(bench, made(2, OTHERS)) == "rules_published"
        assert publish(bench, made(1)) == "bundle_rolled_back"
        assert publish(bench, made(2, BUNDLE_FILES)) == "bundle_rolled_back"
        assert bench.judge().ruleset_digest == ruleset(OTHERS).digest

    def test_the_same_record_written_twice_alarms_nobody(self) -> None:
        bench = GateBench()
        assert publish(bench, made(2, OTHERS)) == "rules_published"
        assert publish(bench, made(2, OTHERS)) == "rules_repeated"
        assert bench.dead_letters(RULESET.name) == []
        assert bench.driver.read(ALERT.name) == []

    def test_going_back_takes_a_new_serial_and_no_compiling(self) -> None:
        compiled: list[bytes] = []

        def compiler(source: BundleSource) -> CompiledRuleset:
            compiled.append(source.digest)
            return compile_published(source)

        bench = GateBench(compiler=compiler)
        assert publish(bench, made(2, OTHERS)) == "rules_published"
        assert publish(bench, made(3, BUNDLE_FILES, action=BundleAction.ROLLBACK)) == "rules_rolled_back"
        verdict = bench.judge()
        assert (verdict.ruleset_digest, verdict.ruleset_offset) == (ruleset(BUNDLE_FILES).digest, 2)
        assert compiled == [ruleset(BUNDLE_FILES).digest, ruleset(OTHERS).digest]

    def test_a_bad_bundle_leaves_the_last_good_one_and_tells_every_error(self) -> None:
        bench = GateBench()
        files = {**BUNDLE_FILES, "testing/testing.rules.yaml": BUNDLE_FILES["testing/testing.rules.yaml"].replace(
            "session.tainted", "session.taintd").replace("args.later\n", "1 + 1\n")}  # fmt: skip
        bench.audits()
        bench.driver.pipe(RULESET.name, b"k", made(2, files))
        (told,) = bench.audits(AuditEventType.CONTROL)
        assert told.reason == "bundle_invalid"
        text = told.reason_text or ""
        assert "unknown field `taintd`" in text
        assert "T-040" in text
        assert bench.judge().outcome == "ALLOW"

    def test_withdrawn_rules_deny_everything(self) -> None:
        bench = GateBench()
        assert publish(bench, made(2, {})) == "rules_withdrawn"
        verdict = bench.judge()
        assert (verdict.reason, verdict.ruleset_digest, verdict.ruleset_offset) == ("no_ruleset", None, 1)
        assert publish(bench, made(3)) == "rules_published"
        assert bench.judge().outcome == "ALLOW"

    @pytest.mark.parametrize(
        "bundle",
        [
            made(2, OTHERS, action=BundleAction.UNKNOWN),
            made(2, OTHERS, action=BundleAction.WITHDRAW),
            made(2, {}, action=BundleAction.PUBLISH),
            made(2, OTHERS, canary_bp=-1),
            made(2, OTHERS, canary_bp=10_000),
            made(2, OTHERS, canary_bp=5, action=BundleAction.ROLLBACK),
            made(2, OTHERS, packed=b"junk"),
            made(2, OTHERS, digest=bytes(32)),
        ],
        ids=str,
    )
    def test_a_publication_that_contradicts_itself_is_refused(self, bundle: RulesetBundle) -> None:
        bench = GateBench()
        assert publish(bench, bundle) == "bundle_invalid"
        assert bench.judge().outcome == "ALLOW"

    def test_tombstones_take_nothing_out_of_force(self) -> None:
        bench = GateBench()
        bench.driver.pipe(RULESET.name, b"default", None)
        assert bench.judge().outcome == "ALLOW"


class TestCanary:
    def test_a_share_of_sessions_has_other_rules(self) -> None:
        bench = GateBench()
        canary = ruleset(DENY_ALL).digest
        assert publish(bench, made(2, DENY_ALL, canary_bp=1_000)) == "rules_canary_started"
        assert 0.05 < share_of(bench, canary) < 0.16

    def test_a_session_stays_on_its_side(self) -> None:
        bench = GateBench()
        publish(bench, made(2, DENY_ALL, canary_bp=5_000))
        for number in range(20):
            session = SessionMaker(f"s-{number}")
            bench.establish(session)
            verdicts = [bench.judge(session=session) for _ in range(4)]
            assert len({verdict.ruleset_digest for verdict in verdicts}) == 1
            expected = {ruleset(DENY_ALL).digest: ("DENY", 1), ruleset(BUNDLE_FILES).digest: ("ALLOW", 0)}
            first = verdicts[0]
            assert (first.outcome, first.ruleset_offset) == expected[first.ruleset_digest or b""]

    def test_who_was_in_a_small_share_is_in_a_larger_one(self) -> None:
        small, large = GateBench(), GateBench()
        publish(small, made(2, DENY_ALL, canary_bp=1_000))
        publish(large, made(2, DENY_ALL, canary_bp=4_000))
        sides = set()
        for number in range(100):
            session = SessionMaker(f"s-{number}")
            judged = []
            for bench in (small, large):
                bench.establish(session)
                judged.append(bench.judge(session=session).outcome == "DENY")
            sides.add(tuple(judged))
        assert sides == {(True, True), (False, True), (False, False)}

    def test_it_ends_with_rules_for_all(self) -> None:
        for action, files, reason in (
            (BundleAction.PROMOTE, DENY_ALL, "rules_promoted"),
            (BundleAction.ROLLBACK, BUNDLE_FILES, "rules_rolled_back"),
        ):
            bench = GateBench()
            publish(bench, made(2, DENY_ALL, canary_bp=5_000))
            assert publish(bench, made(3, files, action=action)) == reason
            assert share_of(bench, ruleset(files).digest, 30) == 1

    def test_a_bad_one_changes_nothing(self) -> None:
        bench = GateBench()
        publish(bench, made(2, DENY_ALL, canary_bp=5_000))
        assert publish(bench, made(3, BROKEN, canary_bp=9_000)) == "bundle_invalid"
        assert publish(bench, made(4, BROKEN)) == "bundle_invalid"
        assert 0.3 < share_of(bench, ruleset(DENY_ALL).digest, 100) < 0.7

    def test_without_rules_for_the_others_those_are_denied(self) -> None:
        bench = GateBench(with_rules=False)
        publish(bench, made(1, BUNDLE_FILES, canary_bp=5_000))
        outcomes = set()
        for number in range(20):
            session = SessionMaker(f"s-{number}")
            bench.establish(session)
            outcomes.add(bench.judge(session=session).reason)
        assert outcomes == {"permitted", "no_ruleset"}


class TestStarting:
    """A gate that starts on a topic with history comes to the same as one that was there."""

    def start(self, *bundles: RulesetBundle, **bench: Any) -> tuple[GateBench, list[AuditEvent]]:
        started = GateBench(with_rules=False, before=[(publication_key(b), b) for b in bundles], **bench)
        return started, started.audits(AuditEventType.CONTROL)

    def test_only_what_is_in_force_is_compiled(self) -> None:
        compiled: list[bytes] = []

        def compiler(source: BundleSource) -> CompiledRuleset:
            compiled.append(source.digest)
            return compile_published(source)

        old = {**BUNDLE_FILES, "bundle.yaml": BUNDLE.replace('"1"', '"0"')}
        bench, told = self.start(
            made(1, old), made(2, OTHERS), made(3), made(4, DENY_ALL, canary_bp=5_000), compiler=compiler
        )
        assert sorted(record.reason or "" for record in told) == [
            *("rules_canary_started", "rules_published", "rules_superseded", "rules_superseded"),
        ]
        assert 0.3 < share_of(bench, ruleset(DENY_ALL).digest, 60) < 0.7
        # Beside those in force, the one that a person would go back to.
        assert set(compiled) == {ruleset(files).digest for files in (BUNDLE_FILES, DENY_ALL, OTHERS)}

    def test_the_last_good_one_is_found_below_bad_ones(self) -> None:
        bench, told = self.start(made(1), made(2, BROKEN), made(3, BROKEN, canary_bp=100))
        assert bench.judge().ruleset_digest == ruleset(BUNDLE_FILES).digest
        assert sorted(record.reason or "" for record in told) == ["bundle_invalid", "bundle_invalid", "rules_published"]

    def test_records_that_were_put_there_again_count_by_their_serial(self) -> None:
        bench, told = self.start(made(2, OTHERS), made(3, DENY_ALL, canary_bp=5_000), made(2, OTHERS), made(1))
        verdicts = set()
        for number in range(20):
            session = SessionMaker(f"s-{number}")
            bench.establish(session)
            verdicts.add(bench.judge(session=session).ruleset_digest)
        assert verdicts == {ruleset(OTHERS).digest, ruleset(DENY_ALL).digest}
        assert "rules_repeated" in {record.reason for record in told}

    def test_many_publications_are_settled(self) -> None:
        bench, _ = self.start(*(made(serial, OTHERS if serial % 2 else BUNDLE_FILES) for serial in range(1, 400)))
        assert bench.judge().ruleset_digest == ruleset(OTHERS).digest


class TestCompilerTrouble:
    def test_a_compiler_that_fails_is_asked_again_and_then_refused(self) -> None:
        asked = []

        def compiler(source: BundleSource) -> CompiledRuleset:
            if source.files != BUNDLE_FILES:
                asked.append(source.digest)
                raise CompilerFailedError("it died")
            return compile_published(source)

        bench = GateBench(compiler=compiler)
        bench.driver.pipe(RULESET.name, b"k", made(2, OTHERS))
        bench.wait(1_000)
        (told,) = [record for record in bench.audits(AuditEventType.CONTROL) if record.reason != "rules_published"]
        assert told.reason == "bundle_invalid"
        assert "could not be compiled: it died" in (told.reason_text or "")
        assert len(asked) == 3
        assert bench.judge().outcome == "ALLOW"

    def test_other_rules_than_were_asked_for_are_not_taken(self) -> None:
        bench = GateBench(compiler=lambda source: compile_published(bundle_from_files(BUNDLE_FILES)))
        bench.driver.pipe(RULESET.name, b"k", made(2, OTHERS))
        bench.wait(1_000)
        assert bench.judge().ruleset_digest == ruleset(BUNDLE_FILES).digest


class TestMemory:
    """What partitions remember keeps old rules from coming back when the topic forgets."""

    def wipe(self, bench: GateBench, *keys: bytes) -> None:
        """Take records off the topic, as whoever may write it could."""
        log = bench.driver.log
        for key in keys:
            log.append(Outgoing(RULESET.name, 0, key, None))
        log.append(Outgoing(RULESET.name, 0, b"last", None))
        log.compact(RULESET.name)

    def test_a_wiped_topic_denies_until_something_newer_is_published(self) -> None:
        bench = GateBench(with_rules=False)
        old, new = made(1), made(5, OTHERS)
        publish(bench, old)
        publish(bench, new)
        assert bench.judge().outcome == "ALLOW"
        self.wipe(bench, publication_key(old), publication_key(new))
        bench.driver.pipe(RULESET.name, publication_key(old), old)  # refused by the gate that runs
        assert bench.dead_letters(RULESET.name) == ["bundle_rolled_back"]
        assert bench.judge().ruleset_digest == new.digest
        bench.driver.read(ALERT.name)
        bench.audits()

        bench.restart()
        assert bench.judge().reason == "no_ruleset"
        assert bench.audits(AuditEventType.CONTROL) == []  # it may only not have been read yet
        bench.wait(6_000)
        (told,) = bench.audits(AuditEventType.CONTROL)
        assert told.reason == "rules_topic_behind"
        assert "before, it was 5, and 5 was in force" in (told.reason_text or "")
        (alert,) = [read.record for read in bench.driver.read(ALERT.name)]
        assert isinstance(alert, Alert)
        assert alert.analytic_uid == "rules_topic_behind"

        bench.restart()  # told once, not at each start
        bench.wait(6_000)
        assert bench.audits(AuditEventType.CONTROL) == []
        assert publish(bench, made(4)) == "bundle_rolled_back"
        assert bench.judge().reason == "no_ruleset"
        assert publish(bench, made(6)) == "rules_published"
        assert bench.judge().outcome == "ALLOW"

    def test_a_topic_that_was_restored_serves_again(self) -> None:
        bench = GateBench(with_rules=False)
        bundle = made(5, OTHERS)
        publish(bench, bundle)
        self.wipe(bench, publication_key(bundle))
        bench.restart()
        assert bench.judge().reason == "no_ruleset"
        bench.driver.pipe(RULESET.name, publication_key(bundle), bundle)
        assert bench.judge().ruleset_digest == bundle.digest

    def test_taking_the_newest_off_does_not_bring_the_one_before_back(self) -> None:
        bench = GateBench(with_rules=False)
        old, new = made(1), made(2, DENY_ALL)
        publish(bench, old)
        publish(bench, new)
        self.wipe(bench, publication_key(new))
        bench.restart()
        assert bench.judge().reason == "no_ruleset"

    def test_taking_a_canary_off_does_not_hide_that_it_was_there(self) -> None:
        bench = GateBench(with_rules=False)
        stable, canary = made(1), made(2, DENY_ALL, canary_bp=5_000)
        publish(bench, stable)
        publish(bench, canary)
        self.wipe(bench, publication_key(canary))
        bench.restart()
        assert bench.judge().reason == "no_ruleset"

    def test_every_partition_remembers(self) -> None:
        bench = GateBench(with_rules=False, partitions=3)
        bundle = made(7)
        publish(bench, bundle)
        rows = [bench.driver.disk.rows(partition)[b"c+"] for partition in range(3)]
        assert rows == [msgspec.msgpack.encode((7, 7))] * 3

    def test_what_was_reported_is_not_reported_again(self) -> None:
        bench = GateBench()
        publish(bench, made(2, BROKEN))
        publish(bench, made(3, OTHERS))
        assert bench.dead_letters(RULESET.name) == ["bundle_invalid"]
        for _ in range(2):
            bench.restart()
            assert bench.audits(AuditEventType.CONTROL) == []
            assert bench.dead_letters(RULESET.name) == []
