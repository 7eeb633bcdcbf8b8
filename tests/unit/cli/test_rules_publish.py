"""`stoplog rules publish|sign|promote|rollback|status`, `keys publisher`: who may, with what, and back again."""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.cli.commands.rules import status as rules_status
from streams.model.control import BundleAction, RulesetBundle
from streams.model.topics import RULESET
from streams.operations.operator import Operator
from streams.operations.rules.history import Judged
from streams.operations.rules.publication import KEPT_MAX, draft_directory, publish, sign
from streams.policy import bundle_from_files
from streams.sdk.keys.key_files import load_key_file
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.unit.cli.conftest import Result, Stoplog

HEAD = "apiVersion: rules/v1\nbundle: own\nversion: '{version}'\npacks: [p]\n"
RULES = """apiVersion: rules/v1
pack: p
rules:
  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: size(tenant) > 0, reason: number NUMBER}
"""
Write = Callable[[int], str]


@pytest.fixture
def rules(home: Path) -> Write:
    """Makes a directory of rules of a version."""

    def write(version: int) -> str:
        folder = home / f"rules-{version}"
        (folder / "p").mkdir(parents=True, exist_ok=True)
        (folder / "bundle.yaml").write_text(HEAD.format(version=version))
        (folder / "p" / "p.rules.yaml").write_text(RULES.replace("NUMBER", str(version)))
        return str(folder)

    return write


@pytest.fixture
def people(stoplog: Stoplog, home: Path) -> dict[str, str]:
    """Key files by name; ann and bob are publishers."""
    assert stoplog("topics", "apply").status == 0
    found = {}
    lines = ["[rules]\nrequired_signatures = 1\n[rules.publishers]\n"]
    for name in ("ann", "bob", "eve"):
        (record,) = stoplog("keys", "publisher", "new", "--out", f"{name}.pem").records
        found[name] = f"{name}.pem"
        if name != "eve":
            lines.append(f'{name} = "{record["public_key"]}"\n')
    (home / "stoplog.toml").write_text("".join(lines))
    return found


def two_people(home: Path) -> None:
    text = (home / "stoplog.toml").read_text()
    (home / "stoplog.toml").write_text(text.replace("required_signatures = 1", "required_signatures = 2"))


def in_force(stoplog: Stoplog) -> dict[str, Any]:
    """Serial by what it is in force for."""
    return {r["in_force_for"]: r["serial"] for r in stoplog("rules", "status").records if r["in_force_for"]}


class TestAtTheSameTime:
    """Two people publish at the same time: the second one writes what the first one does not know of."""

    @pytest.fixture
    def meanwhile(self, monkeypatch: pytest.MonkeyPatch, people: dict[str, str]) -> Callable[..., None]:
        """Publishes rules of bob's just before the next record that anybody else writes."""

        def arrange(directory: str, times: int = 1) -> None:
            write, left = Operator.write, [times]

            def late(own: Operator, *args: Any) -> None:
                while left[0] and own.name != "bob":
                    left[0] -= 1
                    with open_operator(load_settings(), "bob") as other:
                        draft = draft_directory(other, Path(directory), "default")
                        # A publication of the same rules would change nothing.
                        draft = msgspec.structs.replace(draft, action=BundleAction.ROLLBACK)
                        publish(other, sign(draft, load_key_file(Path(people["bob"]))))
                write(own, *args)

            monkeypatch.setattr(Operator, "write", late)

        return arrange

    @pytest.mark.parametrize("times", [1, 2], ids=["same serial", "higher serial"])
    def test_the_second_one_is_told_that_gates_reject_it(
        self, rules: Write, stoplog: Stoplog, people: dict[str, str], meanwhile: Callable[..., None], times: int
    ) -> None:
        assert stoplog("rules", "publish", rules(1), "--key", people["ann"]).status == 0
        meanwhile(rules(2), times)
        done = stoplog("rules", "rollback", "--to", "1", "--key", people["ann"], "--as", "ann")
        assert done.status == 1
        assert "was published by bob at the same time, and came first: gates reject yours, serial 2" in done.err
        assert in_force(stoplog) == {"all": 1 + times}

    def test_run_again_it_counts(
        self, rules: Write, stoplog: Stoplog, people: dict[str, str], meanwhile: Callable[..., None]
    ) -> None:
        assert stoplog("rules", "publish", rules(1), "--key", people["ann"]).status == 0
        meanwhile(rules(2))
        assert stoplog("rules", "publish", rules(3), "--key", people["ann"], "--as", "ann").status == 1
        assert stoplog("rules", "publish", rules(3), "--key", people["ann"], "--as", "ann").status == 0
        assert in_force(stoplog) == {"all": 3}


