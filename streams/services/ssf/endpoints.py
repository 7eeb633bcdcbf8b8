"""The HTTP endpoints: events are pushed to `/events` (RFC 8935); other routes describe the service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from streams.http.answers import NO_STORE, JsonAnswer, health, key_set, retry_after
from streams.http.application import application_of
from streams.http.bodies import BodyError, read_body
from streams.http.client_address import place_of
from streams.http.limits import RateLimit
from streams.identity.jose import TOKEN_CHARS_MAX
from streams.identity.keyring import KeyRing
from streams.metrics import declared
from streams.metrics.registry import Metrics
from streams.services.ssf.errors import RefusedSetError, SetError, UnavailableError
from streams.services.ssf.receiver import Receiver
from streams.services.ssf.settings import SsfSection

WAITING_MAX = 64
"""How many events can wait to be processed; senders of more are asked to retry."""

RETRY_AFTER_S = 1
_MS_PER_S = 1_000
_MEDIA_TYPE = "application/secevent+jwt"
_log = logging.getLogger(__name__)


class Endpoints:
    """The routes of one service."""

    def __init__(
        self,
        receiver: Receiver,
        keys: KeyRing,
        section: SsfSection,
        per_address: RateLimit,
        metrics: Metrics,
        timer_ms: Callable[[], int],
    ) -> None:
        """Args:
        metrics: what it counts.
        timer_ms: a clock that never goes back, ms.
        """
        self._metrics = metrics
        self._timer_ms = timer_ms
        self._receiver = receiver
        self._keys = keys
        self._section = section
        self._per_address = per_address
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="stoplog-ssf")
        self._waiting = 0

    def application(self) -> Starlette:
        """Return the application."""
        return application_of(
            [
                Route("/events", self._events, methods=["POST"]),
                Route("/jwks", self._jwks, methods=["GET"]),
                Route("/.well-known/ssf-configuration", self._configuration, methods=["GET"]),
                Route("/healthz", health, methods=["GET"]),
            ]
        )

    def close(self) -> None:
        """Wait for events that are being processed."""
        self._threads.shutdown(wait=True)

    async def _events(self, request: Request) -> Response:
        began_ms = self._timer_ms()
        answer = await self._answer(request)
        self._metrics.observe(declared.EVENT_SECONDS, [(self._timer_ms() - began_ms) / _MS_PER_S])
        return answer

    async def _answer(self, request: Request) -> Response:
        try:
            wait_ms = self._per_address.take(place_of(request))
            if wait_ms:
                return self._later(429, wait_ms, "rate_limited")
            token = await _token(request)
            if self._waiting >= WAITING_MAX:
                return self._later(503, RETRY_AFTER_S * _MS_PER_S, "busy")
            self._waiting += 1
            try:
                loop = asyncio.get_running_loop()
                authorization = request.headers.get("authorization")
                is_new = await loop.run_in_executor(self._threads, self._receiver.take, token, authorization)
            finally:
                self._waiting -= 1
        except RefusedSetError as error:
            _log.warning("an event was rejected (%s): %s", error.code.value, error)
            self._metrics.add(declared.EVENTS_REFUSED, error.code.value)
            body = {"err": error.code.value, "description": str(error)}
            return JsonAnswer(body, 400, headers={**NO_STORE, "content-language": "en"})
        except UnavailableError as error:
            _log.warning("an event could not be processed: %s", error)
            return self._later(503, RETRY_AFTER_S * _MS_PER_S, "unavailable")
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            # It is not certain that it was processed, so the sender must retry.
            _log.exception("an event could not be processed")
            return self._later(503, RETRY_AFTER_S * _MS_PER_S, "unavailable")
        self._metrics.add(declared.EVENTS_RECEIVED, "processed" if is_new else "repeated")
        return Response(status_code=202, headers=NO_STORE)

    def _later(self, status: int, wait_ms: int, reason: str) -> Response:
        self._metrics.add(declared.EVENTS_REFUSED, reason)
        return Response(status_code=status, headers={**NO_STORE, **retry_after(wait_ms)})

    async def _jwks(self, _request: Request) -> Response:
        return key_set(self._keys.published())

    async def _configuration(self, _request: Request) -> Response:
        """Return the transmitter's metadata (SSF 1.0, 7.1)."""
        issuer = self._section.issuer
        return JsonAnswer(
            {
                "spec_version": "1_0",
                "issuer": issuer,
                "jwks_uri": f"{issuer.rstrip('/')}/jwks",
                "delivery_methods_supported": ["urn:ietf:rfc:8935"],
                "default_subjects": "ALL",
            }
        )


async def _token(request: Request) -> str:
    try:
        return (await read_body(request, _MEDIA_TYPE, TOKEN_CHARS_MAX)).decode("ascii").strip()
    except BodyError as error:
        raise RefusedSetError(SetError.INVALID_REQUEST, str(error)) from None
    except UnicodeDecodeError:
        raise RefusedSetError(SetError.INVALID_REQUEST, "the body is not a token") from None
