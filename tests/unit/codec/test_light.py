"""The SDK loads the codec, so the codec loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("confluent_kafka", "fastavro", "rocksdict", "celpy", "cel_expr_python", "pydantic", "streams.policy",
         "streams.processors", "streams.engine", "streams.stores", "streams.kafka", "streams.embedded")  # fmt: skip

SCRIPT = """
import importlib, pkgutil, sys
import streams.codec
for module in pkgutil.iter_modules(streams.codec.__path__):
    importlib.import_module(f"streams.codec.{module.name}")
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
codec = Codec(CommittedSchemas.load())
try:
    codec.decode("agent.intent.v1", b"")
except Exception as error:
    print(type(error).__name__)
print(*sorted(sys.modules), sep="\\n")
"""


def test_all_of_it_loads_without_the_rest() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, *modules = done.stdout.split()
    assert first == "RecordError"
    assert "streams.codec.history" in modules
    assert [name for name in modules if name.startswith(HEAVY)] == []
