"""What the name of a tool says: that it only reads, only prepares, or is about secrets (`acts`)."""

from __future__ import annotations

from math import inf

import pytest

from streams.behaviour.acts import READ_BYTES_MAX, is_of_secrets, only_prepares, only_reads, sends_from


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ("crm.get_case", True),
        ("crm.getCase", True),
        ("ci.get_run", True),
        ("ci.listWorkflowRun", True),
        ("bank.get_transfer", True),
        ("ci.run", False),
        ("ci.get_and_run", False),
        ("ci.fetch_run", False),
        ("bank.get_run_transfer", False),
        ("web.fetch", True),
        ("jenkins.job_status", True),
        ("fs.readFile", True),
        ("crm.get_or_create", False),
        ("jobs.set_status", False),
        ("mongo.findAndModify", False),
        ("docs.search_and_replace", False),
        ("shop.search_and_buy", False),
        ("crm.find_and_count", True),
        ("db.insert_history", False),
        ("ops.notify_status", False),
        ("lib.check_out", False),
        ("db.select_into", False),
        ("crm.update_case", False),
        ("shell.run", False),
        # The server's name says nothing about its tools.
        ("search.delete_index", False),
        # What says nothing counts as an act.
        ("crm.case", False),
        ("", False),
    ],
)
def test_a_tool_only_reads_if_its_name_begins_with_a_verb_for_that(tool: str, *, wanted: bool) -> None:
    assert only_reads(tool) is wanted


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [
        ("mail.create_draft", True),
        ("mail.drafts_update", True),
        ("mail.send_draft", False),
        ("mail.send", False),
        ("mail.forward_draft", False),
        ("shop.complete_draft_order", False),
        ("git.create_draft_pull_request", False),
        ("mail.create_email_draft", True),
    ],
)
def test_a_draft_is_prepared_and_not_sent(tool: str, *, wanted: bool) -> None:
    assert only_prepares(tool) is wanted


def test_a_long_address_may_carry_data_and_a_draft_of_any_length_does_not() -> None:
    assert sends_from("web.fetch") == READ_BYTES_MAX + 1
    assert sends_from("mail.create_draft") == inf
    assert sends_from("mail.send") == 0


@pytest.mark.parametrize(
    ("tool", "wanted"),
    [("vault.read", True), ("aws.get_secret_value", True), ("k8s.list_tokens", True), ("crm.get_case", False)],
)
def test_tools_of_secrets_are_told_by_the_names_of_tool_and_server(tool: str, *, wanted: bool) -> None:
    assert is_of_secrets(tool) is wanted
