"""Keys in the transit engine of a Vault server (or of OpenBao): what wraps and unwraps, and what signs.

Gates and executors fetch the public half of a key once, and wrap by themselves. So Vault need not answer for anything
to be captured, and their token needs no right but to read the key. Unwrapping is a request for each key, with a token
that may use `decrypt`; Vault's own audit log has each of them.

The key is of the type `rsa-3072` or `rsa-4096`. Vault encrypts with such keys by OAEP with SHA-256, and writes what it
has encrypted as `vault:vN:` and base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import msgspec

from streams.audit.content import ContentError, KeyServiceAwayError
from streams.audit.signatures import PublicKey, SigningKeyError
from streams.model.content import WRAP_ALG
from streams.model.types import WrappedKey
from streams.sdk.keys.content import PublicWrapper
from streams.sdk.keys.key_files import read_private_line
from streams.sdk.keys.key_service import TOLD_CHARS_MAX, RemoteKey, require_encryption

if TYPE_CHECKING:
    import httpx2

VAULT_PREFIX = "vault:"
TIMEOUT_MS = 10_000
ANSWER_BYTES_MAX = 1_048_576
_MS_PER_S = 1_000
_FORBIDDEN = 403
_AWAY = frozenset({429, 502, 503, 504})
"""Answers that are about the server and not about the key: it is busy or sealed, or a proxy does not reach it."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}\Z")
_TOKEN = re.compile(r"[!-~]{1,8192}\Z")
_CIPHERTEXT = re.compile(r"vault:v(?P<version>[0-9]{1,9}):(?P<text>[A-Za-z0-9+/=]+)\Z")
_KEK = re.compile(r"vault:(?P<name>[A-Za-z0-9_.-]{1,200}):v(?P<version>[0-9]{1,9})\Z")


class VaultTransit:
    """A client of one transit engine. Its calls block. Close it after use."""

    def __init__(
        self,
        address: str,
        token: str | Callable[[], str],
        *,
        mount: str = "transit",
        namespace: str | None = None,
        ca_file: Path | None = None,
        timeout_ms: int = TIMEOUT_MS,
    ) -> None:
        """Create a client; it connects with the first request.

        Args:
            address: the server, such as `https://vault.example:8200`.
            token: what it is asked with. What returns one is asked again when the server refuses: agents of Vault write
                a new token to their file before the old one ends.
            mount: where the engine is mounted.
            namespace: the namespace, if the server has several.
            ca_file: the authorities for its certificate (PEM); by default the system's.

        Raises:
            ContentError: keys would cross a network unencrypted, the token can't be one, or the file of the authorities
                has none.
        """
        import ssl  # noqa: PLC0415 - only those who use Vault need it

        import httpx2  # noqa: PLC0415 - likewise

        require_encryption(address)
        self._base = f"{address.rstrip('/')}/v1/{mount.strip('/')}"
        self._read_token = token if callable(token) else (lambda: token)
        self._token = _sound_token(self._read_token())
        headers = {"X-Vault-Request": "true"}
        if namespace is not None:
            headers["X-Vault-Namespace"] = namespace
        self._errors = (httpx2.HTTPError, httpx2.InvalidURL)
        try:
            verify = True if ca_file is None else ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            text = f"the authorities for the certificate of Vault can't be read from `{ca_file}`"
            raise ContentError(f"{text}: {error.strerror}") from None
        self._http: httpx2.Client = httpx2.Client(
            timeout=timeout_ms / _MS_PER_S,
            verify=verify,
            headers=headers,
            follow_redirects=False,
            trust_env=False,
        )

    def wrapper(self, name: str) -> PublicWrapper:
        """Return what wraps with the newest version of a key. Blocking.

        Raises:
            ContentError: the key is missing or of another kind than RSA, or the server refuses or does not answer.
        """
        data = self._asked("GET", f"keys/{quote(_named(name))}")
        version = data.get("latest_version")
        pem = _public_half(data, version)
        if not isinstance(pem, str):
            text = f"key `{name}` of Vault has no public key: its type is `{data.get('type')}`"
            raise ContentError(f"{text}; create it with `vault write transit/keys/{name} type=rsa-3072`")
        return PublicWrapper.read(pem.encode(), f"key `{name}` of Vault", f"{VAULT_PREFIX}{name}:v{version}")

    def signing_key(self, name: str, version: int) -> RemoteKey:
        """Return one version of an Ed25519 key. Blocking.

        Raises:
            ContentError: there is none, or the server refuses or does not answer.
        """
        data = self._asked("GET", f"keys/{quote(_named(name))}")
        text = _public_half(data, version)
        if data.get("type") != "ed25519":
            raise ContentError(
                f"key `{name}` of Vault is of type `{data.get('type')}`; create one with "
                f"`vault write transit/keys/{name} type=ed25519`"
            )
        if not isinstance(text, str):
            raise ContentError(f"key `{name}` of Vault has no version {version}")
        try:
            public = PublicKey(base64.b64decode(text, validate=True))
        except ValueError:
            raise ContentError("Vault has sent something else than a public key") from None
        return RemoteKey(public, partial(self.sign, name, version))

    def sign(self, name: str, version: int, message: bytes) -> bytes:
        """Return the signature of a message by one version of an Ed25519 key: 64 bytes. Blocking.

        Raises:
            ContentError: the server refuses, does not answer, or sends something else.
        """
        body = {"input": base64.b64encode(message).decode(), "key_version": version}
        data = self._asked("POST", f"sign/{quote(_named(name))}", body)
        made_by, signature = _content_of(data.get("signature"), "a signature")
        if made_by != version:
            raise ContentError("Vault has sent something else than a signature")
        return signature

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `streams.sdk.keys.content.KeyUnwrapper`."""
        name, ciphertext = _ciphertext_of(key)
        data = self._asked("POST", f"decrypt/{quote(name)}", {"ciphertext": ciphertext})
        try:
            return base64.b64decode(data.get("plaintext", ""), validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise ContentError("Vault has sent something else than a key") from None

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """Return a key of a session, wrapped with the newest version of the same key. Vault does it. Blocking.

        The token must be allowed to use `rewrap`, and nothing else: what was wrapped never leaves Vault.

        Raises:
            ContentError: it is wrapped with another key, or the server refuses or does not answer.
        """
        name, ciphertext = _ciphertext_of(key)
        data = self._asked("POST", f"rewrap/{quote(name)}", {"ciphertext": ciphertext})
        version, wrapped = _content_of(data.get("ciphertext"), "a wrapped key")
        return WrappedKey(kid=key.kid, kek=f"{VAULT_PREFIX}{name}:v{version}", alg=WRAP_ALG, wrapped=wrapped)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return `data` of an answer.

        Raises:
            ContentError: the server refuses, does not answer, or sends something else.
        """
        answer = self._sent(method, path, body)
        if answer.status_code == _FORBIDDEN and (token := self._token_now()) != self._token:
            self._token = token
            answer = self._sent(method, path, body)
        if len(answer.content) > ANSWER_BYTES_MAX:
            raise ContentError(f"Vault has sent more than {ANSWER_BYTES_MAX} bytes")
        try:
            decoded = msgspec.json.decode(answer.content)
        except msgspec.DecodeError:
            decoded = None
        content = decoded if isinstance(decoded, dict) else {}
        if answer.status_code != 200:
            errors = content.get("errors")
            told = "; ".join(" ".join(str(error).split()) for error in errors) if isinstance(errors, list) else ""
            kind = KeyServiceAwayError if answer.status_code in _AWAY else ContentError
            raise kind(
                f"Vault refuses `{path}` with status {answer.status_code}: {told[:TOLD_CHARS_MAX] or 'no reason'}"
            )
        data = content.get("data")
        if not isinstance(data, dict):
            raise ContentError("Vault has sent an answer without data")
        return data

    def _token_now(self) -> str:
        try:
            return _sound_token(self._read_token())
        except SigningKeyError as error:
            raise ContentError(str(error)) from None

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> httpx2.Response:
        headers = {"X-Vault-Token": self._token}
        try:
            return self._http.request(method, f"{self._base}/{path}", json=body, headers=headers)
        except self._errors as error:
            raise KeyServiceAwayError(f"Vault does not answer: {error}") from None


