"""What commands tell of a rule in shadow: it matched, and it has decided nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from tests.kit import BUNDLE_FILES
from tests.unit.cli.conftest import Stoplog
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
