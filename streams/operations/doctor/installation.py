"""The input of a doctor's checks: a deployment as its settings describe it, and the ways to reach its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streams.operations.doctor.findings import Finding
from streams.operations.settings import Deployment, TopicsSection
from streams.ports import Clock
from streams.ports.open_log import Log
from streams.sdk.connection.transport import RecordCodec


class AccessRights(Protocol):
    """Reports what this client may do on a log that has access control."""

    def on_topics(self, topics: Sequence[str]) -> dict[str, frozenset[str] | None]:
        """Return the allowed operations (`READ`, `WRITE`) by topic; None where the log does not say.

        Raises:
            LogError: the log did not answer, or refused to.
        """

    def on_group(self, group: str) -> frozenset[str] | None:
        """Return the same for a consumer group.

        Raises:
            LogError: the log did not answer, or refused to.
        """

    def close(self) -> None:
        """Release the connection."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """The parts of a deployment that are checked.

    Attributes:
        sources: where the settings come from; empty for the defaults alone.
        deployment: the trusted signers, and which rules are enforced.
        topics: how the topics are declared.
        group: the consumer group of the gates.
        instance: the name of the gate.
        root_key_path: the file of the root key.
        state_dir: the folder of local state.
        schema_registry_url: where schema ids come from; None for the lock file.
        on_embedded_log: whether the log is a file on this machine.
        clock: this machine's.
        build_codec: makes the codec without registering schemas; raises `SchemaError`.
        open_log: opens the log; raises `LogMissingError` or `LogError`.
        open_rights: connects to ask for rights; None where the log has no access control.
        services: the checks of further services.
    """

    sources: Sequence[str]
    deployment: Deployment
    topics: TopicsSection
    group: str
    instance: str
    root_key_path: Path
    state_dir: Path
    schema_registry_url: str | None
    on_embedded_log: bool
    clock: Clock
    build_codec: Callable[[], RecordCodec]
    open_log: Callable[[], Log]
    open_rights: Callable[[], AccessRights] | None
    services: Sequence[Callable[[], Iterator[Finding]]] = ()
