"""Check the proof of possession."""

from __future__ import annotations

from streams.delegation.keys import verified_jkt
from streams.model.proof import proof_message, verify_hmac
from streams.model.reasons import Reason
from streams.model.types import Proof, ProofAlg
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.decision import Decision, deny
from streams.processors.settings import GateSettings


def check_proof(case: Case, _control: ControlState, settings: GateSettings) -> Decision | None:
    """Deny an intent whose maker does not prove possession of the session's key, or of the key of its grant.

    Sets `case.is_proven`.
    """
    intent = case.asked.intent
    proof = intent.proof
    if proof is None:
        return deny(Reason.PROOF_MISSING)
    authority = case.authority
    if authority is not None and authority.row.cnf_jkt is not None:
        return _check_signature(case, proof, authority.row.cnf_jkt)
    if proof.alg is not ProofAlg.HMAC_SHA256:
        return deny(Reason.PROOF_UNSUPPORTED, proof.alg.value)
    if not verify_hmac(case.secret(settings.root_key), proof_message(intent), proof.value):
        return deny(Reason.PROOF_INVALID)
    case.is_proven = True
    return None


def _check_signature(case: Case, proof: Proof, jkt: str) -> Decision | None:
    """Accept only the key to which the grant is bound: the session's key would be the weaker of the two."""
    if proof.alg is not ProofAlg.ED25519:
        return deny(Reason.PROOF_UNSUPPORTED, f"{proof.alg.value}, but the session's grant is bound to an Ed25519 key")
    if verified_jkt(proof, proof_message(case.asked.intent)) != jkt:
        return deny(Reason.PROOF_INVALID)
    case.is_proven = True
    return None
