"""Instants as text, for programs and for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codec.instants import format_instant, instant_text, parse_instant, time_text
from streams.codec.scalars import INSTANT_MS_MAX, INSTANT_MS_MIN
from streams.codec.varints import MalformedError


@given(st.integers(INSTANT_MS_MIN, INSTANT_MS_MAX))
def test_instants_come_back(value_ms: int) -> None:
    assert parse_instant(format_instant(value_ms)) == value_ms


@pytest.mark.parametrize(
    ("text", "value_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("2025-11-25T10:00:00.1234567+01:00", 1_764_061_200_123),
        ("2025-11-25t09:00:00.5z", 1_764_061_200_500),
        ("2025-11-25 09:00:00-00:00", 1_764_061_200_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
    ],
)
def test_rfc_3339_is_read(text: str, value_ms: int) -> None:
    assert parse_instant(text) == value_ms


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2025-11-25", "2025-11-25T09:00Z", "2025-11-25T09:00:00", "2025-02-29T00:00:00Z",
        "2025-11-25T24:00:01Z", "2025-11-25T09:00:60Z", "20251125T090000Z", "2025-11-25T09:00:00+0100",
        "0001-01-01T00:00:00+01:00", "٢٠٢٥-11-25T09:00:00Z", "2025-11-25T09:00:00Z ", "9" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_instant_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_instant(text)


@pytest.mark.parametrize("value_ms", [INSTANT_MS_MIN - 1, INSTANT_MS_MAX + 1])
def test_years_without_four_digits_are_malformed(value_ms: int) -> None:
    with pytest.raises(MalformedError, match="years 1 to 9999"):
        format_instant(value_ms)


@pytest.mark.parametrize("moment", [INSTANT_MS_MIN, -86_400_001, -1, 0, 999, 1_764_061_200_123, INSTANT_MS_MAX])
def test_instants_are_written_as_python_writes_them(moment: int) -> None:
    written = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
    assert format_instant(moment) == written.replace("+00:00", "Z")


@given(st.integers(INSTANT_MS_MIN, INSTANT_MS_MAX))
def test_people_read_the_same_instant(moment: int) -> None:
    written = format_instant(moment)
    shown = instant_text(moment)
    assert (shown == "") == (moment == 0)
    assert moment == 0 or parse_instant(f"{shown}Z") == moment // 1_000 * 1_000
    assert written.endswith(f"T{time_text(moment)}Z")


def test_what_people_read() -> None:
    assert instant_text(1_764_061_200_123) == "2025-11-25 09:00:00"
    assert time_text(1_764_061_200_123) == "09:00:00.123"
