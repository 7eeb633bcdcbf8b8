"""Check the proof of possession."""

from __future__ import annotations

from streams.model.reasons import Reason
from streams.model.types import Proof, ProofAlg
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_HMAC = ProofAlg.HMAC_SHA256


def check_proof(case: Case, _control: ControlState, settings: GateSettings) -> Decision | None:
    """Deny an intent whose maker does not prove possession of the session's key, or of the key of its grant.

    The proof covers the digest that the intent states, so the arguments have not been read yet: whoever has no key
    can't make the gate parse anything.

    Sets `case.is_proven`.
    """
    intent = case.asked.intent
    proof = intent.proof
    if proof is None:
        return deny(Reason.PROOF_MISSING)
    authority = case.authority
    if authority is not None and authority.row.cnf_jkt is not None:
        return _check_signature(case, proof, authority.row.cnf_jkt)
    if proof.alg is not _HMAC:
        return deny(Reason.PROOF_UNSUPPORTED, proof.alg.value)
    if not case.has_session_proof(settings.root_key):
        return deny(Reason.PROOF_INVALID)
    case.is_proven = True
    return None


def _check_signature(case: Case, proof: Proof, jkt: str) -> Decision | None:
    """Accept only the key to which the grant is bound: the session's key would be the weaker of the two."""
    if proof.alg is not ProofAlg.ED25519:
        return deny(Reason.PROOF_UNSUPPORTED, f"{proof.alg.value}, but the session's grant is bound to an Ed25519 key")
    if not case.is_signed_by(jkt):
        return deny(Reason.PROOF_INVALID)
    case.is_proven = True
    return None
