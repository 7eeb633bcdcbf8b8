"""The names of tenants' topics: Kafka takes every one, and no two tenants share one."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.inmemory.topic_config import check_name
from streams.model.topics import OUTCOME_PREFIX, TENANT_CHARS_MAX, outcome_topic, outcome_topic_name

LEGAL = re.compile(r"[A-Za-z0-9._-]{1,149}")
TENANTS = st.text(min_size=1, max_size=300) | st.text("aA._-|%\\/2e5f", min_size=1, max_size=120)


def as_kafka_compares(name: str) -> str:
    """Kafka counts names as colliding that differ only in `.` and `_`."""
    return name.replace(".", "_")


@given(TENANTS, TENANTS)
@example("a.b", "a_b")
@example("a.b", "a_2eb")
@example("a", "A")
@example("..", "__")
@example("x" * 101, "x" * 102)
def test_two_tenants_never_share_a_topic(first: str, second: str) -> None:
    names = [outcome_topic_name(tenant) for tenant in (first, second)]
    for name in names:
        # A deployment's prefix may have another 100 of the 249 characters.
        assert LEGAL.fullmatch(name)
        check_name(name)
        assert name.startswith(OUTCOME_PREFIX)
    assert (first == second) is (as_kafka_compares(names[0]) == as_kafka_compares(names[1]))


@pytest.mark.parametrize(
    ("tenant", "part"),
    [
        ("acme", "acme"),
        ("acme-2", "acme-2"),
        ("a.b_c", "a_2eb_5fc"),
        ("../x", "_2e_2e_2fx"),
        ("ü", "_c3_bc"),
        ("\ud800", "_ed_a0_80"),
        ("a" * TENANT_CHARS_MAX, "a" * TENANT_CHARS_MAX),
    ],
)
def test_a_name_is_spelled_like_this(tenant: str, part: str) -> None:
    assert outcome_topic(tenant).name == f"agent.outcome.{part}.v1"


def test_a_long_name_is_a_digest() -> None:
    name = outcome_topic_name("é" * TENANT_CHARS_MAX)
    assert re.fullmatch(r"agent\.outcome\.__[0-9a-f]{64}\.v1", name)
