"""What errors of AWS and of its library say, without the secrets that their texts can have."""

from __future__ import annotations

from typing import Any

from streams.sdk.keys.key_service import TOLD_CHARS_MAX

_ADVICE = {
    "AccessDeniedException": "its key policy or a policy of the caller must allow it",
    "NotFoundException": "name a key or an alias of this region",
    "DisabledException": "enable it",
    "KMSInvalidStateException": "it is disabled, or about to be deleted",
    "InvalidCiphertextException": "what is to be unwrapped was changed",
    "InvalidKeyUsageException": "it was created for another use",
    "UnsupportedOperationException": "it was created for another use, or is not asymmetric",
    "ThrottlingException": "repeat it later, or have the quota raised",
    "ExpiredTokenException": "renew the credentials",
    "UnrecognizedClientException": "these credentials don't count",
    "InvalidSignatureException": "these credentials don't count, or the clock of this machine is wrong",
}
"""What to do, by the service's name of the error."""
_ABOUT_EVERY_KEY = frozenset(
    {
        "DependencyTimeoutException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "KMSInternalException",
        "ThrottlingException",
        "UnrecognizedClientException",
    }
)
"""Errors that the service would answer a question about another key with as well."""
_TOLD_ERRORS = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoRegionError"})
"""Errors about settings whose texts have names alone. Others can have the output of what was asked for credentials."""


class CredentialsError(Exception):
    """There are no credentials that count: the message says why."""


def reason_of(response: dict[str, Any]) -> str:
    """Return why a service refuses, and what to do.

    Args:
        response: the answer of the service, as `ClientError.response` has it.
    """
    error = response.get("Error") or {}
    code = str(error.get("Code") or "no code")[:80]
    message = " ".join(str(error.get("Message") or "").split())[:TOLD_CHARS_MAX].rstrip(".")
    reason = f"{code}: {message}" if message else code
    return f"{reason}; {_ADVICE[code]}" if code in _ADVICE else reason


def is_about_every_key(response: dict[str, Any]) -> bool:
    """Return whether a refusal is about the caller or the service, and not about the key that was asked for.

    Args:
        response: see `reason_of`.
    """
    return (response.get("Error") or {}).get("Code") in _ABOUT_EVERY_KEY


def told(error: Exception) -> str:
    """Return the text of an error of the library if it can't have a secret in it, and otherwise its kind."""
    if isinstance(error, OSError) and error.strerror:
        return shortened(OSError(error.errno, error.strerror, error.filename))
    kind = type(error).__name__
    return shortened(error) if isinstance(error, CredentialsError) or kind in _TOLD_ERRORS else kind


def shortened(error: Exception) -> str:
    """Return the text of an error on one line, and not too long for a log."""
    return " ".join(str(error).split())[:TOLD_CHARS_MAX]
