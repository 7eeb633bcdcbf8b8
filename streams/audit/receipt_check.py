"""Checks a receipt of a verdict offline: `python receipt_check.py FILE --key ed25519:...`.

**This file needs no other part of stoplog**, only Python's standard library, and `cryptography` for signatures. Copy it
to wherever a receipt is to be checked, and read it before you trust it. `stoplog audit prove` writes receipts, and
`stoplog audit check-receipt` runs this file.

A receipt (JSON; its `format` is `FORMAT`) has a verdict and its audit record as they lie on their topics. For
each of them it has the path of hashes (RFC 9162) from it to the root of a batch, which is a line of a head that a gate
has signed (C2SP tlog-checkpoint in a signed note, Ed25519). Both are read with the schemas in the receipt (Avro), whose
digests are known here; so nobody can have the same bytes mean something else.

What is proven: a gate whose key you name has given this verdict, and has recorded it. `context` is not proven: it is
what the log says around them. The exit status is 0 if the receipt holds, 1 if it does not, 2 if it can't be read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import struct
import sys
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "stoplog receipt v1"
FILE_BYTES_MAX = 16_777_216
DEPTH_MAX = 32
ITEMS_MAX = 100_000

VERDICT_SCHEMAS = {
    "ac52246bca5130643eeeea868c0b9a2b496fb5f621bdc298078f2e4f242930cd": 2000000009,
    "6fe1d5269d6dcddf8506c71ad1142bfa7001c698ca69b26438d58b28025d3a3a": 2000000024,
    "01bef173ca2fdb87f31894f47bcd35585ed83a410a03353d361dacc62381be03": 2000000031,
    "8ff1966184581353fad02358fbbdf95f52c99897a721ab38d7b832a627efef6e": 2000000062,
    "9a1d3417923e66ed8f0ea6046c6dfaa17767303396920978ecc0f6f61d8d8258": 2000000066,
}
RECORD_SCHEMAS = {
    "d94cb655dca8e15927046e2bc9657286f610b76f44c0ccb443b17e9fb8971d30": 2000000011,
    "c78b30477c13356afaa3df630c7d3c1000327a16020de3270c3d04f45f871cd2": 2000000036,
    "f15c39b7097188791277c0f12862908416b8578cd2ea469c283452554777b4d0": 2000000044,
    "f5068f29d333d91acf9acbdef61255ee531b81a27fffc38ecd724dc522e68196": 2000000052,
}
"""SHA-256 of each published schema without docs (`schemas/published.txt`), and the id that values have without a
registry. A registry gives ids of its own."""

_LOCK_ID_FIRST, _LOCK_ID_LAST = 2_000_000_001, 2_000_999_999
_GOOD_ORIGINS = ("USER", "TRUSTED")
_ORIGINS = {
    "USER": "from the user's own words, or who the user is",
    "TRUSTED": "from data that only the operator's systems write",
    "FIELD": "from a field of a result that others may write",
    "TEXT": "from text that others may write",
    "UNTRUSTED": "from data that others may write",
    "NOWHERE": "from nothing that the session had read",
}


class ReceiptError(Exception):
    """The receipt does not hold; the message says why."""


class UnreadableError(ReceiptError):
    """The file is not a receipt."""


def check(text: bytes, trusted: Sequence[str] | None) -> dict[str, Any]:
    """Check a receipt.

    Args:
        text: the content of the file.
        trusted: public keys of gates as text (`ed25519:...`); None takes the key that the receipt names.

    Returns:
        `verdict` and `record` as they were read, `key` that has signed, `origin` of the log, `sizes` of the log at the
        heads, `context`, `is_within` (True, False, or None where it isn't known) and `facts`, a list of sentences.

    Raises:
        ReceiptError: it does not hold, or can't be read.
    """
    receipt = _parsed(text)
    public = str(_at(receipt, "key", str))
    if trusted is not None and public not in trusted:
        raise ReceiptError(f"it is signed with the key {public}, which is not one that you trust")
    key = _public_key(public)
    origin, sizes, leaves = str(_at(receipt, "origin", str)), [], []
    for name, known in (("verdict", VERDICT_SCHEMAS), ("record", RECORD_SCHEMAS)):
        leaf = _at(receipt, name, dict)
        value = _bytes(_at(_at(leaf, "receipt", dict), "value", str))
        sizes.append(_check_leaf(name, _at(leaf, "receipt", dict), value, origin, key))
        leaves.append((value, _decoded(name, value, str(_at(leaf, "schema", str)), known)))
    (verdict_value, verdict), (_, record) = leaves
    digest = hashlib.sha256(verdict_value).digest()
    if record.get("verdict_digest") != digest or record.get("verdict_id") != verdict["verdict_id"]:
        raise ReceiptError("the audit record is that of another verdict")
    is_within, facts = _judged(verdict, record)
    return {
        "verdict": verdict,
        "record": record,
        "key": public,
        "origin": origin,
        "sizes": sizes,
        "context": context if isinstance(context := receipt.get("context"), dict) else {},
        "is_within": is_within,
        "facts": facts,
    }


def _check_leaf(name: str, leaf: dict[str, Any], value: bytes, origin: str, key: Ed25519PublicKey) -> int:
    """Check that a head which the key has signed covers a value; return the size of the log at that head."""
    note = str(_at(leaf, "signed_head", str))
    body, separator, signatures = note.rpartition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) < 4 or lines[0] != origin:
        raise ReceiptError(f"the head of the {name} is not one of the log `{origin}`")
    message = f"{body}\n".encode()
    if not any(_is_signature(line, origin, message, key) for line in signatures.split("\n")):
        raise ReceiptError(f"the key has not signed the head of the {name}")
    batch = next((line.removeprefix("batch ") for line in lines[3:] if line.startswith("batch ")), "")
    path = [_bytes(each) for each in _at(leaf, "path", list)]
    index, size = int(_at(leaf, "index", int)), int(_at(leaf, "size", int))
    root = _root_of(hashlib.sha256(b"\x00" + value).digest(), index, size, path)
    if root is None or base64.b64encode(root).decode() != batch:
        raise ReceiptError(f"the head does not cover the {name}: its bytes or its place were changed")
    try:
        return int(lines[1])
    except ValueError:
        raise ReceiptError(f"the head of the {name} does not say how long the log is") from None


def _is_signature(line: str, origin: str, message: bytes, key: Ed25519PublicKey) -> bool:
    name, _, encoded = line.removeprefix("\u2014 ").partition(" ")
    if name != origin:
        return False
    try:
        key.verify(_bytes(encoded)[4:], message)
    except InvalidSignature:
        return False
    return True


def _root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root to which a path leads (RFC 9162, section 2.1.3.2); None if it can't be a path of this place."""
    if not 0 <= index < size or any(len(each) != 32 for each in path):
        return None
    at, last, made = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            made = hashlib.sha256(b"\x01" + sibling + made).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            made = hashlib.sha256(b"\x01" + made + sibling).digest()
        at, last = at >> 1, last >> 1
    return made if last == 0 else None


def _judged(verdict: dict[str, Any], record: dict[str, Any]) -> tuple[bool | None, list[str]]:
    """Return whether the act was within the request, and the facts that say so, from what was recorded."""
    facts = [f"the gate decided {verdict['outcome']} ({verdict['reason']}): {verdict['reason_text']}"]
    facts += [
        f"rule {each['rule_id']} ({each['effect'].lower()}, {each['mode'].lower()}): {each['reason']}"
        for each in verdict["rules"]
    ]
    facts += [f"a person has approved it: decision {each}" for each in record.get("approvals") or ()]
    origins = verdict.get("origins") or []
    facts += _sources(origins)
    if record.get("user_request_commit") is None:
        return None, [*facts, "no request of a user is recorded with the call"]
    if not origins:
        return None, [*facts, "the verdict does not say where the values of the call come from"]
    is_within = all(each["origin"] in _GOOD_ORIGINS and not each["instructed"] for each in origins)
    return is_within, facts


def _sources(origins: list[dict[str, Any]]) -> list[str]:
    """Return where the values of the call come from, each fact once. Parts of a value can come from several sources."""
    known = list(dict.fromkeys((each["pointer"], each["origin"], each["instructed"]) for each in origins))
    pointers = [pointer for pointer, _, _ in known]
    return [
        ("the value" if pointers.count(pointer) == 1 else "a part of the value")
        + f" at {pointer or '/'} comes {_ORIGINS.get(origin, '?')}{' and is what they ask for' if instructed else ''}"
        for pointer, origin, instructed in known
    ]


def _decoded(name: str, value: bytes, text: str, known: dict[str, int]) -> dict[str, Any]:
    """Return the fields of a value: `0x00`, the id of its schema in four bytes, and its Avro form."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError(f"the schema of the {name} is not JSON") from None
    content = json.dumps(_without_docs(schema), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(content.encode()).hexdigest()
    schema_id = int.from_bytes(value[1:5], "big")
    is_locked = _LOCK_ID_FIRST <= schema_id <= _LOCK_ID_LAST
    if value[:1] != b"\x00" or digest not in known or (is_locked and schema_id != known[digest]):
        raise ReceiptError(f"the schema of the {name} is not one that this version knows, or not that of the value")
    reader = _Avro(value[5:], schema)
    try:
        found = reader.read(schema, 0)
    except (IndexError, KeyError, ValueError, struct.error, OverflowError):
        raise ReceiptError(f"the {name} can't be read with its schema") from None
    if not isinstance(found, dict) or reader.rest:
        raise ReceiptError(f"the {name} does not end where its schema ends")
    return found


def _without_docs(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_docs(item) for name, item in value.items() if name != "doc"}
    if isinstance(value, list):
        return [_without_docs(item) for item in value]
    return value


class _Avro:
    """Reads the parts of Avro's binary encoding (1.12) that the schemas of stoplog use."""

    def __init__(self, data: bytes, schema: Any) -> None:
        self._data = data
        self._at = 0
        self._items = 0
        self._named: dict[str, Any] = {}
        self._name(schema)

    def _name(self, schema: Any) -> None:
        """Collect the types that have names: a branch that is not taken may define what is used later."""
        if isinstance(schema, list):
            for each in schema:
                self._name(each)
        elif isinstance(schema, dict):
            if schema.get("type") in ("record", "enum", "fixed"):
                self._named[schema["name"]] = schema
            for each in (*schema.get("fields", ()), schema.get("items"), schema.get("type")):
                self._name(each)

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def read(self, schema: Any, depth: int) -> Any:
        """Return a value of a schema."""
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        if isinstance(schema, list):
            return self.read(schema[self._index(len(schema))], depth + 1)
        if isinstance(schema, str):
            return self._simple(schema, depth)
        kind = schema["type"]
        if kind == "record":
            return {each["name"]: self.read(each["type"], depth + 1) for each in schema["fields"]}
        if kind == "enum":
            return schema["symbols"][self._index(len(schema["symbols"]))]
        if kind == "fixed":
            return self._take(schema["size"])
        if kind == "array":
            return self._array(schema["items"], depth)
        return self.read(kind, depth + 1)

    def _simple(self, kind: str, depth: int) -> Any:
        if kind == "null":
            return None
        if kind == "boolean":
            return self._take(1) == b"\x01"
        if kind in ("int", "long"):
            return self._long()
        if kind == "double":
            return struct.unpack("<d", self._take(8))[0]
        if kind in ("string", "bytes"):
            raw = self._take(self._long())
            return raw.decode() if kind == "string" else raw
        return self.read(self._named[kind.rpartition(".")[2]], depth + 1)

    def _array(self, items: Any, depth: int) -> list[Any]:
        found: list[Any] = []
        while count := self._long():
            if count < 0:
                self._long()  # the size of the block in bytes
            self._items += abs(count)
            if self._items > ITEMS_MAX:
                raise ValueError("too many items")
            found += [self.read(items, depth + 1) for _ in range(abs(count))]
        return found

    def _long(self) -> int:
        shift = value = 0
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _index(self, count: int) -> int:
        found = self._long()
        if not 0 <= found < count:
            raise ValueError("no such branch or symbol")
        return found

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= self.rest:
            raise ValueError("the value ends too early")
        self._at += size
        return self._data[self._at - size : self._at]


def _parsed(text: bytes) -> dict[str, Any]:
    if len(text) > FILE_BYTES_MAX:
        raise UnreadableError(f"the file has more than {FILE_BYTES_MAX} bytes")
    try:
        receipt = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableError("the file is not JSON") from None
    if not isinstance(receipt, dict) or receipt.get("format") != FORMAT:
        raise UnreadableError(f"the file is not a `{FORMAT}`")
    return receipt


def _at(values: dict[str, Any], name: str, kind: type) -> Any:
    found = values.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise UnreadableError(f"`{name}` is missing, or is of another type")
    return found


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise UnreadableError("a value is not in base64") from None


def _public_key(text: str) -> Ed25519PublicKey:
    encoded = text.removeprefix("ed25519:")
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError:
        raise UnreadableError(f"`{text[:80]}` is not a public key") from None


def told(found: dict[str, Any]) -> list[str]:
    """Return what a receipt proves, in lines for a person."""
    verdict, record, context = found["verdict"], found["record"], found["context"]
    tool, act = verdict["tool"], verdict["act"]
    commit = record.get("user_request_commit")
    within = {
        True: "the act was within the request",
        False: "the act is not shown to be within the request",
        None: "whether the act was within the request is not known",
    }
    lines = [
        "the receipt holds: a gate has given this verdict, and it is on the record",
        f"  key        {found['key']}",
        f"  log        {found['origin']}, up to record {max(found['sizes'])}",
        f"  call       {tool['server_id']}/{tool['name']} {verdict['args_json']}",
        f"  intent     {verdict['intent_id']}, session {verdict['session_id']}",
        f"  for        {verdict['sub']}, by agent {act['sub']} ({act['iss']})",
        f"  request    {'no commitment' if commit is None else 'commitment ' + commit.hex()}",
        f"{within[found['is_within']]}; the facts:",
        *[f"  - {fact}" for fact in found["facts"]],
    ]
    if context.get("purpose"):
        lines.append(f"not proven, but on the log beside it: the purpose of the session was: {context['purpose']}")
    # Names and values are of others: they must not write lines or colours of their own.
    return ["".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line) for line in lines]


def main(arguments: Sequence[str]) -> int:
    """Check the receipt in a file; return the exit status."""
    parser = argparse.ArgumentParser(description="Check a receipt of a verdict.")
    parser.add_argument("file", help="the receipt")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--key", action="append", help="a public key of gates that you trust (ed25519:...)")
    group.add_argument("--any-key", action="store_true", help="take the key in the receipt: proves nothing about who")
    options = parser.parse_args(arguments)
    try:
        with open(options.file, "rb") as file:  # noqa: PTH123 - no more imports than it needs
            text = file.read(FILE_BYTES_MAX + 1)
        found = check(text, options.key)
    except OSError as error:
        sys.stderr.write(f"the file can't be read: {error.strerror}\n")
        return 2
    except UnreadableError as error:
        sys.stderr.write(f"not a receipt: {error}\n")
        return 2
    except ReceiptError as error:
        sys.stderr.write(f"the receipt does not hold: {error}\n")
        return 1
    sys.stdout.write("\n".join(told(found)) + "\n")
    if options.any_key:
        sys.stdout.write("the key is the receipt's own: compare it with the one that the gates' owner publishes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
