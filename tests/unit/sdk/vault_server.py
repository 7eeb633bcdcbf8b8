"""A Vault server with a transit engine, by its documented API: keys of the type `rsa-3072`, their versions, decrypt."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OAEP = padding.OAEP(mgf=padding.MGF1(SHA256()), algorithm=SHA256(), label=None)
WRITER, READER = "hvs.writer", "hvs.reader"


class Vault:
    """The keys of the engine, by name and version, and what was asked."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[int, RSAPrivateKey]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.address = ""

    def create(self, name: str) -> None:
        """Create a key, or its next version."""
        versions = self.keys.setdefault(name, {})
        versions[len(versions) + 1] = generate_private_key(65_537, 3_072)

    def answer(self, method: str, path: str, token: str, body: Any) -> tuple[int, Any]:
        """Return the status and the body of the answer to a request."""
        self.asked.append((method, path, token))
        verb, _, name = path.removeprefix("/v1/transit/").partition("/")
        allowed = {("GET", "keys"): (WRITER, READER), ("POST", "decrypt"): (READER,)}
        if token not in allowed.get((method, verb), ()):
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        versions = self.keys.get(name)
        if versions is None:
            return (404, {"errors": []}) if verb == "keys" else (400, {"errors": ["encryption key not found"]})
        if verb == "keys":
            public = {
                str(number): {
                    "creation_time": "2026-11-27T00:00:00Z",
                    "name": "rsa-3072",
                    "public_key": key.public_key()
                    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                    .decode(),
                }
                for number, key in versions.items()
            }
            return 200, {"data": {"name": name, "type": "rsa-3072", "latest_version": len(versions), "keys": public}}
        prefix, version, wrapped = body["ciphertext"].split(":")
        key = versions.get(int(version.removeprefix("v")))
        if prefix != "vault" or key is None:
            return 400, {"errors": ["invalid ciphertext: version is too new"]}
        try:
            plain = key.decrypt(base64.b64decode(wrapped), OAEP)
        except ValueError:
            return 500, {"errors": ["1 error occurred:\n\t* internal error\n\n"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@contextmanager
def vault_server() -> Iterator[Vault]:
    """Serve a vault on loopback."""
    vault = Vault()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = vault.answer(self.command, self.path, self.headers.get("x-vault-token", ""), body)
            data = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    vault.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vault
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
