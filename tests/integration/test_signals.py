"""An identity provider's word, from its push to the denied call: the service and a gate as real processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from streams.model.reasons import Reason
from streams.model.verdict import Outcome
from tests.integration.deployment import Deployment, Verdicts, deployed, serving, until
from tests.unit.services.sts.issuers import Issuer, now_s

IDP, AUDIENCE = "https://idp.example", "https://stoplog.example"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    # The embedded log lies in the folder for state, which the gate here has to itself.
    (tmp_path / "state-gate").symlink_to(tmp_path, target_is_directory=True)
    with deployed(tmp_path, "", log="embedded") as opened:
        yield opened


@contextmanager
def service(deployment: Deployment, idp: Issuer) -> Iterator[httpx2.Client]:
    """`stoplog ssf`, with one provider in a settings file."""
    folder = deployment.folder
    (folder / "idp.json").write_bytes(idp.key_set())
    (folder / "signals.toml").write_text(
        f'[ssf.transmitters.idp]\nissuer = "{IDP}"\njwks = "{folder / "idp.json"}"\naudience = ["{AUDIENCE}"]\n'
        'algorithms = ["ES256"]\n'
    )
    # The embedded log lies in the folder for state.
    with serving(deployment, folder / "signals.toml", "ssf", state=folder) as client:
        yield client


def push(client: httpx2.Client, idp: Issuer, jti: str, sub_id: dict[str, Any], event: str, **more: Any) -> None:
    algorithm, key = idp.keys["k1"]
    claims = {"iss": IDP, "aud": AUDIENCE, "iat": now_s(), "jti": jti, "sub_id": sub_id, "events": {CAEP + event: more}}
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "k1", "typ": "secevent+jwt"})
    answer = client.post("/events", content=token, headers={"content-type": "application/secevent+jwt"})
    assert answer.status_code == 202, answer.text


def test_who_is_logged_out_there_is_stopped_here(deployment: Deployment) -> None:
    idp = Issuer(IDP, AUDIENCE)
    first, second = deployment.open_sessions(2)
    gate = deployment.gate("gate")
    gate.wait_serving()
    verdicts = Verdicts(deployment)
    before = [deployment.pay(session, 1) for session in (first, second)]
    deployment.flush()
    assert {verdict.outcome for verdict in verdicts.wait_for(before)} == {Outcome.ALLOW}

    def denied(session: Any, reason: Reason) -> bool:
        """Whether the next call is; the gate may not have read of it yet."""
        intent = deployment.pay(session, 1)
        deployment.flush()
        (verdict,) = verdicts.wait_for([intent])
        return verdict.reason == reason

    with service(deployment, idp) as client:
        session = {"format": "complex", "session": {"format": "opaque", "id": first.session_id}}
        push(client, idp, "j-1", session, "session-revoked")
        until(lambda: denied(first, Reason.SESSION_REVOKED))
        assert not denied(second, Reason.SESSION_REVOKED)
        push(client, idp, "j-2", {"format": "iss_sub", "iss": IDP, "sub": second.sub}, "credential-change")
        until(lambda: denied(second, Reason.REVOKED_SUBJECT))
    verdicts.close()
    gate.stop()
