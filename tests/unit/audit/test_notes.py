"""Signed notes and checkpoints: an example of another implementation, a second verifier, and hostile texts."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from streams.audit.merkle import EMPTY_ROOT, leaf_hash
from streams.audit.notes import Checkpoint, Note, NoteError, key_hash, signed_note
from streams.audit.signatures import PublicKey, SigningKey, SigningKeyError

# The key and the note of the documentation of golang.org/x/mod/sumdb/note.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

KEY = SigningKey.made()
ORIGIN = "stoplog.gate/prod/3"


def peter() -> PublicKey:
    return PublicKey(base64.b64decode(VKEY.rpartition("+")[2])[1:])


def test_reads_and_checks_the_example_of_another_implementation() -> None:
    note = Note.parse(NOTE)
    assert note.is_signed_by("PeterNeumann", peter())
    assert key_hash("PeterNeumann", peter()).hex() == VKEY.split("+")[1]
    assert str(note) == NOTE
    assert not note.is_signed_by("PeterNeumann", KEY.public)
    assert not note.is_signed_by("Peter", peter())
    assert not Note.parse(NOTE.replace("answer", "question")).is_signed_by("PeterNeumann", peter())


def test_cryptography_checks_what_is_signed_here() -> None:
    checkpoint = Checkpoint(ORIGIN, 7, leaf_hash(b"x"), ("batch AAAA",))
    note = str(signed_note(checkpoint.text(), [(ORIGIN, KEY)]))
    text, _, line = note.rpartition("\n\n")
    mark, name, encoded = line.rstrip("\n").split(" ")
    raw = base64.b64decode(encoded)
    assert (mark, name) == ("—", ORIGIN)
    assert raw[:4] == sha256(f"{ORIGIN}\n".encode() + b"\x01" + KEY.public.raw).digest()[:4]
    Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(raw[4:], f"{text}\n".encode())
    assert text.split("\n") == [ORIGIN, "7", base64.b64encode(leaf_hash(b"x")).decode(), "batch AAAA"]


def test_a_second_signature_does_not_hide_the_first() -> None:
    other = SigningKey.made()
    note = signed_note("text\n", [("a", KEY), ("a", other), ("b", KEY)])
    assert Note.parse(str(note)) == note
    assert all(note.is_signed_by(name, key.public) for name, key in (("a", KEY), ("a", other), ("b", KEY)))
    assert not note.is_signed_by("b", other.public)


def test_a_signature_of_an_unknown_kind_is_passed_over() -> None:
    note = str(signed_note("text\n", [("a", KEY)]))
    witnessed = f"{note}— witness {base64.b64encode(b'1234' + bytes(72)).decode()}\n"
    assert Note.parse(witnessed).is_signed_by("a", KEY.public)
    assert str(Note.parse(witnessed)) == witnessed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a\n",
        "text\n\n— a AAAA\n",
        "text\n\n- a AAAAAAAA\n",
        "text\n\n— a AAAAAAAA",
        "text\n\n— a AAAAAAB\n",
        "text\n\n— a+b AAAAAAAA\n",
        "text\n\n—  AAAAAAAA\n",
        "te\rxt\n\n— a AAAAAAAA\n",
        "text\n\n" + "— a AAAAAAAA\n" * 17,
        "x" * 65_537 + "\n\n— a AAAAAAAA\n",
    ],
)
def test_what_is_not_a_note_is_rejected(text: str) -> None:
    with pytest.raises(NoteError):
        Note.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_rejected(text: str) -> None:
    for read in (Note.parse, Checkpoint.parse):
        try:
            assert str(read(text) if read is Note.parse else Checkpoint.parse(text).text()) == text
        except NoteError:
            continue


@pytest.mark.parametrize(
    ("text", "name"), [("text", "a"), ("a\tb\n", "a"), ("text\n", ""), ("text\n", "a b"), ("text\n", "a+b")]
)
def test_what_a_note_cannot_hold_is_not_signed(text: str, name: str) -> None:
    with pytest.raises(NoteError):
        signed_note(text, [(name, KEY)])


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20),
    st.integers(0, (1 << 64) - 1),
    st.binary(min_size=32, max_size=32),
)
def test_a_checkpoint_is_read_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    made = Checkpoint(origin, size, root, ("one", "two"))
    assert Checkpoint.parse(made.text()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n5\n",
        "origin\n05\nROOT\n",
        "origin\n-1\nROOT\n",
        "origin\n+1\nROOT\n",
        "origin\n\u0665\nROOT\n",
        "origin\n18446744073709551616\nROOT\n",
        f"origin\n{'9' * 10_000}\nROOT\n",
        "\n5\nROOT\n",
        "origin\n5\nROOT",
        "origin\n5\nROOT\n\n",
        "origin\n5\nROOT=\n",
        "origin\n5\nAAAA\n",
    ],
)
def test_what_is_not_a_checkpoint_is_rejected(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text.replace("ROOT", base64.b64encode(EMPTY_ROOT).decode()))


def test_an_extension_cannot_add_a_line() -> None:
    for origin, extension in (("a\nb", "x"), ("a", "x\ny"), ("", "x"), ("a", "")):
        with pytest.raises(NoteError):
            Checkpoint(origin, 0, EMPTY_ROOT, (extension,)).text()


def test_the_four_bytes_depend_on_name_and_key() -> None:
    assert key_hash("a", KEY.public) != key_hash("b", KEY.public)
    with pytest.raises(SigningKeyError):
        PublicKey.parse("ed25519:x")
