"""What a proof covers, and session keys."""

from __future__ import annotations

import hmac
import uuid

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.model.intent import Intent
from streams.model.labels import CLEAN
from streams.model.proof import (
    derived_uuid,
    is_proven_event,
    make_hmac,
    proof_message,
    proven_event,
    session_event_message,
    session_secret,
    session_writer_key,
    verify_hmac,
)
from streams.model.session import SessionEvent
from tests.records import INTENT, records

ROOT_KEY = bytes(range(32))

NOT_COVERED = {"header.id", "header.source", "header.traceparent", "header.tracestate", "act.sub_profile", "act.jkt",
               "tool.catalog_version", "args_json", "proof"}  # fmt: skip
"""Args are covered by their digest; the rest are for people and traces, and no decision may depend on them."""


def leaves(value: msgspec.Struct, prefix: str = "") -> dict[str, object]:
    """Fields by their dotted path; optional records count as a whole."""
    found: dict[str, object] = {}
    for name in value.__struct_fields__:
        item = getattr(value, name)
        if name in {"header", "act", "tool"}:
            found |= leaves(item, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = item
    return found


def replaced(intent: Intent, path: str, value: object) -> Intent:
    first, _, rest = path.partition(".")
    if not rest:
        return msgspec.structs.replace(intent, **{first: value})
    return msgspec.structs.replace(intent, **{first: msgspec.structs.replace(getattr(intent, first), **{rest: value})})


def normal(path: str, value: object) -> object:
    """What a proof takes for the same: an absent text and an empty one."""
    return (value or "") if path in {"act.instance_uid", "delegation_uid", "txn"} else value


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("path", sorted(leaves(INTENT)))
def test_every_field_that_matters_changes_the_message(path: str, data: st.DataObject) -> None:
    one = data.draw(records(Intent))
    other = leaves(data.draw(records(Intent)))[path]
    changed = replaced(one, path, other)
    same = path in NOT_COVERED or normal(path, other) == normal(path, leaves(one)[path]) or _same_model(one, changed)
    assert (proof_message(changed) == proof_message(one)) is same


def _same_model(one: Intent, other: Intent) -> bool:
    """A model's absent version and an empty one are the same."""
    if one.model is None or other.model is None or one.model == other.model:
        return False
    return (one.model.ai_provider, one.model.name, one.model.version or "") == (
        other.model.ai_provider,
        other.model.name,
        other.model.version or "",
    )


@given(records(Intent), records(Intent))
def test_two_intents_share_a_message_only_if_all_that_matters_is_the_same(one: Intent, other: Intent) -> None:
    if proof_message(one) == proof_message(other):
        ours, theirs = leaves(one), leaves(other)
        assert {path for path in ours if normal(path, ours[path]) != normal(path, theirs[path])} <= NOT_COVERED | {
            "model"
        }


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_no_text_runs_into_the_next(a: str, b: str, c: str, d: str) -> None:
    one = msgspec.structs.replace(INTENT, sub=a, session_id=b, claimed_sources=(a, b))
    other = msgspec.structs.replace(INTENT, sub=c, session_id=d, claimed_sources=(c, d))
    assert (proof_message(one) == proof_message(other)) is ((a, b) == (c, d))


class TestSessionSecrets:
    def test_it_is_hkdf(self) -> None:
        info = b"22:stoplog session key v14:acme3:s-1"
        expected = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(ROOT_KEY)
        assert session_secret(ROOT_KEY, "acme", "s-1") == expected

    @given(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.text(max_size=6))
    def test_sessions_share_no_secret(self, tenant: str, session: str, other_tenant: str, other_session: str) -> None:
        same = (tenant, session) == (other_tenant, other_session)
        secrets = (session_secret(ROOT_KEY, tenant, session), session_secret(ROOT_KEY, other_tenant, other_session))
        assert (secrets[0] == secrets[1]) is same

    def test_another_root_key(self) -> None:
        assert session_secret(ROOT_KEY, "acme", "s-1") != session_secret(ROOT_KEY[::-1], "acme", "s-1")


class TestHmac:
    @given(st.binary(max_size=200), st.binary(max_size=300))
    def test_it_is_what_the_standard_library_makes(self, key: bytes, message: bytes) -> None:
        assert make_hmac(key, message) == hmac.digest(key, message, "sha256")

    def test_only_the_right_key_and_message(self) -> None:
        value = make_hmac(b"k" * 32, b"message")
        assert verify_hmac(b"k" * 32, b"message", value)
        assert not verify_hmac(b"l" * 32, b"message", value)
        assert not verify_hmac(b"k" * 32, b"massage", value)

    @pytest.mark.parametrize("value", [b"", b"\x00" * 32, make_hmac(b"k" * 32, b"message")[:31]])
    def test_other_values(self, value: bytes) -> None:
        assert not verify_hmac(b"k" * 32, b"message", value)


class TestDerivedUuids:
    @given(st.text(max_size=8), st.lists(st.text(max_size=8), max_size=3))
    def test_they_are_uuids_of_version_8(self, domain: str, parts: list[str]) -> None:
        made = derived_uuid(domain, *parts)
        assert made == derived_uuid(domain, *parts)
        assert str(uuid.UUID(made)) == made
        assert uuid.UUID(made).version == 8
        assert uuid.UUID(made).variant == uuid.RFC_4122

    def test_parts_do_not_run_together(self) -> None:
        made = {
            derived_uuid("d", "ab", "c"),
            derived_uuid("d", "a", "bc"),
            derived_uuid("d", "abc"),
            derived_uuid("da", "bc"),
        }
        assert len(made) == 4


UNTRUSTED_FIELDS = {"header.traceparent", "header.tracestate", "proof"}


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", [*SessionEvent.__struct_fields__, "header.traceparent", "header.tracestate"])
def test_every_field_of_a_session_event_is_proven(name: str, data: st.DataObject) -> None:
    one, other = data.draw(records(SessionEvent)), data.draw(records(SessionEvent))
    first, _, rest = name.partition(".")
    value = getattr(other, first)
    if rest:
        value = msgspec.structs.replace(one.header, **{rest: getattr(value, rest)})
    changed = msgspec.structs.replace(one, **{first: value})
    same = session_event_message(changed) == session_event_message(one)
    assert same is (name in UNTRUSTED_FIELDS or _untraced(changed) == _untraced(one))


def _untraced(event: SessionEvent) -> SessionEvent:
    header = msgspec.structs.replace(event.header, traceparent=None, tracestate=None)
    return msgspec.structs.replace(event, header=header, proof=None)


@given(records(SessionEvent))
def test_a_session_event_is_proven_under_the_writers_key_alone(event: SessionEvent) -> None:
    key = session_writer_key(ROOT_KEY)
    proven = proven_event(key, event)
    assert is_proven_event(key, proven)
    assert not is_proven_event(session_writer_key(bytes(32)), proven)
    assert not is_proven_event(session_secret(ROOT_KEY, event.header.tenant_uid, event.session_id), proven)
    assert _untraced(proven) == _untraced(event)


def test_the_writers_key_is_hkdf_of_the_root_key() -> None:
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"29:stoplog session-writer key v1")
    assert session_writer_key(ROOT_KEY) == derivation.derive(ROOT_KEY)


def test_no_readers_and_all_readers_are_not_the_same() -> None:
    header = INTENT.header
    nobody, everybody = (
        SessionEvent(header=header, session_id="s", sequence=0, label=msgspec.structs.replace(CLEAN, readers=readers))
        for readers in ((), None)
    )
    assert session_event_message(nobody) != session_event_message(everybody)
