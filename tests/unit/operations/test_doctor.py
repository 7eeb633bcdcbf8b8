"""The examination: each thing that can be wrong is found, and nothing is changed by looking."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.records import entry_key, reviewed, ruleset, tool_entry
from streams.model.control import RulesetBundle
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.topics import AUDIT_REPORTED, BASELINE, CATALOG, RULESET, TOPICS
from streams.operations.doctor import examination as doctor_module
from streams.operations.doctor.findings import Finding, Status
from streams.operations.root_key import make_root_key
from streams.operations.rules.publication import draft_directory, publish
from streams.operations.signing_keys import make_key_file
from streams.operations.stops import write_revocation
from streams.operations.topics.application import carry_out, make_plan, topics_of
from streams.ports import Outgoing, TopicSpec
from streams.services.gate.examination import examine_seal_key
from streams.services.gate.settings import SealSection
from streams.wiring.clock import SystemClock
from streams.wiring.doctor import examine_deployment
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings
from streams.wiring.shipped import rules_directory
from tests.baselines import baseline, baseline_record_key, settled


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return load_settings()


@pytest.fixture
def deployment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Everything but published rules and tools."""
    monkeypatch.setenv("STOPLOG_RULES__ALLOW_UNSIGNED", "true")
    settings = load_settings()
    make_root_key(settings.key_path)
    with open_log(settings) as log:
        admin = log.admin()
        carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
    return settings


def findings(**overrides: object) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine_deployment(overrides)}


def failing(**overrides: object) -> set[str]:
    return {check for check, finding in findings(**overrides).items() if finding.status is Status.FAIL}


def test_a_new_folder_lacks_key_and_log_and_stays_empty(settings: Settings, tmp_path: Path) -> None:
    found = findings()
    assert {check for check, finding in found.items() if finding.status is Status.FAIL} == {"root key", "log"}
    assert "`stoplog keys new`" in found["root key"].text
    assert "`stoplog topics apply`" in found["log"].text
    assert list(tmp_path.iterdir()) == []


def test_settings_that_can_not_be_understood_end_it(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "stoplog.toml").write_text("bootstrp = 'x'")
    found = findings()
    assert list(found) == ["settings"]
    assert found["settings"].status is Status.FAIL
    assert "did you mean `bootstrap`?" in found["settings"].text


