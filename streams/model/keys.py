"""Record keys, and the partitions that they belong to."""

from __future__ import annotations

from streams.model.revocation import RevocationKind

_SEED = 0x9747B28C
_M = 0x5BD1E995
_R = 24
_MASK = 0xFFFFFFFF


def is_tenant_name(text: str) -> bool:
    """Return whether a tenant may be called so: the keys of records are made of its name."""
    return bool(text) and "|" not in text and "\x00" not in text


def session_key_of(tenant_uid: str, session_id: str) -> bytes:
    """Return `tenant|session_id`: the key of everything that belongs to a session.

    Raises:
        ValueError: the tenant contains a `|`, so two different pairs could share a key.
    """
    if "|" in tenant_uid:
        msg = f"tenant `{tenant_uid}` contains a `|`, which separates tenant and session in keys"
        raise ValueError(msg)
    return f"{tenant_uid}|{session_id}".encode()


def revocation_key(kind: RevocationKind, target: str) -> bytes:
    """Return `kind:id`, the key of a revocation."""
    return f"{kind.value}:{target}".encode()


def tool_key(server_id: str, name: str) -> bytes:
    """Return `server_id/name`, the name of a tool."""
    return f"{server_id}/{name}".encode()


def baseline_key(tenant_uid: str, agent: str, epoch: str) -> bytes:
    """Return `tenant|agent/epoch`, the key of the baseline of an agent in an epoch."""
    return f"{tenant_uid}|{agent}/{epoch}".encode()


def murmur2(data: bytes) -> int:
    """Return the 32-bit MurmurHash2 of Kafka's default partitioner (`org.apache.kafka.common.utils.Utils`),
    unsigned."""
    length = len(data)
    h = (_SEED ^ length) & _MASK
    body = length & ~3
    for at in range(0, body, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> _R)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    tail = data[body:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner assigns to a key, the same for clients in every
    language."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
