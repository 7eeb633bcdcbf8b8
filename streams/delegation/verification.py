"""Verify a grant: the checks of the root and of every hop, cheapest first; all of them fail closed.

Nothing is read from a grant before its whole chain has been checked. Nothing is checked twice: what a session needs of
its grant is kept (`streams.delegation.authority`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from streams.delegation.anchors import TrustAnchors
from streams.delegation.attenuation import check_narrower, parts_of
from streams.delegation.digest import lineage_of, message_and_digest
from streams.delegation.errors import GrantError
from streams.delegation.keys import hop_grant_key, root_grant_key, verified_jkt
from streams.model.delegation import GRANT_LIFE_MS_MAX, Delegation, DelegationOp, GrantBody
from streams.model.proof import session_secret
from streams.model.reasons import Reason
from streams.model.types import Actor, ProofAlg

DEPTH_MAX = 4
"""The greatest depth of a hop, unless an operator sets another; a root has depth 0."""

NAME_CHARS_MAX = 1_024
_SHOWN_CHARS = 80


class Standard(NamedTuple):
    """What grants are verified with.

    Attributes:
        anchors: who may issue roots.
        root_key: the deployment's root key; keys within the trust domain are derived from it.
        skew_ms: how far the clock of an issuer may be ahead.
        depth_max: the greatest depth of a hop.
    """

    anchors: TrustAnchors
    root_key: bytes
    skew_ms: int = 30_000
    depth_max: int = DEPTH_MAX


def verify(
    grant: Delegation, tenant_uid: str, session_id: str, standard: Standard, now_ms: int
) -> tuple[GrantBody, ...]:
    """Verify a grant, with its whole chain, for the session that has received it.

    Returns:
        The path, root first, the grant itself last.

    Raises:
        GrantError: the grant is not valid; names the first reason that was found.
    """
    # Before anything that takes time for every hop.
    if len(grant.chain) > standard.depth_max:
        text = f"{len(grant.chain)} ancestors, at most {standard.depth_max} are accepted"
        raise GrantError(Reason.DELEGATION_TOO_DEEP, text)
    lineage = lineage_of(grant)
    for body in lineage:
        _check_names(body)
    if (grant.tenant_uid, grant.session_id) != (tenant_uid, session_id):
        raise _fault(Reason.DELEGATION_SESSION_MISMATCH, grant, f"it is for session `{shown(grant.session_id)}`")
    _check_uids(lineage)
    _check_root(lineage[0])
    for parent, child in pairwise(lineage):
        _check_link(parent, child)
        _check_parties(parent, child)
        _check_depths(parent, child)
        _check_lives(parent, child)
    for body in lineage:
        _check_times(body, standard.skew_ms, now_ms)
    signed = [message_and_digest(body) for body in lineage]
    for (parent, child), (_, digest) in zip(pairwise(lineage), signed, strict=False):
        if child.parent_digest != digest:
            text = f"`{shown(parent.uid)}` is not the parent it was made of"
            raise _fault(Reason.DELEGATION_CHAIN_BROKEN, child, text)
    _check_root_signature(lineage[0], signed[0][0], standard)
    for (parent, child), (message, _) in zip(pairwise(lineage), signed[1:], strict=True):
        _check_hop_signature(parent, child, message, standard)
    _check_narrowing(lineage)
    return lineage


def check_hop(parent: GrantBody, child: GrantBody) -> None:
    """Check everything about a hop that needs no keys and no clock, which its maker can do before it is sent.

    Raises:
        GrantError: the grant is not a hop of the parent, or not narrower.
    """
    _check_names(child)
    _check_uids((parent, child))
    _check_link(parent, child)
    _check_parties(parent, child)
    _check_depths(parent, child)
    _check_lives(parent, child)
    check_narrower(parent, parts_of(parent), child, parts_of(child))


def shown(name: str | None) -> str:
    """Return a name from a grant, which may be anything, in a form for messages."""
    return "" if name is None else name[:_SHOWN_CHARS]


def _fault(reason: Reason, body: GrantBody, detail: str) -> GrantError:
    return GrantError(reason, f"grant `{shown(body.uid)}`, {detail}")


def _check_names(body: GrantBody) -> None:
    names = [body.tenant_uid, body.uid, body.root_uid, body.issuer_uid, body.sub, body.purpose or "", body.txn or ""]
    names += [body.parent_uid or "", body.session_id or "", body.cnf_jkt or ""]
    for actor in (body.delegator, body.act):
        names += [actor.iss, actor.sub, actor.instance_uid or "", actor.jkt or ""]
    longest = max(map(len, names))
    if longest > NAME_CHARS_MAX:
        text = f"a name of {longest} characters, at most {NAME_CHARS_MAX} are accepted"
        raise _fault(Reason.DELEGATION_MALFORMED, body, text)
    if not (body.tenant_uid and body.uid and body.issuer_uid and body.sub and body.act.sub):
        raise _fault(Reason.DELEGATION_MALFORMED, body, "it names no tenant, id, issuer, subject or actor")


def _check_uids(lineage: Sequence[GrantBody]) -> None:
    if len({body.uid for body in lineage}) != len(lineage):
        raise _fault(Reason.DELEGATION_UID_REUSED, lineage[-1], "an id is in its chain twice")


def _check_root(root: GrantBody) -> None:
    if root.depth or root.root_uid != root.uid or root.parent_uid is not None or root.parent_digest is not None:
        raise _fault(Reason.DELEGATION_CHAIN_BROKEN, root, "the first of its chain, is not a root")
    if root.op is not DelegationOp.GRANT:
        raise _fault(Reason.DELEGATION_CHAIN_BROKEN, root, "it grants nothing")
    if root.max_depth < 0:
        raise _fault(Reason.DELEGATION_MALFORMED, root, f"its greatest depth is {root.max_depth}")
    # INVARIANT: a stop of a grant without an end lasts longer than this, and so outlasts every hop of the chain, too.
    if root.exp - root.iat > GRANT_LIFE_MS_MAX:
        text = f"it lives for {root.exp - root.iat} ms, at most {GRANT_LIFE_MS_MAX} are accepted"
        raise _fault(Reason.DELEGATION_LIVES_TOO_LONG, root, text)


def _check_link(parent: GrantBody, child: GrantBody) -> None:
    linked = (
        child.parent_uid == parent.uid
        and child.root_uid == parent.root_uid
        and child.depth == parent.depth + 1
        and child.op is DelegationOp.GRANT
    )
    if not linked:
        raise _fault(Reason.DELEGATION_CHAIN_BROKEN, child, f"it does not follow from `{shown(parent.uid)}`")


def _check_parties(parent: GrantBody, child: GrantBody) -> None:
    if (child.sub, child.tenant_uid, child.txn) != (parent.sub, parent.tenant_uid, parent.txn):
        raise _fault(Reason.DELEGATION_SUBJECT_CHANGED, child, f"its parent is for `{shown(parent.sub)}`")
    giver = parent.act
    if _who(child.delegator) != _who(giver) or child.issuer_uid != giver.sub:
        raise _fault(Reason.DELEGATION_ACTOR_MISMATCH, child, f"its parent was granted to `{shown(giver.sub)}`")
    if parent.may_act and child.act.sub not in parent.may_act:
        text = f"its parent can't be delegated to `{shown(child.act.sub)}`"
        raise _fault(Reason.DELEGATION_ACTOR_MISMATCH, child, text)


def _who(actor: Actor) -> tuple[str, str]:
    return actor.iss, actor.sub


def _check_depths(parent: GrantBody, child: GrantBody) -> None:
    if child.depth > parent.max_depth:
        raise _fault(Reason.DELEGATION_TOO_DEEP, child, f"its parent may reach depth {parent.max_depth}")
    if child.max_depth > parent.max_depth:
        raise _fault(Reason.DELEGATION_WIDENED_LIMITS, child, f"its parent may reach depth {parent.max_depth}")


def _check_lives(parent: GrantBody, child: GrantBody) -> None:
    if child.exp > parent.exp or child.iat < parent.iat:
        text = f"its parent lives from {parent.iat} to {parent.exp}, it from {child.iat} to {child.exp}"
        raise _fault(Reason.DELEGATION_OUTLIVES_PARENT, child, text)


def _check_times(body: GrantBody, skew_ms: int, now_ms: int) -> None:
    if body.iat > now_ms + skew_ms:
        raise _fault(Reason.DELEGATION_FROM_FUTURE, body, f"issued {body.iat - now_ms} ms from now")
    if body.exp <= now_ms:
        raise _fault(Reason.DELEGATION_EXPIRED, body, f"{now_ms - body.exp} ms ago")


def _check_root_signature(root: GrantBody, message: bytes, standard: Standard) -> None:
    issuer, proof, anchors = root.issuer_uid, root.proof, standard.anchors
    if issuer not in anchors:
        raise _fault(
            Reason.DELEGATION_UNTRUSTED_ROOT, root, f"issuer `{shown(issuer)}`; see the setting `gate.trust_anchors`"
        )
    if proof is None:
        raise _fault(Reason.DELEGATION_SIGNATURE_INVALID, root, "it has no proof")
    if proof.alg is ProofAlg.HMAC_SHA256 and issuer in anchors.hmac_issuers:
        if root_grant_key(standard.root_key, root.tenant_uid, issuer).verifies(message, proof.value):
            return
    elif proof.alg is ProofAlg.ED25519 and verified_jkt(proof, message) in anchors.jkts.get(issuer, ()):
        return
    raise _fault(Reason.DELEGATION_SIGNATURE_INVALID, root, f"`{shown(issuer)}` has not signed it")


def _check_hop_signature(parent: GrantBody, child: GrantBody, message: bytes, standard: Standard) -> None:
    proof = child.proof
    if proof is not None:
        if parent.cnf_jkt is not None:
            # The parent is bound to a key: somebody who only knows the session's secret must not sign in its place.
            if verified_jkt(proof, message) == parent.cnf_jkt:
                return
        elif proof.alg is ProofAlg.HMAC_SHA256 and parent.session_id is not None:
            secret = session_secret(standard.root_key, parent.tenant_uid, parent.session_id)
            if hop_grant_key(secret).verifies(message, proof.value):
                return
    text = f"`{shown(parent.act.sub)}`, who holds its parent, has not signed it"
    raise _fault(Reason.DELEGATION_SIGNATURE_INVALID, child, text)


def _check_narrowing(lineage: Sequence[GrantBody]) -> None:
    parts = parts_of(lineage[0])
    for parent, child in pairwise(lineage):
        own = parts_of(child)
        check_narrower(parent, parts, child, own)
        parts = own
