"""Ids of the SDK."""

from __future__ import annotations

import uuid

from streams.sdk.entropy import SYSTEM, Entropy


def test_an_id_is_a_uuid_of_version_7_with_its_time_in_front() -> None:
    made = uuid.UUID(Entropy(now_ms=lambda: 0x0123456789AB, random_bytes=lambda count: b"\xff" * count).uuid())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.bytes[:6].hex() == "0123456789ab"
    assert str(made) == "01234567-89ab-7fff-bfff-ffffffffffff"


def test_ids_differ_and_sort_by_time() -> None:
    made = [SYSTEM.uuid(now_ms) for now_ms in range(1_000)]
    assert made == sorted(made)
    assert len({SYSTEM.uuid(1) for _ in range(1_000)}) == 1_000
