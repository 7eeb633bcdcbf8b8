"""A full memory of processed events: a bound for each transmitter, so that none can block the events of another."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.unit.services.ssf.conftest import AUDIENCE, IDP, Open, Service
from tests.unit.services.sts.issuers import Issuer, now_s

FAR = "https://far.example"
BOUND = 3


@pytest.fixture
def far(tmp_path: Path) -> Issuer:
    issuer = Issuer(FAR, AUDIENCE)
    (tmp_path / "far.json").write_bytes(issuer.key_set())
    return issuer


def two_transmitters(folder: Path, **changes: Any) -> dict[str, Any]:
    common = {"audience": [AUDIENCE], "algorithms": ["ES256"]}
    idp = {"issuer": IDP, "jwks": str(folder / "idp.json"), "subject_prefix": "", **common}
    far = {"issuer": FAR, "jwks": str(folder / "far.json"), "subject_prefix": "far:", **common}
    return {"transmitters": {"idp": idp, "far": far}, "events_per_transmitter_max": BOUND, "skew_ms": 0, **changes}


def push_from(service: Service, issuer: Issuer, jti: str, **changes: Any) -> httpx2.Response:
    own, service.idp = service.idp, issuer
    try:
        subject = {"format": "iss_sub", "iss": issuer.issuer, "sub": jti}
        return service.push(service.token(iss=issuer.issuer, jti=jti, sub_id=subject, **changes))
    finally:
        service.idp = own


def test_a_transmitter_with_a_full_memory_blocks_no_other(tmp_path: Path, open_service: Open, far: Issuer) -> None:
    service = open_service(**two_transmitters(tmp_path))
    statuses = [push_from(service, far, f"f-{number}").status_code for number in range(BOUND + 2)]
    assert statuses == [202] * BOUND + [503] * 2
    assert [push_from(service, service.idp, f"i-{number}").status_code for number in range(BOUND)] == [202] * BOUND
    # An event that was processed before is still known.
    assert push_from(service, far, "f-0").status_code == 202
    service.close()
    again = open_service(**two_transmitters(tmp_path))
    assert push_from(again, far, "f-late").status_code == 503


def test_a_stop_counts_although_the_memory_is_full(tmp_path: Path, open_service: Open, far: Issuer) -> None:
    service = open_service(**two_transmitters(tmp_path))
    for number in range(BOUND):
        push_from(service, far, f"f-{number}")
    answer = push_from(service, far, "mallory")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert service.revocations()[-1].id == "acme|far:mallory"


def test_events_are_accepted_again_when_old_ones_are_forgotten(tmp_path: Path, open_service: Open, far: Issuer) -> None:
    service = open_service(**two_transmitters(tmp_path, set_age_max_ms=3_600_000))
    old_s = now_s() - 600
    for number in range(BOUND):
        assert push_from(service, far, f"f-{number}", iat=old_s).status_code == 202
    assert push_from(service, far, "f-late").status_code == 503
    service.close()
    later = open_service(**two_transmitters(tmp_path, set_age_max_ms=60_000))
    assert push_from(later, far, "f-late").status_code == 202


def test_a_memory_of_an_earlier_version_is_read(tmp_path: Path, open_service: Open) -> None:
    (tmp_path / "ssf").mkdir(mode=0o700)
    name = hashlib.sha256(f"{len(IDP)}:{IDP}j-old".encode()).digest()
    with sqlite3.connect(tmp_path / "ssf" / "memory.sqlite") as memory:
        memory.execute("CREATE TABLE seen (name BLOB PRIMARY KEY, made_ms INTEGER NOT NULL) WITHOUT ROWID")
        memory.execute("INSERT INTO seen VALUES (?, ?)", (name, now_s() * 1_000))
    memory.close()
    service = open_service(events_per_transmitter_max=1)
    assert service.push(service.token(jti="j-old")).status_code == 202
    assert not service.revocations()
    assert service.push(service.token(jti="j-new")).status_code == 202
    assert service.revocations()
