"""What is signed of a release."""

from __future__ import annotations

import msgspec

from streams.model.revocation import Revocation

_DOMAIN = "stoplog release v1"
_encode = msgspec.msgpack.Encoder().encode


def release_message(release: Revocation, deployment: str) -> bytes:
    """Return the bytes that the signature of a release covers: everything that determines what it lifts, and who says
    so.

    They are a msgpack array: values carry their lengths, so no two releases share a message.

    Args:
        deployment: the name of the deployment (the setting `release.deployment`). With keys that several deployments
            share, it keeps the release of one from counting in another.
    """
    return _encode(
        (
            _DOMAIN,
            deployment,
            release.header.tenant_uid,
            release.header.id,
            release.kind.value,
            release.id,
            release.state.value,
            release.lifts_before,
            release.effective_at,
            release.until,
            release.reason,
            release.initiating_entity,
        )
    )
