"""Checks grants: those that calls were allowed under are signed by the right keys, and cover the calls.

It does not use the code that it checks: it derives keys, builds JSON forms and compares calls with tools by itself.
"""

from __future__ import annotations

import fnmatch
import hmac
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec
import rfc8785
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from simulation.auditor import Evidence
from streams.history.recording import place_of
from streams.model.delegation import Delegation, DelegationOp, GrantBody
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import DELEGATION, SESSION
from streams.model.verdict import Outcome, Verdict
from streams.ports import Received

OF_PEOPLE = "approval:"
"""Begins the ids of what people have granted."""

_KEY_BYTES = 32
_Grants = dict[bytes, list[tuple[Received, Delegation]]]


def check_grants(evidence: Evidence, root_key: bytes) -> Iterator[str]:
    """Check that every ALLOW of a session with a grant is within the grant, and that its whole chain is signed."""
    grants = _accepted(evidence)
    stated = _stated(evidence)
    for (key, intent_id), judged in evidence.verdicts.items():
        for one in judged:
            if one.verdict.outcome is Outcome.ALLOW:
                for fault in _faults(one.verdict, stated.get(key), grants.get(key, []), root_key):
                    yield f"ALLOW of intent {intent_id} of {key.decode()!r} at {one.verdict.evaluated_at}: {fault}"


def own_path(verdict: Verdict) -> tuple[str, ...]:
    """Return the grants on which the session stands, without what people have granted for its calls."""
    return tuple(uid for uid in verdict.delegation_path if not uid.startswith(OF_PEOPLE))


def _accepted(evidence: Evidence) -> _Grants:
    found: _Grants = {}
    for received, record in evidence.decoded.get(DELEGATION.name, []):
        is_grant = isinstance(record, Delegation) and record.op is DelegationOp.GRANT
        if isinstance(record, Delegation) and is_grant and place_of(received) not in evidence.letters:
            found.setdefault(received.key or b"", []).append((received, record))
    return found


def _stated(evidence: Evidence) -> dict[bytes, str]:
    """Return the grant that each session's first event names."""
    found: dict[bytes, str] = {}
    for received, record in evidence.decoded.get(SESSION.name, []):
        if not isinstance(record, SessionEvent) or record.type is not SessionEventType.SESSION_ESTABLISHED:
            continue
        if record.delegation_uid is not None and place_of(received) not in evidence.letters:
            found[received.key or b""] = record.delegation_uid
    return found


def _faults(
    verdict: Verdict, stated: str | None, grants: list[tuple[Received, Delegation]], root_key: bytes
) -> Iterator[str]:
    path = own_path(verdict)
    if stated is not None and (not path or path[-1] != stated):
        yield f"its session stands on {stated}, it was judged by {path}"
    if not path:
        return
    own = [
        grant for received, grant in grants if grant.uid == path[-1] and received.timestamp_ms <= verdict.evaluated_at
    ]
    if not own:
        yield f"grant {path[-1]} had not come"
        return
    # A gate forgets a grant whose session never came. Then another one with the same id counts, if its issuer has
    # signed it. As long as the gate remembers the first one, the second becomes a dead letter: it is not among these.
    yield from min((list(_grant_faults(verdict, grant, root_key)) for grant in own), key=len)


def _grant_faults(verdict: Verdict, grant: Delegation, root_key: bytes) -> Iterator[str]:
    path = own_path(verdict)
    if path != (*(body.uid for body in grant.chain), grant.uid):
        yield f"the path of {grant.uid} is not {path}"
    if not verdict.evaluated_at < verdict.expires_at <= grant.exp:
        yield f"grant {grant.uid} ends at {grant.exp}, it may be used until {verdict.expires_at}"
    yield from _chain_faults(grant, root_key)
    if not _lets_through(grant, verdict):
        yield f"grant {grant.uid} does not let {verdict.tool.server_id}/{verdict.tool.name} {verdict.args_json} through"


def _lets_through(body: GrantBody, verdict: Verdict) -> bool:
    called, args = verdict.tool, json.loads(verdict.args_json)
    if called.server_id not in body.audience and "*" not in body.audience:
        return False
    for detail in body.authorization_details:
        for tool in detail.tools:
            if tool.server_id not in (called.server_id, "*") or tool.name not in (called.name, "*"):
                continue
            bounds = {bound.argument.removeprefix("/"): bound for bound in tool.constraints}
            if not bounds or (bounds.keys() == args.keys() and all(_fits(bounds[name], args[name]) for name in args)):
                return True
    return False


def _fits(bound: Any, value: object) -> bool:
    """Return whether a value is within a bound, of the two kinds that a workload has."""
    if bound.type.value == "ALL":
        return True
    pattern = re.compile(fnmatch.translate(json.loads(bound.value_json)))
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _chain_faults(grant: Delegation, root_key: bytes) -> Iterator[str]:
    lineage = [*grant.chain, grant]
    for depth, body in enumerate(lineage):
        if depth == 0:
            key = _root_key(root_key, body)
        else:
            parent = lineage[depth - 1]
            key = _hop_key(root_key, parent)
            if body.parent_digest != sha256(rfc8785.dumps(_form(parent))).digest():
                yield f"{body.uid} is not about {parent.uid}"
            if not set(body.audience) <= set(parent.audience) and "*" not in parent.audience:
                yield f"{body.uid} is for more servers than {parent.uid}"
            if body.exp > parent.exp:
                yield f"{body.uid} outlives {parent.uid}"
        form = _form(body)
        form.pop("proof", None)
        message = msgspec.msgpack.encode(["stoplog grant v1", sha256(rfc8785.dumps(form)).digest()])
        if body.proof is None or body.proof.value != hmac.digest(key, message, "sha256"):
            yield f"{body.uid} is not signed by whom it must be"


def _root_key(root_key: bytes, body: GrantBody) -> bytes:
    names = [name.encode() for name in (body.tenant_uid, body.issuer_uid)]
    info = b"stoplog grant root key v1" + b"".join(b"%d:%s" % (len(name), name) for name in names)
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(root_key)


def _hop_key(root_key: bytes, parent: GrantBody) -> bytes:
    parts = [b"stoplog session key v1", parent.tenant_uid.encode(), (parent.session_id or "").encode()]
    info = b"".join(b"%d:%s" % (len(part), part) for part in parts)
    secret = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(root_key)
    return HKDFExpand(algorithm=SHA256(), length=_KEY_BYTES, info=b"stoplog grant hop key v1").derive(secret)


def _form(body: GrantBody) -> dict[str, Any]:
    """Return the JSON form: digests in hex, other bytes in base64, without nulls and empty arrays."""
    plain = msgspec.to_builtins(body)
    if body.parent_digest is not None:
        plain["parent_digest"] = body.parent_digest.hex()
    form = _said({name: plain[name] for name in GrantBody.__struct_fields__})
    if not isinstance(form, dict):
        raise TypeError("the form of a grant is an object")
    return form


def _said(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _said(item) for name, item in value.items() if item is not None and item not in ([], ())}
    return [_said(item) for item in value] if isinstance(value, (list, tuple)) else value
