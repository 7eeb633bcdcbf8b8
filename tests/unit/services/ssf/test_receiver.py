"""Security events that come in: what each leads to, and which are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.model.proof import is_proven_event, session_writer_key
from streams.model.revocation import RevocationKind, RevocationState
from streams.model.revocation_targets import principal_target
from streams.model.session import SessionEventType
from streams.sdk import DevTokenService
from streams.sdk.connection.transport import Transport
from streams.services.ssf.endpoints import TOKEN_CHARS_MAX
from streams.services.ssf.settings import SsfSection
from tests.unit.services.ssf.conftest import AUDIENCE, CAEP, DAY_MS, IDP, ROOT_KEY, Open, Service
from tests.unit.services.sts.issuers import now_s

SESSION = {"format": "opaque", "id": "s-1"}
USER = {"format": "iss_sub", "iss": IDP, "sub": "alice"}


def refused(service: Service, token: str | bytes, code: str, **headers: str) -> None:
    """It is refused with this code, as RFC 8935 says, and leaves no trace."""
    answer = service.push(token, **headers)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["err"] == code, body
    assert body["description"]
    assert not service.revocations()
    assert not service.events()


class TestWhatEventsLeadTo:
    def test_a_session_is_stopped_for_good(self, open_service: Open) -> None:
        service = open_service()
        answer = service.push(service.token(jti="j-1", sub_id={"format": "complex", "session": SESSION}))
        assert (answer.status_code, answer.content) == (202, b"")
        (stop,) = service.revocations()
        assert (stop.kind, stop.id, stop.state) == (RevocationKind.SESSION, "acme|s-1", RevocationState.REVOKED)
        assert (stop.until, stop.set_jti, stop.initiating_entity) == (None, "j-1", "ssf:idp")

    @pytest.mark.parametrize("session", [SESSION, {"format": "jwt_id", "iss": IDP, "jti": "x"}])
    def test_with_a_session_its_user_is_stopped_too(self, open_service: Open, session: dict[str, str]) -> None:
        """What a provider calls its session is hardly ever what the user's sessions are called here."""
        service = open_service()
        told = service.token(jti="j-1", sub_id={"format": "complex", "session": session, "user": USER})
        assert service.push(told).status_code == 202
        *of_session, of_user = sorted(service.revocations(), key=lambda stop: stop.kind.value)
        assert [stop.id for stop in of_session] == (["acme|s-1"] if session is SESSION else [])
        assert (of_user.kind, of_user.id) == (RevocationKind.SUBJECT, "acme|alice")
        assert of_user.until is not None

    @pytest.mark.parametrize("name", ["x" * 1_025, "", "line\nend", None])
    def test_a_name_of_the_session_that_can_not_be_used_keeps_no_user_from_being_stopped(
        self, open_service: Open, name: str | None
    ) -> None:
        service = open_service()
        session = {"format": "opaque", "id": name}
        told = service.token(sub_id={"format": "complex", "session": session, "user": USER})
        assert service.push(told).status_code == 202
        (stop,) = service.revocations()
        assert (stop.kind, stop.id) == (RevocationKind.SUBJECT, "acme|alice")

    @pytest.mark.parametrize("is_first", [True, False])
    def test_an_event_that_can_not_be_used_keeps_no_other_from_taking_effect(
        self, open_service: Open, is_first: bool
    ) -> None:
        service = open_service()
        unusable = (f"{CAEP}credential-change", {"subject": {"format": "did", "url": "did:example:1"}})
        stop = (f"{CAEP}session-revoked", {"subject": USER})
        events = dict([unusable, stop] if is_first else [stop, unusable])
        assert service.push(service.token(sub_id=None, events=events)).status_code == 202
        assert [each.id for each in service.revocations()] == ["acme|alice"]

    def test_a_stop_for_a_while_does_not_keep_one_for_good_away(
        self, open_service: Open, tokens: DevTokenService
    ) -> None:
        service = open_service()
        for until_ms in (-DAY_MS, DAY_MS):
            ends_ms = now_s() * 1_000 + until_ms
            tokens.revoke(RevocationKind.SESSION, "acme|s-1", "for a while", until_ms=ends_ms)
            name = f"j{until_ms}"
            answer = service.push(service.token(jti=name, sub_id={"format": "complex", "session": SESSION}))
            assert answer.status_code == 202
            newest = [stop for stop in service.revocations() if stop.id == "acme|s-1"][-1]
            assert (newest.until, newest.set_jti) == (None, name)

    def test_a_change_that_is_no_text_is_not_harmless(self, open_service: Open) -> None:
        service = open_service()
        told = service.token(events={f"{CAEP}credential-change": {"change_type": ["create"]}})
        assert service.push(told).status_code == 202
        assert len(service.revocations()) == 1

    @pytest.mark.parametrize(
        ("event", "more"),
        [
            ("session-revoked", {}),
            ("credential-change", {"credential_type": "password", "change_type": "update"}),
            ("credential-change", {"credential_type": "fido2-platform", "change_type": "revoke"}),
            ("risk-level-change", {"principal": "USER", "current_level": "HIGH"}),
            ("risk-level-change", {"principal": "USER", "current_level": "beyond words"}),
        ],
    )
    def test_a_user_is_stopped_for_as_long_as_old_sessions_may_live(
        self, open_service: Open, event: str, more: dict[str, Any]
    ) -> None:
        service = open_service(idp={"subject_prefix": "idp:", "tenant": "other"})
        assert service.push(service.token(events={f"{CAEP}{event}": more})).status_code == 202
        (stop,) = service.revocations()
        assert (stop.kind, stop.id) == (RevocationKind.SUBJECT, "other|idp:alice")
        assert stop.until is not None
        assert stop.until - stop.effective_at == DAY_MS
        assert stop.reason.startswith(event if event != "risk-level-change" else "risk ")

    def test_a_session_s_risk_rises_under_the_writer_s_proof(self, open_service: Open) -> None:
        service = open_service()
        events = {f"{CAEP}risk-level-change": {"current_level": "HIGH", "subject": {"session": SESSION}}}
        assert service.push(service.token(sub_id=None, events=events)).status_code == 202
        (event,) = service.events()
        assert (event.type, event.session_id, event.risk_level) == (SessionEventType.RISK_LEVEL_CHANGE, "s-1", "HIGH")
        assert is_proven_event(session_writer_key(ROOT_KEY), event)

    @pytest.mark.parametrize(
        "events",
        [
            {f"{CAEP}credential-change": {"change_type": "create"}},
            {f"{CAEP}risk-level-change": {"current_level": "LOW"}},
            {f"{CAEP}token-claims-change": {}},
            {"https://schemas.openid.net/secevent/ssf/event-type/verification": {"state": "x"}},
            {"https://elsewhere.example/anything": {}},
        ],
    )
    def test_what_takes_nothing_is_taken_and_changes_nothing(self, open_service: Open, events: dict[str, Any]) -> None:
        service = open_service()
        assert service.push(service.token(events=events)).status_code == 202
        assert not service.revocations()
        assert not service.events()

    def test_a_reason_that_no_record_can_hold_keeps_no_user_from_being_stopped(self, open_service: Open) -> None:
        service = open_service()
        reason = {"en": "half a character \ud800, \u202e and \x1b"}
        told = service.token(events={f"{CAEP}session-revoked": {"reason_admin": reason}})
        assert service.push(told).status_code == 202
        (stop,) = service.revocations()
        assert (stop.id, stop.reason) == ("acme|alice", "session-revoked: half a character ?, ? and ?")

    def test_an_event_never_shortens_a_stop(
        self, open_service: Open, tokens: DevTokenService, transport: Transport
    ) -> None:
        service = open_service()
        tokens.revoke(RevocationKind.SUBJECT, principal_target("acme", "alice"), "an operator, for good")
        assert service.push(service.token()).status_code == 202
        (stop,) = service.revocations()
        assert stop.until is None

    def test_an_event_counts_once_also_after_a_restart(self, open_service: Open) -> None:
        service = open_service()
        token = service.token()
        for _ in range(3):
            assert service.push(token).status_code == 202
        assert len(service.revocations()) == 1
        again = open_service()
        again.idp = service.idp
        (again.folder / "idp.json").write_bytes(service.idp.key_set())
        assert again.push(token).status_code == 202
        assert len(again.revocations()) == 1


