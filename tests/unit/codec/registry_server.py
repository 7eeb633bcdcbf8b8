"""A schema registry for tests: the part of the protocol that we use, over HTTP, kept in memory."""

from __future__ import annotations

import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Registry:
    """Serves at `url` until closed. `requests` are all it was asked; while `broken`, every answer is an error 500."""

    def __init__(self) -> None:
        self.subjects: dict[str, list[dict[str, object]]] = {}
        self.compatibility: dict[str, str] = {}
        self.requests: list[str] = []
        self.broken = False
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, subject: str, text: str) -> int:
        """Register a schema; the same text has the same id under every subject."""
        everything = [version for versions in self.subjects.values() for version in versions]
        same = [version for version in everything if version["schema"] == text]
        versions = self.subjects.setdefault(subject, [])
        schema_id = same[0]["id"] if same else len({version["id"] for version in everything}) + 1
        guid = str(uuid.uuid5(uuid.NAMESPACE_URL, text))
        versions.append(
            {"subject": subject, "version": len(versions) + 1, "id": schema_id, "guid": guid, "schema": text}
        )
        return int(str(schema_id))


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def _answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        self.registry.requests.append(f"{self.command} {'/'.join(parts)}")
        status, answer = (
            (500, {"error_code": 50001, "message": "broken"}) if self.registry.broken else self._do(parts, body)
        )
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _do(self, parts: list[str], body: dict[str, str]) -> tuple[int, object]:
        registry = self.registry
        match self.command, parts:
            case "PUT", ["config", subject]:
                registry.compatibility[subject] = body["compatibility"]
                return 200, body
            case "POST", ["subjects", subject, "versions"]:
                return 200, {"id": registry.add(subject, body["schema"])}
            case "POST", ["subjects", subject]:
                found = [v for v in registry.subjects.get(subject, []) if v["schema"] == body["schema"]]
                return (200, found[0]) if found else (404, {"error_code": 40403, "message": "Schema not found"})
            case "GET", ["subjects", subject, "versions"] if subject in registry.subjects:
                return 200, [version["version"] for version in registry.subjects[subject]]
            case "GET", ["subjects", subject, "versions", number] if subject in registry.subjects:
                return 200, registry.subjects[subject][int(number) - 1]
        return 404, {"error_code": 40401, "message": "Subject not found"}
