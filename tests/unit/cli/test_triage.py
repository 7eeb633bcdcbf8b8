"""From an alert to its cause: what an analyst types after the demonstration, without the root key."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import pytest

from streams.cli.main import run
from streams.embedded.admin import EmbeddedAdmin
from streams.model.topics import AUDIT, CATALOG, INTENT, REPORT, REVOCATION, SESSION, VERDICT
from streams.policy.language.bundle import Rule
from streams.policy.language.compile import CheckedRule, PackChecker
from tests.kit import BUNDLE_FILES
from tests.unit.cli.conftest import Result, Stoplog, of_kind
from tests.unit.cli.terminal import written_to_terminal
from tests.unit.cli.test_loaded_modules import loaded

RULES = Path(__file__).parents[3] / "rules"
SCREEN_LINES_MAX = 105
"""About two screens: two rules that decided, with conditions of a dozen comparisons each."""
Triage = Callable[..., Result]
HidingTopics = Callable[..., None]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a demonstration: real agents, tools and a real gate; its root key is not kept."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    assert run(["demo", "--keep", str(folder), "--json"]) == 0
    state = folder / "state"
    assert not list(state.rglob("*.key"))
    return state


@pytest.fixture
def triage(state: Path, stoplog: Stoplog) -> Triage:
    """Runs a command on the log of the demonstration."""
    return lambda *args: stoplog(*args, "--state-dir", str(state))


@pytest.fixture
def hiding(monkeypatch: pytest.MonkeyPatch) -> HidingTopics:
    """Hides topics from the client, as the access control of Kafka does."""

    def hide(*names: str) -> None:
        def hidden(_admin: object, topics: list[str], *, configs: bool = False) -> frozenset[str]:
            return frozenset(names) & frozenset(topics)

        monkeypatch.setattr(EmbeddedAdmin, "hidden", hidden)

    return hide


def alert_of(triage: Triage) -> dict[str, Any]:
    lines = triage("tail", "alerts", "--no-follow").records
    (line,) = [line for line in lines if line["value"]["analytic_uid"] == "PROV-020"]
    value: dict[str, Any] = line["value"]
    return value


def leaves_of(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The parts of a condition that have none of their own, with their values."""
    if not part.get("parts"):
        yield part["text"], part["value"]
    for inner in part.get("parts", ()):
        yield from leaves_of(inner)


def named_commands(result: Result) -> Iterator[list[str]]:
    """The commands that a screen names, each at the end of a line."""
    for line in result.out.splitlines():
        before, found, command = line.partition("  stoplog ")
        if found and before.strip():
            yield shlex.split(command)


