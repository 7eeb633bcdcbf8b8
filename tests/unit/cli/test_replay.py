"""`stoplog replay`, `rules backtest` and `incident export` over what a real gate has decided on the embedded log."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulation.records import TRUSTED, SessionMaker
from streams.model.session import Atom, SessionEventType
from streams.model.topics import REPORT
from tests.kit import BUNDLE, RULES
from tests.unit.cli.conftest import Result, Stoplog
from tests.unit.cli.recorded_site import Site, configure, make_site

EAGER = """\
apiVersion: behaviour/v1
pack: eager
detectors:
  - {name: eager, detector: ceiling, key: [agent.id], limit: 2, window: 1h, threshold: 1, explain: "{count} calls"}
"""


class SiteWithValues(Site):
    """A site whose users say something that a rule could look for."""

    def work(self, number: int) -> None:
        super().work(number)
        maker = SessionMaker(f"s-{number}", tenant="default")
        atom = Atom(digest=bytes(32), kind="word", path="")
        said = maker.event(SessionEventType.USER_MESSAGE, self.clock.now_ms(), label=TRUSTED, atoms=(atom,))
        self.write(REPORT, maker.key, said)


def groups_of(result: Result) -> list[tuple[object, ...]]:
    """What changes: tool, before, after, the rule, and how often."""
    names = ("tool", "before", "after", "rule", "count")
    return [tuple(each[name] for name in names) for each in result.records if each["record"] == "group"]


def rules_in(folder: Path, rules: str) -> Path:
    (folder / "testing").mkdir(parents=True)
    (folder / "bundle.yaml").write_text(BUNDLE)
    (folder / "testing" / "testing.rules.yaml").write_text(rules)
    return folder


class TestReplay:
    def test_says_that_every_verdict_comes_out(self, site: Stoplog) -> None:
        result = site("replay", "--no-json")
        assert result.status == 0, result.out + result.err
        assert "all 8 verdicts are the same byte for byte" in result.out

    def test_is_a_summary_for_a_program(self, site: Stoplog) -> None:
        (summary,) = site("replay", "--json").records
        assert summary["identical"] is True
        assert summary["verdicts"]["same"] == 8
        assert (summary["partitions"], summary["beheaded"]) == (3, {})

    def test_shows_what_differs_field_by_field_and_fails(self, site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STOPLOG_GATE__VERDICT_TTL_MS", "1000")
        result = site("replay", "--no-json")
        assert result.status == 1
        assert "0 of 8 verdicts are the same byte for byte" in result.out
        assert "  expires_at\n    recorded  1" in result.out
        assert "are these the settings and the root key of the gates" in result.out
        *differences, _ = site("replay", "--json", "--max", "3").records
        assert [each["kind"] for each in differences] == ["different"] * 3
        assert [each["name"] for each in differences[0]["fields"]] == ["expires_at"]

    @pytest.mark.parametrize("command", [("replay",), ("rules", "backtest", "rules")], ids=["replay", "backtest"])
    def test_without_the_root_key_it_says_whose_is_needed(
        self, site: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        """With a new one, no verdict would come out."""
        rules_in(tmp_path / "rules", RULES)
        monkeypatch.setenv("STOPLOG_ROOT_KEY_FILE", "nowhere.key")
        result = site(*command)
        assert result.status == 1
        assert "there is no root key at `nowhere.key`; copy that of the gates of this log" in result.err
        assert "keys new" not in result.err

    def test_an_instant_that_is_none_is_an_error(self, site: Stoplog) -> None:
        result = site("replay", "--from", "yesterday")
        assert result.status == 2
        assert "is not an RFC 3339 date-time" in result.err

    def test_a_stretch_without_verdicts_proves_nothing(self, site: Stoplog) -> None:
        result = site("replay", "--no-json", "--to", "2001-01-01T00:00:00Z")
        assert "no verdict is recorded in this time" in result.out
        assert result.status == 3
        assert site("replay", "--to", "2001-01-01T00:00:00Z").records[-1]["identical"] is None


class TestBacktest:
    def test_the_same_rules_change_nothing(self, site: Stoplog, tmp_path: Path) -> None:
        result = site("rules", "backtest", str(rules_in(tmp_path / "rules", RULES)), "--no-json", "--fail-on-change")
        assert result.status == 0, result.out + result.err
        assert "8 calls compared, 0 would be decided otherwise" in result.out

    def test_names_the_rule_that_comes_in(self, site: Stoplog, tmp_path: Path) -> None:
        asking = RULES.replace(
            "  - id: T-011\n    effect: deny\n",
            "  - id: T-011\n    effect: require_approval\n    approval: {group: leads, quorum: 1, ttl: 10m}\n",
        )
        result = site("rules", "backtest", str(rules_in(tmp_path / "rules", asking)), "--json")
        assert groups_of(result) == [("mail/send", "DENY", "REQUIRE_APPROVAL", "T-011", 2)]
        assert result.records[-1] == {"record": "summary", "compared": 8, "changed": 2, "left_out": 0}

    def test_rules_in_shadow_are_named_as_without_effect(self, site: Stoplog, tmp_path: Path) -> None:
        tried = RULES.replace("id: T-011\n    effect: deny\n", "id: T-011\n    effect: deny\n    mode: shadow\n")
        shown = site("rules", "backtest", str(rules_in(tmp_path / "rules", tried)), "--no-json").out
        assert "in shadow, so without effect here: T-011; to try one enforced, remove its `mode: shadow`" in shown
        assert "2 would be decided otherwise" in shown

    def test_names_the_rule_that_is_gone(self, site: Stoplog, tmp_path: Path) -> None:
        narrow = RULES.replace("tools: [files.read, web.fetch, mail.send]", "tools: [files.read, web.fetch]")
        result = site("rules", "backtest", str(rules_in(tmp_path / "rules", narrow)), "--json")
        assert groups_of(result) == [("mail/send", "ALLOW", "DENY", "without T-001", 2)]

    def test_a_call_that_changes_is_one_line_of_100_columns(
        self, site: Stoplog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        narrow = RULES.replace("tools: [files.read, web.fetch, mail.send]", "tools: [files.read, web.fetch]")
        directory = str(rules_in(tmp_path / "rules", narrow))
        changed = [each for each in site("rules", "backtest", directory).records if each["record"] == "change"]
        lines = site("rules", "backtest", directory, "--no-json").out.splitlines()
        assert changed
        for each in changed:
            (line,) = [line for line in lines if each["intent_id"] in line and "explain" not in line]
            assert line.split()[-1] == "DENY"
            assert line.split()[-2].rstrip("…") == each["session_id"][: len(line.split()[-2].rstrip("…"))]

    def test_fails_on_a_change_if_asked_to(self, site: Stoplog, tmp_path: Path) -> None:
        stricter = RULES.replace("id: T-001, effect: permit", "id: T-001, effect: deny")
        directory = str(rules_in(tmp_path / "rules", stricter))
        assert site("rules", "backtest", directory, "--fail-on-change").status == 1
        assert site("rules", "backtest", directory).status == 0

    def test_detectors_run_over_the_recorded_verdicts(self, site: Stoplog, tmp_path: Path) -> None:
        rules = rules_in(tmp_path / "rules", RULES)
        (rules / "eager").mkdir()
        detectors = rules / "eager" / "eager.detectors.yaml"
        detectors.write_text(EAGER)
        result = site("rules", "backtest", str(rules), "--json")
        summary = result.records[-1]
        counts = {name: summary[name] for name in ("changed", "alerts_kept", "alerts_new", "alerts_gone")}
        assert counts == {"changed": 0, "alerts_kept": 0, "alerts_new": 1, "alerts_gone": 0}
        (alert,) = [record for record in result.records if record["record"] == "alert"]
        assert (alert["change"], alert["name"]) == ("new", "eager")
        shown = site("rules", "backtest", str(rules), "--no-json", "--fail-on-change")
        assert shown.status == 1
        assert "0 alerts stay, 1 would be new, 0 would be gone" in shown.out
        kept = site("rules", "backtest", str(rules), "--json", "--to", "2020-01-01T00:00:00Z").records[-1]
        assert (kept["alerts_new"], kept["alerts_gone"]) == (0, 0)
        detectors.write_text(EAGER.replace("limit: 2", "limit: 1000"))
        assert site("rules", "backtest", str(rules), "--fail-on-change").status == 0

    def test_detectors_without_rules_run_over_the_recorded_verdicts(self, site: Stoplog, tmp_path: Path) -> None:
        (tmp_path / "eager.detectors.yaml").write_text(EAGER)
        result = site("rules", "backtest", str(tmp_path), "--json")
        assert result.status == 0, result.err
        assert result.records[-1] == {
            "record": "summary",
            "compared": 0,
            "changed": 0,
            "left_out": 0,
            "alerts_kept": 0,
            "alerts_new": 1,
            "alerts_gone": 0,
        }
        shown = site("rules", "backtest", str(tmp_path), "--no-json", "--fail-on-change")
        assert shown.status == 1
        assert "only detectors, so no call is decided otherwise" in shown.out
        assert "0 alerts stay, 1 would be new, 0 would be gone" in shown.out

    def test_rules_that_are_invalid_are_refused(self, site: Stoplog, tmp_path: Path) -> None:
        directory = str(rules_in(tmp_path / "rules", RULES.replace('when: "true"', "when: nonsense(")))
        result = site("rules", "backtest", directory, "--no-json")
        assert result.status == 1


class TestIncident:
    def test_is_a_test_that_passes_without_the_log(self, site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
        (made,) = site("incident", "export", "s-1", "--out", "cases", "--json").records
        assert (made["intents"], made["differing"]) == (4, [])
        text = Path(made["expect"]).read_text()
        assert "verdict: deny, reason: rule_denied, rules: [T-001, T-011]" in text
        monkeypatch.setenv("STOPLOG_STATE_DIR", "nowhere")
        passed = site("try", made["history"], "--expect", made["expect"], "--no-json")
        assert passed.status == 0, passed.out + passed.err
        assert "every line has the expected result" in passed.out

    def test_misses_no_key_where_no_rule_reads_what_needs_it(
        self, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        make_site(tmp_path / "site", SiteWithValues)
        configure(monkeypatch, tmp_path / "site")
        (made,) = stoplog("incident", "export", "s-0", "--out", "cases", "--json").records
        assert (made["intents"], made["lacks_key"]) == (4, False)

    def test_fails_once_the_expectation_is_another(self, site: Stoplog) -> None:
        (made,) = site("incident", "export", "s-1", "--json").records
        expect = Path(made["expect"])
        expect.write_text(expect.read_text().replace("verdict: deny, reason: rule_denied", "verdict: allow"))
        assert site("try", made["history"], "--expect", str(expect), "--no-json").status == 1

    def test_does_not_replace_an_earlier_one(self, site: Stoplog) -> None:
        assert site("incident", "export", "s-0").status == 0
        again = site("incident", "export", "s-0")
        assert again.status == 1
        assert "exists already; choose another folder with `--out`" in again.err

    def test_holds_no_other_session(self, site: Stoplog) -> None:
        (made,) = site("incident", "export", "s-0", "--json").records
        text = Path(made["history"]).read_text()
        assert "default|s-0" in text
        assert "s-1" not in text
