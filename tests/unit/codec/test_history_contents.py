"""Contents in histories have the atoms that executors and agents would report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streams.codec.history import format_line, iter_history, parse_line
from streams.model.session import SessionEvent
from streams.provenance.atoms.found import AtomKind
from streams.provenance.extraction.digests import atom_digest, atom_key

_ROOT_KEY = b"root key of thirty-two bytes ...."
_TIME_MS = 1_764_061_200_000
_OPENED = {"type": "SESSION_ESTABLISHED", "sub": "anna", "act": {"iss": "i", "sub": "a"}}
_TOOL = {"server_id": "crm", "name": "read"}


def _line(record: str, value: dict[str, Any], key: str | None = "acme|s-1") -> str:
    line = {"record": record, "time_ms": _TIME_MS, "value": value}
    return json.dumps(line if key is None else line | {"key": key})


def _events(path: Path, lines: list[str], root_key: bytes | None = _ROOT_KEY) -> list[SessionEvent]:
    path.write_text("\n".join(lines))
    return [line.record for line in iter_history(path, root_key) if isinstance(line.record, SessionEvent)]


def _digest(sub: str, kind: AtomKind, value: str) -> bytes:
    return atom_digest(atom_key(_ROOT_KEY, "acme", sub), kind, value)


def test_a_content_has_atoms_under_the_key_of_the_sessions_user(tmp_path: Path) -> None:
    result = {"type": "TOOL_RESULT", "tool": _TOOL, "intent_id": "i", "content": '{"mail": "kim@x.example"}'}
    _, event = _events(tmp_path / "h.jsonl", [_line("session_event", _OPENED), _line("session_event", result)])

    assert _digest("anna", AtomKind.ADDRESS, "kim@x.example") in {atom.digest for atom in event.atoms}
    assert event.atoms_complete
    assert not event.has_text
    assert not event.text_instructed
    assert event.content_digest is not None
    assert event.proof is not None


def test_what_the_user_says_has_sequences_of_words(tmp_path: Path) -> None:
    said = {"type": "USER_MESSAGE", "content": "plan dinner with kim"}
    _, event = _events(tmp_path / "h.jsonl", [_line("session_event", _OPENED), _line("session_event", said)])

    assert _digest("anna", AtomKind.TEXT, "dinnerwithkim") in {atom.digest for atom in event.atoms}


def test_the_catalog_says_how_a_result_is_read(tmp_path: Path) -> None:
    entry = {"server_id": "crm", "name": "read", "state": "APPROVED", "input_schema": {}, "content_type": "text/plain"}
    result = {"type": "TOOL_RESULT", "tool": _TOOL, "intent_id": "i", "content": '{"mail": "kim@x.example"}'}
    lines = [_line("catalog_entry", entry, None), _line("session_event", _OPENED), _line("session_event", result)]
    event = _events(tmp_path / "h.jsonl", lines)[-1]

    assert event.content_type == "text/plain"
    assert event.has_text
    assert not any(atom.whole_field for atom in event.atoms)


def test_a_line_that_states_atoms_or_a_proof_keeps_them(tmp_path: Path) -> None:
    said = {"type": "USER_MESSAGE", "content": "write to kim@x.example", "atoms": []}
    (event,) = _events(tmp_path / "h.jsonl", [_line("session_event", said)])

    assert event.atoms == ()
    assert event.has_text


def test_without_a_root_key_there_are_no_atoms(tmp_path: Path) -> None:
    said = {"type": "USER_MESSAGE", "content": "write to kim@x.example"}
    (event,) = _events(tmp_path / "h.jsonl", [_line("session_event", said)], None)

    assert event.atoms == ()


def test_a_written_line_gives_the_same_record_again() -> None:
    said = {"type": "USER_MESSAGE", "sub": "anna", "content": "please pay 12.50 EUR to kim@x.example"}
    line = parse_line(_line("session_event", said), 1, "h", _ROOT_KEY)
    again = parse_line(format_line(line.topic, line.key, line.time_ms, line.record), 2, "h", _ROOT_KEY)

    assert isinstance(line.record, SessionEvent)
    assert line.record.atoms
    assert again.record == line.record
