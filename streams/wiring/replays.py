"""Sets up replays: with the settings of the gates whose verdicts are on the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.codec.wire import CodecWire
from streams.operations.replay.run import ReplaySetup
from streams.wiring.codecs import build_codec

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def setup_replay(settings: Settings, root_key: bytes) -> ReplaySetup:
    """Return the setup of a replay.

    Args:
        settings: those of the gates; other ones can lead to other verdicts.
        root_key: the key that session keys are derived from.

    Raises:
        SettingsError: the settings name invalid keys.
        SchemaError: the schema registry of the settings can't be used.
    """
    return ReplaySetup(
        wire=CodecWire(build_codec(settings)),
        gate=settings.gate_settings(root_key),
        engine=settings.engine.for_engine(),
        publishers=settings.rules.trusted(),
        reviewers=settings.catalog.trusted(),
        releasers=settings.release.trusted(),
        writers=settings.attributes.trusted(),
        attributes_room=settings.attributes.room(),
    )
