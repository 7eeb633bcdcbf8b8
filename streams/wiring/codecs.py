"""Builds the codec that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas, SchemaSource

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def build_codec(settings: Settings) -> Codec:
    """Return the codec that uses the schema registry of the settings, or the committed ids without one."""
    return Codec(_schema_source(settings))


def build_offline_codec() -> Codec:
    """Return the codec that uses the committed ids, for work that needs no deployment."""
    return Codec(CommittedSchemas.load())


def _schema_source(settings: Settings) -> SchemaSource:
    committed = CommittedSchemas.load()
    if settings.schema_registry_url is None:
        return committed
    from streams.codec.registry import RegistrySchemas  # noqa: PLC0415 - needs the extra `registry`

    return RegistrySchemas(settings.schema_registry_url, committed, dict(settings.schema_registry))
