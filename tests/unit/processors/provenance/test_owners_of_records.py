"""Whose a record is that names its owner in an object of its own, and who is looked up by a field that names owners."""

from __future__ import annotations

from typing import Any

import pytest

from simulation.records import TRUSTED, UNTRUSTED, tool_entry
from streams.model.catalog import OutputLabel
from tests.starter import starter_source
from tests.unit.processors.provenance_pack.tools import ACTS, ENTRIES, READS
from tests.unit.processors.talk import Talk

ME, OTHER = "alice", "kimberly"
STAY = tool_entry("desk", "stay", **READS, output_label=TRUSTED, output_owners=("/guest/login",))
STAYS = tool_entry(
    "desk", "find_stays", **READS, output_label=TRUSTED, output_owners=("/*/guest/login",),
    schema={"type": "object", "properties": {"login": {"type": "string"}}},
)  # fmt: skip
END = tool_entry("desk", "end_stay", **ACTS, kind="delete", sink_args=("/stay",))


def talk() -> Talk:
    talking = Talk(starter_source().files, (*ENTRIES, STAY, STAYS, END), scopes=("desk:read", "desk:write"))
    talking.say("End the stay ST-48213, and what about ST-50077?")
    return talking


def stay(number: str, login: str) -> dict[str, Any]:
    return {"stay": number, "guest": {"name": "a guest", "login": login}}


def fired(talking: Talk, entry: Any, args: dict[str, Any]) -> set[str]:
    verdict = talking.judge(entry, args)
    assert verdict.errors == ()
    return {hit.rule_id for hit in verdict.rules}


@pytest.mark.parametrize(("login", "asked"), [(ME, False), (OTHER, True)])
def test_an_owner_in_an_object_owns_the_record_around_it(login: str, *, asked: bool) -> None:
    talking = talk()
    talking.read(STAY, {"stay": "ST-48213"}, stay("ST-48213", login))
    assert ("PROV-030" in fired(talking, END, {"stay": "ST-48213"})) is asked


def test_it_owns_its_element_of_a_list_and_not_the_others() -> None:
    talking = talk()
    talking.read(STAYS, {"login": ME}, [stay("ST-48213", ME), stay("ST-50077", OTHER)])
    assert "PROV-030" not in fired(talking, END, {"stay": "ST-48213"})
    assert "PROV-030" in fired(talking, END, {"stay": "ST-50077"})


@pytest.mark.parametrize(("owner", "within", "asked"), [(OTHER, ME, True), (ME, OTHER, False)])
def test_an_owner_that_a_record_names_itself_counts_more_than_one_in_an_object(
    owner: str, within: str, *, asked: bool
) -> None:
    open_ = tool_entry("desk", "open", **READS, output_label=TRUSTED, output_owners=("/login", "/*/login"))
    for found in ({"login": owner, "memo": {"login": within}}, {"memo": {"login": within}, "login": owner}):
        talking = Talk(starter_source().files, (*ENTRIES, open_, END), scopes=("desk:read", "desk:write"))
        talking.say("End the stay ST-48213.")
        talking.read(open_, {"stay": "ST-48213"}, {"stay": "ST-48213", **found})
        assert ("PROV-030" in fired(talking, END, {"stay": "ST-48213"})) is asked


@pytest.mark.parametrize(("login", "asked"), [(ME, False), (ME.upper(), False), (OTHER, True)])
def test_who_is_looked_up_as_an_owner_is_one(login: str, *, asked: bool) -> None:
    assert ("PROV-002" in fired(talk(), STAYS, {"login": login})) is asked


def test_a_subject_who_is_called_otherwise_may_look_himself_up() -> None:
    talking = talk()
    talking.say("Which stays do I have? My number is C-20931.")
    assert "PROV-002" not in fired(talking, STAYS, {"login": "C-20931"})


@pytest.mark.parametrize(
    ("owner", "argument", "asked"),
    [
        ("/guest/id", "id", False),
        ("/guest/name", "name", False),
        ("/guest/id", "guest_id", True),
        ("/*/id", "id", True),
    ],
)
def test_what_only_says_that_it_is_an_id_may_be_that_of_the_record(owner: str, argument: str, *, asked: bool) -> None:
    schema = {"type": "object", "properties": {argument: {"type": "string"}}}
    find = tool_entry("desk", "look_up", **READS, output_label=TRUSTED, output_owners=(owner,), schema=schema)
    talking = Talk(starter_source().files, (*ENTRIES, find), scopes=("desk:read", "desk:write"))
    talking.say("What about the lake?")
    assert ("PROV-002" in fired(talking, find, {argument: "lake"})) is asked


