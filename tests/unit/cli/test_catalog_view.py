"""How the review of a tool shows its facts: in words."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import tool_entry
from streams.cli.terminal.screen import Screen
from streams.cli.views.catalog import show_facts, show_reach
from streams.model.catalog import OutputLabel
from streams.model.labels import CLEAN, Confidentiality, Integrity, Label
from streams.operations.review.permitted_use import Reach, RuleReach


def rows_of(shown: str) -> dict[str, str]:
    rows = [line.split(maxsplit=1) for line in shown.splitlines() if line.strip()]
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def test_facts_are_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    private = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE, readers=("ann", "bob"))
    entry = msgspec.structs.replace(
        tool_entry("mail", "send"),
        read_only=False,
        destructive=True,
        compensating_tool=None,
        sink_args=(),
        output_label=CLEAN,
        output_labels=(OutputLabel(path="items.*.body", label=private),),
    )
    show_facts(Screen(as_json=False), entry)
    rows = rows_of(shown := capsys.readouterr().out)
    assert (rows["read_only"], rows["destructive"]) == ("no", "yes")
    assert ("compensating_tool" in rows, rows["sink_args"]) == (False, "none")
    (unstated,) = [line for line in shown.splitlines() if line.startswith("not stated: ")]
    assert "compensating_tool" in unstated
    assert "output_labels" not in unstated
    assert rows["output_label"] == "trusted, public"
    assert rows["output_labels"] == "items.*.body: untrusted, private, for ann, bob"
    show_facts(Screen(as_json=False), msgspec.structs.replace(entry, sink_args=("/to", "/cc"), output_labels=()))
    shown = capsys.readouterr().out
    assert rows_of(shown)["sink_args"] == "/to; /cc"
    assert "output_labels" in shown.partition("not stated: ")[2]


def test_a_tool_that_acts_and_has_no_sinks_is_shown_with_the_arguments_to_check(
    capsys: pytest.CaptureFixture[str],
) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}, "urgent": {"type": "boolean"}}}
    acts = msgspec.structs.replace(tool_entry("mail", "send", schema=schema), read_only=False, sink_args=())
    show_facts(Screen(as_json=False), acts)
    told = " ".join(capsys.readouterr().out.split())
    assert "rules notice no stranger in /to:" in told
    assert "--fact 'sink_args=" in told
    for settled in (msgspec.structs.replace(acts, sink_args=("/to",)), msgspec.structs.replace(acts, read_only=True)):
        show_facts(Screen(as_json=False), settled)
        assert "stranger" not in capsys.readouterr().out


def test_of_a_rule_only_what_limits_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    rules = (
        RuleReach("MAIL-002", "permit", "enforce", (), (), "true", "sending mail"),
        RuleReach("MAIL-020", "defer", "shadow", ("mailer",), ("acme",), "true", "mail leaves"),
    )
    show_reach(Screen(as_json=False), Reach((), rules, "", (), ""))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "MAIL-002 permit sending mail" in lines
    assert "when true" in lines
    assert "MAIL-020 defer (shadow) for agents mailer only: for tenants acme only: mail leaves" in lines
