"""What is found in contents, messages, outputs and arguments, file by file: one for each form and each disguise.

SDK and gate must find the same values in every version, so a file that no longer fits is a change of format: values
that sessions have read before would no longer be found. `python -m tests.golden.test_atoms` writes the files anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.provenance.atoms.found import Extraction
from streams.provenance.extraction.extract import extract_arguments, extract_content, extract_message
from streams.provenance.requests.proposed import extract_proposal

FOLDER = Path(__file__).with_name("atoms")
DISGUISES = (
    "base64 case escapes full_width hexadecimal html look_alikes nested percent punctuation punycode query reversed "
    "spaced spelled tags zero_width"
)
FILES = sorted(FOLDER.glob("*.json"))


def extraction_of(given: dict[str, Any]) -> Extraction:
    if "arguments" in given:
        return extract_arguments(given["arguments"], given.get("thing", ""))
    if "message" in given:
        return extract_message(given["message"])
    if "output" in given:
        return extract_proposal(given["output"])
    return extract_content(given["content"], given.get("content_type"))


def described(extraction: Extraction) -> dict[str, Any]:
    flags = ("whole_field", "decoded", "instructed")
    found = [
        " ".join(
            [
                *(f"{item.kind}:", item.value, f"@{item.path}"),
                *(flag for flag in flags if getattr(item, flag)),
                *([f"calls_for={item.calls_for:#x}"] if item.calls_for else []),
            ]
        )
        for item in extraction.found
    ]
    return {
        "complete": extraction.complete,
        "has_text": extraction.has_text,
        "instructed": extraction.instructed,
        "found": found,
    }


def test_there_is_a_file_for_each_form_and_each_disguise() -> None:
    names = {file.stem for file in FILES}

    assert {"json", "yaml", "xml", "html", "csv", "mail", "table", "text", "message", "output", "arguments"} <= names
    assert {f"disguise_{name}" for name in DISGUISES.split()} <= names


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_values_of_a_content_stay_the_same(file: Path) -> None:
    case = json.loads(file.read_text())

    assert described(extraction_of(case["given"])) == case["expected"]


def rewrite() -> None:
    for file in FILES:
        case = json.loads(file.read_text())
        case["expected"] = described(extraction_of(case["given"]))
        file.write_text(json.dumps(case, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    rewrite()