def name_of_kek(kek: str) -> str | None:
    """Return the name of a key of Vault, without its version; None if it is not one of Vault."""
    found = _KEK.match(kek)
    return None if found is None else found["name"]


def read_token(path: Path) -> str:
    """Return the token in the first line of a file that only its owner can read. Blocking.

    Raises:
        SigningKeyError: the file can't be read, or others can read it.
    """
    return read_private_line(path, what="token")


def _sound_token(token: str) -> str:
    """Return a token that can stand in a header. The library shows any other in its error, and so would logs.

    Raises:
        ContentError: it can't.
    """
    if _TOKEN.match(token) is None:
        text = "is empty" if not token else "has signs that no token has, such as line ends or letters with accents"
        raise ContentError(f"the token for Vault {text}; write nothing but the token into its file, as plain text")
    return token


def _named(name: str) -> str:
    """Return the name of a key.

    Raises:
        ContentError: no key can have it.
    """
    if _NAME.match(name) is None:
        raise ContentError(f"`{name[:80]}` can't be the name of a key of Vault")
    return name


def _public_half(data: dict[str, Any], version: object) -> object:
    """Return the public half of a version of a key, as Vault tells it; None if there is none."""
    keys = data.get("keys")
    found = keys.get(str(version)) if isinstance(keys, dict) else None
    return found.get("public_key") if isinstance(found, dict) else None


def _ciphertext_of(key: WrappedKey) -> tuple[str, str]:
    """Return the name of the key that a key is wrapped with, and the ciphertext in Vault's form.

    Raises:
        ContentError: it is not wrapped with a key of Vault.
    """
    found = _KEK.match(key.kek)
    if found is None or key.alg != WRAP_ALG:
        raise ContentError(f"it needs the key `{key.kek[:80]}`, which is not one of Vault")
    return found["name"], f"vault:v{found['version']}:{base64.b64encode(key.wrapped).decode()}"


def _content_of(sent: object, what: str) -> tuple[int, bytes]:
    """Return the version of the key that has made a text of Vault (`vault:v1:...`), and the bytes in it.

    Args:
        sent: the text.
        what: what it should be, for the error.

    Raises:
        ContentError: it is not of that form.
    """
    found = _CIPHERTEXT.match(str(sent))
    if found is not None:
        with suppress(ValueError):
            return int(found["version"]), base64.b64decode(found["text"], validate=True)
    raise ContentError(f"Vault has sent something else than {what}")
