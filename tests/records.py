"""Records for tests: one realistic one of the hot kinds, and a strategy for any of any kind."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import inspect

from streams.codec.scalars import INSTANT_MS_MAX, INSTANT_MS_MIN
from streams.model.intent import Intent, ReplyTo
from streams.model.topics import DECLARED, Topic
from streams.model.types import Actor, Header, Model, Proof, ProofAlg, Record, SubProfile, ToolRef

UUID = "0192f3c1-7a5b-7c3d-8e9f-0123456789ab"
DIGEST = bytes(range(32))

RECORD_TOPICS = tuple(topic.name for topic in DECLARED if topic.record is not None)
RECORD_TYPES: dict[str, type[Record]] = {topic.name: topic.record for topic in DECLARED if topic.record is not None}
BY_RECORD: dict[type[Record], Topic] = {topic.record: topic for topic in reversed(DECLARED) if topic.record is not None}
"""The topic of each record. Of the two topics of audit events, the gates'; of session events, the token service's; of
seals, the verdicts'."""

HEADER = Header(
    id=UUID,
    source="agent/billing-7",
    time=1_764_061_200_123,
    tenant_uid="acme",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
ACTOR = Actor(iss="https://id.acme.example", sub="billing-7", sub_profile=SubProfile.AI_AGENT, instance_uid="pod-77f9")
TOOL = ToolRef(server_id="mail", name="send_message", definition_digest=DIGEST, catalog_version=3)
INTENT = Intent(
    header=HEADER,
    intent_id=UUID,
    session_id="s-20251125-000001",
    conversation_id="c-9",
    turn=7,
    tool_call_id="call_abc123",
    sub="user:alice@acme.example",
    act=ACTOR,
    delegation_uid="d-1",
    tool=TOOL,
    args_json='{"body":"Dear Bob, please find the invoice attached.","to":["bob@partner.example"]}',
    args_digest=DIGEST,
    model=Model(ai_provider="example", name="large-1", version="2025-08-07"),
    user_request_digest=DIGEST,
    claimed_sources=(UUID,),
    deadline=1_764_061_260_123,
    reply_to=ReplyTo(topic="agent.verdict.v1", partition=3),
    proof=Proof(alg=ProofAlg.HMAC_SHA256, kid="k1", value=DIGEST),
)

_TEXTS = st.text(max_size=12)
_LONGS = st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200)


@cache
def records(record: type[Record]) -> SearchStrategy[Record]:
    """Any record of the class, built from what the class says of its fields."""
    return _values(inspect.type_info(record))


def _values(kind: inspect.Type) -> SearchStrategy:
    meaning = ""
    if isinstance(kind, inspect.Metadata):
        meaning = kind.extra["kind"]
        kind = kind.type
    match kind, meaning:
        case inspect.StructType(cls=cls, fields=fields), _:
            return st.builds(cls, **{field.name: _values(field.type) for field in fields})
        case inspect.UnionType(types=types), _:
            return st.one_of(*(_values(member) for member in types))
        case inspect.EnumType(cls=cls), _:
            return st.sampled_from(list(cls))
        case inspect.VarTupleType(item_type=item), _:
            return st.lists(_values(item), max_size=2).map(tuple)
        case inspect.StrType(), "uuid":
            return st.uuids().map(str)
        case inspect.IntType(), "instant_ms":
            return st.integers(INSTANT_MS_MIN, INSTANT_MS_MAX)
        case inspect.BytesType(), "sha256":
            return st.binary(min_size=32, max_size=32)
    return _scalars(kind)


def _scalars(kind: inspect.Type) -> SearchStrategy:
    match kind:
        case inspect.NoneType():
            return st.none()
        case inspect.StrType():
            return _TEXTS
        case inspect.IntType():
            return _LONGS
        case inspect.FloatType():
            return st.floats(allow_nan=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.BytesType():
            return st.binary(max_size=40)
    raise TypeError(f"no strategy for {kind}")
