"""A case: a history of one honest or attacked task, with what is known about it.

A file holds the cases of one domain and half. The line before each case is a comment with the case's metadata, so the
file as a whole is a history that `stoplog try` runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

HISTORIES = Path(__file__).with_name("histories")
HALVES = ("develop", "once")
HEAD = "# case: "
HONEST = "honest"
CALM = "honest: calm"
"""The same tasks as those of `HONEST`, without the sentences full of imperatives in what others have written."""


def tool_of(value: Mapping[str, Any]) -> str:
    """Return the full name of the tool of a call, or of its result, as a domain names it: `SERVER.TOOL`."""
    return f"{value['tool']['server_id']}.{value['tool']['name']}"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known about a history.

    Attributes:
        id: names the case: domain, technique, goal and task.
        technique: how the attacker works; `HONEST` or `CALM` if there is none.
        request: what the user asked for, first.
        own: the intents of the user's own calls.
        goal: the intents that reach the attacker's goal; one that runs is enough.
        needs: intents without which the goal is not reached, because they bring what the attacker wants to have, or
            keep what he has written. They do not reach it by themselves.
        lines: the records, as lines of a history.
    """

    id: str
    domain: str
    technique: str
    request: str
    own: tuple[str, ...]
    goal: tuple[str, ...]
    needs: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    @property
    def half(self) -> Literal["develop", "once"]:
        """Return the half to which the case belongs; it follows from the id alone, and is the same for a calm twin."""
        twin_id = self.id.replace("/honest-calm/", "/honest/")
        return "develop" if hashlib.sha256(twin_id.encode()).digest()[0] % 2 == 0 else "once"

    @property
    def family(self) -> str:
        """Return the technique without its variant: `disguised` for `disguised: base64`."""
        return self.technique.partition(":")[0]

    @property
    def is_honest(self) -> bool:
        """Return whether nobody attacks."""
        return not self.goal

    def records(self) -> list[dict[str, Any]]:
        """Return the records of the lines, as JSON."""
        return [json.loads(line) for line in self.lines]


def format_cases(cases: Iterable[Case]) -> str:
    """Return the text of a file with cases."""
    made = []
    for case in cases:
        about = {name: getattr(case, name) for name in case.__struct_fields__ if name != "lines"}
        if not case.needs:
            del about["needs"]
        made += [HEAD + json.dumps(about, ensure_ascii=False), *case.lines, ""]
    return "\n".join(made)


def parse_cases(text: str) -> list[Case]:
    """Return the cases in the text of a file.

    Raises:
        ValueError: the text does not begin with a case, or its metadata is malformed.
    """
    cases: list[Case] = []
    for line in text.split("\n"):
        if line.startswith(HEAD):
            cases.append(msgspec.json.decode(line[len(HEAD) :], type=Case))
        elif line.strip():
            if not cases:
                raise ValueError("the first line must be the metadata of a case")
            cases[-1] = msgspec.structs.replace(cases[-1], lines=(*cases[-1].lines, line))
    return cases


def read_cases(halves: Iterable[str] = HALVES, folder: Path = HISTORIES) -> list[Case]:
    """Return the committed cases of some halves. Blocking."""
    return [
        case
        for half in halves
        for path in sorted(folder.glob(f"*.{half}.jsonl"))
        for case in parse_cases(path.read_text("utf-8"))
    ]


def catalog_path(domain: str, folder: Path = HISTORIES) -> Path:
    """Return the file with the catalog of a domain."""
    return folder / f"{domain}.catalog.json"
