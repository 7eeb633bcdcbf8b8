"""What `stoplog doctor` says of the token service's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.identity.keyring import keys_in
from streams.operations.doctor.findings import Finding
from streams.services.sts.examination import examine_sts
from streams.wiring.doctor import examine_deployment
from streams.wiring.settings_loading import load_settings

ISSUER = "https://sts.example"
SOURCE = {
    "issuer": "https://agents.example",
    "jwks": "https://agents.example/keys",
    "gives": ["agent"],
    "audience": ["x"],
}
AGENT = {"issuer": "https://agents.example", "sub": "assistant"}


def found(home: Path, anchors: dict[str, Any] | None = None, **sts: Any) -> list[Finding]:
    gate = {"trust_anchors": {ISSUER: "hmac"} if anchors is None else anchors}
    section = {"issuer": ISSUER, "sources": {"a": SOURCE}, "agents": {"a": AGENT}} | sts
    settings = load_settings({"gate": gate, "sts": section})
    return list(examine_sts(settings.sts, settings.gate.trust_anchors, home / "sts"))


def test_nothing_where_it_is_not_used(tmp_path: Path) -> None:
    assert found(tmp_path, sources={}, agents={}) == []


def test_all_is_well(tmp_path: Path) -> None:
    [finding] = found(tmp_path)
    assert "1 source, 1 agent" in finding.text


@pytest.mark.parametrize(
    ("anchors", "sts", "text"),
    [
        ({}, {}, "reject all grants"),
        ({ISSUER: []}, {}, "reject all grants"),
        (None, {"agents": {}}, "no agent is configured, so none can get a token"),
        (None, {"agents": {"a": AGENT | {"issuer": "https://b"}}}, "no source has this issuer"),
        (
            None,
            {"sources": {"a": SOURCE | {"jwks": "nothing.json"}}},
            "key file `nothing.json` of source `a` does not exist",
        ),
    ],
)
def test_what_does_not_fit(tmp_path: Path, anchors: Any, sts: dict[str, Any], text: str) -> None:
    [finding] = found(tmp_path, anchors, **sts)
    assert text in finding.text
    assert finding.advice


def test_keys_that_others_can_read(tmp_path: Path) -> None:
    keys_in(tmp_path / "sts")
    (tmp_path / "sts" / "keys").chmod(0o755)
    [finding] = found(tmp_path)
    assert "can be read by others" in finding.text


@pytest.mark.parametrize(("stated", "is_told"), [("", False), ("true", False), ("false", True)])
def test_gates_that_accept_sessions_without_its_grants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str, is_told: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    gate: dict[str, Any] = {"trust_anchors": {ISSUER: "hmac"}}
    if stated:
        gate["require_delegation"] = stated == "true"
    section = {"issuer": ISSUER, "sources": {"a": SOURCE}, "agents": {"a": AGENT}}
    [finding] = [each for each in examine_deployment({"gate": gate, "sts": section}) if each.check == "token service"]
    assert ("accept sessions without one" in finding.text) is is_told
    assert bool(finding.advice) is is_told
