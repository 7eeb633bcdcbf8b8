"""Keys, and the partitions they fall into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.model.keys import murmur2, partition_for, revocation_key, session_key_of, tool_key
from streams.model.revocation import RevocationKind

TENANTS = st.text(max_size=8).filter(lambda text: "|" not in text)


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_that_of_kafka(data: bytes, signed: int) -> None:
    """The vectors of Kafka's own tests, which give a signed integer."""
    assert murmur2(data) == signed & 0xFFFFFFFF


@given(st.binary(max_size=64), st.integers(1, 1_000))
def test_partitions(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions
    assert partition_for(key, 1) == 0


def test_known_partitions() -> None:
    assert [partition_for(key, 12) for key in (b"21", b"foobar", b"abc")] == [
        (-973932308 & 0x7FFFFFFF) % 12,
        (-790332482 & 0x7FFFFFFF) % 12,
        479470107 % 12,
    ]


@given(TENANTS, st.text(max_size=8), TENANTS, st.text(max_size=8))
def test_sessions_share_no_key(tenant: str, session: str, other_tenant: str, other_session: str) -> None:
    same = (tenant, session) == (other_tenant, other_session)
    assert (session_key_of(tenant, session) == session_key_of(other_tenant, other_session)) is same


def test_forms() -> None:
    assert session_key_of("acme", "s|1") == b"acme|s|1"
    assert revocation_key(RevocationKind.SESSION, "acme|s-1") == b"SESSION:acme|s-1"
    assert tool_key("mail", "send") == b"mail/send"


def test_a_tenant_with_the_separator() -> None:
    with pytest.raises(ValueError, match="separates tenant and session"):
        session_key_of("a|b", "c")
