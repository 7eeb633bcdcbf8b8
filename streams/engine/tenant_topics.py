"""Keeps the partition counts of tenants' topics up to date while a worker runs.

Operators create a topic for each tenant, also while gates run, and a gate must not write to one that does not exist:
its transaction would fail. The log may take long to answer, so each lookup runs in a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, MutableMapping

from streams.engine.startup import tenant_topics
from streams.ports import Admin, LogError
from streams.topology import ProcessorSpec

_log = logging.getLogger(__name__)


class TenantTopics:
    """Looks for topics of tenants. `look` may be called at any time: at most one lookup runs at once."""

    def __init__(self, spec: ProcessorSpec, open_admin: Callable[[], Admin], counts: MutableMapping[str, int]) -> None:
        """Create it without looking.

        Args:
            spec: the processor that writes to the topics.
            open_admin: opens a client that sets up topics.
            counts: the partition counts by topic name; those of tenants' topics are changed in place.
        """
        self._spec = spec
        self._open_admin = open_admin
        self._counts = counts
        self._others = {topic.name for topic in spec.topics()}
        self._under_way = threading.Lock()

    def look(self) -> None:
        """Start a lookup unless one is running, and return at once."""
        if self._under_way.acquire(blocking=False):
            threading.Thread(target=self._look, name="stoplog-tenant-topics", daemon=True).start()

    def _look(self) -> None:
        try:
            admin = self._open_admin()
            try:
                found = tenant_topics(self._spec, admin)
            finally:
                admin.close()
        except LogError as error:
            _log.warning("the topics of tenants can't be looked up, trying again later: %s", error)
        else:
            gone = self._counts.keys() - self._others - found.keys()
            self._counts.update({**found, **dict.fromkeys(gone, 0)})
        finally:
            self._under_way.release()
