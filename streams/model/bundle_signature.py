"""What a publisher signs of a bundle, and the key of a publication on its topic."""

from __future__ import annotations

import hashlib

import msgspec

from streams.model.control import RulesetBundle

_DOMAIN = "stoplog rules publication v1"
_NAME_CHARS = 16

_encode = msgspec.msgpack.Encoder().encode


def publication_message(bundle: RulesetBundle) -> bytes:
    """Return the bytes that a signature covers: everything that determines what a gate does with the bundle, and its
    publisher.

    They are a msgpack array: values carry their lengths, so no two publications share a message. `digest` stands for
    the files; a gate computes it itself.
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
    """Return the key of a publication: each has its own, so that compaction keeps earlier ones.

    Two publications with the same serial have different keys: the one that a gate accepted must not be compacted away.
    """
    name = hashlib.sha256(publication_message(bundle)).hexdigest()[:_NAME_CHARS]
    return f"{bundle.name}@{bundle.serial}.{name}".encode()
