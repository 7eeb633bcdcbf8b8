"""Scopes: as they are written, and as they follow from a request."""

from __future__ import annotations

from simulation.records import header
from streams.model.session import ScopeSource, SessionEvent, SessionEventType, TaskScope
from streams.provenance.requests.scope import derive_scopes, parse_scopes, with_derived_scopes


def test_scopes_are_read_as_they_are_written() -> None:
    assert parse_scopes(["send", "pay:DE02", "tool:mail/send", "files:read", "pay:", "tool:"]) == (
        TaskScope(kind="send"),
        TaskScope(kind="pay", targets=("DE02",)),
        TaskScope(tools=("mail/send",)),
    )


def test_a_derived_scope_has_kinds_only() -> None:
    assert derive_scopes("Please delete it.") == (TaskScope(kind="change"), TaskScope(kind="delete"))


def test_a_message_states_the_scopes_of_its_text_unless_its_writer_has() -> None:
    event = SessionEvent(header=header("m", 0), session_id="s", sequence=0, type=SessionEventType.USER_MESSAGE)
    derived = with_derived_scopes(event, "Pay the bill.")
    spoken = TaskScope(kind="speaks:instalment? money? salary?")
    assert derived.task_scopes == (TaskScope(kind="fill"), TaskScope(kind="pay"), spoken)
    assert derived.scope_source is ScopeSource.DERIVED
    assert with_derived_scopes(derived, "Delete it.") is derived
