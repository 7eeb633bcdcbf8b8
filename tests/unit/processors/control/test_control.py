"""Control records that can't be read or have the wrong key: what they may have taken back is taken back."""

from __future__ import annotations

import msgspec
import pytest

from simulation.records import entry_key, revocation
from streams.model.reasons import DeadLetterReason, Reason
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.topics import CATALOG, REVOCATION
from streams.model.verdict import Outcome
from tests.kit import ADMIN_WIPE, FILES_READ, GateBench

replace = msgspec.structs.replace


def test_an_unreadable_revocation_revokes_what_its_key_names() -> None:
    bench = GateBench()
    bench.driver.pipe(REVOCATION.name, b"AGENT:acme|assistant", b"\x07garbage")
    assert bench.judge().reason == Reason.REVOKED_AGENT
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.AGENT, "acme|assistant", time_ms=bench.now_ms,
                                                   state=RevocationState.RELEASED))  # fmt: skip
    assert bench.judge().outcome is Outcome.ALLOW


@pytest.mark.parametrize("key", [b"nonsense", b"", b"nonsense:acme", b"\xff\xfe:x"])
def test_an_unreadable_revocation_of_nothing_is_only_reported(key: bytes) -> None:
    bench = GateBench()
    bench.driver.pipe(REVOCATION.name, key, b"\x07garbage")
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.FRAMING_INVALID]
    assert bench.judge().outcome is Outcome.ALLOW


def test_a_revocation_under_another_key_counts_and_is_reported() -> None:
    bench = GateBench()
    _, record = revocation(RevocationKind.SUBJECT, "acme|alice", time_ms=bench.now_ms)
    bench.driver.pipe(REVOCATION.name, b"SUBJECT:acme|bob", record)
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.KEY_MISMATCH]
    assert bench.judge().reason == Reason.REVOKED_SUBJECT


def test_a_release_under_another_key_releases_nothing() -> None:
    bench = GateBench()
    bench.driver.pipe(REVOCATION.name, *revocation(RevocationKind.SUBJECT, "acme|alice", time_ms=bench.now_ms))
    _, release = revocation(RevocationKind.SUBJECT, "acme|alice", time_ms=bench.now_ms, state=RevocationState.RELEASED)
    bench.driver.pipe(REVOCATION.name, b"SUBJECT:acme|bob", release)
    assert bench.judge().reason == Reason.REVOKED_SUBJECT


def test_a_kind_of_a_later_version_stops_everything_without_a_complaint() -> None:
    bench = GateBench()
    _, record = revocation(RevocationKind.UNKNOWN, "gpu-7", time_ms=bench.now_ms)
    bench.driver.pipe(REVOCATION.name, b"HARDWARE:gpu-7", record)
    assert bench.dead_letters(REVOCATION.name) == []
    assert bench.judge().reason == Reason.REVOKED_ALL


def test_a_kind_of_a_later_version_is_released_under_its_own_key_alone() -> None:
    bench = GateBench()
    _, record = revocation(RevocationKind.UNKNOWN, "acme|x", time_ms=bench.now_ms)
    released = replace(record, state=RevocationState.RELEASED)
    bench.driver.pipe(REVOCATION.name, b"FOO:acme|x", record)
    bench.driver.pipe(REVOCATION.name, b"BAR:acme|x", released)
    bench.driver.pipe(REVOCATION.name, b"BAR:acme|x", None)
    assert bench.judge().reason == Reason.REVOKED_ALL
    bench.driver.pipe(REVOCATION.name, b"FOO:acme|x", released)
    assert bench.judge().outcome is Outcome.ALLOW


def test_an_unreadable_revocation_of_a_later_kind_stops_everything() -> None:
    bench = GateBench()
    bench.driver.pipe(REVOCATION.name, b"FOO:acme|x", b"\x07garbage")
    assert bench.judge().reason == Reason.REVOKED_ALL
    bench.driver.pipe(REVOCATION.name, b"FOO:acme|x", None)
    assert bench.judge().outcome is Outcome.ALLOW


def test_an_unknown_kind_under_the_key_of_a_known_one_is_given_back_under_its_own() -> None:
    bench = GateBench()
    key, record = revocation(RevocationKind.UNKNOWN, "acme|x", time_ms=bench.now_ms)
    bench.driver.pipe(REVOCATION.name, b"AGENT:acme|x", record)
    assert bench.dead_letters(REVOCATION.name) == [DeadLetterReason.KEY_MISMATCH]
    bench.driver.pipe(REVOCATION.name, b"AGENT:acme|x", replace(record, state=RevocationState.RELEASED))
    assert bench.judge().reason == Reason.REVOKED_ALL
    bench.driver.pipe(REVOCATION.name, key, replace(record, state=RevocationState.RELEASED))
    assert bench.judge().outcome is Outcome.ALLOW


def test_a_catalog_entry_under_another_key_blocks_both_tools() -> None:
    bench = GateBench()
    bench.driver.pipe(CATALOG.name, entry_key(ADMIN_WIPE), FILES_READ)
    assert bench.dead_letters(CATALOG.name) == [DeadLetterReason.KEY_MISMATCH]
    assert bench.judge().reason == Reason.TOOL_UNKNOWN
    assert bench.judge(ADMIN_WIPE, {}).reason == Reason.TOOL_UNKNOWN
    bench.publish(FILES_READ)
    assert bench.judge().outcome is Outcome.ALLOW


def test_an_unusable_entry_blocks_its_tool_until_a_usable_one_comes() -> None:
    bench = GateBench()
    bench.publish(replace(FILES_READ, input_schema_json="7"))
    assert bench.judge().reason == Reason.TOOL_UNKNOWN
    bench.publish(FILES_READ)
    assert bench.judge().outcome is Outcome.ALLOW
