"""Measures the cost of authorization: grants when they arrive, grants for every call, proofs, revocations.

    python -m bench identity [--quick]

The result is CPU time of one core, without log and disk, the best of several runs. "Cold" is a gate that knows neither
the grant nor its keys; "warm" has the keys in its cache, as it has those of active issuers and agents. "From the row"
is the cost of every call of a session, whose grant is read from the state and is already verified. The whole gate is
measured with a session without a grant and with one that has a grant.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.parts.budgets import HEAD, PERMIT
from simulation.records import ISSUER, ROOT_KEY, TRUSTED, SessionMaker, entry_key, ruleset, tool_entry
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.delegation import keys
from streams.delegation.anchors import TrustAnchors
from streams.delegation.authority import Authority, AuthorityRow, authority_row
from streams.delegation.keys import Ed25519Key, verified_jkt
from streams.delegation.tools import ANYTHING
from streams.delegation.verification import Standard, verify
from streams.engine.state import PartitionState
from streams.model import proof
from streams.model.delegation import ArgumentConstraint, AuthorizationDetail, ConstraintType, Delegation, ToolGrant
from streams.model.intent import Intent
from streams.model.proof import derived_uuid, make_hmac, proof_message, session_secret, verify_hmac
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import Call
from streams.model.topics import CATALOG, DELEGATION, INTENT, RULESET, SESSION
from streams.model.types import Actor, Header, ToolRef
from streams.policy import compile_bundle
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.sessions import grants
from streams.processors.settings import GateSettings
from streams.processors.state import encode_row
from streams.stores.memory import MemoryStores

HOPS = (1, 3, 8)
DEPTH_MAX = 8
RUNS = 5
START_MS = 1_764_061_200_000
REVOCATIONS = 1_000_000
REVOCATIONS_QUICK = 20_000
ANCESTORS = 3
PATH = "docs/a.txt"

_READ = tool_entry("files", "read")
_ANCHORS = TrustAnchors(hmac_issuers=frozenset({ISSUER}), jkts={})
_STANDARD = Standard(anchors=_ANCHORS, root_key=ROOT_KEY, depth_max=DEPTH_MAX)
_CACHES = (
    keys._public_key,
    keys._thumbprint,
    keys._root_secret,
    keys._hop_secret,
    proof.derived_key,
)
_DETAILS = (
    AuthorizationDetail(
        type="tools",
        tools=(
            ToolGrant(
                server_id="files",
                name="read",
                constraints=(
                    ArgumentConstraint(argument="/path", type=ConstraintType.WILDCARD, value_json='"docs/*"'),
                ),
            ),
            ToolGrant(server_id="web", name=ANYTHING),
        ),
    ),
)


def run(*, quick: bool) -> dict[str, Any]:
    """Measure all of it, in one run."""
    revocations = _revocations(REVOCATIONS_QUICK if quick else REVOCATIONS)
    rounds = 20 if quick else 200
    cases = [_case(kind, hops, rounds) for kind in ("hmac", "ed25519") for hops in HOPS]
    base = cases[0]
    for case in cases:
        for name in ("cold_us", "warm_us", "row_us"):
            case[name.replace("_us", "_ratio")] = case[name] / base[name]
    return {
        "cases": cases,
        "proofs": _proofs(rounds * 5),
        "gate": _gate(200 if quick else 1_000),
        "revocations": revocations,
    }


def _case(kind: str, hops: int, rounds: int) -> dict[str, Any]:
    grant, receiver = _chain(kind, hops)

    def check() -> tuple[Any, ...]:
        return verify(grant, receiver.tenant, receiver.session_id, _STANDARD, START_MS)

    def check_cold() -> None:
        for cache in _CACHES:
            cache.cache_clear()
        check()

    row = authority_row(check())
    stored = encode_row(row)
    args = {"path": PATH}

    def judge() -> None:
        ready = grants._authority(stored)
        if ready.fault("files", "read", args, START_MS) is not None:
            raise RuntimeError("the grant must let its own call through")

    def take_up() -> None:
        Authority(_decoded(stored))

    return {
        "proof": kind,
        "hops": hops,
        "cold_us": _us(check_cold, rounds),
        "warm_us": _us(check, rounds),
        "row_us": _us(judge, rounds * 50),
        "row_not_ready_us": _us(take_up, rounds * 5),
        "row_bytes": len(stored),
    }


def _decoded(stored: bytes) -> AuthorityRow:
    return grants._decode(stored)


def _chain(kind: str, hops: int) -> tuple[Delegation, SessionMaker]:
    """Return a root and so many hops, each of them under an Ed25519 key of its giver's, or its session's."""
    makers = [SessionMaker(f"s-{number}", act=f"agent-{number}") for number in range(hops + 1)]
    own = [Ed25519Key.of(Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)) for number in range(hops + 1)]
    is_signed = kind == "ed25519"
    fields: dict[str, Any] = {"audience": ("files", "web"), "authorization_details": _DETAILS, "max_depth": DEPTH_MAX}
    grant = makers[0].grant("g-0", START_MS, cnf_jkt=own[0].jkt if is_signed else None, **fields)
    for number in range(hops):
        grant = makers[number].handed_on(
            grant,
            f"g-{number + 1}",
            START_MS,
            makers[number + 1],
            key=own[number] if is_signed else None,
            cnf_jkt=own[number + 1].jkt if is_signed else None,
        )
    return grant, makers[-1]


def _proofs(rounds: int) -> dict[str, float]:
    """Measure the check of one intent's proof, by the session's key and by a key of its own."""
    maker = SessionMaker()
    intent = maker.intent(_READ, {"path": PATH}, START_MS)
    message = proof_message(intent)
    secret = session_secret(ROOT_KEY, maker.tenant, maker.session_id)
    value = make_hmac(secret, message)
    signed = Ed25519Key.of(Ed25519PrivateKey.from_private_bytes(bytes(range(32)))).prove(message)
    hmac_us = _us(lambda: verify_hmac(secret, message, value), rounds * 20)
    ed25519_us = _us(lambda: verified_jkt(signed, message), rounds)
    return {"hmac_us": hmac_us, "ed25519_us": ed25519_us, "ed25519_ratio": ed25519_us / hmac_us}


def _gate(intents: int) -> list[dict[str, Any]]:
    """Return what the whole gate takes for an intent: without a grant, with three hops, and with a bound key."""
    wire = CodecWire(Codec(CommittedSchemas.load()))
    cases = [("no grant", None), ("3 hops, hmac", "hmac"), ("3 hops, ed25519", "ed25519")]
    measured: list[dict[str, Any]] = []
    for name, kind in cases:
        best = min(_gate_us(wire, kind, intents) for _ in range(RUNS))
        measured.append({"session": name, "cpu_us_per_intent": best})
    for case in measured:
        case["ratio"] = case["cpu_us_per_intent"] / measured[0]["cpu_us_per_intent"]
    return measured


def _gate_us(wire: CodecWire, kind: str | None, intents: int) -> float:
    control = ControlState(Publications("default", UNSIGNED, InlineCompiler(compile_bundle)), Catalog(ANYBODY))
    rules = {"bundle.yaml": HEAD, "counting/a.rules.yaml": f"apiVersion: rules/v1\npack: counting\nrules:\n{PERMIT}"}
    control.apply(RULESET.name, b"default", ruleset(rules), 1, START_MS)
    control.apply(CATALOG.name, entry_key(_READ), _READ, 1, START_MS)
    control.settle()
    control.stale = False
    settings = GateSettings(root_key=ROOT_KEY, trust_anchors=_ANCHORS, delegation_depth_max=DEPTH_MAX)
    gate = Gate(settings, wire, control)
    state = PartitionState(MemoryStores().open(0))
    key = None
    if kind is None:
        maker = SessionMaker()
    else:
        grant, maker = _chain(kind, 3)
        key = Ed25519Key.of(Ed25519PrivateKey.from_private_bytes(bytes([4]) * 32)) if kind == "ed25519" else None
        maker.delegation_uid = grant.uid
        gate.process(DELEGATION.name, maker.key, grant, state, START_MS, START_MS)
    # The token service vouches for what it was opened with: a tainted session costs more, with or without a grant.
    established = maker.established(START_MS, delegation_uid=maker.delegation_uid, label=TRUSTED)
    gate.process(SESSION.name, maker.key, established, state, START_MS, START_MS)
    made: list[Intent] = [maker.intent(_READ, {"path": PATH}, START_MS, key=key) for _ in range(intents)]
    gc.collect()
    began_ns = time.process_time_ns()
    for intent in made:
        outputs = gate.process(INTENT.name, maker.key, intent, state, START_MS, START_MS)
    spent_us = (time.process_time_ns() - began_ns) / 1_000 / intents
    if b"permitted" not in (outputs[0].value or b""):
        raise RuntimeError(f"the gate must allow what is measured: {outputs[0].value!r}")
    return spent_us


def _revocations(count: int) -> dict[str, Any]:
    """Return what a set of so many entries takes of memory and of time, and what asking it takes.

    An empty and a small set are beside it.
    """
    call = Call(
        tenant_uid="acme",
        session_id="s-1",
        sub="alice",
        act=Actor(iss=ISSUER, sub="assistant"),
        delegation_uids=tuple(f"g-{number}" for number in range(ANCESTORS + 1)),
        tool=ToolRef(server_id="files", name="read"),
        ancestor_session_ids=tuple(f"s-0-{number}" for number in range(ANCESTORS)),
    )
    revoked = RevocationSet()
    empty_us = _us(lambda: revoked.reason_against(call, START_MS), 20_000)
    _revoke(revoked, 0, 1_000)
    small_us = _us(lambda: revoked.reason_against(call, START_MS), 20_000)
    gc.collect()
    before, began_ns = _resident_bytes(), time.process_time_ns()
    _revoke(revoked, 1_000, count)
    spent_us = (time.process_time_ns() - began_ns) / 1_000
    gc.collect()
    added = count - 1_000
    bytes_each = (_resident_bytes() - before) / added
    full_us = _us(lambda: revoked.reason_against(call, START_MS), 20_000)
    return {
        "entries": len(revoked),
        "bytes_each": bytes_each,
        "mebibytes": bytes_each * len(revoked) / 2**20,
        "apply_us": spent_us / added,
        "lookup_empty_us": empty_us,
        "lookup_small_us": small_us,
        "lookup_us": full_us,
        "lookup_ratio_to_a_thousand": full_us / small_us,
    }


def _revoke(revoked: RevocationSet, first: int, end: int) -> None:
    for number in range(first, end):
        uid = derived_uuid("bench revocation", str(number))
        revoked.apply(
            Revocation(
                header=Header(id=uid, source=ISSUER, time=START_MS, tenant_uid="acme"),
                kind=RevocationKind.DELEGATION if number % 2 else RevocationKind.SESSION,
                id=f"g-{uid}" if number % 2 else f"acme|s-{uid}",
                state=RevocationState.REVOKED,
                effective_at=START_MS,
                until=START_MS + number,
                reason="bench",
                initiating_entity="bench",
            )
        )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def _us(work: Callable[[], object], rounds: int) -> float:
    """CPU us a call, the best of several runs."""
    work()
    best_ns = None
    for _ in range(RUNS):
        began_ns = time.process_time_ns()
        for _ in range(rounds):
            work()
        spent_ns = time.process_time_ns() - began_ns
        best_ns = spent_ns if best_ns is None else min(best_ns, spent_ns)
    return (best_ns or 0) / 1_000 / rounds
