"""The files of a published bundle: how they are packed into a record and unpacked.

A record holds 1 MB at most. Large bundles are text that compresses to a tenth, so they are packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streams.model.control import BundleFile, RulesetBundle

PLAIN_CHARS_MAX = 200_000
"""Larger bundles are packed; smaller ones can be read in any tool that shows records."""

UNPACKED_BYTES_MAX = 64_000_000

_decode = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class FilesForm(NamedTuple):
    """The two fields of a record that hold the files; one of them is empty."""

    files: tuple[BundleFile, ...]
    packed: bytes


def files_form(files: Mapping[str, str]) -> FilesForm:
    """Return the files of a bundle, by path, in the form for a record."""
    ordered = sorted(files.items())
    if sum(len(path) + len(text) for path, text in ordered) <= PLAIN_CHARS_MAX:
        return FilesForm(tuple(BundleFile(path=path, content=text) for path, text in ordered), b"")
    return FilesForm((), zlib.compress(_encode(ordered), level=9))


def files_of(bundle: RulesetBundle) -> dict[str, str]:
    """Return the files of a published bundle by path; empty if it withdraws the rules. The record is not trusted.

    Raises:
        ValueError: they can't be unpacked, are too large, are there in both forms, or a path is there twice.
    """
    pairs = [(file.path, file.content) for file in bundle.files]
    if bundle.packed:
        if pairs:
            raise ValueError("a bundle has its files either plain or packed")
        pairs = list(_unpacked(bundle.packed))
    files = dict(pairs)
    if len(files) != len(pairs):
        raise ValueError("a file is there twice")
    return files


def _unpacked(packed: bytes) -> tuple[tuple[str, str], ...]:
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, UNPACKED_BYTES_MAX)
        if not unpacking.eof or unpacking.unused_data:
            raise ValueError(f"packed files are cut short, or have more than {UNPACKED_BYTES_MAX} bytes")
        return _decode(data)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"packed files can't be read: {error}") from None
