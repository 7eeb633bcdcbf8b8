"""`stoplog rules new`: a pack that is accepted, tested and covered as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.policy import check_bundle, load_bundle
from streams.policy.authoring.mutate import mutate_cases
from tests.unit.cli.conftest import Stoplog

BUNDLE = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'


def test_a_new_pack_is_sound_and_its_cases_run(stoplog: Stoplog, home: Path) -> None:
    made = stoplog("rules", "new", "notes", "--tool", "notes.write")
    assert made.status == 0
    assert [record["file"] for record in made.records if record["record"] == "file"] == [
        "rules/notes/notes.rules.yaml", "rules/notes/notes.tests.yaml", "rules/notes/notes.scenarios.yaml",
        "rules/fixtures/notes.json", "rules/schema.json", "rules/bundle.yaml",
    ]  # fmt: skip
    assert stoplog("rules", "check", "rules", "--strict").status == 0
    tested = stoplog("rules", "test", "rules")
    assert (tested.status, tested.records[-1]["cases"], tested.records[-1]["steps"]) == (0, 6, 3)
    assert check_bundle(load_bundle(home / "rules")).findings == ()
    report = mutate_cases(home / "rules")
    assert (report.tried > 2, report.survivors) == (True, ())


def test_further_packs_join_the_bundle(stoplog: Stoplog, home: Path) -> None:
    for name in ("one", "two_3", "alpha"):
        assert stoplog("rules", "new", name, "--dir", "deep/rules").records[-1]["must_be_listed"] is False
    assert "packs: [alpha, one, two_3]\n" in (home / "deep/rules/bundle.yaml").read_text()
    assert stoplog("rules", "test", "deep/rules").records[-1]["cases"] == 18


def test_a_bundle_that_lists_no_packs_is_left_as_it_is(stoplog: Stoplog, home: Path) -> None:
    (home / "rules").mkdir()
    (home / "rules/bundle.yaml").write_text(BUNDLE)
    assert stoplog("rules", "new", "one").records[-1]["must_be_listed"] is False
    assert (home / "rules/bundle.yaml").read_text() == BUNDLE
    assert stoplog("rules", "test", "rules").status == 0


def test_who_must_list_a_pack_by_hand_is_told(stoplog: Stoplog, home: Path) -> None:
    (home / "rules").mkdir()
    (home / "rules/bundle.yaml").write_text(BUNDLE + "packs:\n  - other\n")
    made = stoplog("rules", "new", "one", "--no-json")
    assert "add `one` to `packs` in rules/bundle.yaml" in " ".join((made.out + made.err).split())


def test_nothing_is_overwritten(stoplog: Stoplog, home: Path) -> None:
    stoplog("rules", "new", "one")
    rules = home / "rules/one/one.rules.yaml"
    rules.write_text("mine")
    again = stoplog("rules", "new", "one")
    assert again.status != 0
    assert "exists already" in again.err
    assert rules.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("One",), "a pack's name is a letter, followed by letters, digits and `_`"),
        (("../x",), "a pack's name is a letter, followed by letters, digits and `_`"),
        (("x" * 41,), "a pack's name is a letter, followed by letters, digits and `_`"),
        (("one", "--tool", "read"), "a tool is written `SERVER.TOOL`"),
        (("one", "--tool", "a.b\n  - id: X"), "a tool is written `SERVER.TOOL`"),
        (("one", "--tool", 'a".b'), "a tool is written `SERVER.TOOL`"),
    ],
)
def test_names_that_are_none(stoplog: Stoplog, home: Path, arguments: tuple[str, ...], told: str) -> None:
    refused = stoplog("rules", "new", *arguments)
    assert refused.status != 0
    assert told in refused.err
    assert not (home / "rules").exists()
