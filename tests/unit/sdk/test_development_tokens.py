"""The token service for development."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.model.canonical import sha256
from streams.model.delegation import Delegation
from streams.model.labels import CLEAN
from streams.model.proof import is_proven_event, session_secret, session_writer_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import REVOCATION, SESSION
from streams.model.types import Actor, Model
from streams.sdk import (
    Agent,
    DelegationError,
    DevTokenService,
    OpenedWith,
    PublishError,
    TokenServiceError,
    load_root_key,
)
from streams.sdk.agent.delegation import Share, tool
from streams.sdk.connection.transport import Transport
from tests.unit.sdk.hands import ACTOR, ISSUER, ROOT_KEY, TENANT, partition_of, raw_records, written


def test_a_session_is_on_the_log_with_who_acts_for_whom_and_until_when(
    transport: Transport, tokens: DevTokenService
) -> None:
    before_ms = transport.now_ms()
    credential = tokens.open_session(
        "alice", ACTOR, ("mail:send", "mail:read"), purpose="answer mail", ttl_ms=60_000, session_id="s-7"
    )
    assert credential.secret == session_secret(ROOT_KEY, TENANT, "s-7")
    assert before_ms + 60_000 <= credential.expires_ms <= transport.now_ms() + 60_000
    [event] = written(transport, SessionEvent)
    assert event.type is SessionEventType.SESSION_ESTABLISHED
    assert (event.session_id, event.sequence, event.sub, event.act) == ("s-7", 0, "alice", ACTOR)
    assert (event.scopes, event.purpose, event.expires) == (
        ("mail:send", "mail:read"),
        "answer mail",
        credential.expires_ms,
    )
    assert (event.header.source, event.header.tenant_uid) == (ISSUER, TENANT)
    [received] = raw_records(transport, SESSION)
    assert (received.key, received.partition) == (credential.key, partition_of(credential.key))


def test_a_session_of_nobody_or_with_a_text_for_its_scopes_is_not_opened(
    transport: Transport, tokens: DevTokenService
) -> None:
    with pytest.raises(TokenServiceError, match=r"`scopes` must be a sequence of texts.*: write `\('mail:send',\)`"):
        tokens.open_session("alice", ACTOR, "mail:send")  # a comma is missing
    with pytest.raises(TokenServiceError, match="`sub` is empty"):
        tokens.open_session("", ACTOR, ("mail:send",))
    assert raw_records(transport, SESSION) == []


def test_a_session_states_what_it_was_opened_with(transport: Transport, tokens: DevTokenService) -> None:
    model = Model(ai_provider="local", name="small")
    stated = OpenedWith(model=model, system_prompt_digest=b"p" * 32, toolset_digest=b"t" * 32)
    tokens.open_session("alice", ACTOR, (), attended=True, opened_with=stated)
    [event] = written(transport, SessionEvent)
    assert event.attended
    assert (event.model, event.system_prompt_digest, event.toolset_digest) == (model, b"p" * 32, b"t" * 32)


def test_the_events_of_a_session_are_counted_and_hold_no_content(transport: Transport, tokens: DevTokenService) -> None:
    credential = tokens.open_session("alice", ACTOR, ())
    other = tokens.open_session("bob", ACTOR, ())
    tokens.user_message(credential, "please answer Bob")
    tokens.user_message(other, "hello")
    tokens.end_session(credential)
    events = [event for event in written(transport, SessionEvent) if event.session_id == credential.session_id]
    assert [(event.sequence, event.type) for event in events] == [
        (0, SessionEventType.SESSION_ESTABLISHED),
        (1, SessionEventType.USER_MESSAGE),
        (2, SessionEventType.SESSION_ENDED),
    ]
    assert all(is_proven_event(session_writer_key(ROOT_KEY), event) for event in events)
    assert events[1].content_digest == sha256(b"please answer Bob")
    assert len({event.header.id for event in events}) == 3
    assert not any(b"answer Bob" in (received.value or b"") for received in raw_records(transport, SESSION))
    with pytest.raises(TokenServiceError, match="has ended"):
        tokens.user_message(credential, "too late")


def test_a_session_id_is_used_once_and_a_life_is_positive(tokens: DevTokenService) -> None:
    tokens.open_session("alice", ACTOR, (), session_id="s-7")
    with pytest.raises(TokenServiceError, match="used once"):
        tokens.open_session("bob", ACTOR, (), session_id="s-7")
    with pytest.raises(TokenServiceError, match="0 ms"):
        tokens.open_session("bob", ACTOR, (), ttl_ms=0)


def test_things_are_taken_back_and_given_back(transport: Transport, tokens: DevTokenService) -> None:
    tokens.revoke(RevocationKind.SUBJECT, "acme|alice", "left", until_ms=transport.now_ms() + 1)
    tokens.revoke(RevocationKind.ALL, "whatever", "stop")
    tokens.release(RevocationKind.ALL, "", "go on")
    records = written(transport, Revocation)
    assert [(r.kind, r.id, r.state) for r in records] == [
        (RevocationKind.SUBJECT, "acme|alice", RevocationState.REVOKED),
        (RevocationKind.ALL, "*", RevocationState.REVOKED),
        (RevocationKind.ALL, "*", RevocationState.RELEASED),
    ]
    assert [received.key for received in raw_records(transport, REVOCATION)] == [
        b"SUBJECT:acme|alice",
        b"ALL:*",
        b"ALL:*",
    ]
    assert records[0].initiating_entity == ISSUER
    with pytest.raises(TokenServiceError, match="name the kind"):
        tokens.revoke(RevocationKind.UNKNOWN, "x", "x")


def test_the_root_key_is_read_only_from_a_file_of_its_owners_alone(tmp_path: Path) -> None:
    """As gates and commands read it, with the same errors; for who uses the SDK, they are those of a token service."""
    path = tmp_path / "root.key"
    with pytest.raises(TokenServiceError, match=r"there is no root key at .*; create it with `stoplog keys new`"):
        load_root_key(path)
    path.write_bytes(ROOT_KEY)
    path.chmod(0o640)
    with pytest.raises(TokenServiceError, match="chmod 600"):
        load_root_key(path)
    path.chmod(0o600)
    assert load_root_key(path) == ROOT_KEY
    path.write_bytes(ROOT_KEY[:31])
    with pytest.raises(TokenServiceError, match="has 31 bytes"):
        load_root_key(path)
    with pytest.raises(TokenServiceError, match="`/dev/zero` is a device"):
        load_root_key(Path("/dev/zero"))
    path.write_bytes(bytes(10_000))
    with pytest.raises(TokenServiceError, match="more than 4096 bytes"):
        load_root_key(path)


def test_a_short_root_key_is_refused(transport: Transport) -> None:
    with pytest.raises(TokenServiceError, match="31 bytes"):
        DevTokenService(transport, ROOT_KEY[:31], issuer=ISSUER, tenant_uid=TENANT)


SHARED = (tool("mail/send"), tool("git/log"))
HELPER = Actor(iss=ISSUER, sub="helper")


def test_a_session_of_tools_stands_on_a_grant_of_them(transport: Transport, tokens: DevTokenService) -> None:
    credential = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    (grant,) = written(transport, Delegation)
    (event,) = written(transport, SessionEvent)
    assert (grant, grant.uid) == (credential.grant, credential.delegation_uid)
    assert (event.delegation_uid, event.parent_session_id) == (grant.uid, None)
    assert (grant.session_id, grant.sub, grant.scopes, grant.max_depth) == (
        credential.session_id,
        "alice",
        ("mail:send",),
        1,
    )
    assert grant.authorization_details[0].tools == SHARED
    assert grant.exp == credential.expires_ms


def test_a_sub_session_has_what_was_given_on_and_no_more(transport: Transport, tokens: DevTokenService) -> None:
    first = tokens.open_session("alice", ACTOR, ("mail:send", "mail:read"), tools=SHARED, max_depth=1)
    with Agent(transport, first) as agent:
        given = agent.delegate(HELPER, Share(tools=SHARED[:1], scopes=("mail:send",), ttl_ms=60_000))
    second = tokens.open_sub_session(given)
    (event,) = [one for one in written(transport, SessionEvent) if one.session_id == second.session_id]
    assert (event.sub, event.act, event.scopes) == ("alice", HELPER, ("mail:send",))
    assert (event.parent_session_id, event.delegation_uid) == (first.session_id, given.uid)
    assert second.expires_ms == event.expires == given.exp < first.expires_ms
    assert second.grant == given
    assert given in written(transport, Delegation)
    with Agent(transport, second) as agent, pytest.raises(DelegationError, match="delegation_too_deep"):
        agent.delegate(ACTOR)
    with pytest.raises(TokenServiceError, match="opened before"):
        tokens.open_sub_session(given)
    tokens.end_session(second)
    with pytest.raises(TokenServiceError, match="opened before"):
        tokens.open_sub_session(given)
    with pytest.raises(TokenServiceError, match="has ended"):
        tokens.end_session(second)


def test_a_grant_does_not_name_the_session_of_another(transport: Transport, tokens: DevTokenService) -> None:
    """The key of a session follows from its id."""
    victim = tokens.open_session("bob", ACTOR, ("mail:send",), session_id="nightly")
    first = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    with Agent(transport, first) as agent:
        given = agent.delegate(HELPER, session_id=victim.session_id)
    with pytest.raises(TokenServiceError, match="names another session"):
        tokens.open_sub_session(given)


def test_a_sub_session_is_trusted_as_far_as_is_said(transport: Transport, tokens: DevTokenService) -> None:
    first = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    with Agent(transport, first) as agent:
        given = [agent.delegate(HELPER) for _ in range(2)]
    opened = [tokens.open_sub_session(given[0]), tokens.open_sub_session(given[1], label=CLEAN)]
    labels = {event.session_id: event.label for event in written(transport, SessionEvent)}
    assert [labels[one.session_id] for one in opened] == [None, CLEAN]


def test_a_session_that_could_give_on_takes_with_it_what_was_opened_from_it(
    transport: Transport, tokens: DevTokenService
) -> None:
    alone = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED)
    tokens.end_session(alone)
    assert not written(transport, Revocation)
    first = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    tokens.end_session(first)
    (stop,) = written(transport, Revocation)
    assert (stop.kind, stop.id) == (RevocationKind.SESSION, f"{TENANT}|{first.session_id}")
    assert stop.until == first.expires_ms


def test_a_session_that_could_not_be_stored_can_be_opened_again(
    transport: Transport, tokens: DevTokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    with Agent(transport, first) as agent:
        given = agent.delegate(HELPER)

    def fails(*_: object) -> None:
        raise PublishError("the log is away")

    with monkeypatch.context() as broken:
        broken.setattr("streams.sdk.agent.development_tokens.publish", fails)
        with pytest.raises(PublishError):
            tokens.open_sub_session(given)
    assert tokens.open_sub_session(given).session_id == given.session_id


def test_a_grant_that_does_not_hold_opens_nothing(transport: Transport, tokens: DevTokenService) -> None:
    first = tokens.open_session("alice", ACTOR, ("mail:send",), tools=SHARED, max_depth=1)
    with Agent(transport, first) as agent:
        given = agent.delegate(HELPER)
    count = len(written(transport, SessionEvent, TENANT))
    forged = {
        "signature": msgspec.structs.replace(given, purpose="anything"),
        "not signed it": msgspec.structs.replace(given, session_id="s-of-another"),
        "subject": msgspec.structs.replace(given, sub="bob"),
        "was not delegated": first.grant,
    }
    for text, grant in forged.items():
        assert grant is not None
        with pytest.raises(TokenServiceError, match=text):
            tokens.open_sub_session(grant)
    assert len(written(transport, SessionEvent, TENANT)) == count