class TestRefusals:
    def test_no_path_is_redirected(self, open_service: Open) -> None:
        service = open_service()
        response = service.http.post("/events/", content=service.token(), headers={"host": "elsewhere.example"})
        assert (response.status_code, response.headers.get("location")) == (404, None)

    @pytest.mark.parametrize("name", ["\ud800", "a\u202eb", "a\x7f", "a\u0085b"])
    def test_names_that_no_key_can_hold(self, open_service: Open, name: str) -> None:
        for user in ({**USER, "sub": name}, {"format": "opaque", "id": name}):
            refused(service := open_service(), service.token(sub_id=user), "invalid_request")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"iss": "https://elsewhere.example"}, "invalid_issuer"),
            ({"iss": None}, "invalid_issuer"),
            ({"aud": "https://elsewhere.example"}, "invalid_audience"),
            ({"aud": None}, "invalid_audience"),
            ({"aud": []}, "invalid_audience"),
            ({"typ": "JWT"}, "invalid_request"),
            ({"typ": "at+jwt"}, "invalid_request"),
            ({"jti": None}, "invalid_request"),
            ({"jti": ""}, "invalid_request"),
            ({"iat": None}, "invalid_request"),
            ({"iat": now_s() + 86_400}, "invalid_request"),
            ({"iat": now_s() - 2 * 86_400}, "invalid_request"),
            ({"iat": True}, "invalid_request"),
            ({"events": None}, "invalid_request"),
            ({"events": {}}, "invalid_request"),
            ({"events": {f"{CAEP}session-revoked": "now"}}, "invalid_request"),
            ({"events": {f"e{number}": {} for number in range(17)}}, "invalid_request"),
            ({"sub_id": None}, "invalid_request"),
            ({"sub_id": {"format": "phone_number", "phone_number": "+1"}}, "invalid_request"),
            ({"sub_id": {"format": "iss_sub", "iss": "https://elsewhere.example", "sub": "alice"}}, "invalid_request"),
            ({"sub_id": {"format": "opaque", "id": 7}}, "invalid_request"),
            ({"sub_id": {"format": "opaque", "id": "a\nb"}}, "invalid_request"),
            ({"sub_id": {"format": "opaque", "id": "a" * 2_000}}, "invalid_request"),
        ],
    )
    def test_claims(self, open_service: Open, changes: dict[str, Any], code: str) -> None:
        service = open_service()
        refused(service, service.token(**changes), code)

    def test_signatures(self, open_service: Open) -> None:
        service = open_service()
        token = service.token()
        header, claims, signature = token.split(".")
        forged = f"{header}.{claims}.{signature[:-4]}AAAA"
        refused(service, forged, "invalid_key")
        service.idp.add_key("ES256", "k2")
        refused(service, service.signed({"iss": IDP, "aud": AUDIENCE}, kid="k2", typ="secevent+jwt"), "invalid_key")
        service.idp.add_key("RS256", "k3")
        (service.folder / "idp.json").write_bytes(service.idp.key_set())
        refused(service, service.signed({"iss": IDP}, kid="k3", typ="secevent+jwt"), "invalid_key")
        for bad in ({"jku": "https://evil.example"}, {"jwk": {}}, {"crit": ["x"]}):
            refused(service, service.signed({"iss": IDP}, typ="secevent+jwt", **bad), "invalid_request")

    @pytest.mark.parametrize("body", [b"", b"a.b", b"not a token", b"\xff" * 10, b"a" * (TOKEN_CHARS_MAX + 1)])
    def test_bodies(self, open_service: Open, body: bytes) -> None:
        service = open_service()
        refused(service, body, "invalid_request")

    def test_another_media_type(self, open_service: Open) -> None:
        service = open_service()
        refused(service, service.token(), "invalid_request", content_type="application/jwt")

    def test_a_bearer_token_where_one_is_wanted(self, open_service: Open, tmp_path: Path) -> None:
        bearer = tmp_path / "bearer"
        bearer.touch(mode=0o600)
        bearer.write_text("s3cret\n")
        service = open_service(idp={"bearer_file": str(bearer)})
        for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "s3cret"}):
            refused(service, service.token(), "authentication_failed", **headers)
        assert service.push(service.token(), authorization="Bearer s3cret").status_code == 202

    def test_keys_that_can_not_be_had_are_asked_for_again(self, open_service: Open) -> None:
        service = open_service(idp={"jwks": str(Path("/nowhere/keys.json"))})
        answer = service.push(service.token())
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"

    def test_too_many_requests(self, open_service: Open) -> None:
        service = open_service(per_address_per_minute=2)
        statuses = [service.push(service.token()).status_code for _ in range(4)]
        assert statuses == [202, 202, 429, 429]


