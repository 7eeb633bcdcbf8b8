"""The check of wording: what it finds, where, and that nothing is found in what was revised."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.prose import Rules, WordsError, check, check_file, page_prose, python_prose, read_rules


@pytest.fixture(scope="module")
def rules() -> Rules:
    return read_rules()


def found_in(folder: Path, name: str, text: str, rules: Rules) -> list[str]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return [str(finding) for finding in check_file(path, rules, folder)]


def test_the_repository_has_none(rules: Rules) -> None:
    assert [str(finding) for finding in check(rules)] == []


def test_a_phrase_is_found_across_lines_in_any_case(tmp_path: Path, rules: Rules) -> None:
    page = "A title\n\nThe Catalogue\nsays so; accepted: nothing\nto say.\n"
    assert found_in(tmp_path, "page.md", page, rules) == [
        "page.md:3: found `catalogue`, write `catalog`",
        "page.md:4: found `nothing to say`, write what is the case: `no findings`, `no entry`",
    ]


def test_comments_docstrings_and_messages_of_python_are_read(tmp_path: Path, rules: Rules) -> None:
    source = '''"""It is told to
    stop."""
own_keys = 1  # parked
raise ValueError(f"key {name} is none", 'for ever and ' "ever")
told_of = catalogue
'''
    assert [line.split(",")[0] for line in found_in(tmp_path, "a.py", source, rules)] == [
        "a.py:1: found `is told to`",
        "a.py:3: found `parked`",
        "a.py:4: found `for ever`",
        "a.py:4: found `is none`",
    ]


def test_code_in_pages_and_in_backticks_is_not_read(tmp_path: Path, rules: Rules) -> None:
    page = (
        "Set `catalogue.name`, see [it](docs/catalogue.md) or https://example.com/catalogue.\n\n    parked\n\n"
        "```\nparked\n```\n\nIt is parked.\n"
    )
    assert found_in(tmp_path, "page.md", page, rules) == ["page.md:9: found `parked`, write `defer`, or `pending`"]


def test_words_are_whole(tmp_path: Path, rules: Rules) -> None:
    assert found_in(tmp_path, "page.md", "A park-and-ride, a.parked, sparked, for everyone.\n", rules) == []


def test_lines_stay_where_they_are() -> None:
    text = 'a = """x\ny""" + "it\'s"  # z\n'
    assert python_prose(text).splitlines() == ["       x", "y       it's     z"]
    page = "`a`\n\n    code\n\nb\n"
    assert page_prose(page).split("\n") == ["   ", "", "        ", "", "b", ""]


def test_a_document_that_is_cited_exists(tmp_path: Path, rules: Rules) -> None:
    (tmp_path / "docs" / "adr").mkdir(parents=True)
    (tmp_path / "docs" / "adr" / "0001-x.md").write_text("")
    source = "# See docs/adr/0001-x.md, docs/adr/0002-y.md and DECISIONS.md.\n"
    assert found_in(tmp_path, "a.py", source, rules) == [
        "a.py:1: found `DECISIONS.md`, write the path of a document that exists",
        "a.py:1: found `docs/adr/0002-y.md`, write the path of a document that exists",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("parked", "words.txt:2: write `pattern => what to write instead`"),
        ("parked => ", "words.txt:2: write `pattern => what to write instead`"),
        (" => defer", "words.txt:2: write `pattern => what to write instead`"),
        ("park(ed => defer", r"words.txt:2: `park\(ed` is not a regular expression: "),
    ],
)
def test_a_line_that_is_not_a_rule(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(f"# words\n{line}\n")
    with pytest.raises(WordsError, match=message):
        read_rules(path)
