"""An independent model of grants: slow, plain, written from the page that explains them, without the code it checks.

Narrowing is decided by enumeration: of all calls of a small universe, a child may let through no more than its parent.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import rfc8785

from simulation.records import ISSUER, ROOT_KEY
from streams.codec.jsonform import to_json
from streams.model.delegation import Delegation, GrantBody

TOOLS = (("mail", "send"), ("files", "read"), ("files", "write"))
VALUES: tuple[Any, ...] = (1, 2, 3, True, "1", "ab", "b", ["a"], [])
ARGS: tuple[dict[str, Any], ...] = (
    {},
    *({"x": value} for value in VALUES),
    *({"y": value} for value in (1, 2, "ab")),
    *({"x": x, "y": y} for x in (1, 2, "ab") for y in (1, "ab")),
    {"x": {"y": 1}},
    {"x": {"y": 2}},
)
SKEW_MS, DEPTH_MAX = 30_000, 4


def admits(kind: str, parameter: Any, value: Any) -> bool:
    """What a bound admits."""
    if kind == "EXACT":
        return _same(value, parameter)
    if kind == "RANGE":
        if type(value) not in (int, float):
            return False
        return parameter.get("min", value) <= value <= parameter.get("max", value)
    if kind == "ONE_OF":
        return any(_same(value, one) for one in parameter)
    if kind == "NOT_ONE_OF":
        return type(value) not in (list, dict) and not any(_same(value, one) for one in parameter)
    if kind == "CONTAINS":
        return type(value) is list and all(any(_same(item, one) for item in value) for one in parameter)
    if kind == "SUBSET":
        return type(value) is list and all(any(_same(item, one) for one in parameter) for item in value)
    if kind == "WILDCARD":
        return type(value) is str and _fits(parameter, value)
    if kind == "ALL":
        return all(admits(part["type"], part["value"], value) for part in parameter)
    if kind == "ANY":
        return any(admits(part["type"], part["value"], value) for part in parameter)
    raise ValueError(kind)


def calls(body: GrantBody) -> set[tuple[str, str, str]]:
    """All that the grant lets through."""
    found = set()
    for (server_id, name), args in itertools.product(TOOLS, ARGS):
        if server_id not in body.audience and "*" not in body.audience:
            continue
        for detail in body.authorization_details:
            for tool in detail.tools:
                named = tool.server_id in (server_id, "*") and tool.name in (name, "*")
                bounds = [(c.argument, c.type.value, json.loads(c.value_json)) for c in tool.constraints]
                if named and _lets_through(bounds, args):
                    found.add((server_id, name, json.dumps(args)))
    return found


def holds(grant: Delegation, session: tuple[str, str], now_ms: int) -> bool:
    """Whether a grant, whose roots and hops are all under keys of the deployment, holds for a session."""
    lineage: list[GrantBody] = [*grant.chain, grant]
    root, last = lineage[0], lineage[-1]
    if len(lineage) > DEPTH_MAX + 1 or (last.tenant_uid, last.session_id) != session:
        return False
    if (
        root.issuer_uid != ISSUER
        or root.depth != 0
        or root.parent_uid
        or root.parent_digest
        or root.root_uid != root.uid
    ):
        return False
    if len({body.uid for body in lineage}) < len(lineage):
        return False
    for body in lineage:
        if body.op != "GRANT" or body.iat > now_ms + SKEW_MS or body.exp <= now_ms:
            return False
    if not _signed(root, _expand(_extract(ROOT_KEY), _root_info(root.tenant_uid, root.issuer_uid))):
        return False
    return all(_follows(parent, child) for parent, child in itertools.pairwise(lineage))


def _follows(parent: GrantBody, child: GrantBody) -> bool:
    same = ("sub", "tenant_uid", "txn", "root_uid")
    if any(getattr(parent, name) != getattr(child, name) for name in same):
        return False
    if child.parent_uid != parent.uid or child.depth != parent.depth + 1:
        return False
    if child.depth > parent.max_depth or child.max_depth > parent.max_depth:
        return False
    if child.exp > parent.exp or child.iat < parent.iat:
        return False
    giver = parent.act
    if (child.delegator.iss, child.delegator.sub, child.issuer_uid) != (giver.iss, giver.sub, giver.sub):
        return False
    if parent.may_act and (child.act.sub not in parent.may_act or not child.may_act):
        return False
    if parent.may_act and not set(child.may_act) <= set(parent.may_act):
        return False
    if child.parent_digest != hashlib.sha256(rfc8785.dumps(_json(parent))).digest():
        return False
    session_info = b"stoplog session key v1"
    parts = (session_info, parent.tenant_uid.encode(), (parent.session_id or "").encode())
    secret = _expand(_extract(ROOT_KEY), b"".join(b"%d:%s" % (len(part), part) for part in parts))
    if not _signed(child, _expand(secret, b"stoplog grant hop key v1")):
        return False
    return set(child.scopes) <= set(parent.scopes) and calls(child) <= calls(parent) and _audience(parent, child)


def _audience(parent: GrantBody, child: GrantBody) -> bool:
    return "*" in parent.audience or set(child.audience) <= set(parent.audience)


def _signed(body: GrantBody, key: bytes) -> bool:
    digest = hashlib.sha256(rfc8785.dumps({k: v for k, v in _json(body).items() if k != "proof"})).digest()
    message = msgspec.msgpack.encode(["stoplog grant v1", digest])
    proof = body.proof
    return (
        proof is not None
        and proof.alg == "HMAC_SHA256"
        and hmac.new(key, message, hashlib.sha256).digest() == proof.value
    )


def _json(body: GrantBody) -> Any:
    plain = GrantBody(**{name: getattr(body, name) for name in GrantBody.__struct_fields__})
    return json.loads(json.dumps(to_json(plain)))


def _root_info(tenant_uid: str, issuer_uid: str) -> bytes:
    names = (tenant_uid.encode(), issuer_uid.encode())
    return b"stoplog grant root key v1" + b"".join(b"%d:%s" % (len(name), name) for name in names)


def _extract(key: bytes) -> bytes:
    return hmac.new(bytes(32), key, hashlib.sha256).digest()


def _expand(key: bytes, info: bytes) -> bytes:
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def _lets_through(bounds: list[tuple[str, str, Any]], args: Mapping[str, Any]) -> bool:
    if not bounds:
        return True
    for pointer, kind, parameter in bounds:
        found = _values_at(args, pointer)
        if not found or not admits(kind, parameter, found[0]):
            return False
    named = {pointer for pointer, _, _ in bounds}
    return all(any(leaf == p or leaf.startswith(f"{p}/") for p in named) for leaf in _leaves(args, ""))


def _values_at(value: Any, pointer: str) -> list[Any]:
    for token in pointer.split("/")[1:]:
        if not isinstance(value, dict) or token not in value:
            return []
        value = value[token]
    return [value]


def _leaves(value: Any, at: str) -> Iterable[str]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{at}/{name}")
    elif at:
        yield at


def _fits(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return _fits(pattern[1:], text) or (bool(text) and _fits(pattern, text[1:]))
    return bool(text) and text[0] == pattern[0] and _fits(pattern[1:], text[1:])


def _same(a: Any, b: Any) -> bool:
    """`1` and `1.0` are the same number; `1` and `true` are not the same."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if type(a) in (int, float) and type(b) in (int, float):
        return bool(a == b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)
    return type(a) is type(b) and bool(a == b)
