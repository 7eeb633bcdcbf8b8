"""The files of a published bundle: how they travel within a record, and how they are taken out again.

A record holds a megabyte at most. Large bundles are text that shrinks to a tenth, so they travel packed.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from streams.model.control import BundleFile, RulesetBundle

PLAIN_CHARS_MAX = 200_000
"""Bundles of more than this travel packed; smaller ones can be read in any tool that shows records."""

UNPACKED_BYTES_MAX = 64_000_000

_decode = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class FilesForm(NamedTuple):
    """The two fields of a record that hold the files; one of them is empty."""

    files: tuple[BundleFile, ...]
    packed: bytes


def files_form(files: Mapping[str, str]) -> FilesForm:
    """The files of a bundle, by path, as they travel."""
    ordered = sorted(files.items())
    if sum(len(path) + len(text) for path, text in ordered) <= PLAIN_CHARS_MAX:
        return FilesForm(tuple(BundleFile(path=path, content=text) for path, text in ordered), b"")
    return FilesForm((), zlib.compress(_encode(ordered), level=9))


def files_of(bundle: RulesetBundle) -> dict[str, str]:
    """The files of a published bundle by path; none, where it withdraws the rules. The record is not trusted.

    Raises:
        ValueError: they can't be unpacked, are too large, come in both forms, or one path comes twice.
    """
    pairs = [(file.path, file.content) for file in bundle.files]
    if bundle.packed:
        if pairs:
            raise ValueError("a bundle holds its files either plain or packed")
        pairs = list(_unpacked(bundle.packed))
    files = dict(pairs)
    if len(files) != len(pairs):
        raise ValueError("a file comes twice")
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
