"""The checks of `stoplog doctor` on the token service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from streams.delegation.anchors import HMAC
from streams.model.plurals import many
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.services.sts.settings import StsSection
from streams.stores.private_folder import is_open_to_others

_NAME = "token service"


def examine_sts(
    section: StsSection,
    trust_anchors: Mapping[str, str | list[str]],
    folder: Path,
    *,
    require_delegation: bool | None = None,
) -> Iterator[Finding]:
    """Check the settings and files of the token service, without using the network.

    Args:
        section: `[sts]` of the settings.
        trust_anchors: the trust anchors of the gates that must accept its grants.
        folder: the folder of its signing keys.
        require_delegation: what the gates' settings state about sessions without a grant; None if nothing.

    Returns:
        The findings; none if the service has no sources.
    """
    if not section.sources:
        return
    troubles = list(_troubles(section, trust_anchors, folder))
    if require_delegation is False:
        troubles.append(
            warned(
                _NAME,
                "it issues grants, but gates with these settings accept sessions without one, which only rules limit",
                "set `gate.require_delegation` to `true`, or remove it",
            )
        )
    yield from troubles
    if not troubles:
        known = f"{many(len(section.sources), 'source')}, {many(len(section.agents), 'agent')}"
        yield fine(_NAME, f"`{section.issuer}`, {known}")


def _troubles(section: StsSection, trust_anchors: Mapping[str, str | list[str]], folder: Path) -> Iterator[Finding]:
    if HMAC not in _listed(trust_anchors.get(section.issuer, ())):
        yield warned(
            _NAME,
            f"gates with these settings reject all grants of `{section.issuer}`",
            f'set `"{section.issuer}" = "{HMAC}"` in `[gate.trust_anchors]`',
        )
    if not section.agents:
        yield failed(_NAME, "no agent is configured, so none can get a token", "add agents in `[sts.agents]`")
    agent_issuers = {source.issuer for source in section.sources.values() if "agent" in source.gives}
    for name, agent in section.agents.items():
        if agent.issuer not in agent_issuers:
            yield failed(
                _NAME,
                f"agent `{name}` has the issuer `{agent.issuer}`, but no source has this issuer and gives agents",
                'add the issuer in `[sts.sources]`, with `gives = ["agent"]`',
            )
    for name, source in section.sources.items():
        path = Path(source.jwks)
        if not source.has_keys_at_url and not path.is_file():
            yield failed(
                _NAME, f"the key file `{path}` of source `{name}` does not exist", "save its key set (JWKS) there"
            )
    keys = folder / "keys"
    if keys.exists() and is_open_to_others(keys):
        yield failed(_NAME, f"`{keys}` can be read by others", f"run `chmod 700 {keys}`, and rotate the keys in it")


def _listed(named: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (named,) if isinstance(named, str) else tuple(named)
