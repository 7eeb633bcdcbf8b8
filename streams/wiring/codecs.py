"""Builds the codec that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def build_codec(settings: Settings) -> Codec:
    """Return the codec that uses the schema registry of the settings, or the committed ids without one."""
    if settings.schema_registry_url is None:
        return build_offline_codec()
    from streams.codec.registry import RegistrySchemas  # noqa: PLC0415 - needs the extra `registry`

    committed = CommittedSchemas.load()
    return Codec(RegistrySchemas(settings.schema_registry_url, committed, dict(settings.schema_registry)))


@lru_cache(maxsize=1)
def build_offline_codec() -> Codec:
    """Return the codec that uses the committed ids, for work that needs no deployment.

    It is always the same one: a command that reads the log and runs what it has read compiles each schema once.
    """
    return Codec(CommittedSchemas.load())
