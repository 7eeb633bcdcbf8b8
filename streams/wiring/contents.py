"""Builds what wraps and unwraps the keys of captured content."""

from __future__ import annotations

from pathlib import Path

from streams.audit.content import ContentError
from streams.model.content import ContentField
from streams.model.types import WrappedKey
from streams.operations.settings import ContentSection, VaultSection
from streams.policy.ext.held_secrets import secrets_in
from streams.sdk.content import KeyUnwrapper, KeyWrapper, PrivateUnwrapper, PublicWrapper, SessionSealer, TenantWrappers
from streams.sdk.key_files import read_private
from streams.sdk.vault_transit import VAULT_PREFIX, VaultTransit


def build_sealer(section: ContentSection) -> SessionSealer | None:
    """Return what encrypts the arguments that a gate captures; None if it captures none. Blocking.

    All other content is encrypted by those who report it. Public keys of Vault are fetched now, so a gate that runs
    needs no Vault.

    Raises:
        ContentError: arguments are captured without a key, or a key can't be read.
    """
    if ContentField.ARGUMENTS not in section.capture:
        return None
    if not section.keys:
        raise ContentError(
            "setting `content.capture` asks for arguments, but `content.keys` has no key: create one with "
            "`stoplog keys content new --out FILE`"
        )
    return SessionSealer(TenantWrappers(_wrappers(section)), find_secrets=secrets_in)


def build_unwrapper(
    section: ContentSection, key_file: Path | None, passphrase: bytes | None, token_file: Path | None
) -> KeyUnwrapper:
    """Return what unwraps keys, for a person who may read content. Blocking.

    Args:
        key_file: the private key of a tenant.
        passphrase: the passphrase of that file.
        token_file: a token of Vault in place of the one in the settings.

    Raises:
        ContentError: neither a key nor Vault is there to unwrap with.
        SigningKeyError: a file can't be read, or others can read it.
    """
    vault = None if section.vault is None else _vault(section.vault, token_file)
    private = None if key_file is None else PrivateUnwrapper.load(key_file, passphrase)
    if vault is None and private is None:
        raise ContentError("give the private key of the tenant (`--key FILE`), or name a Vault in `[content.vault]`")
    return _Unwrappers(vault, private)


class _Unwrappers:
    """Unwraps with whatever has the key."""

    def __init__(self, vault: VaultTransit | None, private: PrivateUnwrapper | None) -> None:
        self._vault = vault
        self._private = private

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `KeyUnwrapper`."""
        if self._vault is not None and key.kek.startswith(VAULT_PREFIX):
            return self._vault.unwrap(key)
        if self._private is None:
            raise ContentError(f"it needs the key `{key.kek[:80]}`, which was not given (`--key FILE`)")
        return self._private.unwrap(key)


def _wrappers(section: ContentSection) -> dict[str, KeyWrapper]:
    found: dict[str, KeyWrapper] = {}
    vault: VaultTransit | None = None
    try:
        for tenant, stated in section.keys.items():
            if not stated.startswith(VAULT_PREFIX):
                found[tenant] = PublicWrapper.load(Path(stated))
                continue
            if section.vault is None:
                raise ContentError(f"setting `content.keys` names `{stated}`, but there is no `[content.vault]`")
            vault = vault or _vault(section.vault, None)
            found[tenant] = vault.wrapper(stated.removeprefix(VAULT_PREFIX))
    finally:
        if vault is not None:
            vault.close()
    return found


def _vault(section: VaultSection, token_file: Path | None) -> VaultTransit:
    token = read_private(token_file or section.token_file).decode(errors="replace").partition("\n")[0].strip()
    return VaultTransit(
        section.address, token, mount=section.mount, namespace=section.namespace, ca_file=section.ca_file
    )