def test_what_it_says_of_itself(open_service: Open) -> None:
    service = open_service(issuer="https://stoplog.acme.example")
    said = service.http.get("/.well-known/ssf-configuration").json()
    assert said["issuer"] == "https://stoplog.acme.example"
    assert said["jwks_uri"] == "https://stoplog.acme.example/jwks"
    assert said["delivery_methods_supported"] == ["urn:ietf:rfc:8935"]
    keys = json.loads(service.http.get("/jwks").content)["keys"]
    assert keys
    assert all("d" not in key for key in keys)


def test_users_of_several_transmitters_need_prefixes(tmp_path: Path) -> None:
    one, two = ({"issuer": f"https://{n}.example", "jwks": "k", "audience": ["x"]} for n in ("one", "two"))
    with pytest.raises(ValueError, match="set `subject_prefix` in each transmitter"):
        SsfSection.model_validate({"transmitters": {"one": one, "two": two | {"subject_prefix": "two:"}}})
    prefixed = {"one": one | {"subject_prefix": ""}, "two": two | {"subject_prefix": "two:"}}
    assert SsfSection.model_validate({"transmitters": prefixed}).transmitters


@pytest.mark.parametrize("sub", ["far:alice", "far:"])
def test_a_user_is_not_stopped_by_another_s_transmitter(tmp_path: Path, open_service: Open, sub: str) -> None:
    far = {"issuer": "https://far.example", "jwks": "k", "audience": ["x"], "subject_prefix": "far:"}
    idp = {"issuer": IDP, "jwks": str(tmp_path / "idp.json"), "audience": [AUDIENCE], "subject_prefix": ""}
    service = open_service(transmitters={"idp": idp, "far": far})
    refused(service, service.token(sub_id={"format": "iss_sub", "iss": IDP, "sub": sub}), "invalid_request")
    assert service.push(service.token()).status_code == 202
