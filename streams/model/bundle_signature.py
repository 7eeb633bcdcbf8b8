"""What a publisher signs of a bundle, and under which key a publication stands on its topic."""

from __future__ import annotations

import hashlib

import msgspec

from streams.model.control import RulesetBundle

_DOMAIN = "stoplog rules publication v1"
_NAME_CHARS = 16

_encode = msgspec.msgpack.Encoder().encode


def publication_message(bundle: RulesetBundle) -> bytes:
    """The bytes that a signature covers: everything that decides what a gate does with the bundle, and who says so.

    A msgpack array: values carry their lengths, so that no two publications share a message. `digest` stands for the
    files; a gate computes it anew.
    """
    return _encode(
        (
            _DOMAIN,
            bundle.name,
            bundle.serial,
            bundle.version,
            bundle.digest,
            bundle.canary_bp,
            bundle.action.value,
            bundle.published_by,
        )
    )


def publication_key(bundle: RulesetBundle) -> bytes:
    """The key of a publication: every one stands under its own, so that compaction keeps those that came before.

    Two publications of the same serial have different keys: whichever a gate took must not be compacted away.
    """
    name = hashlib.sha256(publication_message(bundle)).hexdigest()[:_NAME_CHARS]
    return f"{bundle.name}@{bundle.serial}.{name}".encode()
