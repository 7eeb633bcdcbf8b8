"""Marks of roles that models know: `<system>`, `[INST]`, `### Instruction`, a line that begins with `User:`."""

from __future__ import annotations

import re

from streams.provenance.sieved import Sieved

# It begins with one set of signs, which is found faster than several beginnings.
_MARK = Sieved(
    r"[<\[#](?:(?<=<)/?\s{0,4}(?:system|important|instructions?|information|admin|assistant|user|task)\b[^>]{0,40}>"
    r"|(?<=\[)/?inst\]|(?<=<)\|\w{2,20}\|>|(?<=(?<!#)#)#{1,5}\s{0,4}(?:instruction|system|new task|task))"
)
_NEW_TASK = Sieved(r"(?:new|updated|your) (?:instruction|task|objective|goal)s?\b")
_SPEAKER = r"\W{0,4}(?:system|assistant|human|developer|admin|user)(?: message| prompt| note| override)?\W{0,3}:"
_SPEAKER_FIRST = re.compile(_SPEAKER)
_SPEAKER_LATER = re.compile(rf"\n(?={_SPEAKER})")


def has_role_mark(lowered: str) -> bool:
    """Return whether a text in lower case has the mark of a role, or begins like a line that does."""
    return (
        _MARK.search(lowered) is not None
        or _NEW_TASK.search(lowered) is not None
        or _SPEAKER_FIRST.match(lowered) is not None
    )


def has_role_mark_in_lines(lowered: str) -> bool:
    """Return whether a text in lower case has the mark of a role, or a line that begins like one."""
    return has_role_mark(lowered) or _SPEAKER_LATER.search(lowered) is not None
