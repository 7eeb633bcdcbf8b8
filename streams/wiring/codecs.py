"""Builds the codec that the settings name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def build_codec(settings: Settings, *, few_records: bool = False) -> Codec:
    """Return the codec that uses the schema registry of the settings, or the committed ids without one.

    Args:
        few_records: whether it is for few records of each topic: see `SeldomCodec`.
    """
    if settings.schema_registry_url is None:
        return build_offline_codec(few_records=few_records)
    from streams.codec.registry import RegistrySchemas  # noqa: PLC0415 - needs the extra `registry`

    committed = CommittedSchemas.load()
    schemas = RegistrySchemas(settings.schema_registry_url, committed, dict(settings.schema_registry))
    return _codec_class(few_records=few_records)(schemas)


def build_offline_codec(*, few_records: bool = False) -> Codec:
    """Return the codec that uses the committed ids, for work that needs no deployment.

    It is always the same one: a command that reads the log and runs what it has read compiles each schema once.

    Args:
        few_records: see `build_codec`.
    """
    return _offline_codec(few_records)


@lru_cache(maxsize=2)
def _offline_codec(few_records: bool) -> Codec:
    return _codec_class(few_records=few_records)(CommittedSchemas.load())


def _codec_class(*, few_records: bool) -> type[Codec]:
    if not few_records:
        return Codec
    from streams.codec.seldom import SeldomCodec  # noqa: PLC0415 - a gate needs none

    return SeldomCodec
