"""What detectors look at is found by what arguments are for, whatever tools and arguments are called."""

from __future__ import annotations

import pytest

from streams.behaviour.profiles import Extraction
from streams.model.catalog import ArgumentRole
from streams.policy.language.bundle import load_detector_files
from streams.processors.call_features import extracted
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.wiring.shipped import rules_directory

SHIPPED = parse_behaviour(load_detector_files(rules_directory())).features.extractions

CALLS = {
    "mail of another vendor": (
        "gmail.send_email",
        {"bcc": ["x@copy.example"], "body": "hello", "recipient": "ann@acorn.example"},
        {"destination": "acorn.example"},
    ),
    "recipients in a list of objects": (
        "outlook.send",
        {"message": {"subject": "s"}, "recipients": [{"email": "bob@birch.example", "name": "Bob"}]},
        {"destination": "birch.example"},
    ),
    "an address of the web": (
        "scraper.get_page",
        {"page_url": "https://dune.example/a?b", "timeout": 3},
        {"destination": "dune.example"},
    ),
    "a payment": (
        "sap.post_payment",
        {"beneficiary_iban": "DE02", "total_amount": "12.50", "reference": "r-7"},
        {"destination": "de02", "amount": 12.5, "object": "r-7"},
    ),
    "a record of a customer": (
        "zendesk.get_ticket",
        {"customer_id": "c-9", "ticket_id": 41},
        {"object": "c-9", "owner": "c-9"},
    ),
    "whom a record is about": (
        "crm.lookup_contact",
        {"contact_id": "k-9", "fields": ["phone"]},
        {"object": "k-9", "owner": "k-9"},
    ),
    "a file": ("drive.remove_file", {"file_path": "/a/b"}, {"object": "/a/b"}),
    "a secret": ("kms.fetch_secret", {"secret_name": "db/root"}, {"object": "db/root"}),
    "what the tool is named after": ("k8s.delete_pod", {"namespace": "core", "pod": "web-1"}, {"object": "web-1"}),
    "what is deleted, and not what it is in": (
        "cases.delete_document",
        {"case_id": "c-1", "document_id": "d-3"},
        {"object": "d-3"},
    ),
    "what is removed, and not what from": (
        "iam.remove_user_from_group",
        {"group": "staff", "user_id": "u-1"},
        {"object": "u-1", "owner": "u-1"},
    ),
    "who is removed, and not where from": (
        "teams.remove_member_from_team",
        {"team": "core", "member": "m-1"},
        {"object": "m-1", "owner": "m-1"},
    ),
    "an argument that is called as the verb": ("fs.delete", {"delete": "x", "file_id": "f-1"}, {"object": "f-1"}),
    "a verb that is not the first word": ("fs.safe_delete", {"delete": "x", "file_id": "f-1"}, {"object": "f-1"}),
    "an argument that says how": ("fs.force_delete", {"force": "x", "file_id": "f-1"}, {"object": "f-1"}),
    "what a name begins with": ("git.branch_delete", {"repo": "r", "branch": "b"}, {"object": "b"}),
    "what a name begins with that nothing else is known of": (
        "k8s.pods_delete",
        {"namespace": "core", "pod": "web-1"},
        {"object": "web-1"},
    ),
    "a name with a slash": ("db.delete_row", {"table_id": "t-1", "row/id": "r-1"}, {"object": "r-1"}),
    "what is read, with where it is": (
        "cases.get_document",
        {"case_id": "c-1", "document_id": "d-3"},
        {"object": "c-1"},
    ),
    "a page of a list that is named so": ("wiki.get_page", {"page": 3}, {}),
    "nothing that is named after it": ("jobs.delete_all", {"force": True, "region": "eu"}, {}),
    "a search has no object": ("wiki.search_pages", {"query": "holidays", "limit": 50}, {}),
    "the cursor of a list is no object": ("orders.page", {"cursor": "n-7", "pattern": "*"}, {}),
    "numbers that are no amounts": ("jobs.start", {"priority": 3, "retries": 9, "is_dry": True}, {}),
    "arguments that are no object": ("x.y", ["a", "b"], {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_tools_that_no_file_names_have_features(name: str) -> None:
    tool, args, expected = CALLS[name]
    assert extracted(SHIPPED, tool, args) == expected


def test_what_a_file_says_of_a_tool_comes_first() -> None:
    args = {"to": "ann@acorn.example", "url": "https://other.example"}
    assert extracted(SHIPPED, "mail.send", args)["destination"] == "acorn.example"


def test_what_the_catalog_states_comes_before_what_names_say() -> None:
    args = {"mark": "drop.example", "link": "https://docs.example", "weight": 3}
    stated = (
        ("/mark", ArgumentRole.DESTINATION),
        ("/link", ArgumentRole.CONTENT),
        ("/weight", ArgumentRole.AMOUNT),
    )
    assert extracted(SHIPPED, "post.office", args) == {"destination": "docs.example"}
    assert extracted(SHIPPED, "post.office", args, stated) == {"destination": "drop.example", "amount": 3.0}


def test_roles_that_nobody_has_decided_state_nothing() -> None:
    args = {"recipient": "ann@acorn.example", "total_amount": 5, "note": "n"}
    by_names = extracted(SHIPPED, "post.office", args)
    assert by_names == {"destination": "acorn.example", "amount": 5.0}
    undecided = tuple((f"/{name}", ArgumentRole.UNKNOWN) for name in args)
    assert extracted(SHIPPED, "post.office", args, undecided) == by_names
    # One that is decided shows that somebody has looked at the tool: the names say nothing then.
    decided = (*undecided, ("/note", ArgumentRole.DESTINATION))
    assert extracted(SHIPPED, "post.office", args, decided) == {"destination": "n"}


def test_items_of_stated_lists_are_found() -> None:
    args = {"ids": ["a", "b"], "words": ["c"]}
    stated = (("/words/0", ArgumentRole.SELECTOR), ("/ids/0", ArgumentRole.SELECTOR), ("/ids/1", ArgumentRole.SELECTOR))
    assert extracted(SHIPPED, "shelf.fetch", args, stated) == {"object": "a"}


def test_programs_of_before_find_nothing_where_a_role_is_named() -> None:
    """A baseline can name a role to a gate that does not know of roles: it reads it as a pointer."""
    declared = (Extraction("destination", ("*",), "@NEVER_HEARD_OF", "domain"),)
    assert extracted(declared, "mail.send", {"to": "ann@acorn.example", "@NEVER_HEARD_OF": "x"}) == {}
