"""The agent's side of the token service: exchange tokens for a session, and delegate a part of a session.

with StsClient("http://127.0.0.1:8420") as sts:
    session = sts.exchange(id_token, agent_token, purpose="answer mail")
    with Agent(transport, session.credential) as agent: ...
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from streams.model.base64url import base64url
from streams.model.delegation import Delegation, GrantBody
from streams.model.types import Actor, Header, SubProfile
from streams.sdk.agent.credential import NOTHING_STATED, OpenedWith, SessionCredential
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import TokenServiceError, refuse_text
from streams.sdk.protected import is_protected, shown_url

if TYPE_CHECKING:
    import httpx2

    from streams.delegation.keys import Ed25519Key

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a type's name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - likewise
JWT = "urn:ietf:params:oauth:token-type:jwt"
TXN_TOKEN = "urn:ietf:params:oauth:token-type:txn_token"  # noqa: S105 - likewise
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"

TIMEOUT_MS = 10_000
ANSWER_BYTES_MAX = 1_048_576
PROOF_PARAMETER = "subject_proof"
_RETRY_AFTER_S = re.compile("[0-9]{1,9}")
_PROOF_DOMAIN = "stoplog exchange proof v2"
_MS_PER_S = 1_000

_encode = msgspec.msgpack.Encoder().encode


class TokenRefusedError(TokenServiceError):
    """The token service refused the request.

    Attributes:
        code: OAuth's code (`invalid_scope`, ...).
        reason: the service's stable reason code, if it sent one.
        retry_after_ms: after how many ms to try again, if the service sent that.
    """

    def __init__(self, code: str, reason: str | None, text: str, retry_after_ms: int | None) -> None:
        super().__init__(f"the token service refused the request: {code} ({reason or 'no reason'}): {text}")
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionToken:
    """A session that was opened for an agent.

    Attributes:
        credential: the argument for `Agent`; its `grant` is the session's grant.
        access_token: needed to delegate the session; not shown by `repr`.
        authorization_details: the tools that it may call, as JSON values.
    """

    credential: SessionCredential
    access_token: str = field(repr=False)
    authorization_details: Sequence[Mapping[str, Any]] = ()


def exchange_proof(secret: bytes, form: Iterable[tuple[str, str]], jkt: str | None) -> bytes:
    """Return the proof that whoever delegates a session has its key: HMAC-SHA-256 over all parameters of the request.

    Args:
        secret: the session's key.
        form: the parameters, in any order; the proof itself and parameters without a value are left out.
        jkt: thumbprint of the key that the request proves (DPoP).
    """
    said = sorted((name, value) for name, value in form if value and name != PROOF_PARAMETER)
    return hmac.digest(secret, _encode((_PROOF_DOMAIN, jkt or "", said)), "sha256")


def dpop_proof(key: Ed25519Key, url: str, entropy: Entropy) -> str:
    """Return the proof of a key for one POST request to a URL of the service (RFC 9449)."""
    now_ms = entropy.now_ms()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(key.public)}
    header = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk}
    claims = {"htm": "POST", "htu": url, "iat": now_ms // _MS_PER_S, "jti": entropy.uuid(now_ms)}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{base64url(key.prove(signed.encode()).value)}"


class StsClient:
    """A client of one token service. Thread-safe; its calls block. Close it after use."""

    def __init__(
        self,
        url: str,
        *,
        timeout_ms: int = TIMEOUT_MS,
        ca_file: Path | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Create a client; it connects with the first request.

        Args:
            url: the service's issuer.
            ca_file: the authorities for the service's certificate (PEM); by default the system's.

        Raises:
            TokenServiceError: tokens and session keys would cross a network unencrypted.
        """
        import ssl  # noqa: PLC0415 - only token exchange needs it

        import httpx2  # noqa: PLC0415 - likewise

        if not is_protected(url):
            raise TokenServiceError(
                f"`{shown_url(url)}`: tokens and session keys would cross a network unencrypted; use https"
            )
        self._url = url.rstrip("/")
        self._entropy = entropy
        self._http: httpx2.Client = httpx2.Client(
            timeout=timeout_ms / _MS_PER_S,
            verify=True if ca_file is None else ssl.create_default_context(cafile=ca_file),
            follow_redirects=False,
            trust_env=False,
        )

    def exchange(
        self,
        subject_token: str,
        actor_token: str,
        *,
        subject_token_type: str = ID_TOKEN,
        key: Ed25519Key | None = None,
        **narrowing: Any,
    ) -> SessionToken:
        """Open a session in which the agent of `actor_token` acts for the subject of `subject_token`.

        Args:
            key: the agent's key; the session is then bound to it, and has no secret.
            narrowing: `scopes`, `audience` (texts), `authorization_details` (JSON values), `purpose`, `life_s`,
                `max_depth`, `attended`: to get less than everything that is allowed; and `opened_with`, which later
                intents of the session are compared with.

        Raises:
            TokenRefusedError: the service refused the request.
            TokenServiceError: the service can't be reached, or its answer can't be read.
        """
        form = {
            "subject_token": subject_token,
            "subject_token_type": subject_token_type,
            "actor_token": actor_token,
            **_narrowing(**narrowing),
        }
        return self._token(form, key)

    def hand_on(
        self, session: SessionToken, actor_token: str, *, key: Ed25519Key | None = None, **narrowing: Any
    ) -> SessionToken:
        """Open a session for another agent, with a part of what `session` has. The service signs the grant.

        Args:
            session: a session that has a secret.
            key: the other agent's key.
            narrowing: as in `exchange`.

        Raises:
            As `exchange`.
        """
        if not session.credential.secret:
            raise TokenServiceError("delegate a session that is bound to a key with `Agent.delegate` and `receive`")
        # A proof counts only once, and the same request may be made again.
        form = {"request_id": self._entropy.uuid(self._entropy.now_ms()), **_narrowing(**narrowing)}
        return self._from_session(session.access_token, actor_token, form, key, session.credential.secret)

    def receive(
        self, access_token: str, grant: Delegation, actor_token: str, *, key: Ed25519Key | None = None
    ) -> SessionToken:
        """Open the session of a grant that another agent has made (`Agent.delegate`).

        Args:
            access_token: the delegating agent's token.
            grant: for the agent of `actor_token`, as the token service knows it (issuer, name, kind).
            key: the receiver's key, if the grant is bound to it.

        Raises:
            As `exchange`.
        """
        from streams.delegation.digest import body_of  # noqa: PLC0415 - loads the library of signatures

        form = {"grant": base64url(msgspec.json.encode(body_of(grant)))}
        return self._from_session(access_token, actor_token, form, key)

    def revoke(self, session: SessionToken, actor_token: str) -> None:
        """Revoke a session (RFC 7009), as the agent that it was opened for. A session that is bound to a key needs that
        key.

        Raises:
            As `exchange`.
        """
        headers = self._proof("/revoke", session.credential.signing_key)
        self._post("/revoke", {"token": session.access_token, **_assertion(actor_token)}, headers)

    def introspect(self, token: str, actor_token: str) -> Mapping[str, Any]:
        """Return what the service says about a token (RFC 7662), as an agent that it was issued to.

        Raises:
            As `exchange`.
        """
        return self._post("/introspect", {"token": token, **_assertion(actor_token)}, {})

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _from_session(
        self,
        access_token: str,
        actor_token: str,
        form: Mapping[str, Any],
        key: Ed25519Key | None,
        secret: bytes | None = None,
    ) -> SessionToken:
        whole = {
            "subject_token": access_token,
            "subject_token_type": ACCESS_TOKEN,
            "actor_token": actor_token,
            **form,
        }
        return self._token(whole, key, secret)

    def _token(self, form: Mapping[str, Any], key: Ed25519Key | None, secret: bytes | None = None) -> SessionToken:
        headers = self._proof("/token", key)
        whole = {"grant_type": GRANT_TYPE, "actor_token_type": JWT, **form}
        if secret is not None:
            proof = exchange_proof(secret, _pairs(whole), None if key is None else key.jkt)
            whole[PROOF_PARAMETER] = base64url(proof)
        members = self._post("/token", whole, headers)
        now_ms = self._entropy.now_ms()
        header = Header(id=self._entropy.uuid(now_ms), source=self._url, time=now_ms, tenant_uid="")
        return _session(members, header, key)

    def _proof(self, path: str, key: Ed25519Key | None) -> dict[str, str]:
        return {} if key is None else {"DPoP": dpop_proof(key, f"{self._url}{path}", self._entropy)}

    def _post(self, path: str, form: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        import httpx2  # noqa: PLC0415 - loaded by the constructor

        url = f"{self._url}{path}"
        try:
            with self._http.stream("POST", url, data=dict(form), headers=dict(headers)) as response:
                content = _content(response, url)
        except httpx2.HTTPError as error:
            raise TokenServiceError(f"the token service at `{url}` can't be reached: {error}") from error
        try:
            members = json.loads(content) if content else {}
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise TokenServiceError(f"`{url}` answered {response.status_code}, and nothing that is JSON")
        if response.status_code != httpx2.codes.OK:
            after, reason = response.headers.get("retry-after", ""), members.get("reason")
            raise TokenRefusedError(
                str(members.get("error", response.status_code)),
                reason if isinstance(reason, str) else None,
                str(members.get("error_description", "")),
                int(after) * _MS_PER_S if _RETRY_AFTER_S.fullmatch(after) else None,
            )
        return members


def _content(response: httpx2.Response, url: str) -> bytes:
    got = bytearray()
    for part in response.iter_bytes():
        got += part
        if len(got) > ANSWER_BYTES_MAX:
            raise TokenServiceError(f"`{url}` answers with more than {ANSWER_BYTES_MAX} bytes")
    return bytes(got)


def _narrowing(
    *,
    scopes: Sequence[str] | None = None,
    audience: Sequence[str] = (),
    authorization_details: Sequence[Mapping[str, Any]] | None = None,
    purpose: str | None = None,
    life_s: int | None = None,
    max_depth: int | None = None,
    attended: bool = False,
    opened_with: OpenedWith = NOTHING_STATED,
) -> dict[str, Any]:
    refuse_text("scopes", scopes, TokenServiceError)
    refuse_text("audience", audience, TokenServiceError)
    model = opened_with.model
    digests = {
        "system_prompt_digest": opened_with.system_prompt_digest,
        "toolset_digest": opened_with.toolset_digest,
    }
    form = {
        "scope": None if scopes is None else " ".join(scopes),
        "audience": list(audience) or None,
        "authorization_details": None if authorization_details is None else json.dumps(authorization_details),
        "purpose": purpose,
        "expires_in": None if life_s is None else str(life_s),
        "max_depth": None if max_depth is None else str(max_depth),
        "attended": "true" if attended else None,
        "model_provider": None if model is None else model.ai_provider,
        "model_name": None if model is None else model.name,
        "model_version": None if model is None else model.version,
        **{name: None if digest is None else digest.hex() for name, digest in digests.items()},
    }
    return {name: value for name, value in form.items() if value is not None}


def _pairs(form: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in form.items():
        for text in value if isinstance(value, list) else [value]:
            yield name, text


def _assertion(actor_token: str) -> dict[str, str]:
    """Return the client assertion of a token (RFC 7523, section 2.2)."""
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": actor_token,
    }


def _session(members: Mapping[str, Any], header: Header, key: Ed25519Key | None) -> SessionToken:
    from streams.delegation.digest import travelling  # noqa: PLC0415 - loads the library of signatures

    try:
        act = members["act"]
        lineage = tuple(msgspec.json.decode(_bytes(text), type=GrantBody) for text in members["lineage"])
        credential = SessionCredential(
            tenant_uid=members["tenant_uid"],
            session_id=members["session_id"],
            secret=b"" if key is not None else _bytes(members["session_key"]),
            atom_key=_bytes(members.get("atom_key", "")),
            sub=members["sub"],
            act=Actor(
                iss=act["iss"],
                sub=act["sub"],
                sub_profile=SubProfile(act["sub_profile"]),
                jkt=None if key is None else key.jkt,
            ),
            scopes=tuple(members.get("scope", "").split()),
            purpose=members.get("purpose"),
            expires_ms=members["expires_at_ms"],
            grant=travelling(lineage, msgspec.structs.replace(header, tenant_uid=members["tenant_uid"])),
            signing_key=key,
        )
        return SessionToken(
            credential=credential,
            access_token=members["access_token"],
            authorization_details=tuple(members.get("authorization_details", ())),
        )
    except (KeyError, TypeError, ValueError, msgspec.DecodeError) as error:
        raise TokenServiceError(f"the answer of the token service can't be read: {error}") from None


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
