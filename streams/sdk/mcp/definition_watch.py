"""Watch the tools that an executor's MCP servers list, to report a changed tool before somebody calls it.

An executor compares every call with the live definition anyway (`streams.sdk.executor.verdict_checks`). This module
informs the rest of the deployment: it reports the definition that is listed now. `stoplog catalog watch` reads these
reports, blocks the tool and raises an alert.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Self

from streams.model.audit import AuditEvent, AuditEventType, AuditPhase, RetentionClass
from streams.model.canonical import CanonicalError
from streams.model.definition import definition_digests
from streams.model.errors import RecordError
from streams.model.keys import session_key_of
from streams.model.reasons import REFUSAL_TEXTS, Refusal
from streams.model.topics import AUDIT_REPORTED
from streams.model.types import Actor, Header, ToolRef
from streams.ports import LogError
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import McpServerError, PublishError
from streams.sdk.mcp.server import McpServer

POLL_MS = 60_000
"""How often servers are asked that do not announce changes."""

LOOK_PAUSE_MS = 500
"""The least time between two looks, however often a server announces changes."""

PAUSES_PER_LOOK = 9
"""How many times as long as a look the pause after it is.

To digest a listing of 8 MB can take seconds, so a server that announces changes without end would take the processor
from everything else that the executor does.
"""

REPORTS_PER_SERVER_MAX = 200
REPORTS_EVERY_MS = 3_600_000
NAME_CHARS_MAX = 1_024
"""The longest tool name that is reported; no tool with a longer name can be called."""

CLOSE_TIMEOUT_MS = 5_000
NOT_CANONICAL = bytes(32)
"""Stands for the digest of a definition without a canonical form: no approval has it."""

_log = logging.getLogger(__name__)


class DefinitionWatch:
    """Reports definitions that differ from those at its start. Thread-safe; a context manager.

    A change is reported once, and so is a change back. The definitions at the start are taken as the approved ones. If
    they were not approved, the gate denies their calls and raises an alert.
    """

    def __init__(
        self,
        transport: Transport,
        servers: Sequence[McpServer],
        *,
        source: str,
        tenant_uid: str,
        poll_ms: int = POLL_MS,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """List the tools of the servers, and keep doing so in a thread.

        Args:
            source: the name of the reporter, as a URI reference.
            tenant_uid: the tenant of the executor.
            poll_ms: how often servers are asked; a server that announces a change is asked at once.

        Raises:
            McpServerError: a server does not answer.
            ValueError: the tenant holds a `|`.
        """
        self._transport = transport
        self._servers = tuple(servers)
        self._source = source
        self._tenant_uid = tenant_uid
        self._key = session_key_of(tenant_uid, "")  # a report concerns no session
        self._poll_ms = poll_ms
        self._entropy = entropy
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        # Registered before the first listing: what changes in between is looked at again.
        for server in servers:
            server.on_tools_changed = self._woken.set
        self._digests = {server.server_id: _listed(server) for server in servers}
        self._reports_left = dict.fromkeys(self._digests, REPORTS_PER_SERVER_MAX)
        self._reports_since_ms = entropy.monotonic_ms()
        self._thread = threading.Thread(target=self._run, name="stoplog-definitions", daemon=True)
        self._thread.start()

    def look(self) -> int:
        """Ask all servers now; return how many definitions have changed since the last time. Blocking.

        Raises:
            McpServerError: a server does not answer.
            PublishError, LogError: the changes can't be reported; the next look reports them.
        """
        changed, errors = 0, []
        with self._lock:
            for server in self._servers:
                try:
                    changed += self._look_at(server)
                except (McpServerError, TimeoutError, PublishError, LogError, RecordError) as error:
                    # What one server does must not hide what the others have changed.
                    errors.append(error)
        if errors:
            raise errors[0]
        return changed

    def _look_at(self, server: McpServer) -> int:
        listed = _listed(server)
        before = self._digests[server.server_id]
        names = [name for name in {**before, **listed} if before.get(name) != listed.get(name)]
        told = {name: listed[name] for name in names if name in listed and len(name) <= NAME_CHARS_MAX}
        kept = self._within_bounds(server.server_id, told)
        self._report(server.server_id, kept)
        # Only what was reported counts: the next look reports what could not be.
        self._reports_left[server.server_id] -= len(kept)
        self._digests[server.server_id] = listed
        return len(names)

    def _within_bounds(self, server_id: str, told: dict[str, bytes]) -> dict[str, bytes]:
        """Keep only as many changes as a server may report in an hour, so that it cannot fill the audit log."""
        now_ms = self._entropy.monotonic_ms()
        if now_ms - self._reports_since_ms >= REPORTS_EVERY_MS:
            self._reports_since_ms = now_ms
            self._reports_left = dict.fromkeys(self._reports_left, REPORTS_PER_SERVER_MAX)
        kept = dict(list(told.items())[: self._reports_left[server_id]])
        if len(kept) < len(told):
            lost_count = len(told) - len(kept)
            _log.warning("server `%s` changes tools too often: %d changes are not reported", server_id, lost_count)
        return kept

    def close(self) -> None:
        """Stop watching. May be called again."""
        self._stopping.set()
        self._woken.set()
        self._thread.join(CLOSE_TIMEOUT_MS / 1000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._poll_ms / 1000)
            self._woken.clear()
            if self._stopping.is_set():
                return
            began_ms = self._entropy.monotonic_ms()
            try:
                self.look()
            except Exception as error:
                # Whatever a server sends, it must not end the watch.
                _log.warning("the tools of the MCP servers can't be watched: %s", error)
            took_ms = self._entropy.monotonic_ms() - began_ms
            # At most as long as between two looks: one slow server must not blind the watch over the others.
            pause_ms = min(PAUSES_PER_LOOK * took_ms, self._poll_ms)
            self._stopping.wait(max(LOOK_PAUSE_MS, pause_ms) / 1000)

    def _report(self, server_id: str, changed: Mapping[str, bytes]) -> None:
        records = []
        for name, digest in changed.items():
            now_ms = self._transport.now_ms()
            audit = AuditEvent(
                header=Header(
                    id=self._entropy.uuid(now_ms), source=self._source, time=now_ms, tenant_uid=self._tenant_uid
                ),
                event_type=AuditEventType.REFUSAL,
                phase=AuditPhase.CONCURRENT,
                session_id="",
                act=Actor(iss="", sub=self._source),
                tool=ToolRef(server_id=server_id, name=name, definition_digest=digest),
                reason=Refusal.DEFINITION_CHANGED.value,
                reason_text=f"{REFUSAL_TEXTS[Refusal.DEFINITION_CHANGED]}: listed is {digest.hex()[:16]}",
                retention_class=RetentionClass.LONG,
            )
            records.append(outgoing(self._transport, AUDIT_REPORTED, self._key, audit, audit.header))
        publish(self._transport, records)


def _listed(server: McpServer) -> dict[str, bytes]:
    digests: dict[str, bytes] = {}
    for tool in server.list_tools():
        try:
            digests[str(tool["name"])] = definition_digests(tool).definition
        except CanonicalError:
            digests[str(tool["name"])] = NOT_CANONICAL
    return digests
