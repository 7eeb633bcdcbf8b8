"""Relative links in the documents lead to files of the repository, and to headings that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LESSONS = [page for page in PAGES if page.parent.name in ("tutorial", "how-to")]

_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)>\s]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def relative_links(page: str) -> Iterator[str]:
    """The targets of a page's links that are paths; what is code is no link."""
    text = _INDENTED.sub("", _FENCED.sub("", page))
    # A link's text may be code; its target is not.
    for match in _LINK.finditer(_CODE.sub("code", text)):
        target = match[1] or match[2]
        if not re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            yield target


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as they are made where it is shown."""
    headings = _HEADING.findall(_FENCED.sub("", page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in relative_links(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(ROOT) or not target.exists():
            broken.append(f"`{link}` is not there")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8")):
            broken.append(f"`{link}`: no such heading")
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_the_index_lists_every_page_under_its_own_title() -> None:
    index = ROOT / "docs" / "README.md"
    entries = re.findall(r"\[([^]]+)\]\(([^)#]+\.md)\)", index.read_text("utf-8"))
    pages = {path.relative_to(index.parent).as_posix() for path in index.parent.glob("*/*.md")}
    listed = {target for _, target in entries}
    assert {page for page in pages if not page.startswith("adr/")} == listed - {"adr/README.md"}
    titles = {
        target: re.search(r"^# (.+)$", (index.parent / target).read_text("utf-8"), re.MULTILINE) for target in listed
    }
    wrong = [text for text, target in entries if (title := titles[target]) is None or title[1] != text]
    assert wrong == ["decision records"]


def test_decision_records_are_listed_once_each_by_number_with_their_titles() -> None:
    index = ROOT / "docs" / "adr" / "README.md"
    rows = re.findall(r"^\| \[(\d{4})\]\((\1-[^)]+\.md)\) \| (.+?) \|", index.read_text("utf-8"), re.MULTILINE)
    pages = sorted(path for path in index.parent.glob("*.md") if path != index)
    titles = [path.read_text("utf-8").partition("\n")[0].removeprefix(f"# {path.name[:4]} ") for path in pages]
    assert rows == [(path.name[:4], path.name, title) for path, title in zip(pages, titles, strict=True)]


@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.name)
def test_who_has_done_what_a_page_says_is_told_what_comes_next(page: Path) -> None:
    _, found, steps = page.read_text("utf-8").partition("\n## Next steps\n")
    assert found
    assert len(set(relative_links(steps))) >= 2
    assert "\n## " not in steps


def test_what_is_taken_for_a_link() -> None:
    page = """
[a](one.md) and [`b`](two.md#three "title") ![c](four.png) [d](https://example.com/x.md) [e](mailto:a@example.com)
`[f](code.md)`

    [g](indented.md)

```
[h](fenced.md)
```

[i]: five.md
[j](#here)
"""
    assert list(relative_links(page)) == ["one.md", "two.md#three", "four.png", "five.md", "#here"]
    assert anchors("# One\n\n## Two: `three`, *four*\n") == {"one", "two-three-four"}
