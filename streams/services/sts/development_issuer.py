"""An issuer for development: it issues any token to anybody. Only on loopback; its keys are lost when it stops."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from joserfc.jwk import ECKey
from joserfc.jws import serialize_compact
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from streams.http.answers import JsonAnswer
from streams.identity.jose import compact_json
from streams.sdk.entropy import Entropy
from streams.services.sts.settings import AgentSection, SourceSection, StsSection, ToolSection

ALGORITHM = "ES256"
LIFE_S = 3_600
NAME_CHARS_MAX = 256
_KID = "dev"
_MS_PER_S = 1_000
_HERE = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
_USERS, _AGENTS = "users", "agents"


class DevIssuer:
    """Two issuers in one, for users and for agents, under the service's own URL."""

    def __init__(self, issuer: str, entropy: Entropy) -> None:
        self._issuer = issuer.rstrip("/")
        self._entropy = entropy
        self._key = ECKey.generate_key("P-256", private=True)

    def issuer(self, kind: str) -> str:
        """Return the `iss` of `users` or `agents`."""
        return f"{self._issuer}/dev/{kind}"

    def key_set(self) -> bytes:
        """Return its public key set."""
        key = {**self._key.as_dict(private=False), "kid": _KID, "alg": ALGORITHM, "use": "sig"}
        return compact_json({"keys": [key]})

    def token(self, kind: str, sub: str, **more: Any) -> str:
        """Return a token of a user or an agent."""
        now_ms = self._entropy.now_ms()
        now_s = now_ms // _MS_PER_S
        claims = {
            "iss": self.issuer(kind),
            "sub": sub,
            "aud": self._issuer,
            "iat": now_s,
            "exp": now_s + LIFE_S,
            "jti": self._entropy.uuid(now_ms),
            **more,
        }
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": _KID}
        return serialize_compact(header, compact_json(claims), self._key, algorithms=[ALGORITHM])

    def sources(self) -> Mapping[str, SourceSection]:
        """Return its two sources, in the form of the settings."""
        return {
            "dev-users": SourceSection(
                issuer=self.issuer(_USERS), jwks=f"{self._issuer}/dev/jwks", gives=["user"], audience=[self._issuer]
            ),
            "dev-agents": SourceSection(
                issuer=self.issuer(_AGENTS), jwks=f"{self._issuer}/dev/jwks", gives=["agent"], audience=[self._issuer]
            ),
        }

    def agents(self) -> Mapping[str, AgentSection]:
        """Return settings for its agents: each may be granted all tools, and may delegate them."""
        everything = ToolSection(server="*", name="*")
        return {"dev-agents": AgentSection(issuer=self.issuer(_AGENTS), sub="*", tools=[everything], max_depth=2)}

    def routes(self) -> list[BaseRoute]:
        """Return its HTTP routes."""
        found = [
            Route(f"/{kind}/.well-known/openid-configuration", self._metadata_of(kind)) for kind in (_USERS, _AGENTS)
        ]
        return [Mount("/dev", routes=[*found, Route("/jwks", self._jwks), Route("/token", self._token)])]

    def _metadata_of(self, kind: str) -> Any:
        async def metadata(_request: Request) -> Response:
            return JsonAnswer(
                {
                    "issuer": self.issuer(kind),
                    "jwks_uri": f"{self._issuer}/dev/jwks",
                    "id_token_signing_alg_values_supported": [ALGORITHM],
                    "subject_types_supported": ["public"],
                    "response_types_supported": ["id_token"],
                }
            )

        return metadata

    async def _jwks(self, _request: Request) -> Response:
        return Response(self.key_set(), media_type="application/jwk-set+json")

    async def _token(self, request: Request) -> Response:
        """Handle `GET /dev/token?kind=users&sub=alice`; only from this machine, and not from a page in a browser."""
        kind, sub = request.query_params.get("kind", ""), request.query_params.get("sub", "")
        if kind not in (_USERS, _AGENTS) or not 0 < len(sub) <= NAME_CHARS_MAX:
            return JsonAnswer({"error": "invalid_request"}, 400)
        return JsonAnswer({"token": self.token(kind, sub)}, headers={"cache-control": "no-store"})


def from_here_alone(application: ASGIApp) -> ASGIApp:
    """Return the application, restricted to programs on this machine.

    A page could have its own name stand for this machine, and so read what it asks for; or ask without being told.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        named = request.headers.getlist("host")
        from_a_page = any(name in request.headers for name in ("origin", "sec-fetch-site"))
        if from_a_page or len(named) != 1 or not _HERE.fullmatch(named[0].lower()):
            await JsonAnswer({"error": "invalid_request"}, 400)(scope, receive, send)
            return
        await application(scope, receive, send)

    return answer


def with_dev_issuer(section: StsSection, issuer: DevIssuer) -> StsSection:
    """Return the settings with the issuer for development as a source; with its agents only if there are no others."""
    agents = section.agents or issuer.agents()
    return section.model_copy(update={"sources": {**section.sources, **issuer.sources()}, "agents": dict(agents)})
