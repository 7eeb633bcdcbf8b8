"""Runs the doctor's checks on the deployment of the settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from streams.kafka.lookups.rights import KafkaRights
from streams.model.errors import SettingsError
from streams.operations.doctor.examination import examine
from streams.operations.doctor.findings import Finding, failed
from streams.operations.doctor.installation import AccessRights, Installation
from streams.services.gate.examination import examine_seal_key
from streams.services.sts.examination import examine_sts
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.contents import examine_content_keys
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings, settings_sources

_NO_REGISTRATION = {"auto.register.schemas": "false"}


def examine_deployment(overrides: Mapping[str, object]) -> Iterator[Finding]:
    """Check everything that a gate needs. Changes nothing; blocking, up to a minute if brokers hang.

    Args:
        overrides: settings from the command line.
    """
    try:
        settings = load_settings(overrides)
    except SettingsError as error:
        yield failed("settings", str(error), "correct the settings first; nothing else can be checked")
        return
    yield from examine(_installation(settings))


def _installation(settings: Settings) -> Installation:
    # A check must not register schemas.
    looking = settings.model_copy(update={"schema_registry": {**settings.schema_registry, **_NO_REGISTRATION}})
    return Installation(
        sources=settings_sources(),
        deployment=settings.deployment,
        topics=settings.topics,
        group=settings.group,
        instance=settings.instance,
        root_key_path=settings.key_path,
        state_dir=settings.state_dir,
        schema_registry_url=settings.schema_registry_url,
        on_embedded_log=settings.log == "embedded",
        clock=SystemClock(),
        build_codec=partial(build_codec, looking),
        open_log=partial(open_log, settings, create=False),
        open_rights=_rights_of(settings),
        services=(
            partial(examine_content_keys, settings.content),
            partial(examine_seal_key, settings.seal, on_embedded_log=settings.log == "embedded"),
            partial(
                examine_sts,
                settings.sts,
                settings.gate.trust_anchors,
                settings.state_dir / "sts",
                require_delegation=settings.gate.require_delegation,
            ),
        ),
    )


def _rights_of(settings: Settings) -> Callable[[], AccessRights] | None:
    if settings.log != "kafka":
        return None
    return partial(KafkaRights, settings.bootstrap, extra=dict(settings.kafka))
