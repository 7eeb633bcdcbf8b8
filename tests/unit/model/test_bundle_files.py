"""Files of a bundle, plain and packed."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.records import ruleset
from streams.model.bundle_files import PLAIN_CHARS_MAX, UNPACKED_BYTES_MAX, files_form, files_of
from streams.model.control import BundleFile, RulesetBundle

replace = msgspec.structs.replace
EMPTY = replace(ruleset({}), files=())
encode = msgspec.msgpack.encode


def record(files: dict[str, str]) -> RulesetBundle:
    form = files_form(files)
    return replace(EMPTY, files=form.files, packed=form.packed)


@given(files=st.dictionaries(st.text(max_size=5), st.text(max_size=50), max_size=4))
def test_small_bundles_travel_as_they_are(files: dict[str, str]) -> None:
    made = record(files)
    assert not made.packed
    assert files_of(made) == files


def test_large_bundles_travel_packed() -> None:
    files = {"b": "rule: x\n" * PLAIN_CHARS_MAX, "a": "é"}
    made = record(files)
    assert made.files == ()
    assert len(made.packed) < 10_000
    assert files_of(made) == files


@pytest.mark.parametrize(
    "packed",
    [
        b"junk",
        zlib.compress(b"junk"),
        zlib.compress(encode([["a", "b"]]))[:-4],
        zlib.compress(encode([["a", "b"]])) + b"more",
        zlib.compress(encode([["a"]])),
        zlib.compress(encode([["a", 1]])),
        zlib.compress(encode([["a", "x"], ["a", "y"]])),
        zlib.compress(b"\x91\x92\xa1a\xa1\xff"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"packed|twice"):
        files_of(replace(EMPTY, packed=packed))


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(UNPACKED_BYTES_MAX // 1_000_000 + 2))
    with pytest.raises(ValueError, match="more than"):
        files_of(replace(EMPTY, packed=bomb + packer.flush()))


def test_there_is_one_form_and_one_file_of_a_name() -> None:
    file = BundleFile(path="a", content="x")
    with pytest.raises(ValueError, match="either plain or packed"):
        files_of(replace(EMPTY, files=(file,), packed=b"x"))
    with pytest.raises(ValueError, match="twice"):
        files_of(replace(EMPTY, files=(file, file)))


@settings(max_examples=200)
@given(packed=st.binary(min_size=1, max_size=100))
def test_any_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="packed"):
        files_of(replace(EMPTY, packed=packed))
