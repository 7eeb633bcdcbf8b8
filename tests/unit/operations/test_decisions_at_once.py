"""Two reviewers decide about a tool at the same time: each is told what gates make of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.audit.signatures import SigningKey
from streams.model.catalog import EntryState
from streams.operations.catalog.decision import (
    ReviewError,
    draft_approval,
    draft_decision,
    publish_decisions,
    sign_entry,
)
from streams.operations.catalog.history import read_catalog_history
from streams.operations.catalog.proposal import import_tools
from streams.operations.operator import Operator
from streams.operations.signing_keys import make_key_file
from streams.operations.topics.application import carry_out, make_plan
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings

NAME = ("mail", "send")
SEND = {"name": "send", "description": "Sends an e-mail.", "inputSchema": {"type": "object"}}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, SigningKey]:
    return {name: make_key_file(tmp_path / f"{name}.pem") for name in ("ann", "bob")}


@pytest.fixture
def settings(tmp_path: Path, keys: dict[str, SigningKey]) -> Settings:
    reviewers = {name: str(key.public) for name, key in keys.items()}
    made = Settings(state_dir=tmp_path / "state", topics={"partitions": 2}, catalog={"reviewers": reviewers})
    with open_log(made) as log:
        admin = log.admin()
        carry_out(make_plan(made.topics, made.group, admin, [made.tenant]), admin, 1, lambda step: None)
        admin.close()
    with open_operator(made, "carol") as operator:
        import_tools(operator, "mail", [SEND], {})
    return made


@pytest.fixture
def ann(settings: Settings) -> Iterator[Operator]:
    with open_operator(settings, "ann") as made:
        yield made


def decide(operator: Operator, key: SigningKey, state: EntryState = EntryState.APPROVED) -> None:
    history = read_catalog_history(operator)
    (listed,) = history.open_proposals(NAME)
    draft = (
        draft_approval(operator, history, listed)
        if state is EntryState.APPROVED
        else draft_decision(operator, history, listed, state, note=None)
    )
    publish_decisions(operator, [sign_entry(draft, key)])


@pytest.fixture
def bob_is_first(monkeypatch: pytest.MonkeyPatch, settings: Settings, keys: dict[str, SigningKey]) -> None:
    """Has bob approve the tool just before the first record that ann writes."""
    write, left = Operator.write, ["ann"]

    def late(own: Operator, *args: Any) -> None:
        if own.name in left:
            left.remove(own.name)
            with open_operator(settings, "bob") as other:
                decide(other, keys["bob"])
        write(own, *args)

    monkeypatch.setattr(Operator, "write", late)


@pytest.mark.usefixtures("bob_is_first")
def test_the_second_of_two_approvals_is_told_that_it_does_not_count(ann: Operator, keys: dict[str, SigningKey]) -> None:
    with pytest.raises(ReviewError, match=r"somebody else has decided at the same time.*`mail/send`: version 1 of"):
        decide(ann, keys["ann"])
    assert read_catalog_history(ann).in_force[NAME].reviewed_by == "bob"


@pytest.mark.usefixtures("bob_is_first")
def test_a_block_counts_also_if_an_approval_comes_first(ann: Operator, keys: dict[str, SigningKey]) -> None:
    decide(ann, keys["ann"], EntryState.BLOCKED)
    assert read_catalog_history(ann).in_force[NAME].state is EntryState.BLOCKED
