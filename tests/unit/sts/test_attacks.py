"""What somebody tries who has what an agent has, and wants more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from streams.app.sts import store
from streams.app.sts.errors import RefusedError
from streams.app.sts.exchange import TokenService
from streams.app.sts.request import Form, read_request
from streams.app.sts.service import RunningSts
from streams.delegation.digest import body_of, lineage_of
from streams.delegation.keys import hop_grant_key
from streams.delegation.signing import sign_hop
from streams.model.delegation import GrantBody
from streams.model.types import Actor, SubProfile
from streams.sdk.exchange import ACCESS_TOKEN, SessionToken, _session
from streams.sdk.tokens import DevTokenService
from streams.testing.records import header
from tests.unit.sts.house import AGENT, ROOT_KEY, SUB_AGENT, TENANT, WORKER, House, open_house
from tests.unit.sts.test_exchange import delegated
from tests.unit.sts.test_refusals import b64


def helper(house: House, sub: str = SUB_AGENT) -> Actor:
    return Actor(iss=house.agents.issuer, sub=sub, sub_profile=SubProfile.AI_AGENT)


def opened(house: House, **narrowing: Any) -> SessionToken:
    with house.client() as sts:
        return sts.exchange(house.users.token("alice"), house.agents.token(AGENT), **narrowing)


def signed_anew(parent: SessionToken, grant: Any, **changes: Any) -> str:
    """A grant that whoever holds the session has changed, and signed."""
    assert parent.credential.grant is not None
    above = lineage_of(parent.credential.grant)[-1]
    body: GrantBody = msgspec.structs.replace(body_of(grant), **changes)
    return b64(msgspec.json.encode(sign_hop(body, above, hop_grant_key(parent.credential.secret))))


def received(house: House, parent: SessionToken, grant: str, actor_token: str) -> dict[str, Any]:
    """The answer to a hop that its holder has signed."""
    form = {"subject_token": parent.access_token, "subject_token_type": ACCESS_TOKEN}
    return dict(house.post(**form, grant=grant, actor_token=actor_token).json())


class TestKeysOfOthers:
    """The key of a session follows from its id."""

    def test_the_session_of_another_token_service(self, house: House) -> None:
        dev = DevTokenService(house.transport, ROOT_KEY, issuer="dev", tenant_uid=TENANT)
        victim = dev.open_session("bob", Actor(iss="x", sub="boss"), ("admin",), session_id="nightly-job-42")
        parent = opened(house)
        grant = signed_anew(parent, delegated(parent, helper(house), None), session_id=victim.session_id)
        answer = received(house, parent, grant, house.agents.token(SUB_AGENT))
        assert answer.get("reason") == "grant_invalid"

    def test_the_session_of_another_replica(self, tmp_path: Path) -> None:
        with open_house(tmp_path) as house:
            victim = opened(house)
            other: Any = {"tenant_uid": TENANT, "folder": tmp_path / "sts-2", "instance": "2"}
            with RunningSts(house.section, house.transport, ROOT_KEY, **other) as second:
                parent = opened_at(second, house)
                grant = signed_anew(
                    parent, delegated(parent, helper(house), None), session_id=victim.credential.session_id
                )
                form = house.form(
                    subject_token=parent.access_token,
                    subject_token_type=ACCESS_TOKEN,
                    actor_token=house.agents.token(SUB_AGENT),
                    grant=grant,
                )
                assert asked(second, form).get("reason") == "grant_invalid"

    def test_an_id_is_not_used_again_when_its_grant_has_expired(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store, "FORGET_EVERY", 1)
        with open_house(tmp_path) as house:
            parent = opened(house)
            act = Actor(iss=house.spiffe.issuer, sub=WORKER, sub_profile=SubProfile.WORKLOAD)
            grant = delegated(parent, act, None)
            answers = []
            for _ in range(2):
                short = signed_anew(parent, grant, exp=house.transport.now_ms() + 1_200)
                svid = house.spiffe.token(WORKER, iss=None, jti=None, typ=None)
                answers.append(received(house, parent, short, svid))
                time.sleep(1.4)
            assert "session_key" in answers[0]
            assert answers[1].get("reason") == "token_replayed"


def asked(running: RunningSts, form: dict[str, Any]) -> dict[str, Any]:
    """The answer of a service that is not on HTTP."""
    request = read_request(Form(urlencode(form, doseq=True).encode()))
    try:
        return dict(TokenService(running.parts).exchange(request, dpop=None, url="").members)
    except RefusedError as error:
        return {"reason": error.reason.value}


def opened_at(running: RunningSts, house: House) -> SessionToken:
    return _session(asked(running, house.form()), header("answer", house.transport.now_ms()), None)