def test_where_settings_come_from(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings()["settings"].text == "from the defaults"
    (tmp_path / "stoplog.toml").write_text("tenant = 'x'")
    monkeypatch.setenv("STOPLOG_GROUP", "g")
    assert findings()["settings"].text == "from `stoplog.toml`, `STOPLOG_GROUP`"


def test_a_deployment_without_rules_and_tools_denies_everything(deployment: Settings) -> None:
    found = findings()
    assert failing() == {"rules", "reviewers", "catalog"}
    assert "every intent is denied" in found["rules"].text
    assert found["rules"].advice == "run `stoplog rules publish DIR`"
    assert found["topics"].status is Status.OK


def test_it_counts_the_topics_that_topics_check_counts(deployment: Settings) -> None:
    count = len(topics_of(deployment.topics, [deployment.tenant]))
    assert f"{count} of {count} topics exist" in findings()["log"].text


def test_the_bundle_in_force_is_named(deployment: Settings) -> None:
    with open_operator(deployment) as operator:
        publish(operator, draft_directory(operator, rules_directory(), "default"))
    found = findings()["rules"]
    assert found.status is Status.OK
    assert "bundle `default`" in found.text
    assert "serial 1" in found.text
    assert failing(gate={"bundle_name": "another"}) >= {"rules"}


def test_rules_that_were_withdrawn_fail(deployment: Settings) -> None:
    with open_operator(deployment) as operator:
        publish(operator, draft_directory(operator, rules_directory(), "default"))
        withdrawn = ruleset({}, serial=2)
        operator.write(RULESET, [(b"default", withdrawn, withdrawn.header)])
    found = findings()["rules"]
    assert found.status is Status.FAIL
    assert found.text == "serial 2 has withdrawn the rules of bundle `default`: every intent is denied"
    assert found.advice == "run `stoplog rules publish DIR`"


def test_rules_for_a_share_of_sessions_are_named(deployment: Settings, tmp_path: Path) -> None:
    shutil.copytree(rules_directory(), tmp_path / "rules")
    with open_operator(deployment) as operator:
        publish(operator, draft_directory(operator, tmp_path / "rules", "default"))
        bundle = tmp_path / "rules" / "bundle.yaml"
        bundle.write_text(re.sub(r"(?m)^version: .*$", 'version: "999"', bundle.read_text()))
        publish(operator, draft_directory(operator, tmp_path / "rules", "default", canary_bp=500))
    found = findings()
    assert found["canary"].status is Status.OK
    assert found["canary"].text.startswith("5% of sessions have version 999, serial 2; ")
    assert "serial 1" in found["rules"].text


def test_what_a_gate_refuses_is_told(deployment: Settings) -> None:
    with open_operator(deployment) as operator:
        bundle, _ = publish(operator, draft_directory(operator, rules_directory(), "default"))
        header = operator.header()
        broken = RulesetBundle(
            header=header,
            name="default",
            version="2",
            serial=2,
            digest=bundle.digest,
            files=bundle.files[:1],
            published_by="tests",
        )
        operator.write(RULESET, [(b"default", broken, header)])
    with open_log(deployment) as log:
        publisher = log.publisher()
        publisher.publish(Outgoing(CATALOG.name, 0, b"mail/send", b"\x00garbage"))
        publisher.close()
    found = findings()
    assert found["published"].status is Status.WARN
    assert "gates reject 2 records" in found["published"].text
    assert "`agent.catalog.v1` offset 0" in found["published"].text
    assert "serial 1" in found["rules"].text  # what was in force stays so


class TestTools:
    def test_without_reviewers_nothing_can_be_called(self, deployment: Settings) -> None:
        found = findings()["reviewers"]
        assert (found.status, found.advice[:40]) == (Status.FAIL, "create a key with `stoplog keys reviewer")
        assert findings(catalog={"allow_unsigned": True})["reviewers"].status is Status.WARN

    def test_what_is_signed_can_be_called_until_its_review_ends(self, deployment: Settings, tmp_path: Path) -> None:
        key = make_key_file(tmp_path / "ann.pem")
        reviewed_by = {"reviewers": {"ann": str(key.public)}}
        now_ms = SystemClock().now_ms()
        with open_operator(deployment) as operator:
            for name, expires_ms in (("read", now_ms + 3_600_000), ("write", now_ms - 1)):
                entry = tool_entry("files", name, proposed_by="carol", review_expires=expires_ms)
                signed = reviewed(entry, key)
                operator.write(CATALOG, [(entry_key(signed), signed, signed.header)])
        found = findings(catalog=reviewed_by)
        assert found["reviewers"].text == "ann; 1 of them must sign"
        assert found["catalog"].status is Status.WARN
        assert found["catalog"].text == (
            "1 of 2 cataloged tools may be called; the review of `files/write` has expired"
        )
        # With the settings of another deployment, none.
        other = {"reviewers": {"bob": str(make_key_file(tmp_path / "bob.pem").public)}}
        found = findings(catalog=other)
        assert found["catalog"].status is Status.FAIL
        assert "gates reject 2 records" in found["published"].text


def test_topics_that_keep_a_gate_from_starting_fail(deployment: Settings) -> None:
    with open_log(deployment) as log:
        log.admin().alter_config("agent.intent.v1", {"message.timestamp.type": "CreateTime"})
    found = findings()
    assert found["topics"].status is Status.FAIL
    assert "`agent.intent.v1`" in found["topics"].text
    assert "rules" not in found


def test_a_missing_topic_of_reports_is_named(settings: Settings) -> None:
    """A log of the version before has none; no gate starts on it, for want of a place for its allocator's reports."""
    make_root_key(settings.key_path)
    with open_log(settings) as log:
        admin = log.admin()
        admin.create([TopicSpec(t.name, 1, t.config()) for t in TOPICS if t is not AUDIT_REPORTED], 1)
    found = findings()
    assert found["topics"].status is Status.FAIL
    assert found["topics"].text == "topic `agent.audit.reported.v1` does not exist"
    assert found["topics"].advice == "run `stoplog topics apply`"


def test_a_gate_that_the_access_lists_leave_out_is_told(deployment: Settings, tmp_path: Path) -> None:
    """`topics apply` gives rights on transactional ids by these names, and no client can ask which it has."""
    text = '[topics.principals]\ngate = ["User:g"]\n[topics.instances]\n"User:g" = ["gate-1", "gate-2"]\n'
    (tmp_path / "stoplog.toml").write_text(text)
    assert "instances" not in findings(instance="gate-2")
    told = findings(instance="gate-3")["instances"]
    assert told.status is Status.WARN
    assert "names no gate `gate-3` (`User:g`: gate-1, gate-2)" in told.text
    assert "`stoplog topics apply`" in told.advice


def test_topics_that_only_differ_warn(deployment: Settings) -> None:
    with open_log(deployment) as log:
        log.admin().alter_config("agent.audit.v1", {"retention.ms": "1000"})
    found = findings()
    assert found["topics"].status is Status.WARN
    assert "`retention.ms`" in found["topics"].text


def test_a_key_that_others_can_read_fails(deployment: Settings) -> None:
    deployment.key_path.chmod(0o644)
    assert "chmod 600" in findings()["root key"].text
    assert "root key" in failing()


def test_a_key_that_is_too_short_fails(deployment: Settings) -> None:
    deployment.key_path.write_bytes(b"short")
    assert "5 bytes" in findings()["root key"].text


def test_a_file_that_is_too_long_for_a_key_fails(deployment: Settings) -> None:
    deployment.key_path.write_bytes(bytes(4_097))
    assert "more than 4096 bytes" in findings()["root key"].text


def test_a_device_is_no_root_key(deployment: Settings) -> None:
    deployment.key_path.unlink()
    deployment.key_path.symlink_to("/dev/null")
    assert "is a device" in findings()["root key"].text


def test_little_room_warns_and_none_fails(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for least, low, status in ((0, 1 << 60, Status.WARN), (1 << 60, 1 << 60, Status.FAIL), (0, 0, Status.OK)):
        monkeypatch.setattr(doctor_module, "FREE_BYTES_MIN", least)
        monkeypatch.setattr(doctor_module, "FREE_BYTES_LOW", low)
        assert findings()["state folder"].status is status


def test_a_state_folder_that_others_can_look_into_warns(settings: Settings) -> None:
    settings.state_dir.mkdir(mode=0o700)
    assert findings()["state folder"].status is Status.OK
    settings.state_dir.chmod(0o750)
    found = findings()["state folder"]
    assert found.status is Status.WARN
    assert "readable by others" in found.text
    assert f"`chmod 700 {settings.state_dir}`" in str(found.advice)


def test_a_state_folder_that_is_a_file_fails(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = findings(state_dir=tmp_path / "file" / "state")
    assert found["state folder"].status is Status.FAIL


def test_a_running_gate_is_seen_by_its_lock(settings: Settings, tmp_path: Path) -> None:
    store = settings.state_dir / "gate" / settings.instance / "0"
    store.mkdir(parents=True)
    (store / "LOCK").write_text("")
    assert findings()["running gate"].text == "no gate `gate-1` runs on this machine"
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "print(flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(store / "LOCK")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert findings()["running gate"].text.startswith("gate `gate-1` runs on this machine")
        assert "with the state of partitions" in findings()["running gate"].text
        assert findings(instance="gate-2")["running gate"].text == "no gate `gate-2` runs on this machine"
    finally:
        holder.communicate()


def test_a_registry_that_does_not_answer_fails(deployment: Settings) -> None:
    found = findings(schema_registry_url="http://127.0.0.1:9", schema_registry={"timeout": "1", "max.retries": "0"})
    assert found["schema ids"].status is Status.FAIL
    assert "127.0.0.1:9" in found["schema ids"].text


def test_a_cluster_that_is_not_there_fails_with_advice(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka.admin.REQUEST_S_MAX", 1.0)
    found = findings(log="kafka", bootstrap="127.0.0.1:9")
    assert found["log"].status is Status.FAIL
    assert "brokers" in found["log"].advice
    assert "topics" not in found


def test_the_kill_switch_is_seen(deployment: Settings) -> None:

    assert findings()["revocations"].text == "none in force"
    with open_operator(deployment) as operator:
        write_revocation(operator, RevocationKind.ALL, "*", RevocationState.REVOKED, "drill")
    found = findings()["revocations"]
    assert found.status is Status.WARN
    assert "`stoplog release --all" in found.advice
    assert found.text.startswith("1 in force: 1 of kind ALL; ")


def test_rules_that_are_stopped_are_named_with_what_to_do(deployment: Settings, tmp_path: Path) -> None:
    shutil.copytree(rules_directory(), tmp_path / "rules")
    with open_operator(deployment) as operator:
        stable, _ = publish(operator, draft_directory(operator, tmp_path / "rules", "default"))
        bundle = tmp_path / "rules" / "bundle.yaml"
        bundle.write_text(re.sub(r"(?m)^version: .*$", 'version: "999"', bundle.read_text()))
        canary, _ = publish(operator, draft_directory(operator, tmp_path / "rules", "default", canary_bp=500))
        assert "stopped rules" not in findings()
        write_revocation(operator, RevocationKind.RULESET, canary.digest.hex(), RevocationState.REVOKED, "drill")
        found = findings()
        assert found["stopped rules"].status is Status.WARN
        assert (
            "serial 2, is stopped: every intent of the sessions of the canary is denied" in found["stopped rules"].text
        )
        assert f"`stoplog release --rules {canary.digest.hex()} --key FILE --why TEXT`" in found["stopped rules"].advice
        assert found["revocations"].text == "1 in force: 1 of kind RULESET"
        write_revocation(operator, RevocationKind.RULESET, stable.digest.hex(), RevocationState.REVOKED, "drill")
    stopped = [each for each in examine_deployment({}) if each.check == "stopped rules"]
    assert ["serial 1" in each.text for each in stopped] == [True, False]


def test_what_gates_know_of_agents_is_told_with_its_age_and_who_asks_for_it(
    deployment: Settings, tmp_path: Path
) -> None:
    assert (findings()["baselines"].status, findings()["baselines"].text) == (Status.OK, "none; no rule reads them")
    shutil.copytree(rules_directory(), tmp_path / "rules")
    rules = tmp_path / "rules" / "shell" / "shell.rules.yaml"
    rule = '  - {id: NEW-1, effect: deny, match: {tools: ["x.y"]}, when: "signal.new_tool > 9", reason: new}\n'
    rules.write_text(rules.read_text().replace("\nrules:\n", f"\nrules:\n{rule}", 1))
    with open_operator(deployment) as operator:
        publish(operator, draft_directory(operator, tmp_path / "rules", "default"))
        lacking = findings()["baselines"]
        assert (lacking.status, lacking.advice) == (Status.WARN, "run `stoplog watch`")
        assert lacking.text.endswith("rules never find a call unusual for its agent: NEW-1")
        record = baseline(settled())
        operator.write(BASELINE, [(baseline_record_key(), record, record.header), (b"other", record, record.header)])
    found = findings()["baselines"]
    assert found.status is Status.OK
    assert found.text == "of one agent, the newest 0 min old; rules that read them: NEW-1"


class TestTheKeyOfSeals:
    def one(self, section: SealSection, *, on_embedded_log: bool = False) -> Finding:
        (finding,) = examine_seal_key(section, on_embedded_log=on_embedded_log)
        return finding

    def test_one_that_is_derived_warns_but_for_development(self, deployment: Settings) -> None:
        finding = self.one(SealSection())
        assert finding.status is Status.WARN
        assert "can have executors run anything" in finding.text
        assert "`stoplog keys seal new --out FILE`" in finding.advice
        assert self.one(SealSection(), on_embedded_log=True).status is Status.OK
        assert findings()["seal key"].status is Status.OK

    def test_one_of_the_gates_is_named(self, deployment: Settings, tmp_path: Path) -> None:
        key = make_key_file(tmp_path / "seal.key")
        finding = findings(seal={"key_file": str(tmp_path / "seal.key")})["seal key"]
        assert finding.status is Status.OK
        assert str(key.public) in finding.text

    def test_one_that_can_not_be_used_fails(self, tmp_path: Path) -> None:
        (tmp_path / "seal.key").touch(mode=0o600)
        for section in (SealSection(key_file=tmp_path / "seal.key"), SealSection(key_variable="NO_SUCH_VARIABLE")):
            assert self.one(section).status is Status.FAIL
