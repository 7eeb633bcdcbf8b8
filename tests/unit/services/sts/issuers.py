"""Issuers of tokens for the tests: made with another library (PyJWT) than the one that the service reads them with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from streams.sdk.entropy import SYSTEM, system_now_ms


def now_s() -> int:
    return system_now_ms() // 1_000


class Issuer:
    """An issuer with one key, or several."""

    def __init__(self, issuer: str, audience: str, algorithm: str = "ES256", kid: str = "k1") -> None:
        self.issuer = issuer
        self.audience = audience
        self.keys: dict[str, tuple[str, Any]] = {}
        self.add_key(algorithm, kid)

    def add_key(self, algorithm: str, kid: str) -> None:
        self.keys[kid] = (algorithm, new_key(algorithm))

    def jwk(self, kid: str, **more: Any) -> dict[str, Any]:
        algorithm, key = self.keys[kid]
        return {**public_jwk(algorithm, key), "kid": kid, **more}

    def key_set(self, **more: Any) -> bytes:
        return json.dumps({"keys": [self.jwk(kid, **more) for kid in self.keys]}).encode()

    def claims(self, sub: str, **changes: Any) -> dict[str, Any]:
        claims = {
            "iss": self.issuer,
            "sub": sub,
            "aud": self.audience,
            "iat": now_s(),
            "exp": now_s() + 600,
            "jti": SYSTEM.uuid(),
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        sub: str,
        *,
        typ: str | None = "JWT",
        kid: str = "k1",
        headers: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        algorithm, key = self.keys[kid]
        header = {"typ": typ, "kid": kid, **(headers or {})}
        return jwt.encode(self.claims(sub, **changes), key, algorithm=algorithm, headers=header)


def new_key(algorithm: str) -> PrivateKeyTypes:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def public_jwk(algorithm: str, key: Any) -> dict[str, Any]:
    public = key.public_key()
    if algorithm == "ES256":
        return json.loads(ECAlgorithm.to_jwk(public))
    if algorithm == "EdDSA":
        return json.loads(OKPAlgorithm.to_jwk(public))
    return json.loads(RSAAlgorithm.to_jwk(public))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def bare_jwk(key: Any) -> dict[str, Any]:
    jwk = public_jwk("EdDSA", key)
    return {name: jwk[name] for name in ("kty", "crv", "x")}