class TestKeys:
    def test_a_publishers_key_is_its_owners_alone(self, stoplog: Stoplog, home: Path) -> None:
        (record,) = stoplog("keys", "publisher", "new", "--out", "ann.pem").records
        assert stat.S_IMODE((home / "ann.pem").stat().st_mode) == 0o600
        assert record["public_key"].startswith("ed25519:")
        assert len(record["kid"]) == 43
        again = stoplog("keys", "publisher", "new", "--out", "ann.pem")
        assert again.status == 1
        assert "exists already" in again.err
        shown = stoplog("keys", "publisher", "new", "--out", "bob.pem", "--no-json").out
        assert "[rules.publishers]" in shown
        assert "ed25519:" in shown

    def test_it_can_be_encrypted(self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write) -> None:
        (home / "pass").write_text("correct horse\n")
        (record,) = stoplog("keys", "publisher", "new", "--out", "safe.pem", "--passphrase-file", "pass").records
        (home / "stoplog.toml").write_text(f'[rules.publishers]\nann = "{record["public_key"]}"\n')
        signed = ("rules", "publish", rules(1), "--key", "safe.pem", "--passphrase-file")
        (home / "wrong").write_text("battery staple\n")
        assert "passphrase is wrong" in stoplog(*signed, "wrong").err
        (home / "none").write_text("\n")
        assert "first line" in stoplog(*signed, "none").err
        assert stoplog(*signed, "pass").records[0]["signed_by"] == ["ann"]


