"""Time zones are those of the package `tzdata`, whatever the host has: a replay gives the verdict of the gate."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

from streams.policy.cel.times import zone_names, zone_of

ROOT = Path(__file__).parents[3]
EVALUATE = """
import sys
from streams.policy.cel.times import zone_of, zone_names
from streams.policy.errors import EvaluationError
from datetime import UTC, datetime
for name in sys.argv[1:]:
    try:
        print(datetime(2025, 7, 1, 10, tzinfo=UTC).astimezone(zone_of(name)).isoformat())
    except EvaluationError as error:
        print(error)
"""


def test_the_zones_of_the_host_are_not_asked(tmp_path: Path) -> None:
    host = tmp_path / "zoneinfo"
    tokyo = resources.files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    for name in ("Europe/Berlin", "Mine/Own", "localtime"):
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).write_bytes(tokyo)
    environment = os.environ | {"PYTHONTZPATH": str(host), "PYTHONPATH": str(ROOT)}
    names = [
        "Europe/Berlin",
        "Asia/Tokyo",
        "Mine/Own",
        "localtime",
        "Europe",
        "../zones",
        "/etc/passwd",
        "europe/berlin",
    ]
    printed = subprocess.run(
        [sys.executable, "-c", EVALUATE, *names], check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert printed.splitlines() == [
        "2025-07-01T12:00:00+02:00",
        "2025-07-01T19:00:00+09:00",
        *["unknown time zone"] * 6,
    ]


def test_every_zone_of_the_package_can_be_read() -> None:
    assert zone_names() >= {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "EST5EDT"}
    assert len({str(zone_of(name)) for name in zone_names()}) == len(zone_names())
