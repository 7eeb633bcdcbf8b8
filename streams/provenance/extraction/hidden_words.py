"""Words that an instruction hides: spelled backwards, or broken into short pieces.

What stands in disguise in a whole text, such as an encoded one, is undone elsewhere (`readings`). This looks only at
sentences that instruct, because any word is another one backwards.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.provenance.atoms.found import WHOLE_KINDS, AtomKind
from streams.provenance.atoms.ids_and_files import REVERSED_CHARS_MIN
from streams.provenance.atoms.shapes import shapes_in
from streams.provenance.contents.leaves import Leaf
from streams.provenance.extraction.collected import Collected
from streams.provenance.words import text_value

BROKEN_PIECES_MIN = 2
BROKEN_PIECES_MAX = 16
BROKEN_PIECE_CHARS_MAX = 4
"""Pieces of an instruction that are so short, two or more in a row, may be one word that was broken."""


def read_hidden_words(sentence: str, leaf: Leaf, collected: Collected, calls_for: int) -> None:
    """Add words that an instruction spells backwards or breaks into pieces."""
    tokens = sentence.split()
    for token in tokens:
        if len(token) >= REVERSED_CHARS_MIN and (value := text_value(token[::-1])):
            collected.add(AtomKind.TEXT, value, leaf, whole=False, decoded=True, calls_for=calls_for)
    for run in _broken(tokens):
        for first in range(len(run) - BROKEN_PIECES_MIN + 1):
            for last in range(first + BROKEN_PIECES_MIN, len(run) + 1):
                glued = "".join(run[first:last])
                if len(glued) >= REVERSED_CHARS_MIN and (value := text_value(glued)):
                    collected.add(AtomKind.TEXT, value, leaf, whole=False, decoded=True, calls_for=calls_for)
            for shape in shapes_in("".join(run[first:]))[0]:
                if shape.kind in WHOLE_KINDS:
                    collected.add(shape.kind, shape.value, leaf, whole=False, decoded=True, calls_for=calls_for)


def _broken(tokens: list[str]) -> Iterator[list[str]]:
    """Yield runs of short pieces between spaces, at most `BROKEN_PIECES_MAX` of them in one."""
    run: list[str] = []
    for token in (*tokens, " " * (BROKEN_PIECE_CHARS_MAX + 1)):
        if len(token) <= BROKEN_PIECE_CHARS_MAX and len(run) < BROKEN_PIECES_MAX:
            run.append(token)
            continue
        if len(run) >= BROKEN_PIECES_MIN:
            yield run
        run = [token] if len(token) <= BROKEN_PIECE_CHARS_MAX else []
