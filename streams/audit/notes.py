"""Signed notes and checkpoints: texts that say how far a log is, with the signatures of those who say so.

The formats are C2SP's signed-note and tlog-checkpoint, so that tools of other transparency logs read and witness the
heads of this one. A note is a text, an empty line, and a line for each signature: the signer's name, and in base64 four
bytes that tell its key from others of that name, and the signature (Ed25519, RFC 8032).

A checkpoint's text is the log's origin, its size and its head, each in a line; further lines are extensions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

import msgspec

from streams.audit.merkle import HASH_BYTES, SIZE_BITS
from streams.audit.signatures import PublicKey
from streams.model.errors import StoplogError

NOTE_BYTES_MAX = 65_536
SIGNATURES_MAX = 16
NAMED_KEYS_CACHED_MAX = 1_024
"""Hashes of keys that are cached: one for each key and each partition's origin."""

_ED25519 = b"\x01"
_KEY_HASH_BYTES = 4
_SIGNATURE_START = "\u2014 "


class NoteError(StoplogError):
    """A note or a checkpoint can't be read or made; the message says why."""


class Signer(Protocol):
    """Something that signs with a private key, wherever that is: a file, a token (PKCS #11), a service.

    Attributes:
        public: the key that its signatures are checked with.
    """

    @property
    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature of a message, 64 bytes. May block where the key is elsewhere.

        Raises:
            SigningKeyError: the key can't be used.
        """


class NoteSignature(msgspec.Struct, frozen=True):
    """A signature of a note.

    Attributes:
        name: whose it says it is.
        key_hash: four bytes that tell the key from others of that name.
        value: the signature itself.
    """

    name: str
    key_hash: bytes
    value: bytes


class Note(msgspec.Struct, frozen=True):
    """A text and its signatures, of which none was checked.

    Attributes:
        text: what is signed. It ends with a newline.
        signatures: in the order of their lines.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Read a note.

        Raises:
            NoteError: it is not one, or is larger than `NOTE_BYTES_MAX`.
        """
        if len(note) > NOTE_BYTES_MAX:
            raise NoteError(f"a note has {len(note)} characters, at most {NOTE_BYTES_MAX} are read")
        text, separator, lines = note.rpartition("\n\n")
        if not separator or not lines.endswith("\n") or any(char < " " and char != "\n" for char in note):
            raise NoteError("the text is not a signed note: it needs an empty line, and signatures behind it")
        found = lines[:-1].split("\n")
        if len(found) > SIGNATURES_MAX:
            raise NoteError(f"a note has {len(found)} signatures, at most {SIGNATURES_MAX} are read")
        return cls(f"{text}\n", tuple(_read_signature(line) for line in found))

    def is_signed_by(self, name: str, key: PublicKey) -> bool:
        """Return whether the owner of a key has signed the note under a name. Costs 60 to 80 us if so."""
        wanted = key_hash(name, key)
        for signature in self.signatures:
            if signature.name == name and signature.key_hash == wanted:
                return key.verifies(self.text.encode(), signature.value)
        return False

    def __str__(self) -> str:
        """Return the note as it is sent and stored."""
        lines = [
            f"{_SIGNATURE_START}{each.name} {base64.b64encode(each.key_hash + each.value).decode()}\n"
            for each in self.signatures
        ]
        return f"{self.text}\n{''.join(lines)}"


def signed_note(text: str, signers: Sequence[tuple[str, Signer]]) -> Note:
    """Return a note with the signatures of these signers, each under its name.

    Args:
        text: one or more lines, each with a newline behind it.
        signers: names, which have neither spaces nor `+` in them, and who signs under them.

    Raises:
        NoteError: the text or a name can't be in a note.
        SigningKeyError: a key can't be used.
    """
    if not text.endswith("\n") or any(char < " " and char != "\n" for char in text):
        raise NoteError("the text of a note consists of lines, without other control characters")
    made = []
    for name, signer in signers:
        _check_name(name)
        made.append(NoteSignature(name, key_hash(name, signer.public), signer.sign(text.encode())))
    return Note(text, tuple(made))


@lru_cache(maxsize=NAMED_KEYS_CACHED_MAX)
def key_hash(name: str, key: PublicKey) -> bytes:
    """Return the four bytes that tell a key from others of its name."""
    return sha256(name.encode() + b"\n" + _ED25519 + key.raw).digest()[:_KEY_HASH_BYTES]


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log.

    Attributes:
        origin: the name of the log.
        size: how many records it has.
        root: the hash of the tree over them.
        extensions: further lines.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note.

        Raises:
            NoteError: it is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise NoteError("the text is not a checkpoint: it needs an origin, a size and a root, each in a line")
        origin, size, root, *extensions = lines[:-1]
        # Written again, a number must be the same: it has no leading zeros, and no other digits than these.
        is_number = len(size) <= len(str(1 << SIZE_BITS)) and size.isascii() and size.isdecimal()
        if not is_number or str(int(size)) != size or int(size) >= 1 << SIZE_BITS:
            raise NoteError(f"`{size[:40]}` is not the size of a log")
        return cls(origin, int(size), _read_base64(root, HASH_BYTES, "a root"), tuple(extensions))

    def text(self) -> str:
        """Return the text that is signed.

        Raises:
            NoteError: the origin or an extension is not a line.
        """
        lines = (self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions)
        if any(not line or "\n" in line for line in lines):
            raise NoteError("the origin and the extensions of a checkpoint are lines that are not empty")
        return "".join(f"{line}\n" for line in lines)


def _read_signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    if not line.startswith(_SIGNATURE_START):
        raise NoteError(f"`{line[:60]}` is not the line of a signature")
    _check_name(name)
    # Signatures of other kinds, such as a witness's, are of other lengths. They are kept, and not checked here.
    raw = _read_base64(encoded, None, f"a signature of `{name[:60]}`")
    if len(raw) <= _KEY_HASH_BYTES:
        raise NoteError(f"the signature of `{name[:60]}` has {len(raw)} bytes")
    return NoteSignature(name, raw[:_KEY_HASH_BYTES], raw[_KEY_HASH_BYTES:])


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() or char < " " for char in name):
        raise NoteError(f"`{name[:60]}` is not the name of a signer: it must have neither spaces nor `+`")


def _read_base64(text: str, length: int | None, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    # Written again it must be the same: base64 has several texts for the same bytes.
    if (length is not None and len(raw) != length) or base64.b64encode(raw).decode() != text:
        raise NoteError(f"`{text[:60]}` is not {what} in base64")
    return raw
