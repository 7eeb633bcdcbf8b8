"""Importing the SDK must cost an agent little: no rules, no stores, no client library before they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

HEAVY = (
    "streams.policy",
    "streams.processors",
    "streams.stores",
    "streams.engine",
    "streams.kafka",
    "streams.embedded",
    "streams.operations",
    "streams.services",
    "streams.wiring",
    "rocksdict",
    "cel_expr_python",
    "jsonschema_rs",
    "re2",
    "confluent_kafka",
    "fastavro",
    "mcp",
    "pydantic",
    "rich",
    "typer",
)


def loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


EVERY_NAME = "import streams.sdk; [getattr(streams.sdk, name) for name in streams.sdk.__all__]"
"""Names of the package are loaded when they are used."""


@pytest.mark.parametrize("statement", [EVERY_NAME, f"{EVERY_NAME}; import streams.sdk.mcp.tools"])
def test_importing_the_sdk_loads_nothing_heavy(statement: str) -> None:
    loaded = loaded_after(statement)
    assert "streams.sdk.agent.agent" in loaded
    assert sorted(loaded & set(HEAVY)) == []


def test_connecting_loads_the_client_library_but_neither_rules_nor_stores() -> None:
    loaded = loaded_after("from streams.sdk import connect; connect('localhost:1').close()")
    assert "confluent_kafka" in loaded
    unwanted = set(HEAVY) - {"confluent_kafka", "streams.kafka"}
    assert sorted(loaded & unwanted) == []
