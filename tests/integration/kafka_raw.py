"""Writes one record with Kafka's wire protocol by hand, to say what no client library lets one say."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

PRODUCE, PRODUCE_VERSION = 0, 3
ACKS_ALL = -1
_POLYNOMIAL = 0x82F63B78


def produce_raw(bootstrap: str, topic: str, value: bytes, headers: Sequence[tuple[bytes, bytes | None]]) -> int:
    """Append a record to partition 0. Returns the broker's error code (0: stored)."""
    batch = _batch(_record(value, headers))
    name = topic.encode()
    body = struct.pack(">hhi", -1, ACKS_ALL, 5_000) + struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iii", 1, 0, len(batch)) + batch
    message = struct.pack(">hhih", PRODUCE, PRODUCE_VERSION, 1, -1) + body
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(message)) + message)
        with connection.makefile("rb") as answer:
            (size,) = struct.unpack(">i", answer.read(4))
            content = answer.read(size)
    # Correlation id, one topic with its name, one partition and its number.
    (code,) = struct.unpack_from(">h", content, 4 + 4 + 2 + len(name) + 4 + 4)
    return int(code)


def _record(value: bytes, headers: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    body = b"\0" + _varint(0) + _varint(0) + _sized(None) + _sized(value) + _varint(len(headers))
    body += b"".join(_sized(name) + _sized(content) for name, content in headers)
    return _varint(len(body)) + body


def _batch(record: bytes) -> bytes:
    now_ms = 1_700_000_000_000
    tail = struct.pack(">hiqqqhii", 0, 0, now_ms, now_ms, -1, -1, -1, 1) + record
    middle = struct.pack(">ibI", -1, 2, _crc32c(tail))
    return struct.pack(">qi", 0, len(middle + tail)) + middle + tail


def _sized(content: bytes | None) -> bytes:
    return _varint(-1) if content is None else _varint(len(content)) + content


def _varint(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL & -(crc & 1))
    return crc ^ 0xFFFFFFFF
