"""Keys of grants: thumbprints as others make them, derived keys that are apart, and anchors that mean what they say."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulation.records import ROOT_KEY
from streams.audit.signatures import SigningKey
from streams.delegation.anchors import AnchorError, TrustAnchors
from streams.delegation.keys import (
    _SMALL_ORDER,
    Ed25519Key,
    hop_grant_key,
    is_of_nobody,
    root_grant_key,
    thumbprint,
    verified_jkt,
)
from streams.model.types import Proof, ProofAlg
from tests.unit.delegation.family import MOTHERS_KEY, STRANGERS_KEY

SIGNING_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def test_the_thumbprint_is_that_of_rfc_8037() -> None:
    """The key and the thumbprint of its appendix A.3."""
    encoded = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    raw = base64.urlsafe_b64decode(encoded + "=")
    assert thumbprint(raw) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_publishers_key_is_called_alike() -> None:
    made = Ed25519Key(SIGNING_KEY.sign, SIGNING_KEY.public.raw)
    assert made.jkt == SIGNING_KEY.public.kid
    assert verified_jkt(made.prove(b"m"), b"m") == made.jkt
    assert repr(made) == f"Ed25519Key({made.jkt})"


def test_a_proof_tells_whose_it_is() -> None:
    proof = MOTHERS_KEY.prove(b"message")
    assert verified_jkt(proof, b"message") == MOTHERS_KEY.jkt
    assert verified_jkt(proof, b"other") is None
    assert (
        verified_jkt(Proof(alg=ProofAlg.ED25519, kid=STRANGERS_KEY.prove(b"").kid, value=proof.value), b"message")
        is None
    )


@pytest.mark.parametrize(
    "kid",
    [None, "", "x", "A" * 43, "A" * 44, "!" * 43, "A" * 1_000_000, base64.urlsafe_b64encode(bytes(31)).decode()],
)
def test_what_holds_no_key_proves_nothing(kid: str | None) -> None:
    assert verified_jkt(Proof(alg=ProofAlg.ED25519, kid=kid, value=bytes(64)), b"message") is None


def test_a_signature_of_another_length_proves_nothing() -> None:
    good = MOTHERS_KEY.prove(b"message")
    for value in (b"", good.value[:-1], good.value + b"\x00"):
        assert verified_jkt(Proof(alg=ProofAlg.ED25519, kid=good.kid, value=value), b"message") is None


def test_derived_keys_are_apart() -> None:
    """Whatever is told apart has a key of its own, also where names run into each other."""
    keys = [
        root_grant_key(ROOT_KEY, "acme", "issuer"),
        root_grant_key(ROOT_KEY, "acm", "eissuer"),
        root_grant_key(ROOT_KEY, "other", "issuer"),
        root_grant_key(bytes(32), "acme", "issuer"),
        hop_grant_key(bytes(32)),
        hop_grant_key(bytes(31) + b"\x01"),
        hop_grant_key(ROOT_KEY),
    ]
    assert len({key.prove(b"message").value for key in keys}) == len(keys)
    assert not any(part in repr(keys[0]) for part in ("secret", ROOT_KEY.hex()))


class TestAnchors:
    def test_by_issuer(self) -> None:
        text = str(SIGNING_KEY.public)
        anchors = TrustAnchors.of({"a": "hmac", "b": text, "c": ["hmac", text]})
        assert anchors.hmac_issuers == {"a", "c"}
        assert anchors.jkts == {"b": {SIGNING_KEY.public.kid}, "c": {SIGNING_KEY.public.kid}}
        assert [issuer in anchors for issuer in ("a", "b", "c", "d")] == [True, True, True, False]

    def test_none_by_default(self) -> None:
        assert "a" not in TrustAnchors()

    @pytest.mark.parametrize(
        "keys",
        [
            {"a": "HMAC"},
            {"a": ""},
            {"a": []},
            {"": "hmac"},
            {"a": "ed25519:short"},
            {"a": str(SIGNING_KEY.public).removeprefix("ed25519:")},
            {"a": str(SIGNING_KEY.public) + "="},
            {str(number): "hmac" for number in range(257)},
        ],
    )
    def test_what_makes_no_sense(self, keys: dict[str, str | list[str]]) -> None:
        with pytest.raises(AnchorError):
            TrustAnchors.of(keys)


P = 2**255 - 19


def eightfold_is_neutral(y: int) -> bool:
    """By the curve's own arithmetic: -x² + y² = 1 + d x² y²; of x the square is enough."""
    d = -121665 * pow(121666, -1, P) % P
    square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    for _ in range(3):
        below, across = (2 - y * y + square) % P, (y * y - square) % P
        square, y = 4 * square * y * y * pow(across * across, -1, P) % P, (y * y + square) * pow(below, -1, P) % P
    return (square, y) == (0, 1)


def test_keys_that_are_nobodys() -> None:
    """For these there are signatures that hold for all messages, and nobody has a secret."""
    assert len(_SMALL_ORDER) == 5
    for y in _SMALL_ORDER:
        assert eightfold_is_neutral(y)
        for sign in (0, 1 << 255):
            public = (y | sign).to_bytes(32, "little")
            assert is_of_nobody(public)
            proof = Proof(alg=ProofAlg.ED25519, kid=b64(public), value=b"\x01" + bytes(63))
            assert verified_jkt(proof, b"message") is None
    for written_otherwise in (P, P + 1, P + 18):
        assert is_of_nobody(written_otherwise.to_bytes(32, "little"))
    ours = Ed25519Key.of(Ed25519PrivateKey.generate()).public
    assert not is_of_nobody(ours)
    assert not eightfold_is_neutral(int.from_bytes(ours, "little") & (2**255 - 1))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
