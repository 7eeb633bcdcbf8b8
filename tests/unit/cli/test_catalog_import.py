"""How long an import takes for a large catalog."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Stoplog

TEXT = {"type": "string"}
FEW, MANY = 250, 1_000


@pytest.fixture(autouse=True)
def log(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0


def listing(count: int) -> list[dict[str, Any]]:
    text = "Do something to a customer, and return it. " * 5
    return [
        {
            "name": f"{verb}_customer_{number}",
            "description": text,
            "inputSchema": {"type": "object", "properties": {"id": TEXT, "note": TEXT | {"description": text}}},
        }
        for number in range(count // 2)
        for verb in ("create", "delete")
    ]


def test_each_tool_costs_the_same_however_many_there_are(stoplog: Stoplog, home: Path) -> None:
    def spent_s(server: str, count: int) -> float:
        (home / "tools.json").write_text(json.dumps(listing(count)))
        began_s = time.thread_time()
        assert len(stoplog("catalog", "import", server, "--file", "tools.json").records) == count
        return time.thread_time() - began_s

    spent_s("first", 2)
    few_s, many_s = spent_s("few", FEW), spent_s("many", MANY)
    # Of the processor, because others share the machine. Names on two servers make alerts, hence the room.
    assert many_s < 8 * few_s, (few_s, many_s)
