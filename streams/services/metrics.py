"""Serves metrics of a running service for Prometheus, if the settings say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from streams.model.errors import SettingsError

if TYPE_CHECKING:
    from prometheus_client import Metric


class MetricsSection(BaseModel):
    """`[metrics]`: `listen` says where `/metrics` is served for Prometheus, `host:port`; nowhere by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str | None = Field(None, pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")


class Collects(Protocol):
    """A collector of Prometheus' client library, which is an extra."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""


@contextmanager
def serving_metrics(section: MetricsSection, *collectors: Collects) -> Iterator[None]:
    """Serve `/metrics` while entered, if the setting `metrics.listen` says where.

    Args:
        section: the settings.
        collectors: what the service exports besides the metrics of every service.

    Raises:
        SettingsError: the address can't be listened on, or the extra is missing.
    """
    listen = section.listen
    if listen is None:
        yield
        return
    try:
        from prometheus_client import (  # noqa: PLC0415 - an extra
            GC_COLLECTOR,
            PLATFORM_COLLECTOR,
            PROCESS_COLLECTOR,
            CollectorRegistry,
            start_http_server,
        )

        from streams.sdk.metrics import StopMetrics  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise SettingsError(f"setting `metrics.listen` needs `pip install 'stoplog[metrics]'`: {error}") from None
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *collectors):
        registry.register(collector)
    host, _, port = listen.rpartition(":")
    with StopMetrics(registry):
        try:
            server, thread = start_http_server(int(port), host.strip("[]"), registry)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"setting `metrics.listen`: can't listen on `{listen}`: {error}") from None
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
