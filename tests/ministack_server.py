"""Runs MiniStack with `ReEncrypt`, the one operation of KMS that stoplog uses and MiniStack lacks.

By the documentation of the operation, it is a Decrypt with the source's fields and an Encrypt with the destination's.
So it is made of MiniStack's own two operations, in its own process. It is run as a script, with MiniStack on its path.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.app import main
from ministack.services import kms

_Answer = tuple[int, dict[str, str], bytes]
_handle_request = kms.handle_request


async def _handle_more(
    method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
) -> _Answer:
    async def ask(operation: str, **fields: object) -> _Answer:
        target = {**headers, "x-amz-target": f"TrentService.{operation}"}
        answer: _Answer = await _handle_request(method, path, target, json.dumps(fields).encode(), query_params)
        return answer

    if headers.get("x-amz-target") != "TrentService.ReEncrypt":
        answer: _Answer = await _handle_request(method, path, headers, body, query_params)
        return answer
    asked = json.loads(body)
    source, destination = asked["SourceEncryptionAlgorithm"], asked["DestinationEncryptionAlgorithm"]
    opened = await ask(
        "Decrypt",
        KeyId=asked["SourceKeyId"],
        CiphertextBlob=asked["CiphertextBlob"],
        EncryptionAlgorithm=source,
    )
    if opened[0] != 200:
        return opened
    told = json.loads(opened[2])
    status, answered, wrapped = await ask(
        "Encrypt", KeyId=asked["DestinationKeyId"], Plaintext=told["Plaintext"], EncryptionAlgorithm=destination
    )
    if status != 200:
        return status, answered, wrapped
    made = json.loads(wrapped)
    fields = {"SourceKeyId": told["KeyId"], "SourceEncryptionAlgorithm": source}
    fields |= {"KeyId": made["KeyId"], "CiphertextBlob": made["CiphertextBlob"]}
    return status, answered, json.dumps(fields | {"DestinationEncryptionAlgorithm": destination}).encode()


if __name__ == "__main__":
    kms.handle_request = _handle_more
    main()