class TestExplain:
    def test_the_intent_of_an_alert_as_the_gate_judged_it(self, triage: Triage) -> None:
        alert = alert_of(triage)
        result = triage("rules", "explain", "--intent", alert["finding_uid"])
        assert (result.status, result.err) == (0, "")
        (intent,) = of_kind(result, "intent")
        assert (intent["session_id"], intent["tool"], intent["agrees"]) == (alert["session_id"], "mail/send", True)
        (recorded,), (again,) = of_kind(result, "recorded_verdict"), of_kind(result, "verdict")
        assert (recorded["outcome"], recorded["reason"], recorded["ruleset_digest"]) == (
            again["outcome"],
            again["reason"],
            again["ruleset_digest"],
        )
        rules = {record["rule_id"]: record for record in of_kind(result, "rule")}
        assert rules["PROV-020"]["outcome"] == "true"
        assert dict(leaves_of(rules["PROV-020"]["condition"]))["read.untrusted"] == "true"

    def test_without_the_verdicts_what_nobody_can_know_is_named(self, triage: Triage, hiding: HidingTopics) -> None:
        """The keys of users' values are in the verdicts."""
        alert = alert_of(triage)
        hiding(VERDICT.name)
        asked = ("rules", "explain", "--intent", alert["finding_uid"])
        result = triage(*asked)
        (unknown,) = of_kind(result, "unknown_facts")
        assert unknown["sub"] == alert["sub"]
        assert {"origins", "owner", "flow", "act.requested"} <= set(unknown["facts"])
        rules = {record["rule_id"]: record for record in of_kind(result, "rule")}
        assert (rules["PROV-020"]["outcome"], rules["MAIL-002"]["outcome"]) == ("error", "true")
        text = " ".join(triage(*asked, "--no-json").out.split())
        (without,) = [part for part in text.split(". ") if "without a value: " in part]
        assert "PROV-020," in without, without
        assert "verdict:" not in text
        assert "no gate has decided" not in text
        assert f"missing: the key of the values of {alert['sub']}" in text
        assert "Give the root key of the gates, from which it follows, with `--root-key FILE`, or run this as" in text
        assert f"stoplog rules explain --intent {alert['intent_id']} --root-key FILE" in text

    def test_where_no_rule_reads_what_needs_the_key_nothing_is_said_to_be_missing(
        self, triage: Triage, hiding: HidingTopics, tmp_path: Path
    ) -> None:
        for name, text in BUNDLE_FILES.items():
            path = tmp_path / "rules" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        asked = ("rules", "explain", str(tmp_path / "rules"), "--intent", alert_of(triage)["finding_uid"])
        hiding(VERDICT.name)
        result = triage(*asked)
        assert (result.status, of_kind(result, "unknown_facts")) == (0, [])
        assert len(of_kind(result, "verdict")) == 1
        text = triage(*asked, "--no-json").out
        assert "missing: the key" not in text
        assert "--root-key" not in text

    def test_the_root_key_gives_the_key_that_no_verdict_has(
        self, triage: Triage, hiding: HidingTopics, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The demonstration has kept none: with that of another deployment, no value is found, and all are compared."""
        asked = ("rules", "explain", "--intent", alert_of(triage)["finding_uid"])
        assert "there is no root key at `other.key`" in triage(*asked, "--root-key", "other.key").err
        assert stoplog("keys", "new").status == 0
        (key,) = Path.cwd().rglob("root.key")
        hiding(VERDICT.name)
        result = triage(*asked, "--root-key", str(key))
        assert (of_kind(result, "unknown_facts"), result.status) == ([], 0)
        rules = {record["rule_id"]: record for record in of_kind(result, "rule")}
        assert rules["PROV-020"]["outcome"] == "false"
        monkeypatch.setenv("STOPLOG_ROOT_KEY_FILE", str(key))
        assert f" --root-key {key} " in triage(*asked, "--no-json").out, "where the settings name one, so does the step"

    def test_the_rule_that_decided_comes_first_and_fits_on_two_screens(self, triage: Triage) -> None:
        asked = ("rules", "explain", "--intent", alert_of(triage)["finding_uid"])
        lines = triage(*asked, "--no-json").out.splitlines()
        titles = [line for line in lines if line.startswith("TRUE ")]
        assert [title.split()[1] for title in titles] == ["PROV-020", "PROV-043", "PROV-062"]
        assert "rules: DENY from the records of the session, as on the log" in lines
        assert any("--reveal" in line for line in lines)
        assert "--reveal" not in triage(*asked, "--reveal", "--no-json").out, "a step that was just done"
        assert "│   ├── read.untrusted = true" in lines
        assert not [line for line in lines if line.endswith('o.origin = "text"')], "the comparison has said so"
        at = lines.index("rules that matched as well, and weigh less")
        assert [line.split()[0] for line in lines[at + 1 : at + 5]] == ["MAIL-002", "MAIL-020", "PROV-040", "PROV-060"]
        assert len(lines) < SCREEN_LINES_MAX
        assert not [line for line in lines if line.startswith("verdict: ")]
        whole = triage(*asked, "--no-json", "--verbose").out
        assert "TRUE MAIL-002 permit" in whole
        assert "FALSE SEC-001 deny" in whole

    def test_only_rules_that_can_apply_are_compiled(self, triage: Triage, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those for the tools of the session: the gate has checked the others. Of a directory, all are checked."""
        compiled: list[str] = []
        check = PackChecker.rule

        def noted(self: PackChecker, rule: Rule) -> CheckedRule | None:
            compiled.append(rule.id)
            return check(self, rule)

        monkeypatch.setattr(PackChecker, "rule", noted)
        asked = ("--intent", alert_of(triage)["finding_uid"])
        rules = {record["rule_id"]: record for record in of_kind(triage("rules", "explain", *asked), "rule")}
        left_out = rules.keys() - set(compiled)
        assert {"PROV-020", "MAIL-002", "GIT-001"} <= set(compiled)
        assert {"DB-010", "PAY-010", "SH-010"} <= left_out
        assert {rules[rule_id]["outcome"] for rule_id in left_out} == {"not for this tool"}
        compiled.clear()
        shown = of_kind(triage("rules", "explain", str(RULES), *asked), "rule")
        assert set(compiled) == {record["rule_id"] for record in shown}

    def test_libraries_are_loaded_by_calls_that_need_them(self, triage: Triage, state: Path, tmp_path: Path) -> None:
        """The detectors of keys by long words of which no verdict tells, look-alikes by other letters than ASCII."""
        rare = {"confusable_homoglyphs", "http.server", "kingfisher_sdk", "sqlglot"}
        draft = Path(shutil.copytree(RULES, tmp_path / "draft"))
        (draft / "bundle.yaml").write_text((draft / "bundle.yaml").read_text() + "# a draft\n")
        needed = {
            (line["value"]["analytic_uid"], bool(rules)): rare.intersection(
                loaded("rules", "explain", *rules, "--intent", line["value"]["intent_id"], "--state-dir", str(state))
            )
            for line in triage("tail", "alerts", "--no-follow").records
            if line["value"]["analytic_uid"] in ("PROV-020", "delegation_arguments_not_granted")
            for rules in ((), (str(draft),))
        }
        assert needed == {
            ("PROV-020", False): set(),
            ("PROV-020", True): {"kingfisher_sdk"},
            ("delegation_arguments_not_granted", False): set(),
            ("delegation_arguments_not_granted", True): set(),
        }

    def test_every_id_of_an_intent_names_it(self, triage: Triage) -> None:
        alert = alert_of(triage)
        (verdict,) = [
            line["value"]
            for line in triage("tail", "verdicts", "--no-follow").records
            if line["value"]["verdict_id"] in alert["related_event_ids"]
        ]
        (audit,) = [
            line["value"]
            for line in triage("tail", "audit", "--no-follow").records
            if line["value"].get("verdict_id") == verdict["verdict_id"]
        ]
        intent_id = verdict["intent_id"]
        for stated in (verdict["verdict_id"], audit["header"]["id"], intent_id, intent_id[:-4]):
            (found,) = of_kind(triage("rules", "explain", "--intent", stated, "--rule", "PROV-020"), "intent")
            assert found["intent_id"] == intent_id

    def test_of_a_grant_with_bounds_in_a_sub_session(self, triage: Triage) -> None:
        """Its chain was signed under the deployment's root key; the run proves it again."""
        refused = [
            line["value"]
            for line in triage("tail", "verdicts", "--no-follow").records
            if line["value"]["reason"] == "delegation_arguments_not_granted"
        ]
        result = triage("rules", "explain", "--intent", refused[0]["intent_id"])
        (intent,) = of_kind(result, "intent")
        assert (intent["agrees"], intent["times_judged"]) == (True, 0)
        allowed = [
            line["value"]
            for line in triage("tail", "verdicts", "--no-follow", "--session", refused[0]["session_id"]).records
            if line["value"]["outcome"] == "ALLOW"
        ]
        (intent,) = of_kind(triage("rules", "explain", "--intent", allowed[0]["intent_id"]), "intent")
        assert (intent["agrees"], intent["times_judged"]) == (True, 1)

    def test_from_the_verdict_where_intents_may_not_be_read(self, triage: Triage, hiding: HidingTopics) -> None:
        alert = alert_of(triage)
        asked = ("rules", "explain", "--intent", alert["finding_uid"])
        with_intents = of_kind(triage(*asked), "rule")
        hiding(INTENT.name)
        result = triage(*asked)
        assert of_kind(result, "rule") == with_intents
        assert of_kind(result, "hidden_topics")[0]["topics"] == [INTENT.name]
        assert of_kind(result, "intent")[0]["agrees"] is True

    def test_not_where_neither_may_be_read(self, triage: Triage, hiding: HidingTopics) -> None:
        alert = alert_of(triage)
        hiding(INTENT.name, VERDICT.name)
        result = triage("rules", "explain", "--intent", alert["finding_uid"])
        assert result.status == 1
        assert f"this client may not read `{INTENT.name}` and `{VERDICT.name}`" in result.err

    def test_an_id_of_something_else_says_what_to_type(self, triage: Triage) -> None:
        session = alert_of(triage)["session_id"]
        result = triage("rules", "explain", "--intent", session)
        assert result.status == 1
        assert f"`{session}` is not an intent but a session" in result.err
        assert "stoplog session show" in result.err

    def test_a_catalog_is_for_histories(self, triage: Triage) -> None:
        result = triage("rules", "explain", "--intent", "x", "--catalog", "k")
        assert result.status == 2
        assert "`--history`" in result.err


class TestIncident:
    def test_a_session_becomes_a_test_that_passes_without_the_root_key(
        self, triage: Triage, stoplog: Stoplog, tmp_path: Path
    ) -> None:
        """The gate of the demonstration has a root key of its own, and what the session has read decides."""
        alert = alert_of(triage)
        (made,) = triage("incident", "export", alert["session_id"], "--out", str(tmp_path)).records
        assert (made["differing"], made["lacks_key"], made["hidden_topics"]) == ([], False, [])
        assert "PROV-020" in Path(made["expect"]).read_text("utf-8")
        tried = stoplog(*shlex.split(made["test"])[1:])
        assert (tried.status, tried.err) == (0, "")

    def test_the_file_has_no_key_of_the_user(self, triage: Triage, tmp_path: Path) -> None:
        alert = alert_of(triage)
        verdicts = [line["value"] for line in triage("tail", "verdicts", "--no-follow").records]
        (key,) = {each["atom_key"] for each in verdicts if each["sub"] == alert["sub"] and each.get("atom_key")}
        (made,) = triage("incident", "export", alert["session_id"], "--out", str(tmp_path)).records
        assert key not in Path(made["history"]).read_text("utf-8")

    def test_values_that_cannot_be_compared_are_said(
        self, triage: Triage, hiding: HidingTopics, tmp_path: Path
    ) -> None:
        hiding(VERDICT.name)
        alert = alert_of(triage)
        (made,) = triage("incident", "export", alert["session_id"], "--out", str(tmp_path / "a")).records
        assert made["lacks_key"]
        told = triage("incident", "export", alert["session_id"], "--out", str(tmp_path / "b"), "--no-json").out
        assert "Give the root key of the gates with `--root-key`" in " ".join(told.split())

    def test_the_root_key_gives_the_key_that_no_verdict_has(
        self, triage: Triage, hiding: HidingTopics, stoplog: Stoplog, tmp_path: Path
    ) -> None:
        hiding(VERDICT.name)
        assert stoplog("keys", "new").status == 0
        (key,) = Path.cwd().rglob("root.key")
        export = ("incident", "export", alert_of(triage)["session_id"], "--out", str(tmp_path / "c"))
        (made,) = triage(*export, "--root-key", str(key)).records
        assert not made["lacks_key"]
        assert "there is no root key at `gone.key`" in triage(*export, "--root-key", "gone.key").err


class TestSession:
    def test_its_intents_with_arguments_times_and_what_came_of_them(self, triage: Triage) -> None:
        alert = alert_of(triage)
        (shown,) = triage("session", "show", alert["session_id"]).records
        denied = [each for each in shown["intents"] if each["outcome"] == "DENY"]
        assert [(each["tool"], each["reason"], each["ran"]) for each in denied] == [("mail/send", "rule_denied", "")]
        assert "evil.example" in json.loads(denied[0]["args_json"])["to"][0]
        assert "PROV-020" in denied[0]["rules"]
        ran = [each for each in shown["intents"] if each["ran"] == "ran"]
        assert ran
        assert all(each["ran_ms"] >= each["evaluated_ms"] > 0 for each in ran)
        read = [json.loads(each["args_json"]).get("revision") for each in shown["documents"]]
        assert "HEAD:docs/vendor-notes.md" in read
        assert {each["label"] for each in shown["documents"][:-1]} == {"untrusted"}, "as the catalog says"
        text = triage("session", "show", alert["session_id"], "--no-json").out
        assert f"intent {denied[0]['intent_id']}" in text
        assert re.search(r"what it read\n.* git/git_show  untrusted  ", text)

    def test_every_id_of_a_session_shows_it(self, triage: Triage) -> None:
        """The settings name another tenant than the demonstration has."""
        alert = alert_of(triage)
        name, tenant = alert["session_id"], alert["header"]["tenant_uid"]
        (shown,) = triage("session", "show", f"{tenant}|{name}").records
        intent = shown["intents"][0]
        for stated in (name, name[:-3], f"{tenant}|{name[:-3]}", intent["intent_id"], intent["verdict_id"]):
            (again,) = triage("session", "show", stated).records
            assert (again["tenant_uid"], again["session_id"]) == (tenant, name)

    def test_a_grant_shows_the_session_that_it_is_for(self, triage: Triage) -> None:
        with_grant = [
            shown
            for listed in triage("session", "list").records
            for shown in triage("session", "show", listed["session_id"]).records
            if shown["grants"] and shown["intents"]
        ]
        (shown,) = triage("session", "show", with_grant[0]["grants"][0]["uid"]).records
        assert shown["session_id"] == with_grant[0]["session_id"]

    def test_what_it_may_do_is_what_grant_and_credential_have_in_common(self, triage: Triage) -> None:
        (shown,) = [
            shown
            for listed in triage("session", "list", "--agent", "mailer").records
            for shown in triage("session", "show", listed["session_id"]).records
        ]
        conveyed = shown["grants"][0]["hops"][-1]["scopes"]
        assert shown["authority"]["scopes"] == [scope for scope in shown["scopes"] if scope in conveyed]
        (tool,) = [each for each in shown["authority"]["tools"] if each["tool"] == "mail/send"]
        assert tool["constraints"][0]["argument"] == "/to"
        assert "/to" in triage("session", "show", shown["session_id"], "--no-json").out

    def test_arguments_are_for_those_who_may_read_verdicts(self, triage: Triage, hiding: HidingTopics) -> None:
        alert = alert_of(triage)
        (whole,) = triage("session", "show", alert["session_id"]).records
        hiding(VERDICT.name)
        (shown,) = triage("session", "show", alert["session_id"]).records
        assert shown["hidden_topics"] == [VERDICT.name]
        assert {each["args_json"] for each in shown["intents"]} == {None}
        without = [{**each, "args_json": None} for each in whole["intents"]]
        assert shown["intents"] == without
        text = triage("session", "show", alert["session_id"], "--no-json").out
        assert f"arguments can't be shown: this client may not read `{VERDICT.name}`" in text
        assert "evil.example" not in text
        (listed,) = [each for each in triage("session", "list").records if each["session_id"] == alert["session_id"]]
        assert listed["calls"] == whole["calls"]

    @pytest.mark.parametrize("topic", [SESSION, REPORT, AUDIT, REVOCATION])
    def test_it_says_what_is_missing(self, triage: Triage, hiding: HidingTopics, topic: Any) -> None:
        session = alert_of(triage)["session_id"]
        hiding(topic.name)
        result = triage("session", "show", session, "--no-json")
        assert result.status == 0, result.err
        assert f"this client may not read `{topic.name}`" in result.out

    def test_the_beginning_of_several_ids_names_none(self, triage: Triage) -> None:
        names = sorted(listed["session_id"] for listed in triage("session", "list").records)
        begins = next(a[:10] for a, b in pairwise(names) if a[:10] == b[:10])
        result = triage("session", "show", begins)
        assert result.status == 1
        assert "give more of the id" in result.err
        assert f"  session {triage('session', 'list').records[0]['tenant_uid']}|" in result.err


def test_what_a_screen_names_can_be_typed(triage: Triage, stoplog: Stoplog) -> None:
    """Each screen leads to the next. `--follow` is not typed, and nothing is stopped."""
    alert = alert_of(triage)
    shown = triage("session", "show", alert["session_id"], "--no-json")
    explained = triage("rules", "explain", "--intent", alert["finding_uid"], "--no-json")
    commands = [*named_commands(shown), *named_commands(explained)]
    assert {tuple(command[:2]) for command in commands} >= {
        ("rules", "explain"),
        ("session", "show"),
        ("tail", "audit"),
    }
    for command in commands:
        if command[0] != "kill":
            result = stoplog(*command)
            assert (result.status, result.err) == (0, ""), command
            assert result.out


class TestNames:
    """What commands print has one name for one thing: that of the record, where there is one."""

    FORMER = frozenset(
        {
            *("tenant", "session", "user", "subject", "agent_issuer", "intent", "analytic", "evidence", "signer"),
            *("judged_ms", "evaluated_at", "digest", "rule", "lineage", "why", "note", "acts", "servers"),
        }
    )

    @pytest.fixture
    def printed(self, triage: Triage, tmp_path: Path) -> dict[tuple[str, ...], list[dict[str, Any]]]:
        """What each command says of the demonstration."""
        alert = alert_of(triage)
        session, intent = alert["session_id"], alert["intent_id"]
        lines = [
            ("session", "list"),
            ("session", "show", session),
            ("alerts", "list"),
            ("alerts", "show", alert["finding_uid"]),
            ("explain", intent),
            ("audit", "session", session),
            ("audit", "why", intent),
            ("contain", session),
            ("rules", "explain", "--intent", intent),
            ("rules", "status"),
            ("catalog", "list"),
            ("catalog", "show", "mail/send"),
            ("approvals", "grants", "--all"),
            ("incident", "export", session, "--out", str(tmp_path)),
        ]
        return {line[:2]: triage(*line).records for line in lines}

    def test_one_name_and_one_form_for_one_thing(self, printed: dict[tuple[str, ...], list[dict[str, Any]]]) -> None:
        for command, records in printed.items():
            fields = [field for record in records for field in fields_of(record)]
            assert {name for name, _ in fields} & self.FORMER == set(), command
            assert [(name, value) for name, value in fields if name.endswith("_ms") and not is_instant(value)] == []
            actors = [value for name, value in fields if name in ("act", "delegator") and value is not None]
            assert all(isinstance(actor, dict) and {"iss", "sub"} <= actor.keys() for actor in actors), command
            tools = [value for name, value in fields if name == "tool" and value]
            assert all(isinstance(tool, str) and "/" in tool for tool in tools), command

    def test_a_name_that_the_record_has_holds_what_the_record_has(
        self, triage: Triage, printed: dict[tuple[str, ...], list[dict[str, Any]]]
    ) -> None:
        alert = alert_of(triage)
        (shown,) = printed["alerts", "show"]
        for name in ("finding_uid", "analytic_uid", "session_id", "sub", "act", "intent_id", "related_event_ids"):
            assert shown[name] == alert[name], name
        for name in ("title", "desc", "severity_id", "types", "attacks", "documents"):
            assert shown[name] == alert[name], name
        (told,) = printed["explain", alert["intent_id"]]
        (listed,) = [each for each in printed["session", "list"] if each["session_id"] == alert["session_id"]]
        for each in (told, listed, shown):
            assert each["tenant_uid"] == alert["header"]["tenant_uid"]
            assert each["act"]["sub"] == alert["act"]["sub"]
            assert each["sub"] == alert["sub"]


def fields_of(value: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of a JSON value, and those within it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from fields_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_of(inner)


def is_instant(value: object) -> bool:
    return value is None or type(value) is int


class TestKill:
    """Stops on a log of its own, beside that of the demonstration: nothing else may change that one."""

    @pytest.fixture
    def copied(self, state: Path, stoplog: Stoplog, tmp_path: Path) -> Triage:
        folder = tmp_path / "copy"
        shutil.copytree(state, folder)
        return lambda *args: stoplog(*args, "--state-dir", str(folder))

    @pytest.mark.parametrize(
        ("option", "wrong", "right"),
        [
            ("--tool", "mail/sned", "mail/send"),
            ("--tool", "mial/*", "mail/*"),
            ("--agent", "office-asistant", "office-assistant"),
            ("--user", "bob@exmaple.com", "bob@example.com"),
        ],
    )
    def test_a_name_that_nobody_knows_is_stopped_and_the_nearest_is_named(
        self, copied: Triage, monkeypatch: pytest.MonkeyPatch, option: str, wrong: str, right: str
    ) -> None:
        monkeypatch.setenv("STOPLOG_TENANT", alert_of(copied)["header"]["tenant_uid"])
        result = copied("kill", option, wrong, "--why", "it's odd")
        assert result.status == 0
        assert result.records[0]["state"] == "REVOKED"
        assert f"{wrong}` is on the embedded log" in result.err
        command = next(line for line in result.err.splitlines() if right in line)
        again = copied(*shlex.split(command.strip())[1:-2])
        assert (again.status, again.err) == (0, "")
        assert again.records[0]["id"].endswith(right)
        assert again.records[0]["reason"] == "it's odd"

    def test_of_a_known_name_nothing_is_said_but_that_the_session_has_ended(self, copied: Triage) -> None:
        alert = alert_of(copied)
        tenant, session = alert["header"]["tenant_uid"], alert["session_id"]
        result = copied("kill", "--session", f"{tenant}|{session}", "--why", "x")
        assert (result.status, result.records[0]["id"]) == (0, f"{tenant}|{session}")
        (warning,) = result.err.splitlines()
        assert warning.startswith(f"warning: session `{tenant}|{session}` has ended.")
        grant = next(
            grant["uid"]
            for listed in copied("session", "list").records
            for shown in copied("session", "show", listed["session_id"]).records
            for grant in shown["grants"]
        )
        for option, value in (("--delegation", grant), ("--tool", "git/git_log"), ("--tenant", tenant)):
            result = copied("kill", option, value, "--why", "x")
            assert (result.status, result.err) == (0, "")

    def test_a_session_of_another_tenant_is_named(self, copied: Triage) -> None:
        alert = alert_of(copied)
        result = copied("kill", "--session", alert["session_id"], "--why", "x")
        assert result.records[0]["id"] == f"default|{alert['session_id']}"
        assert f"kill --session '{alert['header']['tenant_uid']}|{alert['session_id']}' --why x" in result.err

    def test_a_name_that_is_no_known_tenants_is_rejected_as_before(self, copied: Triage) -> None:
        result = copied("kill", "--user", "auth0|5f7c", "--why", "x")
        assert result.status == 1
        assert "set STOPLOG_TENANT=auth0" in result.err

    def test_what_cannot_be_checked_does_not_prevent_a_stop(self, copied: Triage, hiding: HidingTopics) -> None:
        hiding(CATALOG.name)
        result = copied("kill", "--tool", "no/such", "--why", "x")
        assert (result.status, result.err) == (0, "")
        assert result.records[0]["state"] == "REVOKED"


class TestOver:
    """No screen suggests to stop what has ended, or is stopped."""

    def test_a_session_that_has_ended(self, triage: Triage) -> None:
        alert = alert_of(triage)
        for asked in (
            ("session", "show", alert["session_id"]),
            ("audit", "session", alert["session_id"]),
            ("contain", alert["session_id"]),
        ):
            text = triage(*asked, "--no-json").out
            assert text.splitlines()[0].endswith(f"{alert['session_id']} has ended"), text
            assert "stoplog kill" not in text
        text = triage("alerts", "show", alert["finding_uid"], "--no-json").out
        assert "the session has ended" in text
        assert "stoplog kill" not in text
        assert "stoplog explain" in text
        (head,) = of_kind(triage("contain", alert["session_id"]), "session")
        assert head["state"] == "ended"

    def test_a_session_that_is_stopped(self, triage: Triage) -> None:
        listed = triage("session", "list").records
        stopped = next(each["session_id"] for each in listed if each["state"] == "stopped")
        text = triage("contain", stopped, "--no-json").out
        assert f"{stopped} is stopped: " in text.splitlines()[0]
        assert "stoplog kill" not in text

    def test_where_nobody_can_tell_the_alert_suggests_what_it_always_does(
        self, triage: Triage, hiding: HidingTopics
    ) -> None:
        """That a session has ended does not count where gates have rejected it, which audit records say."""
        alert = alert_of(triage)
        hiding(AUDIT.name)
        text = triage("alerts", "show", alert["finding_uid"], "--no-json").out
        assert "stoplog kill --session" in text


def test_a_narrow_list_of_alerts_cuts_nothing_off(triage: Triage, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    asked = ("alerts", "list", "--no-json", "--state-dir", str(state))
    written = written_to_terminal(monkeypatch, lambda: assert_success(run(asked))).decode()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).splitlines()
    (at,) = [at for at, line in enumerate(lines) if "office-assistant" in line]
    assert max(map(len, lines[: at + 1])) <= 80
    left = lines[0].index("what")
    below = takewhile(lambda line: line.strip() and not line[:left].strip(), lines[at + 1 :])
    whole = " ".join(line[left:].strip() for line in (lines[at], *below))
    assert whole == "tool call denied by a rule: mail/send"
    assert "tool call denied by a rule: mail/send" in triage("alerts", "list", "--no-json").out


def test_records_of_the_log_stand_below_their_day(triage: Triage) -> None:
    """Each has the time only, and the log goes back for weeks."""
    lines = triage("tail", "alerts", "--no-follow", "--no-json").out.splitlines()
    days = [at for at, line in enumerate(lines) if re.fullmatch(r"\d{4}-\d\d-\d\d", line)]
    assert days[0] == 1
    assert len(days) < sum("ALERT" in line for line in lines)


def assert_success(status: int) -> None:
    assert status == 0
