"""Builds the security event service from its parts."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from starlette.applications import Starlette

from streams.audit.signatures import SigningKeyError
from streams.http.limits import RateLimit
from streams.identity.keyring import keys_in
from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.health import Health
from streams.metrics.registry import Metrics
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.executor.revocations import RevocationWatch
from streams.sdk.keys.key_files import read_private
from streams.services.issuer_keys import issuer_keys
from streams.services.running import Running
from streams.services.sending import Backoff
from streams.services.ssf.endpoints import Endpoints
from streams.services.ssf.errors import SsfError
from streams.services.ssf.receiver import Lives, Receiver
from streams.services.ssf.security_events import SetReader, Transmitter
from streams.services.ssf.settings import SsfSection
from streams.services.ssf.store import SsfStore
from streams.services.ssf.transmitter import Push

BEARER_CHARS_MAX = 4_096


class RunningSsf(Running):
    """The service with all its parts; a context manager.

    Attributes:
        application: an ASGI application.
        revocations: the revocations in force, as far as this service knows them.
        metrics: what it counts.
    """

    def __init__(
        self,
        section: SsfSection,
        transport: Transport,
        root_key: bytes,
        *,
        tenant_uid: str,
        folder: Path,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Open all parts, and start pushing events to receivers. Blocks until the revocations in force are known.

        Args:
            section: `[ssf]` of the settings.
            transport: the log; the caller closes it.
            folder: the folder of signing keys and of the memory of events.

        Raises:
            SsfError, IdentityError: the settings or files can't be used.
            ExecutorError: the revocations in force could not be read.
        """
        if not section.transmitters and not section.receivers:
            raise SsfError("no transmitter or receiver is set: add `[ssf.transmitters.NAME]` or `[ssf.receivers.NAME]`")
        with ExitStack() as opened:
            keys = keys_in(folder, entropy)
            store = SsfStore(folder / "memory.sqlite", section.events_per_transmitter_max)
            opened.callback(store.close)
            self.revocations = RevocationWatch(transport)
            opened.callback(self.revocations.close)
            self.revocations.start()
            reader = SetReader(
                _transmitters(section, entropy),
                age_max_ms=section.set_age_max_ms,
                skew_ms=section.skew_ms,
                now_ms=transport.now_ms,
            )
            receiver = Receiver(
                reader,
                store,
                transport,
                self.revocations,
                root_key,
                tenant_uid=tenant_uid,
                lives=Lives(section.user_stop_ms, section.set_age_max_ms + section.skew_ms),
                entropy=entropy,
            )
            self.metrics = Metrics(Exporter.EVENTS)
            self._pushes: dict[str, Push] = {}
            self.metrics.before_scrape(self._look)
            for name, told in section.receivers.items():
                push = self._pushes[name] = Push(
                    name,
                    told,
                    issuer=section.issuer,
                    bearer=_bearer(told.bearer_file),
                    keys=keys,
                    store=store,
                    transport=transport,
                    backoff=Backoff(section.retry_first_ms, section.retry_max_ms),
                    metrics=self.metrics,
                )
                opened.callback(push.stop)
                push.start()
            per_address = RateLimit(section.per_address_per_minute, entropy.monotonic_ms)
            endpoints = Endpoints(receiver, keys, section, per_address, self.metrics, entropy.monotonic_ms)
            opened.callback(endpoints.close)
            self.application: Starlette = endpoints.application()
            self._opened = opened.pop_all()

    def health(self) -> Health:
        """Return what is missing until events are processed. Thread-safe.

        Receivers that do not answer do not count: to restart this service would not help.
        """
        if self.revocations.is_stale():
            return Health(waits_for=("the log: it is not confirmed that all revocations are read",))
        return Health()

    def _look(self) -> None:
        known = self.revocations.position
        unsent: dict[tuple[str, ...], float] = {
            (name,): float(max(0, known - push.position)) for name, push in self._pushes.items()
        }
        self.metrics.replace(declared.EVENTS_UNSENT, unsent)


def _transmitters(section: SsfSection, entropy: Entropy) -> dict[str, Transmitter]:
    return {
        each.issuer: Transmitter(
            name, each, issuer_keys(each, section, entropy.monotonic_ms), _bearer(each.bearer_file)
        )
        for name, each in section.transmitters.items()
    }


def _bearer(path: Path | None) -> str | None:
    """Raises:
    SsfError: the file can't be read, is open to others, or holds no token.
    """
    if path is None:
        return None
    try:
        text = read_private(path).decode("ascii").strip()
    except SigningKeyError as error:
        raise SsfError(str(error)) from None
    except UnicodeDecodeError as error:
        raise SsfError(f"bearer token `{path}` can't be read: {error}") from None
    if not 0 < len(text) <= BEARER_CHARS_MAX or not text.isprintable() or " " in text:
        raise SsfError(f"`{path}` does not have exactly one bearer token")
    return text
