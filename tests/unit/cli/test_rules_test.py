"""`stoplog rules test`: what of a folder of rules is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stoplog, of_kind

COUNTED = ("cases", "rules", "scenarios", "changes")


@pytest.fixture
def two_packs(stoplog: Stoplog, home: Path) -> Path:
    """A folder with a pack that passes, and one of which a case fails."""
    for name in ("good", "other"):
        stoplog("rules", "new", name, "--tool", f"{name}.write")
    cases = home / "rules/other/other.tests.yaml"
    cases.write_text(cases.read_text().replace("verdict: allow", "verdict: deny"))
    return home / "rules"


def test_one_pack_alone_is_tested_beside_the_rules_of_all(stoplog: Stoplog, two_packs: Path) -> None:
    assert stoplog("rules", "test", "rules").status == 1
    alone = stoplog("rules", "test", "rules", "--pack", "good", "--mutate")
    assert alone.status == 0, alone.out
    assert {each["rule_id"].split("-")[0] for each in of_kind(alone, "rule")} == {"GOOD"}
    single = stoplog("rules", "new", "good", "--dir", "alone", "--tool", "good.write")
    assert single.status == 0
    whole = stoplog("rules", "test", "alone", "--mutate").records[-1]
    assert [alone.records[-1][name] for name in COUNTED] == [whole[name] for name in COUNTED]
    assert stoplog("rules", "test", "rules", "--pack", "other").status == 1


def test_a_pack_that_does_not_exist_is_an_error(stoplog: Stoplog, two_packs: Path) -> None:
    refused = stoplog("rules", "test", "rules", "--pack", "god")
    assert refused.status == 2
    assert "`rules` has no pack `god`: did you mean `good`?" in refused.err
    assert "the packs are good, other" in stoplog("rules", "test", "rules", "--pack", "xyz").err


def test_a_pack_of_detectors_has_no_rules_to_cover(stoplog: Stoplog, two_packs: Path) -> None:
    (two_packs / "calm").mkdir()
    (two_packs / "calm/calm.detectors.yaml").write_text(
        "apiVersion: behaviour/v1\npack: calm\ndetectors:\n  - {name: calm, detector: ceiling, key: [agent.id], "
        'limit: 9, window: 1h, threshold: 1, explain: "{count} calls"}\n'
    )
    alone = stoplog("rules", "test", "rules", "--pack", "calm", "--no-json")
    assert alone.status == 0, alone.out + alone.err
    assert "there are no rules in this folder" in alone.out
