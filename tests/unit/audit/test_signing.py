"""Signing keys: as text, as files, and against what others would do with them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.signatures import SIGNATURE_BYTES, PublicKey, SigningKeyError
from streams.operations.signing_keys import is_encrypted, load_key_file, make_key_file

# RFC 8032, section 7.1, test 2; the thumbprint of the key in RFC 8037, appendix A.3.
RFC_PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_published_vectors_hold() -> None:
    assert PublicKey(RFC_PUBLIC).verifies(b"\x72", RFC_SIGNATURE)
    jose = PublicKey.parse("ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert jose.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_key_signs_and_is_found_again_in_its_file(tmp_path: Path) -> None:
    made = make_key_file(tmp_path / "keys" / "ann.pem")
    assert stat.S_IMODE((tmp_path / "keys" / "ann.pem").stat().st_mode) == 0o600
    read = load_key_file(tmp_path / "keys" / "ann.pem")
    assert read.public == made.public
    signature = read.sign(b"message")
    assert signature == made.sign(b"message")
    assert len(signature) == SIGNATURE_BYTES
    assert made.public.verifies(b"message", signature)
    assert not made.public.verifies(b"Message", signature)
    assert not made.public.verifies(b"message", signature[:-1])
    assert not make_key_file(tmp_path / "bob.pem").public.verifies(b"message", signature)
    assert made.public.kid in repr(made)
    assert "PRIVATE" not in repr(made)


def test_an_encrypted_file_wants_its_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "ann.pem"
    made = make_key_file(path, b"correct horse")
    assert is_encrypted(path)
    assert load_key_file(path, b"correct horse").public == made.public
    with pytest.raises(SigningKeyError, match="is encrypted"):
        load_key_file(path)
    with pytest.raises(SigningKeyError, match="passphrase is wrong"):
        load_key_file(path, b"wrong")
    plain = make_key_file(tmp_path / "bob.pem")
    assert load_key_file(tmp_path / "bob.pem", b"not needed").public == plain.public


def test_a_key_file_is_never_written_over(tmp_path: Path) -> None:
    make_key_file(tmp_path / "k")
    before = (tmp_path / "k").read_bytes()
    with pytest.raises(SigningKeyError, match="exists already"):
        make_key_file(tmp_path / "k")
    (tmp_path / "link").symlink_to(tmp_path / "k")
    with pytest.raises(SigningKeyError, match="exists already"):
        make_key_file(tmp_path / "link")
    assert (tmp_path / "k").read_bytes() == before


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_key_file(tmp_path / "k")
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(SigningKeyError, match="chmod 600"):
        load_key_file(tmp_path / "k")


def test_what_is_no_key_is_told(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyError, match="can't be read: No such file"):
        load_key_file(tmp_path / "none")
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, content, told in (("junk", b"junk", "has no private key"), ("ec", other, "of another kind")):
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(SigningKeyError, match=told):
            load_key_file(path)


def test_a_public_key_has_one_text(tmp_path: Path) -> None:
    key = make_key_file(tmp_path / "k").public
    assert PublicKey.parse(str(key)) == key
    text = str(key)
    spoilt = (text[8:], text[:-1], text + "A", text + "=", text.upper(), f" {text}", "", "ed25519:", "ed25519:é")
    for wrong in spoilt:
        with pytest.raises(SigningKeyError, match="is not a public key"):
            PublicKey.parse(wrong)


@given(message=st.binary(max_size=20), signature=st.binary(max_size=80))
def test_nothing_made_up_verifies(message: bytes, signature: bytes) -> None:
    assert not PublicKey(RFC_PUBLIC).verifies(message, signature)
