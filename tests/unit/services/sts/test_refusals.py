"""What the service refuses, each with the code of OAuth and its own reason; and what it puts on record of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from streams.model.token_reasons import TOKEN_TEXTS, TokenReason
from streams.sdk.agent.token_exchange import ACCESS_TOKEN, ID_JAG, JWT, TXN_TOKEN
from tests.unit.services.sts.house import AGENT, INVALID, STRANGER, House, tools
from tests.unit.services.sts.issuers import b64, now_s


class TestAgents:
    def test_whoever_is_not_listed(self, house: House) -> None:
        before = {audit.header.id for audit in house.audits()}
        refused = house.refused(actor_token=house.agents.token(STRANGER))
        assert refused == ("unauthorized_client", "agent_unknown")
        assert house.new_audit(before).act.sub == STRANGER

    def test_a_token_that_was_used(self, house: House) -> None:
        token = house.agents.token(AGENT)
        house.granted(actor_token=token)
        assert house.refused(actor_token=token) == (INVALID, "token_replayed")

    def test_one_that_was_used_at_the_same_time(self, house: House) -> None:
        token, statuses = house.agents.token(AGENT), []
        threads = [
            threading.Thread(target=lambda: statuses.append(house.post(actor_token=token).status_code))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [400] * 7

    def test_a_refused_request_does_not_use_it_up(self, house: House) -> None:
        token = house.agents.token(AGENT)
        assert house.refused(actor_token=token, scope="admin") == ("invalid_scope", "scope_too_wide")
        house.granted(actor_token=token)

    def test_a_users_token_is_no_agents(self, house: House) -> None:
        assert house.refused(actor_token=house.users.token(AGENT)) == (INVALID, "issuer_unknown")

    def test_a_svid_of_another_trust_domain(self, house: House) -> None:
        for sub in ("spiffe://evil.example/worker", "spiffe://acme.example", "spiffe:///worker", "acme.example/worker"):
            token = house.spiffe.token(sub, iss=None)
            assert house.refused(actor_token=token) == (INVALID, "issuer_unknown")
        token = house.spiffe.token("spiffe://evil.example/worker", iss="spiffe://acme.example")
        assert house.refused(actor_token=token) == (INVALID, "issuer_unknown")

    def test_an_identity_assertion_of_another_client(self, house: House) -> None:
        token = house.jag.token("alice", typ="oauth-id-jag+jwt", client_id="another")
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (
            "unauthorized_client",
            "client_mismatch",
        )
        token = house.jag.token("alice", typ="oauth-id-jag+jwt")
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (INVALID, "claim_missing")

    def test_an_identity_assertion_counts_once(self, house: House) -> None:
        token = house.jag.token("alice", typ="oauth-id-jag+jwt", client_id=AGENT)
        house.granted(subject_token=token, subject_token_type=ID_JAG)
        assert house.refused(subject_token=token, subject_token_type=ID_JAG) == (INVALID, "token_replayed")

    def test_tokens_of_one_kind_are_none_of_another(self, house: House) -> None:
        token = house.txns.token("alice", typ="txntoken+jwt", txn="1")
        for kind in (JWT, ID_JAG):
            assert house.refused(subject_token=token, subject_token_type=kind) == (INVALID, "token_type_wrong")
        assert house.refused(subject_token=token, subject_token_type="urn:x") == (INVALID, "token_type_wrong")
        token = house.txns.token("alice", typ="txntoken+jwt")
        assert house.refused(subject_token=token, subject_token_type=TXN_TOKEN) == (INVALID, "claim_missing")


class TestWidening:
    @pytest.mark.parametrize("scope", ["admin", "files:read admin", "mail:send  files:read", 'a"b', "*"])
    def test_of_scopes(self, house: House, scope: str) -> None:
        assert house.refused(scope=scope) == ("invalid_scope", "scope_too_wide")

    def test_of_the_scopes_of_the_user(self, house: House) -> None:
        token = house.users.token("alice", scope="openid files:read")
        assert house.refused(subject_token=token, scope="mail:send") == ("invalid_scope", "scope_too_wide")

    @pytest.mark.parametrize("audience", ["bank", "*", "mail "])
    def test_of_the_audience(self, house: House, audience: str) -> None:
        assert house.refused(audience=["files", audience]) == ("invalid_target", "target_too_wide")

    def test_resources_are_no_servers(self, house: House) -> None:
        assert house.refused(resource="https://mail.example") == ("invalid_target", "target_too_wide")

    @pytest.mark.parametrize(
        "details",
        [
            tools({"server_id": "bank", "name": "pay"}),
            tools({"server_id": "files", "name": "*"}),
            tools({"server_id": "*", "name": "*"}),
            tools({"server_id": "mail", "name": "send"}),
            tools(
                {
                    "server_id": "mail",
                    "name": "send",
                    "constraints": [{"argument": "/to", "type": "WILDCARD", "value": "*"}],
                }
            ),
            tools(
                {
                    "server_id": "mail",
                    "name": "send",
                    "constraints": [{"argument": "/cc", "type": "EXACT", "value": "a@acme.example"}],
                }
            ),
            tools(
                {"server_id": "files", "name": "read", "constraints": [{"argument": "/p", "type": "MAGIC", "value": 1}]}
            ),
            tools(
                {
                    "server_id": "files",
                    "name": "read",
                    "constraints": [{"argument": "/p", "type": "UNKNOWN", "value": 1}],
                }
            ),
            json.dumps([{"type": "payment", "tools": []}]),
            json.dumps([{"type": "stoplog_tools", "more": 1}]),
            json.dumps({"type": "stoplog_tools"}),
            "[",
        ],
    )
    def test_of_tools(self, house: House, details: str) -> None:
        assert house.refused(authorization_details=details) == ("invalid_authorization_details", "tools_too_wide")

    def test_more_tools_than_a_token_can_hold(self, house: House) -> None:
        bound = {"argument": "/path", "type": "ONE_OF", "value": ["x" * 250]}
        many = tools(*({"server_id": "files", "name": "read", "constraints": [bound]} for _ in range(60)))
        token = house.agents.token(AGENT)
        refused = house.refused(actor_token=token, authorization_details=many)
        assert refused == ("invalid_authorization_details", "tools_too_wide")
        house.granted(actor_token=token)  # which was not used up

    def test_of_the_tools_of_the_user(self, house: House) -> None:
        own = [{"type": "stoplog_tools", "tools": [{"server_id": "files", "name": "read"}]}]
        token = house.users.token("alice", authorization_details=own)
        send = {"argument": "/to", "type": "EXACT", "value": "bob@acme.example"}
        wanted = tools({"server_id": "mail", "name": "send", "constraints": [send]})
        refused = house.refused(subject_token=token, authorization_details=wanted)
        assert refused == ("invalid_authorization_details", "tools_too_wide")
        assert house.granted(subject_token=token)["authorization_details"] == [
            {"type": "stoplog_tools", "tools": [{"server_id": "files", "name": "read", "constraints": []}]}
        ]
        foreign = house.users.token("alice", authorization_details=[{"type": "payment"}])
        assert house.refused(subject_token=foreign) == ("invalid_authorization_details", "tools_too_wide")

    def test_tools_that_neither_bounds(self, house: House) -> None:
        own = [
            {
                "type": "stoplog_tools",
                "tools": [{"server_id": "files", "name": "read"}, {"server_id": "x", "name": "y"}],
            }
        ]
        token = house.users.token("alice", authorization_details=own)
        assert house.refused(subject_token=token) == ("invalid_authorization_details", "tools_too_wide")

    @pytest.mark.parametrize("life_s", ["301", "999999999", "0"])
    def test_of_life(self, house: House, life_s: str) -> None:
        assert house.refused(expires_in=life_s) == (INVALID, "life_too_long")

    def test_of_the_life_of_the_user(self, house: House) -> None:
        token = house.users.token("alice", exp=now_s() + 30)
        assert house.refused(subject_token=token, expires_in="60") == (INVALID, "life_too_long")

    @pytest.mark.parametrize("depth", ["3", "4", "100"])
    def test_of_depth(self, house: House, depth: str) -> None:
        assert house.refused(max_depth=depth) == (INVALID, "depth_too_great")


def test_every_reason_is_told_and_reached_here() -> None:
    assert set(TOKEN_TEXTS) == set(TokenReason)
    said = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    unreached = [reason.value for reason in TokenReason if reason.value not in said and reason.name not in said]
    assert unreached == []


class TestRequests:
    @pytest.mark.parametrize(
        ("changes", "refused"),
        [
            ({"grant_type": "client_credentials"}, ("unsupported_grant_type", "grant_type_unsupported")),
            ({"grant_type": None}, ("unsupported_grant_type", "grant_type_unsupported")),
            ({"subject_token": None}, (INVALID, "request_malformed")),
            ({"actor_token": None}, (INVALID, "request_malformed")),
            ({"actor_token_type": None}, (INVALID, "request_malformed")),
            ({"actor_token_type": ACCESS_TOKEN}, (INVALID, "token_type_wrong")),
            ({"requested_token_type": JWT}, (INVALID, "token_type_wrong")),
            ({"scope": ["files:read", "mail:send"]}, (INVALID, "request_malformed")),
            ({"expires_in": "1e3"}, (INVALID, "request_malformed")),
            ({"expires_in": "-1"}, (INVALID, "request_malformed")),
            ({"max_depth": "٣"}, (INVALID, "request_malformed")),
            ({"purpose": "x" * 5_000}, (INVALID, "request_malformed")),
            ({"subject_proof": "!"}, (INVALID, "request_malformed")),
            ({"subject_proof": "AAAA"}, (INVALID, "request_malformed")),
            ({"grant": "AAAA"}, (INVALID, "grant_invalid")),
            ({"grant": b64(b'{"op": "GRANT", "tenant_uid": "\xff"}')}, (INVALID, "grant_invalid")),
            ({"grant": b64(b'{"x": ' + b"[" * 50_000)}, (INVALID, "grant_invalid")),
            ({"audience": [f"s{number}" for number in range(70)]}, (INVALID, "request_malformed")),
        ],
    )
    def test_that_are_none(self, house: House, changes: dict[str, Any], refused: tuple[str, str]) -> None:
        assert house.refused(**changes) == refused

    def test_bodies_that_are_none(self, house: House) -> None:
        form = {"content-type": "application/x-www-form-urlencoded"}
        for content, headers in (
            (b"{}", {"content-type": "application/json"}),
            (b"x=" + b"y" * 200_000, form),
            (b"\xff\xfe", form),
            (b"&".join(b"a%d=1" % n for n in range(100)), form),
        ):
            response = house.http.post("/token", content=content, headers=headers)
            assert response.status_code == 400
            assert response.json()["reason"] == "request_malformed" or content.startswith(b"\xff")

    def test_headers_that_are_too_large(self, house: House) -> None:
        response = house.http.get("/jwks", headers={"x-large": "x" * 40_000})
        assert response.status_code in (400, 431)

    def test_methods_that_are_none(self, house: House) -> None:
        assert house.http.get("/token").status_code == 405
        assert house.http.get("/nothing").status_code == 404

    @pytest.mark.parametrize("path", ["/token/", "/revoke/", "/introspect/"])
    def test_no_path_is_redirected_to_plain_http_or_to_the_host_of_the_request(self, house: House, path: str) -> None:
        response = house.post(path=path, headers={"host": "elsewhere.example"})
        assert (response.status_code, response.headers.get("location")) == (404, None)

    def test_what_is_told_is_plain(self, house: House) -> None:
        members = house.post(authorization_details='[{"type": "\\u0007\\u2028\\"x"}]').json()
        assert all(" " <= char <= "~" and char not in '"\\' for char in members["error_description"])