class TestPublish:
    def test_without_a_signature_nothing_is_published(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        for options in ((), ("--key", people["eve"])):
            result = stoplog("rules", "publish", rules(1), *options)
            assert result.status == 1
            assert "has 0 of the 1 signatures by configured publishers" in result.err
            assert "sign it with `--key FILE`" in result.err
            assert ("a key that has signed it is not in `rules.publishers`" in result.err) is bool(options)
        assert stoplog("rules", "status").records == []

    def test_where_nobody_is_configured_it_says_what_to_do(self, stoplog: Stoplog, rules: Write) -> None:
        stoplog("topics", "apply")
        result = stoplog("rules", "publish", rules(1))
        assert result.status == 1
        assert "`rules.publishers`" in result.err

    def test_a_signature_makes_it_count(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        (record,) = stoplog("rules", "publish", rules(1), "--key", people["ann"], "--as", "carol").records
        assert (record["serial"], record["signed_by"], record["published"]) == (1, ["ann"], True)
        (shown,) = stoplog("rules", "status").records
        assert (shown["in_force_for"], shown["published_by"], shown["signed_by"]) == ("all", "carol", ["ann"])
        assert shown["published_ms"] > 0
        again = stoplog("rules", "publish", rules(1), "--key", people["ann"])
        assert again.records[0]["published"] is False
        said = stoplog("rules", "publish", rules(1), "--key", people["ann"], "--no-json").out
        assert "in force already" in said
        assert re.search(r"^digest [0-9a-f]{64}, published by \w", said, re.MULTILINE)
        assert "carol" in stoplog("rules", "status", "--no-json").out

    def test_rules_that_are_published_under_another_name_than_their_own(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        shown = stoplog("rules", "publish", rules(1), "--key", people["ann"], "--no-json").out
        assert "its file calls this bundle `own`; it is published as `default`, which gates enforce" in shown
        shown = stoplog("rules", "publish", rules(2), "--key", people["ann"], "--name", "default", "--no-json").out
        assert "its file calls this bundle" not in shown

    def test_two_people(self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write) -> None:
        two_people(home)
        refused = stoplog("rules", "publish", rules(1), "--key", people["ann"])
        assert "has 1 of the 2 signatures by configured publishers" in refused.err
        (draft,) = stoplog("rules", "publish", rules(1), "--key", people["ann"], "--out", "draft.json").records
        assert (draft["draft"], draft["signatures"]) == (True, 1)
        assert stoplog("rules", "publish", "draft.json").status == 1
        assert stoplog("rules", "sign", "draft.json", "--key", people["ann"]).records[0]["signatures"] == 1
        assert stoplog("rules", "publish", "draft.json").status == 1
        (signed,) = stoplog("rules", "sign", "draft.json", "--key", people["bob"], "--dir", rules(1)).records
        assert signed["signed_by"] == ["ann", "bob"]
        (record,) = stoplog("rules", "publish", "draft.json").records
        assert (record["published"], record["signed_by"]) == (True, ["ann", "bob"])
        assert in_force(stoplog) == {"all": 1}

    def test_a_second_person_signs_only_what_they_have_seen(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"], "--out", "draft.json")
        result = stoplog("rules", "sign", "draft.json", "--key", people["bob"], "--dir", rules(2))
        assert result.status == 1
        assert "the draft was not signed" in result.err
        draft = json.loads((home / "draft.json").read_text())
        draft["publication"]["files"][1]["content"] += "# more\n"
        (home / "draft.json").write_text(json.dumps(draft))
        for command in (("sign", "draft.json", "--key", people["bob"]), ("publish", "draft.json")):
            result = stoplog("rules", *command)
            assert result.status == 1
            assert "don't match its digest" in result.err

    def test_what_was_signed_can_not_be_changed(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"], "--out", "draft.json")
        draft = json.loads((home / "draft.json").read_text())
        for field, value in (("serial", 99), ("canary_bp", 5_000), ("published_by", "x"), ("name", "other")):
            changed = {**draft, "publication": {**draft["publication"], field: value}}
            (home / "changed.json").write_text(json.dumps(changed))
            result = stoplog("rules", "publish", "changed.json")
            assert result.status == 1
            assert "is not what `ann` has signed" in result.err

    def test_a_draft_that_was_overtaken(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"], "--out", "draft.json")
        stoplog("rules", "publish", rules(2), "--key", people["ann"])
        result = stoplog("rules", "publish", "draft.json")
        assert result.status == 1
        assert "which has been published since" in result.err

    def test_what_is_no_draft_is_told(self, stoplog: Stoplog, home: Path, people: dict[str, str]) -> None:
        forms = (b"", b"[]", b"{}", b'{"form": "stoplog rules publication v1"}', b'{"form": 1, "publication": {}}')
        for content in (*forms, b'{"form": "\xff"}', b"[" * 100_000):
            (home / "draft.json").write_bytes(content)
            for command in (("sign", "draft.json", "--key", people["ann"]), ("publish", "draft.json")):
                result = stoplog("rules", *command)
                assert result.status == 1
                assert "`draft.json` is not a draft" in result.err
        assert "`none` is neither a folder of rules nor a draft" in stoplog("rules", "publish", "none").err

    def test_refused_rules_are_not_published(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        folder = rules(1)
        (Path(folder) / "p" / "p.rules.yaml").write_text("rules: [")
        result = stoplog("rules", "publish", folder, "--key", people["ann"])
        assert result.status == 1
        assert "bundle rejected" in result.err
        assert result.records
        assert result.records == [r for r in stoplog("rules", "check", folder).records if r["record"] == "finding"]
        assert stoplog("rules", "publish", folder, "--key", people["ann"], "--no-json").out == ""

    def test_a_draft_of_refused_rules_says_what_is_wrong(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"], "--out", "draft.json")
        draft = json.loads((home / "draft.json").read_text())
        file = draft["publication"]["files"][1]
        file["content"] = file["content"].replace("size(tenant)", "size(tenan)")
        files = {each["path"]: each["content"] for each in draft["publication"]["files"]}
        draft["publication"]["digest"] = bundle_from_files(files).digest.hex()
        (home / "draft.json").write_text(json.dumps(draft))
        for command in (("sign", "draft.json", "--key", people["bob"]), ("publish", "draft.json")):
            result = stoplog("rules", *command)
            assert (result.status, [record["code"] for record in result.records]) == (1, ["unknown_name"])

    def test_cases_that_fail_keep_rules_from_being_published(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        folder = Path(rules(1))
        fixture = Path(__file__).parents[3] / "rules" / "fixtures" / "lookup.json"
        (folder / "p" / "base.json").write_text(fixture.read_text())
        cases = "tests: p.rules.yaml\nbase: base.json\ncases:\n  - {name: any, expect: {verdict: VERDICT}}\n"
        tests = folder / "p" / "p.tests.yaml"
        tests.write_text(cases.replace("VERDICT", "deny"))
        result = stoplog("rules", "publish", str(folder), "--key", people["ann"])
        assert result.status == 1
        (case,) = result.records
        assert (case["record"], case["case"], case["line"], case["passed"]) == ("case", "any", 4, False)
        said = stoplog("rules", "publish", str(folder), "--key", people["ann"], "--no-json")
        assert "p.tests.yaml:4:5: failed: case `any`" in said.out
        assert "not published: 1 of 1 case failed; gates keep the rules that they have" in said.out + said.err
        assert in_force(stoplog) == {}
        tests.write_text(cases.replace("VERDICT", "denied"))
        (finding,) = stoplog("rules", "publish", str(folder), "--key", people["ann"]).records
        assert (finding["code"], finding["severity"]) == ("wrong_value", "error")
        assert in_force(stoplog) == {}
        tests.write_text(cases.replace("VERDICT", "allow"))
        assert stoplog("rules", "publish", str(folder), "--key", people["ann"]).status == 0
        assert in_force(stoplog) == {"all": 1}

    def test_scenarios_that_fail_keep_rules_from_being_published(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        folder = Path(rules(1))
        scenarios = "tools: {a.b: {}}\nscenarios:\n  - name: one\n    steps: [{call: a.b, expect: VERDICT}]\n"
        file = folder / "p" / "p.scenarios.yaml"
        file.write_text(scenarios.replace("VERDICT", "defer"))
        result = stoplog("rules", "publish", str(folder), "--key", people["ann"])
        assert result.status == 1
        (scenario,) = result.records
        assert (scenario["record"], scenario["scenario"], scenario["passed"]) == ("scenario", "one", False)
        said = stoplog("rules", "publish", str(folder), "--key", people["ann"], "--no-json")
        assert "p.scenarios.yaml:4:13: failed: scenario `one`, step 1 (call a.b)" in said.out
        assert "not published: 1 of 1 scenario failed; gates keep the rules that they have" in said.out + said.err
        assert in_force(stoplog) == {}
        file.write_text(scenarios.replace("VERDICT", "alow"))
        (finding,) = stoplog("rules", "publish", str(folder), "--key", people["ann"]).records
        assert (finding["code"], finding["severity"]) == ("wrong_value", "error")
        file.write_text(scenarios.replace("VERDICT", "allow"))
        assert stoplog("rules", "publish", str(folder), "--key", people["ann"]).status == 0
        assert in_force(stoplog) == {"all": 1}

    def test_warnings_are_shown_and_errors_of_the_check_refuse(
        self, stoplog: Stoplog, home: Path, people: dict[str, str], rules: Write
    ) -> None:
        folder = Path(rules(1))
        file = folder / "p" / "p.rules.yaml"
        text = file.read_text()
        file.write_text(text.replace("size(tenant) > 0", "(true)"))
        warning, published = stoplog("rules", "publish", str(folder), "--key", people["ann"]).records
        assert (warning["severity"], warning["code"], warning["line"]) == ("warning", "constant", 4)
        assert published["published"]
        draft = str(home / "draft.json")
        file.write_text(text.replace("size(tenant) > 0", "'tenant.matches(\"(\")'"))
        for out in ((), ("--out", draft)):
            result = stoplog("rules", "publish", str(folder), "--key", people["ann"], *out)
            assert (result.status, [record["code"] for record in result.records]) == (1, ["bad_regex"])
        assert not Path(draft).exists()
        assert in_force(stoplog) == {"all": 1}

    def test_a_serial_for_a_topic_that_lost_its_records(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"], "--serial", "40")
        assert in_force(stoplog) == {"all": 40}
        stoplog("rules", "publish", rules(2), "--key", people["ann"])
        assert in_force(stoplog) == {"all": 41}
        result = stoplog("rules", "publish", rules(3), "--key", people["ann"], "--serial", "7")
        assert result.status == 1
        assert "is not above 41" in result.err

    def test_large_bundles_fit_into_a_record(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        folder = rules(1)
        text = RULES + "".join(f"# why it is so, paragraph {number} of the regulation\n" for number in range(25_000))
        (Path(folder) / "p" / "p.rules.yaml").write_text(text)
        assert len(text) > 1_048_576
        assert stoplog("rules", "publish", folder, "--key", people["ann"]).records[0]["published"] is True
        assert in_force(stoplog) == {"all": 1}


class TestCanary:
    @pytest.fixture
    def running(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> tuple[str, str]:
        """Version 1 for all, version 2 for a tenth."""
        key = ("--key", people["ann"])
        assert stoplog("rules", "publish", rules(1), *key).status == 0
        (record,) = stoplog("rules", "publish", rules(2), *key, "--canary", "10%").records
        assert record["canary_percent"] == 10
        assert in_force(stoplog) == {"all": 1, "canary": 2}
        return key

    def test_it_is_promoted(self, stoplog: Stoplog, running: tuple[str, str]) -> None:
        (record,) = stoplog("rules", "promote", *running).records
        assert (record["serial"], record["version"], record["action"]) == (3, "2", "PROMOTE")
        assert in_force(stoplog) == {"all": 3}
        assert stoplog("rules", "promote", *running).status == 1

    def test_it_is_taken_back(self, stoplog: Stoplog, running: tuple[str, str]) -> None:
        (record,) = stoplog("rules", "rollback", *running).records
        assert (record["serial"], record["version"], record["action"]) == (3, "1", "ROLLBACK")
        assert in_force(stoplog) == {"all": 3}

    def test_the_share_can_grow(self, stoplog: Stoplog, running: tuple[str, str], rules: Write) -> None:
        stoplog("rules", "publish", rules(2), *running, "--canary", "50")
        assert in_force(stoplog) == {"all": 1, "canary": 3}
        assert "50%" in stoplog("rules", "status", "--no-json").out

    def test_rules_for_all_end_it(self, stoplog: Stoplog, running: tuple[str, str], rules: Write) -> None:
        stoplog("rules", "publish", rules(1), *running)
        assert in_force(stoplog) == {"all": 3}

    @pytest.mark.parametrize("share", ["0", "0%", "100%", "100", "-5%", "ten", "", "5 %", "0.001%", "1e1%"])
    def test_a_share_that_is_none(self, stoplog: Stoplog, running: tuple[str, str], rules: Write, share: str) -> None:
        result = stoplog("rules", "publish", rules(3), *running, f"--canary={share}")
        assert result.status == 2
        assert "is not a share" in result.err

    def test_a_first_bundle_is_for_all(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        result = stoplog("rules", "publish", rules(1), "--key", people["ann"], "--canary", "10%")
        assert result.status == 1
        assert "for the other sessions" in result.err

    def test_a_draft_has_its_share_already(self, stoplog: Stoplog, running: tuple[str, str], rules: Write) -> None:
        stoplog("rules", "publish", rules(3), *running, "--out", "draft.json")
        assert stoplog("rules", "publish", "draft.json", "--canary", "10%").status == 2


class TestRollback:
    @pytest.fixture
    def key(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> tuple[str, str]:
        """Versions 1, 2 and 3 were published in turn."""
        key = ("--key", people["ann"])
        for version in (1, 2, 3):
            assert stoplog("rules", "publish", rules(version), *key).status == 0
        return key

    def test_to_the_rules_before(self, stoplog: Stoplog, key: tuple[str, str]) -> None:
        for serial, version in ((4, "2"), (5, "3")):  # the second time, back from the way back
            (record,) = stoplog("rules", "rollback", *key).records
            assert (record["serial"], record["version"]) == (serial, version)
            assert in_force(stoplog) == {"all": serial}

    def test_to_any_that_are_there(self, stoplog: Stoplog, key: tuple[str, str]) -> None:
        (record,) = stoplog("rules", "rollback", "--to", "1", *key).records
        assert (record["serial"], record["version"]) == (4, "1")
        result = stoplog("rules", "rollback", "--to", "9", *key)
        assert result.status == 1
        assert "the topic has: 1, 2, 3, 4" in result.err

    def test_it_needs_the_same_signatures(self, stoplog: Stoplog, home: Path, key: tuple[str, str]) -> None:
        assert stoplog("rules", "rollback").status == 1
        two_people(home)
        assert stoplog("rules", "rollback", *key).status == 1
        # What one person had signed before does not count for two any more, here as at the gates.
        shown = stoplog("rules", "status", "--no-json").out
        assert "3 more lack required signatures" in shown

    def test_without_anything_before(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        assert stoplog("rules", "rollback", "--key", people["ann"]).status == 1
        stoplog("rules", "publish", rules(1), "--key", people["ann"])
        result = stoplog("rules", "rollback", "--key", people["ann"])
        assert result.status == 1
        assert "no earlier rules" in result.err

    def test_old_publications_are_taken_off_but_not_those_in_force(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write
    ) -> None:
        key = ("--key", people["ann"])
        stoplog("rules", "publish", rules(1), *key)
        for number in range(KEPT_MAX + 3):
            assert stoplog("rules", "publish", rules(2 + number % 2), *key, "--canary", f"{number + 1}%").status == 0
        records = stoplog("rules", "status").records
        assert in_force(stoplog) == {"all": 1, "canary": KEPT_MAX + 4}
        # The embedded log keeps records until it cleans; a deleted one is told by its key.
        assert len(tombstones()) == 3
        assert len(records) >= KEPT_MAX


def tombstones() -> set[bytes]:
    """Keys that the topic is to forget."""
    with open_operator(load_settings(), "test") as operator:
        received = [found.received.key for found in operator.find(RULESET)]
        everything = _all_keys(operator)
    return {key for key in everything if everything[key] is None and key in received}


def _all_keys(operator: Operator) -> dict[bytes, bytes | None]:
    from streams.operations.topics.reader import read_to_end

    return {r.key or b"": r.value for r in read_to_end(operator.log, (RULESET.name,), operator.clock)}


class TestStatus:
    def test_without_rules(self, stoplog: Stoplog, people: dict[str, str]) -> None:
        assert stoplog("rules", "status").records == []
        assert "every intent is denied" in stoplog("rules", "status", "--no-json").out
        mistyped = stoplog("rules", "status", "--name", "defalt", "--no-json").out
        assert mistyped == "no rules of bundle `defalt` are published: gates with these settings enforce `default`\n"

    def test_a_forged_publication_is_not_in_force(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write, home: Path
    ) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"])
        with open_operator(load_settings(), "eve") as operator:
            (standing,) = [found.record for found in operator.find(RULESET)]
            assert isinstance(standing, RulesetBundle)
            forged = RulesetBundle(
                header=operator.header(),
                name=standing.name,
                version="9",
                serial=9,
                digest=standing.digest,
                files=standing.files,
                published_by="eve",
                signatures=standing.signatures,
            )
            operator.write(RULESET, [(b"default@9", forged, forged.header)])
        assert in_force(stoplog) == {"all": 1}
        assert "1 more lack required signatures" in stoplog("rules", "status", "--no-json").out
        # Nor does it use up a serial.
        assert stoplog("rules", "publish", rules(2), "--key", people["ann"]).records[0]["serial"] == 2

    def test_another_bundle(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        result: Result = stoplog("rules", "publish", rules(1), "--name", "x", "--key", people["ann"], "--no-json")
        assert "enforce bundle `default`, not this one" in result.out
        assert stoplog("rules", "status").records == []
        assert stoplog("rules", "status", "--name", "x").records[0]["serial"] == 1

    def test_counts_without_verdicts(self, stoplog: Stoplog, people: dict[str, str], rules: Write) -> None:
        stoplog("rules", "publish", rules(1), "--key", people["ann"])
        assert "verdicts" not in stoplog("rules", "status", "--counts").records[0]
        assert stoplog("rules", "status", "--counts", "--no-json").status == 0

    def test_counts_of_all_outcomes_fit_into_100_columns(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (made,) = stoplog("rules", "publish", rules(1), "--key", people["ann"]).records
        outcomes = Counter({"ALLOW": 120, "DENY": 20, "REQUIRE_APPROVAL": 4})
        judged = Judged(bytes.fromhex(made["ruleset_digest"]), outcomes)
        monkeypatch.setattr(rules_status, "count_verdicts", lambda _: [judged])
        monkeypatch.setenv("COLUMNS", "100")
        lines = stoplog("rules", "status", "--counts", "--no-json").out.splitlines()
        assert [line for line in lines if line.rstrip().endswith("120 ALLOW, 20 DENY, 4 REQUIRE_APPROVAL")]

    def test_rules_that_are_stopped_are_marked_until_they_are_released(
        self, stoplog: Stoplog, people: dict[str, str], rules: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STOPLOG_RELEASE__ALLOW_UNSIGNED", "true")
        key = ("--key", people["ann"])
        for version in (1, 2):
            stoplog("rules", "publish", rules(version), *key)
        stoplog("rules", "publish", rules(3), *key, "--canary", "10%")
        assert [each["stopped"] for each in stoplog("rules", "status").records] == [False] * 3
        assert "stopped" not in stoplog("rules", "status", "--no-json").out.lower()
        canary, stable, former = stoplog("rules", "status").records
        for each in (stable, former):
            stoplog("kill", "--rules", each["ruleset_digest"], "--why", "permits too much")
        assert [each["stopped"] for each in stoplog("rules", "status").records] == [False, True, True]
        shown = stoplog("rules", "status", "--no-json").out
        assert "all, STOPPED" in shown
        # What is not in force denies nothing.
        assert [line for line in shown.splitlines() if "is stopped" in line] == [
            "serial 2 is stopped: gates deny every call that it would judge"
        ]
        (step,) = (line for line in shown.splitlines() if "stoplog release" in line)
        assert stoplog(*step.partition("stoplog ")[2].split()).records[0]["was_stopped"] is True
        assert [each["stopped"] for each in stoplog("rules", "status").records] == [False, False, True]
        stoplog("kill", "--rules", canary["ruleset_digest"], "--why", "x", "--until", "8h")
        assert "10%, STOPPED" in stoplog("rules", "status", "--no-json").out
