"""Labels: how far data can be trusted, and who may see it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from streams.model.types import Record


class Integrity(StrEnum):
    """Whether somebody outside could have written the data."""

    UNTRUSTED = "UNTRUSTED"
    TRUSTED = "TRUSTED"


class Confidentiality(StrEnum):
    """Who may see the data, the most confidential first."""

    USER_IDENTITY = "USER_IDENTITY"
    PRIVATE = "PRIVATE"
    PUBLIC = "PUBLIC"


# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED, _UNTRUSTED = Integrity.TRUSTED, Integrity.UNTRUSTED
_CLOSENESS = {Confidentiality.PUBLIC: 0, Confidentiality.PRIVATE: 1, Confidentiality.USER_IDENTITY: 2}


class Label(Record, frozen=True, kw_only=True):
    """A label; `readers` None means anybody."""

    integrity: Integrity = Integrity.UNTRUSTED
    confidentiality: Confidentiality = Confidentiality.USER_IDENTITY
    readers: tuple[str, ...] | None = None


CLEAN = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PUBLIC)
"""The neutral element of `join`: the label of a session that has read nothing."""

WORST = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.USER_IDENTITY, readers=())
"""The absorbing element of `join`: the label of unlabelled data."""


READERS_MAX = 64
READER_BYTES_MAX = 256


def bounded(label: Label) -> Label:
    """Return the label in a size that may be stored: if it names too many or too long readers, nobody may read."""
    readers = label.readers
    if readers is None or (
        len(readers) <= READERS_MAX
        and all(len(reader.encode("utf-8", "surrogatepass")) <= READER_BYTES_MAX for reader in readers)
    ):
        return label
    return Label(integrity=label.integrity, confidentiality=label.confidentiality, readers=())


def join(left: Label, right: Label) -> Label:
    """Return the label of data made from both: the lower integrity, the higher confidentiality, readers of both."""
    if left.readers is None and left == right:
        return left
    trusted = left.integrity is _TRUSTED and right.integrity is _TRUSTED
    closer = max(left.confidentiality, right.confidentiality, key=_CLOSENESS.__getitem__)
    return Label(
        integrity=_TRUSTED if trusted else _UNTRUSTED,
        confidentiality=closer,
        readers=_common_readers(left.readers, right.readers),
    )


def join_all(labels: Iterable[Label]) -> Label:
    """Return the `join` of all labels, starting from `CLEAN`."""
    result = previous = CLEAN
    for label in labels:
        # Most labels of a session are alike, and to join one twice changes nothing.
        if label.readers is not None or label != previous:
            result = join(result, label)
            previous = label
    return result


def _common_readers(left: tuple[str, ...] | None, right: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if left is None:
        return right
    if right is None:
        return left
    return tuple(sorted(set(left) & set(right)))
