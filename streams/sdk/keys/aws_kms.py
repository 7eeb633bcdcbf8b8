"""Keys in AWS KMS: what wraps and unwraps keys of sessions, and what signs.

Gates and executors fetch the public half of a key once, and wrap by themselves, as with a key of Vault
(`vault_transit`). Unwrapping is a request for each key, which CloudTrail records.

A key that wraps has the key spec `RSA_3072` or `RSA_4096` and the usage `ENCRYPT_DECRYPT`, one that signs
`ECC_NIST_EDWARDS25519` and `SIGN_VERIFY`. Such keys have no versions: a rotation is a new key under the same alias. So
what is stored names the key itself, by its ARN, and never the alias.

Requests are signed with the credentials that botocore finds in its usual places. Its own messages are shown only if
they can't have a secret in them.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from streams.audit.content import ContentError, KeyServiceAwayError
from streams.audit.signatures import PublicKey
from streams.model.content import WRAP_ALG
from streams.model.types import WrappedKey
from streams.sdk.keys.aws_credentials import bound_credentials
from streams.sdk.keys.aws_errors import CredentialsError, is_about_every_key, reason_of, shortened, told
from streams.sdk.keys.content import PublicWrapper
from streams.sdk.keys.key_service import RemoteKey, require_encryption

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

AWS_PREFIX = "aws:"
TIMEOUT_MS = 10_000
ATTEMPTS_MAX = 3
"""Of a request that no transaction waits for: KMS throttles who unwraps many keys at once."""
MESSAGE_BYTES_MAX = 4_096
"""Of what KMS signs without a digest, which is all that Ed25519 is."""
CIPHERTEXT_BYTES_MAX = 6_144
_MS_PER_S = 1_000
_WRAPS = "RSAES_OAEP_SHA_256"
_SIGNS = "ED25519_SHA_512"
_WRAP_SPEC, _SIGN_SPEC = "RSA_3072", "ECC_NIST_EDWARDS25519"
_NAME = re.compile(r"(alias/[A-Za-z0-9/_-]{1,250}|[A-Za-z0-9-]{1,64}|arn:[A-Za-z0-9:/_-]{1,400})\Z")
_KEK = re.compile(r"aws:(?P<arn>arn:[a-z-]{3,20}:kms:(?P<region>[a-z0-9-]{1,40}):[0-9]{12}:key/[A-Za-z0-9-]{1,64})\Z")


class AwsKms:
    """A client of the key management service of one region. Thread-safe; its calls block. Close it after use."""

    def __init__(
        self,
        region: str,
        *,
        endpoint: str | None = None,
        timeout_ms: int = TIMEOUT_MS,
        attempts_max: int = ATTEMPTS_MAX,
    ) -> None:
        """Create a client; it looks for credentials and connects with the first request.

        Debug messages of botocore are switched off in this process: they have whole answers in them, and so keys. Its
        warnings about credentials are, too: they have the output of what was asked for them.

        Args:
            region: whose keys are used. What is wrapped with a key of another region is refused.
            endpoint: the address of the service, if it is not that of the region.
            timeout_ms: how long renewed credentials may take if none count any more, then connecting, and then each
                wait for the answer.
            attempts_max: how often a request is sent that fails for a reason that passes.

        Raises:
            ContentError: the extra `aws` is missing, keys would cross a network unencrypted, or botocore's own settings
                are invalid.
        """
        try:
            from botocore.config import Config  # noqa: PLC0415 - needs the extra `aws`
            from botocore.exceptions import (  # noqa: PLC0415 - likewise
                BotoCoreError,
                ClientError,
                ConnectionError,  # noqa: A004 - the library's name
                HTTPClientError,
            )
            from botocore.parsers import ResponseParserError  # noqa: PLC0415 - likewise
            from botocore.session import Session  # noqa: PLC0415 - likewise
        except ImportError as error:
            text = f"a key of AWS KMS needs the extra `aws` (`pip install 'stoplog[aws]'`): {error}"
            raise ContentError(text) from None
        logging.getLogger("botocore").setLevel(logging.INFO)
        logging.getLogger("botocore.credentials").setLevel(logging.ERROR)
        self._region = region
        self._refusals = ClientError
        self._silences: tuple[type[Exception], ...] = (ConnectionError, HTTPClientError)
        # An OSError is about a file that the settings of botocore name.
        self._faults: tuple[type[Exception], ...] = (BotoCoreError, CredentialsError, OSError)
        # The parser of answers fails in these ways if it gets something else than an answer of the service.
        self._misreadings = (ResponseParserError, ValueError, TypeError, AttributeError, KeyError)
        timeout_s = timeout_ms / _MS_PER_S
        config = Config(
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            retries={"mode": "standard", "total_max_attempts": attempts_max},
        )
        session = Session()
        # Also for what is asked for credentials: a thread that waits for it for minutes would keep out the next one.
        session.set_default_client_config(config)
        bound_credentials(session, region, timeout_ms)
        try:
            self._client: Any = session.create_client("kms", region_name=region, endpoint_url=endpoint)
        except (*self._faults, ValueError) as error:
            raise ContentError(f"AWS KMS of region `{region}` can't be asked: {told(error)}") from None
        try:
            # Also if the address is from botocore's own settings.
            require_encryption(self._client.meta.endpoint_url)
        except ContentError:
            self.close()
            raise

    def wrapper(self, name: str) -> PublicWrapper:
        """Return what wraps with a key. Blocking. The caller needs the permission `kms:GetPublicKey`.

        Args:
            name: an alias (`alias/NAME`), or the id or ARN of a key.

        Raises:
            ContentError: the key is missing or of another kind than RSA, or the service refuses or does not answer.
        """
        arn, public = self._public_half(name, "EncryptionAlgorithms", _WRAPS, f"{_WRAP_SPEC}` and `ENCRYPT_DECRYPT")
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return PublicWrapper.read(pem, f"key `{name}` of AWS KMS", f"{AWS_PREFIX}{arn}")

    def signing_key(self, name: str) -> RemoteKey:
        """Return an Ed25519 key that signs. Blocking. The caller needs the permission `kms:GetPublicKey`.

        It stays the same when its alias is given to another one.

        Args:
            name: see `wrapper`.

        Raises:
            ContentError: the key is missing or of another kind, or the service refuses or does not answer.
        """
        arn, public = self._public_half(name, "SigningAlgorithms", _SIGNS, f"{_SIGN_SPEC}` and `SIGN_VERIFY")
        if not isinstance(public, Ed25519PublicKey):
            raise ContentError("AWS KMS has sent something else than an Ed25519 key")
        return RemoteKey(PublicKey(public.public_bytes_raw()), partial(self.sign, arn))

    def sign(self, arn: str, message: bytes) -> bytes:
        """Return the signature of a message by a key. Blocking. The caller needs the permission `kms:Sign`.

        Args:
            arn: the ARN of an Ed25519 key.
            message: at most `MESSAGE_BYTES_MAX` bytes.

        Raises:
            ContentError: the message is too long, or the service refuses, does not answer, or sends something else.
        """
        if len(message) > MESSAGE_BYTES_MAX:
            raise ContentError(f"AWS KMS signs at most {MESSAGE_BYTES_MAX} bytes, and these are {len(message)}")
        answer = self._asked("sign", arn, KeyId=arn, Message=message, MessageType="RAW", SigningAlgorithm=_SIGNS)
        return _content_of(answer, "Signature", arn, "a signature by this key")

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `streams.sdk.keys.content.KeyUnwrapper`. The caller needs the permission `kms:Decrypt`."""
        arn = self._arn_of(key)
        answer = self._asked("decrypt", arn, KeyId=arn, CiphertextBlob=_ciphertext_of(key), EncryptionAlgorithm=_WRAPS)
        return _content_of(answer, "Plaintext", arn, "a key")

    def rewrap(self, key: WrappedKey, kek: str) -> WrappedKey:
        """Return a key of a session, wrapped with another key of the service. KMS does it. Blocking.

        The caller needs the permissions `kms:ReEncryptFrom` on the key before and `kms:ReEncryptTo` on the other one,
        and nothing else: what was wrapped never leaves KMS.

        Args:
            kek: the name of the other key, as `PublicWrapper.kek` has it.

        Raises:
            ContentError: one of them is not a key of this region, or the service refuses or does not answer.
        """
        arn, other = self._arn_of(key), self._arn_in(kek)
        answer = self._asked(
            "re_encrypt",
            arn,
            CiphertextBlob=_ciphertext_of(key),
            SourceKeyId=arn,
            SourceEncryptionAlgorithm=_WRAPS,
            DestinationKeyId=other,
            DestinationEncryptionAlgorithm=_WRAPS,
        )
        wrapped = _content_of(answer, "CiphertextBlob", other, "a wrapped key")
        return WrappedKey(kid=key.kid, kek=kek, alg=WRAP_ALG, wrapped=wrapped)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _public_half(self, name: str, field: str, algorithm: str, needed: str) -> tuple[str, PublicKeyTypes]:
        """Return the ARN of a key, and its public half.

        Args:
            field: where the answer has the algorithms that count.
            algorithm: the one that is needed.
            needed: which key spec and usage have it, for the error.

        Raises:
            ContentError: the key has not that algorithm, or the service refuses or does not answer.
        """
        if _NAME.match(name) is None:
            raise ContentError(
                f"`{name[:80]}` can't be a key of AWS KMS; write `alias/NAME`, or the id or ARN of a key"
            )
        answer = self._asked("get_public_key", name, KeyId=name)
        if algorithm not in (answer.get(field) or ()):
            kind = f"of the key spec `{answer.get('KeySpec')}` and the usage `{answer.get('KeyUsage')}`"
            raise ContentError(f"key `{name}` of AWS KMS is {kind}; create one of `{needed}`")
        arn = str(answer.get("KeyId"))
        try:
            return self._arn_in(f"{AWS_PREFIX}{arn}"), load_der_public_key(answer.get("PublicKey") or b"")
        except (ValueError, UnsupportedAlgorithm):
            raise ContentError("AWS KMS has sent something else than a public key") from None

    def _arn_of(self, key: WrappedKey) -> str:
        """Return the ARN of the key that a key is wrapped with.

        Raises:
            ContentError: it is wrapped in another way, or with a key that is not one of this region.
        """
        if key.alg != WRAP_ALG:
            raise ContentError(f"it is wrapped by `{key.alg[:80]}`, and keys of AWS KMS are wrapped by `{WRAP_ALG}`")
        return self._arn_in(key.kek)

    def _arn_in(self, kek: str) -> str:
        """Return the ARN in the name of a key.

        Raises:
            ContentError: it is not the name of a key of this region.
        """
        found = _KEK.match(kek)
        if found is None:
            raise ContentError(f"it needs the key `{kek[:80]}`, which is not one of AWS KMS")
        if found["region"] != self._region:
            raise ContentError(f"it needs the key `{kek}`, and the settings are for region `{self._region}`")
        return found["arn"]

    def _asked(self, method: str, key: str, **arguments: object) -> dict[str, Any]:
        """Return an answer.

        Args:
            method: the operation, as botocore names it.
            key: the key that is asked for, for errors.

        Raises:
            ContentError: the service refuses, does not answer, or sends something else.
        """
        ask = getattr(self._client, method)
        try:
            answer = ask(**arguments)
        except self._refusals as error:
            operation = error.operation_name
            place = f"AWS KMS of region `{self._region}` refuses `{operation}` with key `{key}`"
            kind = KeyServiceAwayError if is_about_every_key(error.response) else ContentError
            raise kind(f"{place}: {reason_of(error.response)}") from None
        except self._silences as error:
            text = f"AWS KMS of region `{self._region}` does not answer: {shortened(error)}"
            raise KeyServiceAwayError(text) from None
        except self._faults as error:
            raise KeyServiceAwayError(f"AWS KMS of region `{self._region}` can't be asked: {told(error)}") from None
        except self._misreadings:
            answer = None
        if not isinstance(answer, dict):
            raise ContentError(f"AWS KMS of region `{self._region}` has sent something else than an answer")
        return answer


def is_kek(text: str) -> bool:
    """Return whether a text is the name of a key of KMS, as `PublicWrapper.kek` has it."""
    return _KEK.match(text) is not None


def _ciphertext_of(key: WrappedKey) -> bytes:
    """Return what is to be unwrapped.

    Raises:
        ContentError: it can't be unwrapped, as it is empty or too long.
    """
    if not 1 <= len(key.wrapped) <= CIPHERTEXT_BYTES_MAX:
        raise ContentError(f"the key `{key.kid[:40]}` of its session can't be unwrapped: it was changed")
    return key.wrapped


def _content_of(answer: dict[str, Any], field: str, arn: str, what: str) -> bytes:
    """Return the bytes in an answer, which must be about the key that was asked for.

    Raises:
        ContentError: there are none, or it is about another key.
    """
    content = answer.get(field)
    if answer.get("KeyId") != arn or not isinstance(content, bytes) or not content:
        raise ContentError(f"AWS KMS has sent something else than {what}")
    return content
