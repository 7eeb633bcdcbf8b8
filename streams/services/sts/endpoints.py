"""The HTTP endpoints: token, revocation, introspection, keys, metadata. Bodies are bounded, errors are JSON."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from streams.http.answers import NO_STORE, JsonAnswer, health, key_set, retry_after
from streams.http.application import application_of
from streams.http.bodies import BodyError, read_body
from streams.http.client_address import place_of
from streams.http.header_bound import bounded
from streams.http.limits import RateLimit
from streams.identity.keyring import ALGORITHM, KeyRing
from streams.metrics import declared
from streams.metrics.registry import Metrics
from streams.model.errors import StoplogError
from streams.model.token_reasons import TokenReason
from streams.sdk.agent.token_exchange import GRANT_TYPE
from streams.services.sts.errors import RefusedError, refuse
from streams.services.sts.exchange import TokenService
from streams.services.sts.introspection import revoke, show
from streams.services.sts.request import BODY_BYTES_MAX, Form, read_request
from streams.services.sts.settings import StsSection

THREADS = 16
WAITING_MAX = 64
"""How many requests can be in progress or wait for a thread; clients with more are asked to retry."""

_MS_PER_S = 1_000
_FORM = "application/x-www-form-urlencoded"
_NO_STORE = {**NO_STORE, "pragma": "no-cache"}
_TRACEPARENT = re.compile("(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""The form of W3C Trace Context, version 00."""

_log = logging.getLogger(__name__)

Handle = Callable[[Form, Request], Mapping[str, Any]]


