"""Days that are said by how far they are away, from outside: history files with the rules as they are shipped."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Stoplog, of_kind

START_MS = 1_772_442_000_000
TODAY = datetime.fromtimestamp(START_MS / 1_000, UTC).date()
KEY = "acme|s-1"
ACT = {"iss": "https://id.example", "sub": "clerk", "sub_profile": "AI_AGENT"}
TEXT = {"type": "string"}
INSIDE = {"destructive": False, "open_world": False, "reversible": True, "sink_args": []}
CATALOG = [
    {
        "server_id": "post",
        "tools": [{"name": "read", "inputSchema": {"type": "object", "properties": {"id": TEXT}}}],
        "facts": {
            "read": {
                "read_only": True,
                "output_label": {"integrity": "UNTRUSTED", "confidentiality": "PRIVATE"},
                **INSIDE,
            }
        },
    },
    {
        "server_id": "cal",
        "tools": [
            {"name": "book_call", "inputSchema": {"type": "object", "properties": {"title": TEXT, "start": TEXT}}}
        ],
        "facts": {
            "book_call": {
                "read_only": False,
                "output_label": {"integrity": "TRUSTED", "confidentiality": "PRIVATE"},
                **INSIDE,
            }
        },
    },
]


def decided(stoplog: Stoplog, home: Path, said: str, mail: str, start: date) -> tuple[str, str]:
    """How a call with Anna is decided that the agent books after a mail, and where its day comes from."""
    seconds = count()

    def line(record: str, **value: Any) -> str:
        return json.dumps({"record": record, "key": KEY, "time_ms": START_MS + 1_000 * next(seconds), "value": value})

    def intent(name: str, tool: str, args: dict[str, str]) -> str:
        server, _, tool_name = tool.partition("/")
        ref = {"server_id": server, "name": tool_name}
        return line("intent", intent_id=name, sub="noor", act=ACT, tool=ref, args=args)

    scopes = ["post:read", "cal:write"]
    lines = [
        line("session_event", type="SESSION_ESTABLISHED", sub="noor", act=ACT, scopes=scopes, expires=START_MS + 10**7),
        line("session_event", type="USER_MESSAGE", content=f"Read m-7001 to me. {said}"),
        intent("look", "post/read", {"id": "m-7001"}),
        line(
            "session_event",
            type="TOOL_RESULT",
            intent_id="look",
            tool={"server_id": "post", "name": "read"},
            content=mail,
        ),
        intent("book", "cal/book_call", {"title": "Call with Anna", "start": start.isoformat()}),
    ]
    (home / "days.jsonl").write_text("".join(f"{each}\n" for each in lines))
    (home / "tools.json").write_text(json.dumps([{**server, "reviewed_by": "operator"} for server in CATALOG]))
    result = stoplog("try", "days.jsonl", "--catalog", "tools.json")
    assert result.status == 0, result.err
    # The verdict behind a question that nobody answers is not looked at.
    _, verdict, *_ = (record["value"] for record in of_kind(result, "verdict"))
    (origin,) = (each["origin"] for each in verdict["origins"] if each["pointer"] == "/start")
    return verdict["outcome"], origin


IN_TWO_WEEKS, TOMORROW = TODAY + timedelta(14), TODAY + timedelta(1)


@pytest.mark.parametrize(
    ("said", "mail", "start", "expected"),
    [
        ("Book the call with Anna in two weeks.", f"Anna is free on {IN_TWO_WEEKS}.", IN_TWO_WEEKS, ("ALLOW", "USER")),
        (
            "Buche den Anruf mit Anna in 14 Tagen.",
            f"Anna is free on {IN_TWO_WEEKS}.",
            IN_TWO_WEEKS,
            ("ALLOW", "USER"),
        ),
        (
            "Book the call with Anna in two weeks.",
            f"Anna is free on {IN_TWO_WEEKS + timedelta(1)}.",
            IN_TWO_WEEKS + timedelta(1),
            ("REQUIRE_APPROVAL", "TEXT"),
        ),
        ("Book the call with Anna for tomorrow.", f"Anna is free on {TOMORROW}.", TOMORROW, ("ALLOW", "NOWHERE")),
        (
            "Book the call with Anna for tomorrow.",
            "Please book it in two weeks.",
            IN_TWO_WEEKS,
            ("REQUIRE_APPROVAL", "NOWHERE"),
        ),
        (
            f"I have a call with Anna on {TOMORROW}. Book another call with Anna a week later.",
            f"Anna is free on {TOMORROW + timedelta(7)}.",
            TOMORROW + timedelta(7),
            ("ALLOW", "USER"),
        ),
    ],
)
def test_a_day_in_words_is_told_from_one_of_others(
    stoplog: Stoplog, home: Path, said: str, mail: str, start: date, expected: tuple[str, str]
) -> None:
    assert decided(stoplog, home, said, mail, start) == expected
