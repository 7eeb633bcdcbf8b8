"""Serves metrics and health of a running service, and exports its traces, if the settings say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from streams.metrics.exposition import scraper
from streams.metrics.health import Probe
from streams.metrics.registry import Metrics
from streams.metrics.traces import Traces, open_traces
from streams.model.errors import SettingsError

if TYPE_CHECKING:
    from prometheus_client import Metric

    from streams.http.monitor import View


class MetricsSection(BaseModel):
    """`[metrics]`: metrics and health of gates and other services.

    Attributes:
        listen: where `/metrics`, `/health/live` and `/health/ready` are served; by default nowhere. `:port` is on
            loopback, `host:port` on that address.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str | None = Field(None, pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]*):[0-9]{1,5}$")


class TracesSection(BaseModel):
    """`[traces]`: traces of intents.

    Attributes:
        endpoint: the URL to which spans are exported with OTLP over HTTP; by default they are not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    endpoint: str | None = Field(None, pattern=r"^https?://[^\s]+$")


class Collects(Protocol):
    """A collector of Prometheus' client library, which is an extra."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""


@contextmanager
def serving_metrics(
    section: MetricsSection,
    *collectors: Collects,
    metrics: Metrics | None = None,
    probe: Probe | None = None,
    views: Mapping[str, View] | None = None,
    setting: str = "metrics.listen",
) -> Iterator[int | None]:
    """Serve metrics and health while entered, if the setting `metrics.listen` says where.

    Args:
        section: the settings.
        collectors: what the service exports besides its metrics and those of every process.
        metrics: the metrics of the service.
        probe: its health.
        views: what it serves besides, by the path.
        setting: the name of the setting that says where, for errors.

    Yields:
        The port; None if nothing is served.

    Raises:
        SettingsError: the address can't be listened on, or the extra is missing.
    """
    listen = section.listen
    if listen is None:
        yield None
        return
    from streams.http.monitor import MonitorError, monitored  # noqa: PLC0415 - a server, and every command has settings

    try:
        from prometheus_client import (  # noqa: PLC0415 - an extra
            GC_COLLECTOR,
            PLATFORM_COLLECTOR,
            PROCESS_COLLECTOR,
            CollectorRegistry,
        )

        from streams.sdk.metrics import StopMetrics  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        raise SettingsError(f"setting `{setting}` needs `pip install 'stoplog[metrics]'`: {error}") from None
    registry = CollectorRegistry()
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *collectors):
        registry.register(collector)
    with StopMetrics(registry), ExitStack() as opened:
        try:
            port = opened.enter_context(monitored(listen, probe, scraper(metrics, registry), views))
        except MonitorError as error:
            raise SettingsError(f"setting `{setting}`: {error}") from None
        yield port


@contextmanager
def exporting_traces(section: TracesSection, service: str, instance: str) -> Iterator[Traces | None]:
    """Export spans while entered, if the setting `traces.endpoint` says where.

    Args:
        section: the settings.
        service: the name of the service in the traces.
        instance: the name of this process.

    Yields:
        What exports; None if nothing is exported.

    Raises:
        SettingsError: the extra `traces` is missing.
    """
    if section.endpoint is None:
        yield None
        return
    with open_traces(section.endpoint, service, instance) as traces:
        yield traces