class Endpoints:
    """The routes of one service."""

    def __init__(
        self,
        service: TokenService,
        keys: KeyRing,
        section: StsSection,
        per_address: RateLimit,
        metrics: Metrics,
        timer_ms: Callable[[], int],
    ) -> None:
        """Make the routes; `timer_ms` is a clock that never goes back, in ms."""
        self._metrics = metrics
        self._timer_ms = timer_ms
        self._service = service
        self._keys = keys
        self._issuer = section.issuer.rstrip("/")
        self._section = section
        self._per_address = per_address
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stoplog-sts")
        self._waiting = 0
        self._recording = 0

    def application(self, more: list[BaseRoute]) -> ASGIApp:
        """Return the application; `more` are additional routes."""
        routes: list[BaseRoute] = [
            Route("/token", self._answering("token", self._exchange), methods=["POST"]),
            Route("/revoke", self._answering("revoke", self._revoke), methods=["POST"]),
            Route("/introspect", self._answering("introspect", self._introspect), methods=["POST"]),
            Route("/jwks", self._jwks, methods=["GET"]),
            Route("/.well-known/oauth-authorization-server", self._metadata, methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
        ]
        return bounded(application_of([*routes, *more]))

    def close(self) -> None:
        """Wait for requests that are in progress."""
        self._threads.shutdown(wait=True)

    def _exchange(self, form: Form, request: Request) -> Mapping[str, Any]:
        asked = read_request(form)
        traceparent = request.headers.get("traceparent", "")
        answer = self._service.exchange(
            asked,
            dpop=_dpop(request),
            url=f"{self._issuer}/token",
            traceparent=traceparent if _TRACEPARENT.fullmatch(traceparent) else None,
        )
        return answer.members

    def _revoke(self, form: Form, request: Request) -> Mapping[str, Any]:
        revoke(self._service, form, dpop=_dpop(request), url=f"{self._issuer}/revoke")
        return {}

    def _introspect(self, form: Form, request: Request) -> Mapping[str, Any]:
        return show(self._service, form, dpop=_dpop(request), url=f"{self._issuer}/introspect")

    def _answering(self, endpoint: str, handle: Handle) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint that handles forms with a function. The function blocks, so it runs in a thread."""

        async def answer(request: Request) -> Response:
            began_ms = self._timer_ms()
            wait_ms = self._per_address.take(place_of(request))
            if wait_ms:
                # It is not recorded, because anybody could fill the log with such records.
                text = "too many requests from this address"
                error = RefusedError(TokenReason.TOO_MANY_REQUESTS, text, retry_after_ms=wait_ms)
                self._count(endpoint, began_ms, error)
                return _refused(error)
            try:
                members = await self._answered(handle, request)
                self._count(endpoint, began_ms, None)
                return JsonAnswer(members, headers=_NO_STORE)
            except RefusedError as error:
                self._count(endpoint, began_ms, error)
                if not error.is_on_record:
                    self._record(error)
                return _refused(error)
            except ClientDisconnect:
                return Response(status_code=400)

        return answer

    async def _answered(self, handle: Handle, request: Request) -> Mapping[str, Any]:
        form = await _form(request)
        if self._waiting >= WAITING_MAX:
            raise RefusedError(TokenReason.TOO_MANY_REQUESTS, "the service is busy; retry later", retry_after_ms=1_000)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._handled, handle, form, request)
        finally:
            self._waiting -= 1

    def _count(self, endpoint: str, began_ms: int, error: RefusedError | None) -> None:
        self._metrics.observe(declared.TOKEN_SECONDS, [(self._timer_ms() - began_ms) / _MS_PER_S], endpoint)
        if error is not None:
            self._metrics.add(declared.TOKEN_REFUSALS, endpoint, error.reason.value)
        elif endpoint == "token":
            self._metrics.add(declared.TOKENS_ISSUED)

    def _record(self, error: RefusedError) -> None:
        """Record a refusal, without waiting for it."""
        if self._recording >= WAITING_MAX:
            _log.warning("a refusal (%s) was not recorded: too many are waiting to be written", error.reason.value)
            return
        self._recording += 1
        written = asyncio.get_running_loop().run_in_executor(self._threads, self._service.refused, error)
        written.add_done_callback(self._recorded)

    def _recorded(self, written: asyncio.Future[None]) -> None:
        self._recording -= 1
        if not written.cancelled() and written.exception() is not None:
            _log.warning("a refusal was not recorded: %s", written.exception())

    def _handled(self, handle: Handle, form: Form, request: Request) -> Mapping[str, Any]:
        try:
            return handle(form, request)
        except RefusedError:
            raise
        except StoplogError as error:
            _log.warning("a request could not be answered: %s", error)
            raise RefusedError(
                TokenReason.LOG_UNAVAILABLE, "the service can't answer now", retry_after_ms=1_000
            ) from None
        except Exception:
            _log.exception("a request could not be answered")
            raise RefusedError(
                TokenReason.LOG_UNAVAILABLE, "the service can't answer now", retry_after_ms=1_000
            ) from None

    async def _jwks(self, _request: Request) -> Response:
        return key_set(self._keys.published())

    async def _metadata(self, _request: Request) -> Response:
        """Return the metadata of RFC 8414."""
        issuer = self._section.issuer
        return JsonAnswer(
            {
                "issuer": issuer,
                "token_endpoint": f"{self._issuer}/token",
                "revocation_endpoint": f"{self._issuer}/revoke",
                "introspection_endpoint": f"{self._issuer}/introspect",
                "jwks_uri": f"{self._issuer}/jwks",
                "response_types_supported": [],
                "grant_types_supported": [GRANT_TYPE],
                "token_endpoint_auth_methods_supported": ["none"],
                "revocation_endpoint_auth_methods_supported": ["private_key_jwt"],
                "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
                "dpop_signing_alg_values_supported": ["EdDSA", "Ed25519"],
                "authorization_details_types_supported": ["stoplog_tools"],
                "access_token_signing_alg_values_supported": [ALGORITHM],
            }
        )


def _refused(error: RefusedError) -> Response:
    headers = dict(_NO_STORE)
    if error.retry_after_ms is not None:
        headers |= retry_after(error.retry_after_ms)
    members = {"error": error.code, "error_description": error.description, "reason": error.reason.value}
    return JsonAnswer(members, error.status, headers)


async def _form(request: Request) -> Form:
    """Read the body as a form, with limits on size and time."""
    try:
        return Form(await read_body(request, _FORM, BODY_BYTES_MAX))
    except BodyError as error:
        raise refuse(TokenReason.REQUEST_MALFORMED, str(error)) from None


def _dpop(request: Request) -> str | None:
    """Return the proof of a key (RFC 9449); None if there is none."""
    values = request.headers.getlist("dpop")
    if len(values) > 1:
        raise refuse(TokenReason.PROOF_INVALID, "the header dpop is repeated")
    return values[0] if values else None
