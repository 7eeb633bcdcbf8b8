"""Reads a token request from its form (RFC 8693 2.1): each parameter once, and each of a bounded length."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

import msgspec

from streams.identity.jose import is_plain
from streams.model.delegation import AuthorizationDetail, GrantBody
from streams.model.token_reasons import TokenReason
from streams.model.types import Model
from streams.sdk.agent.credential import OpenedWith
from streams.sdk.agent.token_exchange import GRANT_TYPE
from streams.services.sts.authorization_details import check_names, parse_details
from streams.services.sts.errors import refuse
from streams.services.sts.sources import TokenType

BODY_BYTES_MAX = 131_072
PARAMETERS_MAX = 64
AUDIENCES_MAX = 64
PURPOSE_CHARS_MAX = 4_096
MODEL_CHARS_MAX = 512
_NUMBER = re.compile("[0-9]{1,9}")
_SHA256 = re.compile("[0-9a-f]{64}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}")
_SAID_BY_GRANT = (
    "scope", "audience", "authorization_details", "purpose", "expires_in", "max_depth", "subject_proof"
)  # fmt: skip
_REPEATABLE = frozenset({"audience", "resource"})


class Form:
    """The parameters of a request. An empty value counts as missing (RFC 6749 3.2)."""

    def __init__(self, body: bytes) -> None:
        """Raises:
        RefusedError: the body is not a form, or a parameter is repeated.
        """
        try:
            pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
        except (UnicodeDecodeError, ValueError):
            raise refuse(TokenReason.REQUEST_MALFORMED, "the body is not a form") from None
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:
                values.setdefault(name, []).append(value)
        for name, held in values.items():
            if len(held) > 1 and name not in _REPEATABLE:
                raise refuse(TokenReason.REQUEST_MALFORMED, "a parameter is repeated")
        self._values: Mapping[str, Sequence[str]] = values
        self.pairs: tuple[tuple[str, str], ...] = tuple((name, value) for name, value in pairs if value)

    def one(self, name: str) -> str | None:
        """Return a parameter that can't be repeated, or None."""
        held = self._values.get(name)
        return None if held is None else held[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that can be repeated."""
        return tuple(self._values.get(name, ()))

    def needed(self, name: str) -> str:
        """Return a required parameter.

        Raises:
            RefusedError: it is missing.
        """
        value = self.one(name)
        if value is None:
            raise refuse(TokenReason.REQUEST_MALFORMED, f"the parameter {name} is missing")
        return value

    def number(self, name: str) -> int | None:
        """Return a parameter that is a whole number, or None.

        Raises:
            RefusedError: it is not a whole number.
        """
        value = self.one(name)
        if value is None:
            return None
        if not _NUMBER.fullmatch(value):
            raise refuse(TokenReason.REQUEST_MALFORMED, f"the parameter {name} is not a number")
        return int(value)

    def token_type(self, name: str) -> TokenType:
        """Return a parameter that names the type of a token.

        Raises:
            RefusedError: it is missing, or not a supported type.
        """
        try:
            return TokenType(self.needed(name))
        except ValueError:
            raise refuse(TokenReason.TOKEN_TYPE_WRONG, f"{name} is not a supported type") from None

    def base64url(self, name: str) -> bytes | None:
        """Return a parameter that is bytes in base64url, or None.

        Raises:
            RefusedError: it is not base64url.
        """
        value = self.one(name)
        if value is None:
            return None
        try:
            return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise refuse(TokenReason.REQUEST_MALFORMED, f"the parameter {name} is not base64url") from None

    def sha256(self, name: str) -> bytes | None:
        """Return a parameter that is a SHA-256 digest in hex, or None.

        Raises:
            RefusedError: it is not such a digest.
        """
        value = self.one(name)
        if value is None:
            return None
        if not _SHA256.fullmatch(value):
            raise refuse(TokenReason.REQUEST_MALFORMED, f"the parameter {name} is not a SHA-256 digest in hex")
        return bytes.fromhex(value)


class ExchangeRequest(NamedTuple):
    """A request for a session. None requests everything that is allowed.

    Attributes:
        proof: the proof of the holder of the subject token's session, for tokens of this service without `grant`.
        grant: the next hop, signed by the holder of the subject token's session; it states the whole request.
        life_s: the longest life of the session.
        opened_with: what the agent says that it opens the session with.
        said: all parameters of the form, unchanged.
    """

    subject_token: str
    subject_type: TokenType
    actor_token: str
    actor_type: TokenType
    scopes: tuple[str, ...] | None
    audience: tuple[str, ...] | None
    details: tuple[AuthorizationDetail, ...] | None
    purpose: str | None
    life_s: int | None
    max_depth: int | None
    attended: bool
    opened_with: OpenedWith
    proof: bytes | None
    grant: GrantBody | None
    said: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"ExchangeRequest({self.subject_type.name}, {self.actor_type.name})"


def read_request(form: Form) -> ExchangeRequest:
    """Read the request of a form.

    Raises:
        RefusedError: the form is not a valid request.
    """
    if form.one("grant_type") != GRANT_TYPE:
        raise refuse(TokenReason.GRANT_TYPE_UNSUPPORTED, f"grant_type must be {GRANT_TYPE}")
    wanted = form.one("requested_token_type")
    if wanted not in (None, TokenType.ACCESS_TOKEN):
        raise refuse(TokenReason.TOKEN_TYPE_WRONG, "only access tokens are issued")
    if form.all("resource"):
        raise refuse(TokenReason.TARGET_TOO_WIDE, "the parameter resource is not supported: name servers in audience")
    audience = form.all("audience")
    if len(audience) > AUDIENCES_MAX:
        raise refuse(TokenReason.REQUEST_MALFORMED, f"more than {AUDIENCES_MAX} audiences")
    purpose = form.one("purpose")
    if purpose is not None and len(purpose) > PURPOSE_CHARS_MAX:
        raise refuse(TokenReason.REQUEST_MALFORMED, f"the purpose has more than {PURPOSE_CHARS_MAX} characters")
    for name, said in (("purpose", (purpose or "",)), ("audience", audience)):
        if not all(is_plain(text) for text in said):
            raise refuse(TokenReason.REQUEST_MALFORMED, f"the parameter {name} has characters that are not allowed")
    details = form.one("authorization_details")
    grant = _grant(form)
    if grant is not None and any(form.all(name) for name in _SAID_BY_GRANT):
        raise refuse(
            TokenReason.REQUEST_MALFORMED, "grant states the whole request: it can't be combined with other parameters"
        )
    return ExchangeRequest(
        subject_token=form.needed("subject_token"),
        subject_type=form.token_type("subject_token_type"),
        actor_token=form.needed("actor_token"),
        actor_type=form.token_type("actor_token_type"),
        scopes=_scopes(form),
        audience=tuple(dict.fromkeys(audience)) or None,
        details=None if details is None else parse_details(details),
        purpose=purpose,
        life_s=form.number("expires_in"),
        max_depth=form.number("max_depth"),
        attended=form.one("attended") == "true",
        opened_with=_opened_with(form),
        proof=form.base64url("subject_proof"),
        grant=grant,
        said=form.pairs,
    )


def _scopes(form: Form) -> tuple[str, ...] | None:
    text = form.one("scope")
    if text is None:
        return None
    names = text.split(" ")
    if not all(_SCOPE.fullmatch(name) for name in names):
        raise refuse(TokenReason.SCOPE_TOO_WIDE, "scope is not a list of names, separated by single spaces")
    return tuple(dict.fromkeys(names))


def _opened_with(form: Form) -> OpenedWith:
    """Return the model, system prompt and toolset that the agent states. Its later intents are compared with them."""
    names = [form.one(name) for name in ("model_provider", "model_name", "model_version")]
    provider, name, version = names
    if (provider is None) != (name is None) or (version is not None and name is None):
        raise refuse(TokenReason.REQUEST_MALFORMED, "model_provider and model_name are stated together")
    if not all(len(text) <= MODEL_CHARS_MAX and is_plain(text) for text in names if text is not None):
        text = f"a model has more than {MODEL_CHARS_MAX} characters, or characters that are not allowed"
        raise refuse(TokenReason.REQUEST_MALFORMED, text)
    is_stated = provider is not None and name is not None
    return OpenedWith(
        model=Model(ai_provider=provider or "", name=name or "", version=version) if is_stated else None,
        system_prompt_digest=form.sha256("system_prompt_digest"),
        toolset_digest=form.sha256("toolset_digest"),
    )


def _grant(form: Form) -> GrantBody | None:
    raw = form.base64url("grant")
    if raw is None:
        return None
    try:
        grant = msgspec.json.decode(raw, type=GrantBody)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise refuse(TokenReason.GRANT_INVALID, "grant is not a grant in JSON") from None
    said = (grant.purpose or "", *grant.audience, *grant.scopes, *grant.may_act)
    if not all(is_plain(text) for text in said):
        raise refuse(TokenReason.REQUEST_MALFORMED, "grant has a name with characters that are not allowed")
    check_names(grant.authorization_details)
    return grant
