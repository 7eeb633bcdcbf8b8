"""Which parts of what the agent says put something to the user, and which only tell him something.

**Idea.** "The letter says that HV-1009 is closed. Shall I move your booking?" proposes nothing about HV-1009. So of an
output, only those sentences count that ask, or that begin a plan ("I can", "let me"), and the lists under them. One
that points back ("Shall I book it?", "OK?") takes the sentence or list before it along, and so on while that one points
back as well.

In a language that is not listed here, only what asks counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]

_LINE = re.compile(r"[^\n]+")
_ITEM = re.compile(r"\s*(?:[-*+|\u2022\u2013]|\d{1,2}[.)] )")
_STOP = re.compile(
    r"[.!?\uff1f\u061f](?=\s+[^\W\d_a-z]|\s+\u00bf|\s*\Z)"
    r"(?!(?<=\d\.)\s+(?:Jan|Feb|M\u00e4r|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez))"
)
"""Where a sentence ends. "26. Juni" is one day."""
_ASKS_IF_SHORT = 3
"""A question of at most so many words ("Shall I?") is about what stands before it."""
_PROPOSES = re.compile(
    r"[?\uff1f\u061f]"
    r"|\b(?:i|we)(?:'ll|'d| can| could| will| would| shall| am going to| are going to|'m going to|'re going to)"
    r"(?! (?:not|never|see|find|tell|read|only see)\b)\b"
    r"|\b(?:i|we) (?:suggest|propose|recommend|plan)\b|\blet(?: me|'s| us)\b|\b(?:shall|should|may|can) (?:i|we)\b"
    r"|\b(?:would you|do you (?:want|agree|confirm))\b|\b(?:please|kindly) (?:\w+ )?confirm\b|\blet me know\b"
    r"|\b(?:soll(?:en|te[ns]?)?|kann|k\u00f6nnen|darf|d\u00fcrfen|werde|w\u00fcrde) (?:ich|wir)\b"
    r"|\b(?:ich|wir) (?:kann|k\u00f6nn\w+|werden?|w\u00fcrden?|schlagen? vor)\b"
    r"|\b(?:m\u00f6chte[nst]*|wollen|willst|w\u00fcrden) (?:sie|du)\b"
    r"|\bbitte best\u00e4tigen\b"
    r"|\bje (?:peux|pourrais|vais|voudrais|propose)\b|\b(?:puis|dois)-je\b|\b(?:voulez|souhaitez)-vous\b"
    r"|\bveuillez confirmer\b"
    r"|\b(?:puedo|podr\u00eda|voy a|vamos a|propongo|quieres?|deseas?|le gustar\u00eda|por favor,? confirm\w+)\b"
    r"|\b(?:posso|poderia|vou|proponho|deseja|gostaria|potrei|propongo|vuole|vuoi|desidera|far\u00f2)\b"
    r"|\b(?:mog\u0119|zamierzam|proponuj\u0119|chcesz|prosz\u0119 o potwierdzenie)\b"
)
_POINTS_BACK = re.compile(
    r"\b(?:it|its|this|that|these|those|them|both|ones?|so|which|proceed|go ahead|continue|confirm|correct|okay|agree"
    r"|es|dies\w*|ihn|beides?|fortfahren|best\u00e4tigen|richtig|einverstanden|cela|ceci|\u00e7a|cette|continuer|proc\u00e9der|d'accord"
    r"|esto|eso|est[aeo]s?|continuar|proceder|acuerdo|ess[aeo]s?|iss?to|isso|prosseguir|quest[aeio]|procedere|d'accordo|t\u0119|j\u0105"
    r"|confirm\w*|conferm\w*)\b"
    r"|\bdas (?=[a-z])|\b(?:l(?:es?|a|o) |l')\w+(?:er|ir)\b|\w\w[aei]r-?l[aeio]s?\b"
)


class _Part(NamedTuple):
    """A sentence, or an item of a list."""

    start: int
    end: int
    text: str
    is_item: bool


def proposing_spans(text: str) -> list[Span]:
    """Return where the parts of an output stand that put something to the user, each as its start and its end."""
    parts = list(_parts(text))
    counts = [_PROPOSES.search(part.text) is not None for part in parts]
    asks = [number for number, each in enumerate(counts) if each and _points_back(parts[number])]
    for number in range(1, len(parts)):
        # The items of a list are as what stands above it.
        counts[number] = counts[number] or (parts[number].is_item and counts[number - 1])
    for number in asks:
        _take_along(parts, counts, number)
    return [(part.start, part.end) for part, each in zip(parts, counts, strict=True) if each]


def _take_along(parts: list[_Part], counts: list[bool], number: int) -> None:
    """Mark what a part points back to as proposed."""
    while number > 0:
        number -= 1
        if counts[number]:
            return
        counts[number] = True
        if not parts[number].is_item and not _points_back(parts[number]):
            return


def _points_back(part: _Part) -> bool:
    return _POINTS_BACK.search(part.text) is not None or len(part.text.split()) <= _ASKS_IF_SHORT


def _parts(text: str) -> Iterator[_Part]:
    plain = text.replace("\u2019", "'")
    for line in _LINE.finditer(plain):
        start, end = line.span()
        if not line[0].strip():
            continue
        if _ITEM.match(line[0]) is not None:
            yield _Part(start, end, line[0].lower(), is_item=True)
            continue
        for stop in (*(start + match.end() for match in _STOP.finditer(line[0])), end):
            if plain[start:stop].strip():
                yield _Part(start, stop, plain[start:stop].lower(), is_item=False)
            start = stop
