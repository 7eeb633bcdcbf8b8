"""Builds the token service from its parts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from starlette.types import ASGIApp

from streams.http.client_address import LOOPBACK
from streams.http.limits import RateLimit
from streams.identity.jwks import WAIT_S
from streams.identity.keyring import keys_in
from streams.metrics.declared import Exporter
from streams.metrics.health import Health
from streams.metrics.registry import Metrics
from streams.model.token_reasons import TokenReason
from streams.operations.topics.access import TOKEN_SERVICE_PREFIX
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.executor.revocations import RevocationWatch
from streams.services.issuer_keys import issuer_keys
from streams.services.running import Running
from streams.services.sts.development_issuer import DevIssuer, from_here_alone, with_dev_issuer
from streams.services.sts.endpoints import Endpoints
from streams.services.sts.errors import StsError
from streams.services.sts.exchange import TokenService
from streams.services.sts.parts import Parts
from streams.services.sts.session_writer import Ledger, Refusal
from streams.services.sts.settings import StsSection
from streams.services.sts.sources import Sources
from streams.services.sts.store import StsStore
from streams.services.sts.used_tokens import UsedTokens

RETIRED_KEPT_MS = 2 * 86_400_000
"""How long a retired key is still published: longer than any session lives."""


class RunningSts(Running):
    """A token service with all its parts; a context manager.

    Attributes:
        application: an ASGI application.
        keys: its signing keys.
        parts: the parts that handle requests.
        metrics: what it counts.
        dev: the issuer for development, if there is one.
    """

    def __init__(
        self,
        section: StsSection,
        transport: Transport,
        root_key: bytes,
        *,
        tenant_uid: str,
        folder: Path,
        instance: str = "1",
        dev_issuer: bool = False,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Open all parts. Blocks until the revocations in force are known.

        Args:
            section: `[sts]` of the settings.
            transport: the log; the caller closes it.
            folder: the folder of signing keys and of the memory of tokens.
            instance: the service's name: the same after a restart, and no other service has it.
            dev_issuer: whether to issue any token to anybody.

        Raises:
            StsError, IdentityError: the settings or files can't be used.
            ExecutorError: the revocations in force could not be read.
            LogError: a topic that it writes does not exist.
        """
        self.dev = _dev_issuer(section, entropy) if dev_issuer else None
        section = section if self.dev is None else with_dev_issuer(section, self.dev)
        if not section.sources or not section.agents:
            raise StsError(
                "no source or no agent is set: add `[sts.sources.NAME]` and `[sts.agents.NAME]`, or try the service "
                "with `--dev-issuer`"
            )
        with ExitStack() as opened:
            self.keys = keys_in(folder, entropy)
            store = StsStore(folder / "memory.sqlite")
            opened.callback(store.close)
            name = f"{TOKEN_SERVICE_PREFIX}{instance}"
            ledger = Ledger(transport, root_key, issuer=section.issuer, name=name, entropy=entropy)
            opened.callback(ledger.close)
            revocations = RevocationWatch(transport)
            opened.callback(revocations.close)
            revocations.start()
            ledger.check_topics()
            used = _used_tokens(
                transport, store, ledger, service=name, issuer=section.issuer, tenant_uid=tenant_uid, entropy=entropy
            )
            opened.callback(used.close)
            used.start()
            sources = _sources(section, self.dev, tenant_uid, entropy, transport.now_ms)
            sources.load(WAIT_S)
            self.parts = Parts(
                section=section,
                root_key=root_key,
                tenant_uid=tenant_uid,
                sources=sources,
                keys=self.keys,
                store=store,
                used=used,
                ledger=ledger,
                revocations=revocations,
                entropy=entropy,
                now_ms=transport.now_ms,
            )
            self.metrics = Metrics(Exporter.TOKENS)
            self.application = self._application(opened)
            self._opened = opened.pop_all()

    def _application(self, opened: ExitStack) -> ASGIApp:
        """Return the routes of the service over its parts; `opened` closes what they hold."""
        section, monotonic_ms = self.parts.section, self.parts.entropy.monotonic_ms
        per_address = RateLimit(section.per_address_per_minute, monotonic_ms)
        service = TokenService(self.parts)
        endpoints = Endpoints(service, self.keys, section, per_address, self.metrics, monotonic_ms)
        opened.callback(endpoints.close)
        if self.dev is None:
            return endpoints.application([])
        return from_here_alone(endpoints.application(self.dev.routes()))

    def health(self) -> Health:
        """Return what is missing until tokens are issued. Thread-safe.

        The probe is answered by a thread of its own, so a service that answers it lives.
        """
        waits_for = []
        if self.parts.revocations.is_stale():
            waits_for.append("the log: it is not confirmed that all revocations are read")
        if self.parts.used.is_stale():
            waits_for.append("the log: it is not confirmed that all used tokens are read")
        return Health(waits_for=tuple(waits_for))


def _dev_issuer(section: StsSection, entropy: Entropy) -> DevIssuer:
    if not section.on_loopback or section.behind_tls_proxy or urlsplit(section.issuer).hostname not in LOOPBACK:
        raise StsError(
            "`--dev-issuer` gives tokens of anybody to anybody: it is refused where others could reach it "
            f"(`{section.host}`, known as `{section.issuer}`); bind to 127.0.0.1, with an issuer on it and without "
            "`behind_tls_proxy`"
        )
    return DevIssuer(section.issuer, entropy)


def _used_tokens(
    transport: Transport,
    store: StsStore,
    ledger: Ledger,
    *,
    service: str,
    issuer: str,
    tenant_uid: str,
    entropy: Entropy,
) -> UsedTokens:
    """Return the memory of used tokens, not started. It records in the ledger that a claim can't be read."""

    def report(text: str) -> None:
        ledger.refused(Refusal(TokenReason.CLAIM_UNREADABLE, text, tenant_uid))

    return UsedTokens(
        transport,
        store,
        service=service,
        issuer=issuer,
        tenant_uid=tenant_uid,
        entropy=entropy,
        report=report,
    )


def _sources(
    section: StsSection, dev: DevIssuer | None, tenant_uid: str, entropy: Entropy, now_ms: Callable[[], int]
) -> Sources:
    own = {} if dev is None else dict.fromkeys(dev.sources(), dev.key_set)
    keyed = {
        name: (source, issuer_keys(source, section, entropy.monotonic_ms, load=own.get(name)))
        for name, source in section.sources.items()
    }
    return Sources(keyed, tenant_uid=tenant_uid, skew_ms=section.skew_ms, now_ms=now_ms)