CONTRACT = tool_entry("desk", "contract", **READS, output_label=TRUSTED, output_owners=("/login", "/stays/*/login"))


@pytest.mark.parametrize(
    ("owner", "own", "asked"),
    [
        (ME, {}, False),
        # What is listed in somebody else's record is theirs,
        (OTHER, {}, True),
        # unless it says itself whose it is.
        (OTHER, {"login": ME}, False),
    ],
)
def test_what_a_record_of_somebody_else_lists_is_theirs(owner: str, own: dict[str, str], *, asked: bool) -> None:
    talking = Talk(starter_source().files, (*ENTRIES, CONTRACT, END), scopes=("desk:read", "desk:write"))
    talking.say("I have lost the key of the room 12. End the stay.")
    talking.read(CONTRACT, {"room": "12"}, {"login": owner, "stays": [{"stay": "ST-48213", **own}]})
    assert ("PROV-030" in fired(talking, END, {"stay": "ST-48213"})) is asked


BOARD = tool_entry(
    "desk", "board", **READS, output_label=TRUSTED, output_owners=("/login", "/tasks/*/login"),
    output_labels=(OutputLabel(path="/tasks/*/remarks", label=UNTRUSTED),),
)  # fmt: skip
FINISH = tool_entry("desk", "finish_task", open_world=False, kind="change", sink_args=("/task",))


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ({"assignee": ME}, False),
        ({"assigned_to": ME}, False),
        ({"assignee": OTHER}, True),
        ({}, True),
        # What others may write assigns nothing, and who has seen a task need not do it.
        ({"remarks": {"assignee": ME}}, True),
        ({"seen_by": ME}, True),
        # A task that says itself whose it is, is theirs.
        ({"assignee": ME, "login": OTHER}, True),
        # The operator has not stated that this field names an owner.
        ({"assignee": ME, "customer_id": "C-10001"}, True),
        ({"assignee": ME, "order": {"customer_id": "C-10001"}}, True),
    ],
    ids=(
        "assigned",
        "in other words",
        "to another one",
        "to nobody",
        "by others",
        "seen",
        "with an owner",
        "seems to have an owner",
        "seems to have an owner inside",
    ),
)
def test_a_task_in_somebody_elses_list_is_the_users_to_do_if_it_is_assigned_to_them(
    task: dict[str, Any], *, asked: bool
) -> None:
    talking = Talk(starter_source().files, (*ENTRIES, BOARD, FINISH), scopes=("desk:read", "desk:write"))
    talking.say("Do what is assigned to me on the board of room 12.")
    talking.read(BOARD, {"room": "12"}, {"login": OTHER, "tasks": [{"task": "ST-48213", **task}]})
    assert ("PROV-030" in fired(talking, FINISH, {"task": "ST-48213"})) is asked


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ({"id": "ST-48213"}, False),
        ({"task_id": "ST-48213"}, False),
        ({"task": "X-10001", "contract": "ST-48213"}, True),
        ({"task": "X-10001", "customer_account": "ST-48213"}, True),
        ({"task": "X-10001", "parent_task_id": "ST-48213"}, True),
        ({"task": "X-10001", "of": {"task": "ST-48213"}}, True),
        ({"task": "X-10001", "of": [{"task": "ST-48213"}]}, True),
    ],
    ids=("id", "id of a task", "contract", "account", "another task", "in an object", "in a list"),
)
def test_an_assignment_says_whose_the_task_is_and_nothing_of_what_else_stands_in_it(
    task: dict[str, Any], *, asked: bool
) -> None:
    talking = Talk(starter_source().files, (*ENTRIES, BOARD, FINISH), scopes=("desk:read", "desk:write"))
    talking.say("Do what is assigned to me on the board of room 12.")
    talking.read(BOARD, {"room": "12"}, {"login": OTHER, "tasks": [{"assignee": ME, **task}]})
    assert ("PROV-030" in fired(talking, FINISH, {"task": "ST-48213"})) is asked


def test_the_list_itself_stays_somebody_elses() -> None:
    talking = Talk(starter_source().files, (*ENTRIES, BOARD, FINISH), scopes=("desk:read", "desk:write"))
    talking.say("Do what is assigned to me on the board of room 12.")
    content = {"login": OTHER, "task": "ST-50000", "tasks": [{"task": "ST-48213", "assignee": ME}]}
    talking.read(BOARD, {"room": "12"}, content)
    assert "PROV-030" in fired(talking, FINISH, {"task": "ST-50000"})
