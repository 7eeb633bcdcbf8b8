"""What pages say, for tests that do it: their fenced blocks, and what stands before each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[3] / "docs"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, its text, the paragraph before it, and the heading that it stands under."""

    language: str
    text: str
    before: str
    heading: str


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, by its path below `docs`."""
    text = (DOCS / page).read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        above = text[: match.start()]
        headings = re.findall(r"^#+ (.*)$", above, re.MULTILINE)
        before = above.rstrip().rpartition("\n\n")[2]
        found.append(Block(match[1], match[2], before, headings[-1] if headings else ""))
    return found


def file_named(block: Block) -> str | None:
    """The file that a block is the text of: the last that is named before it."""
    names = re.findall(r"`([\w./-]+\.(?:yaml|jsonl|json|toml|py))`", block.before)
    return names[-1] if names and block.before.endswith(":") else None


def squeezed(text: str) -> str:
    """A text without what a screen's width makes of it."""
    return re.sub(r"\s+", " ", text)
