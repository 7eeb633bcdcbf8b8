"""What a token service counts."""

from __future__ import annotations

from streams.metrics import declared
from tests.unit.services.sts.house import House


def test_tokens_and_refusals_are_counted(house: House) -> None:
    metrics = house.running.metrics
    issued = metrics.value(declared.TOKENS_ISSUED)
    house.granted()
    code, reason = house.refused(subject_token="nonsense")
    assert code
    assert metrics.value(declared.TOKENS_ISSUED) == issued + 1
    assert metrics.value(declared.TOKEN_REFUSALS, "token", reason) >= 1
    before = metrics.value(declared.TOKEN_SECONDS, "introspect")
    assert house.http.post("/introspect", data={"token": "x"}).status_code >= 400
    assert metrics.value(declared.TOKEN_SECONDS, "introspect") == before + 1
    assert sum(metrics.value(declared.TOKEN_REFUSALS, "introspect", r) for r in _reasons()) == 1


def test_it_is_ready_while_it_knows_all_stops(house: House) -> None:
    assert house.running.health().is_ready


def _reasons() -> frozenset[str]:
    return declared.TOKEN_REFUSALS.labels[1].values or frozenset()
