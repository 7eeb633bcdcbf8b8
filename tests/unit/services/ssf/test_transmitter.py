"""Stops here, as others are told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jwt
import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from simulation.records import revocation
from streams.model.revocation import RevocationKind
from streams.sdk import DevTokenService
from streams.sdk.connection.transport import Transport
from streams.services.ssf.settings import ReceiverSection
from streams.services.ssf.transmitter import RELEASED, STOPPED, concerns, event_claims
from tests.unit.services.ssf.conftest import CAEP, Open, claims_of, other
from tests.waiting import until


def receivers(*urls: str, **more: Any) -> dict[str, Any]:
    return {f"r{number}": {"url": url, "audience": "https://soc.example", **more} for number, url in enumerate(urls)}


def test_each_stop_and_release_is_pushed_signed_and_in_order(
    open_service: Open, tokens: DevTokenService, transport: Transport, tmp_path: Path
) -> None:
    tokens.revoke(RevocationKind.ALL, "", "before anybody was told")
    bearer = tmp_path / "bearer"
    bearer.touch(mode=0o600)
    bearer.write_text("t0ken")
    with other() as soc:
        service = open_service(receivers=receivers(soc.url, bearer_file=str(bearer)))
        tokens.revoke(RevocationKind.SESSION, "acme|s-1", "stolen")
        tokens.revoke(RevocationKind.SUBJECT, "acme|alice", "gone")
        tokens.revoke(RevocationKind.TOOL, "mail/*", "broken", until_ms=transport.now_ms() + 60_000)
        tokens.release(RevocationKind.SESSION, "acme|s-1", "it was not")
        until(lambda: len(soc.tokens) == 4, "all are told")
        keys = jwt.PyJWKSet.from_dict(service.http.get("/jwks").json())
        told = []
        for token in soc.tokens:
            header = jwt.get_unverified_header(token)
            assert header["typ"] == "secevent+jwt"
            key = next(key for key in keys.keys if key.key_id == header["kid"])
            told.append(jwt.decode(token, key.key, algorithms=["ES256"], audience="https://soc.example"))
    assert {headers["authorization"] for headers in soc.headers} == {"Bearer t0ken"}
    assert {headers["content-type"] for headers in soc.headers} == {"application/secevent+jwt"}
    session, user, tool, released = told
    assert set(session["events"]) == {STOPPED, f"{CAEP}session-revoked"}
    assert session["sub_id"]["session"] == {"format": "opaque", "id": "s-1"}
    assert session["events"][STOPPED]["reason_admin"] == {"en": "stolen"}
    assert user["sub_id"]["user"] == {"format": "opaque", "id": "alice"}
    assert set(tool["events"]) == {STOPPED}
    assert tool["events"][STOPPED]["until"] > tool["iat"]
    assert set(released["events"]) == {RELEASED}
    assert len({claims["jti"] for claims in told}) == 4


@pytest.mark.parametrize(
    "answers", [[(500, b"")], [(503, b""), (429, b"")], [(400, b'{"err": "invalid_key"}')], [(302, b"")]]
)
def test_what_is_not_taken_is_told_again_the_same(
    open_service: Open, tokens: DevTokenService, answers: list[tuple[int, bytes]]
) -> None:
    with other() as soc:
        soc.answers = list(answers)
        open_service(receivers=receivers(soc.url))
        tokens.revoke(RevocationKind.AGENT, "acme|helper", "stop")
        until(lambda: len(soc.tokens) == 1, "it is told at last")
        assert len(soc.headers) == len(answers) + 1


def test_what_can_not_be_read_there_holds_up_nothing(open_service: Open, tokens: DevTokenService) -> None:
    with other() as soc:
        soc.answers = [(400, b'{"err": "invalid_request", "description": "?"}')]
        open_service(receivers=receivers(soc.url))
        tokens.revoke(RevocationKind.AGENT, "acme|helper", "first")
        tokens.revoke(RevocationKind.AGENT, "acme|other", "second")
        until(lambda: len(soc.tokens) == 1, "the second is told")
        (event,) = claims_of(soc.tokens[0])["events"].values()
        assert event["id"] == "acme|other"


def test_after_a_restart_it_goes_on_and_a_receiver_that_is_down_holds_up_no_other(
    open_service: Open, tokens: DevTokenService
) -> None:
    with other() as up, other() as down:
        address = down.url
        down.answers = [(503, b"")] * 1_000
        service = open_service(receivers=receivers(up.url, address))
        tokens.revoke(RevocationKind.AGENT, "acme|one", "x")
        until(lambda: len(up.tokens) == 1, "the one that is up is told")
        service.running.close()
        tokens.revoke(RevocationKind.AGENT, "acme|two", "x")
        down.answers = []
        open_service(receivers=receivers(up.url, address))
        until(lambda: len(up.tokens) == 2 and len(down.tokens) == 2, "both know both")
        ids = [next(iter(claims_of(token)["events"].values()))["id"] for token in down.tokens]
        assert ids == ["acme|one", "acme|two"]


def test_a_receiver_of_one_tenant_is_told_of_no_other(open_service: Open, tokens: DevTokenService) -> None:
    with other() as soc:
        open_service(receivers=receivers(soc.url, tenants=["acme"]))
        for kind, target in (
            (RevocationKind.SESSION, "globex|s-1"),
            (RevocationKind.SUBJECT, "globex|alice"),
            (RevocationKind.AGENT, "globex|helper"),
            (RevocationKind.TENANT, "globex"),
            (RevocationKind.SESSION, "acme|s-1"),
            (RevocationKind.TENANT, "acme"),
            (RevocationKind.TOOL, "mail/send"),
            (RevocationKind.MODEL, "example/large"),
        ):
            tokens.revoke(kind, target, "stop")
        until(lambda: len(soc.tokens) == 4, "what is theirs, and what is nobody's, is told")
        told = [claims_of(token)["events"][STOPPED]["id"] for token in soc.tokens]
        assert told == ["acme|s-1", "acme", "mail/send", "example/large"]


@pytest.mark.parametrize("kind", RevocationKind)
def test_everybody_is_told_of_what_names_no_tenant(kind: RevocationKind) -> None:
    named = {RevocationKind.TENANT: "globex", RevocationKind.TOOL: "mail/send", RevocationKind.DELEGATION: "uid-1"}
    _, stop = revocation(kind, named.get(kind, "globex|x"), time_ms=1)
    of_a_tenant = {RevocationKind.TENANT, RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT}
    assert concerns(stop, ["acme"]) is (kind not in of_a_tenant)
    assert concerns(stop, ["acme", "globex"]) is concerns(stop, None) is True


def test_a_receiver_of_no_tenant_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="tenants"):
        ReceiverSection(url="https://soc.example", audience="soc", tenants=[])


def test_what_came_in_as_an_event_does_not_go_out_again(open_service: Open, tokens: DevTokenService) -> None:
    with other() as soc:
        service = open_service(receivers=receivers(soc.url))
        assert service.push(service.token()).status_code == 202
        tokens.revoke(RevocationKind.AGENT, "acme|helper", "stop")
        until(lambda: len(soc.tokens) == 1, "the operator's stop is told")
        (event,) = claims_of(soc.tokens[0])["events"].values()
        assert event["id"] == "acme|helper"


@pytest.mark.parametrize(("by", "entity"), [("stoplog/gate", "policy"), ("https://sts.example", "admin")])
def test_it_says_whether_a_rule_or_a_person_has_stopped(by: str, entity: str) -> None:
    _, stop = revocation(RevocationKind.SESSION, "acme|s-1", time_ms=1)
    claims = event_claims(
        replace(stop, initiating_entity=by), issuer="https://own.example", audience="https://idp.example", now_ms=1_000
    )
    assert claims["events"][f"{CAEP}session-revoked"]["initiating_entity"] == entity
