"""What commands tell of a rule in shadow: it matched, and it has decided nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from tests.kit import BUNDLE_FILES
from tests.unit.cli.conftest import Stoplog, of_kind
from tests.unit.cli.recorded_site import Site, configure, make_site

RULES = "testing/testing.rules.yaml"
SHADOW = """\
  - id: T-090
    effect: deny
    mode: shadow
    match: {tools: [files.read]}
    when: "true"
    reason: a trial
"""


class SiteWithShadow(Site):
    """A site in which a rule is tried on each read of a file."""

    files: ClassVar[Mapping[str, str]] = {**BUNDLE_FILES, RULES: BUNDLE_FILES[RULES] + SHADOW}


def test_a_rule_in_shadow_does_not_read_as_one_that_has_decided(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_site(tmp_path / "site", SiteWithShadow)
    configure(monkeypatch, tmp_path / "site")
    story = stoplog("audit", "session", "s-0", "--no-json").out
    assert "rules: T-001 (permit): fine; T-090 (deny, shadow): a trial" in story
    assert "T-011 (deny): tainted mail" in story, "an enforced rule has no mark"
    shown = stoplog("session", "show", "s-0", "--no-json").out
    assert "permitted: fine (T-001, T-090 in shadow)" in " ".join(shown.split())
    assert "T-011 in shadow" not in shown
    lines = stoplog("tail", "verdicts", "--no-follow", "--session", "s-0", "--no-json").out
    assert "(T-001, T-090 in shadow)" in " ".join(lines.split())
    calls = stoplog("session", "show", "s-0", "--json").records[0]["intents"]
    assert ["T-001", "T-090"] in [each["rules"] for each in calls], "programs get ids"


class SiteWithTrials(Site):
    """A site in which a rule of each kind is tried: what matches, what matches what is denied anyway, what fails."""

    files: ClassVar[Mapping[str, str]] = {
        **BUNDLE_FILES,
        RULES: BUNDLE_FILES[RULES]
        + SHADOW
        + """\
  - id: T-091
    effect: require_approval
    mode: shadow
    match: {tools: [mail.send]}
    when: session.tainted
    approval: {group: leads}
    reason: a trial of a question
  - id: T-092
    effect: defer
    mode: shadow
    match: {tools: [web.fetch]}
    when: args.nothing == "x"
    defer: 10s
    reason: a trial that reads what is not there
  - {id: T-093, effect: deny, mode: shadow, match: {tools: [admin.wipe]}, when: "true", reason: a trial of nothing}
""",
    }


def test_what_rules_in_shadow_would_have_done_is_counted(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each of the two sessions reads a file, fetches a page, and sends two mails, of which one is denied anyway."""
    make_site(tmp_path / "site", SiteWithTrials)
    configure(monkeypatch, tmp_path / "site")
    (tmp_path / "site" / "state" / "root.key").unlink()
    result = stoplog("rules", "shadow", "--json")
    assert result.status == 0, result.err
    counted = [
        (each["rule_id"], each["effect"], each["matched"], each["failed"], each["changed"])
        for each in of_kind(result, "rule")
    ]
    assert counted == [
        ("T-090", "DENY", 2, 0, [{"was": "ALLOW", "would_be": "DENY", "calls": 2}]),
        ("T-091", "REQUIRE_APPROVAL", 4, 0, [{"was": "ALLOW", "would_be": "REQUIRE_APPROVAL", "calls": 2}]),
        ("T-092", "DEFER", 0, 2, [{"was": "ALLOW", "would_be": "DENY", "calls": 2}]),
        ("T-093", "DENY", 0, 0, []),
    ]
    assert result.records[-1] == {"record": "summary", "calls": 8, "rules": 4}
    changes = of_kind(result, "change")
    assert len(changes) == 6
    shown = stoplog("rules", "shadow", "--no-json", "--max", "1").out
    assert "T-093" in shown
    assert "2 ALLOW to REQUIRE_APPROVAL" in " ".join(shown.split())
    assert "5 more calls would change" in shown
    assert "8 calls, 4 rules in shadow, each counted as if it alone were enforced" in shown
    assert f"rules explain --intent {changes[0]['intent_id']} --rule {changes[0]['rule_id']}" in shown
    assert of_kind(stoplog("rules", "shadow", "--json", "--to", "2001-01-01T00:00:00Z"), "change") == []


def test_without_a_rule_in_shadow_nothing_is_counted(site: Stoplog) -> None:
    assert "no rule is in shadow" in site("rules", "shadow", "--no-json").out
