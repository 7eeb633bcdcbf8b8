"""The check of `stoplog doctor` on the key that a gate signs the proof of its verdicts with."""

from __future__ import annotations

from collections.abc import Iterator

from streams.audit.signatures import SigningKeyError
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.services.gate.settings import SealSection

_NAME = "seal key"


def examine_seal_key(section: SealSection, *, on_embedded_log: bool) -> Iterator[Finding]:
    """Check that the key can be used, and that it is the gates' alone. Blocking: asks the token or service that has it.

    Args:
        section: `[seal]` of the settings.
        on_embedded_log: whether gate, agents and executors run on this machine alone.
    """
    if not section.is_derived:
        yield _own(section)
    elif on_embedded_log:
        yield fine(_NAME, "derived from the root key, which suits development on one machine")
    else:
        yield warned(
            _NAME,
            "derived from the root key: whoever has that, such as the token service, can have executors run anything",
            "create a key with `stoplog keys seal new --out FILE`, list its public key for executors with "
            "`stoplog keys seal list`, then name the file in `seal.key_file`",
        )


def _own(section: SealSection) -> Finding:
    try:
        public = section.signer(b"").public
    except SigningKeyError as error:
        return failed(
            _NAME, str(error), "correct section `seal` of the settings: a gate does not start without its key"
        )
    if section.key_file is not None:
        where = f"in `{section.key_file}`"
    elif section.key_variable is not None:
        where = f"in the variable `{section.key_variable}`"
    elif section.token is not None:
        where = "on a token"
    else:
        service = "Vault" if section.vault is not None else "AWS KMS"
        where = f"in {service}, which is asked for each transaction"
    return fine(_NAME, f"`{public}`, {where}; executors and auditors must list it")
