"""Atoms in session events: what an event says of the content that it reports, without the content."""

from __future__ import annotations

import msgspec

from streams.model.session import Atom, SessionEvent, SessionEventType
from streams.provenance.atoms.found import Extraction
from streams.provenance.extraction.digests import atom_digester
from streams.provenance.extraction.extract import extract_content, extract_message
from streams.provenance.requests.proposed import extract_proposal
from streams.provenance.requests.scope import Deriver, derive_scopes, with_derived_scopes

CONTENT_EVENTS = frozenset(
    {
        SessionEventType.USER_MESSAGE,
        SessionEventType.TOOL_RESULT,
        SessionEventType.RETRIEVAL,
        SessionEventType.MEMORY_READ,
    }
)
"""Events that report a content from which values can come."""
DESCRIBED_EVENTS = CONTENT_EVENTS | {SessionEventType.MODEL_OUTPUT}
"""Events that say of their content which values it holds: also of what the agent has proposed, of which none come."""


def extraction_for(kind: SessionEventType, content: str, content_type: str | None) -> Extraction:
    """Return the values of the content of an event.

    Args:
        kind: the type of the event: what the user says, what the agent says, and what tools return are read
            in different ways.
        content: the content as the agent reads it.
        content_type: its media type, if that is known.
    """
    if kind is SessionEventType.USER_MESSAGE:
        return extract_message(content)
    if kind is SessionEventType.MODEL_OUTPUT:
        return extract_proposal(content)
    return extract_content(content, content_type)


def atoms_of(extraction: Extraction, key: bytes) -> tuple[Atom, ...]:
    """Return the atoms of a content, digested under a user's key (`streams.provenance.extraction.digests.atom_key`)."""
    digest = atom_digester(key)
    return tuple(
        Atom(
            digest=digest(found.kind, found.value),
            kind=found.kind.value,
            path=found.path,
            whole_field=found.whole_field,
            decoded=found.decoded,
            instructed=found.instructed,
            calls_for=found.calls_for,
        )
        for found in extraction.found
    )


def described(
    event: SessionEvent,
    content: str,
    key: bytes,
    content_type: str | None = None,
    derive: Deriver = derive_scopes,
) -> SessionEvent:
    """Return the event with what it says of its content. Its proof, if it has one, no longer holds.

    Args:
        event: one of `DESCRIBED_EVENTS`; any other is returned as it is.
        content: the content as the agent reads it.
        key: the user's key (`streams.provenance.extraction.digests.atom_key`).
        content_type: the media type of the content, if that is known.
        derive: derives the scopes of a user's message that states none.
    """
    if event.type not in DESCRIBED_EVENTS:
        return event
    extraction = extraction_for(event.type, content, content_type)
    event = msgspec.structs.replace(
        event,
        atoms=atoms_of(extraction, key),
        atoms_complete=extraction.has_all,
        lacks_words_only=extraction.lacks_words_only,
        has_text=extraction.has_text,
        text_instructed=extraction.instructed,
        content_type=content_type,
    )
    return with_derived_scopes(event, content, derive)
