"""Builds what wraps and unwraps the keys of captured content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from streams.audit.content import ContentError
from streams.audit.signatures import SigningKeyError
from streams.model.content import ContentField
from streams.model.types import WrappedKey
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.operations.settings import ContentSection
from streams.policy.ext.held_secrets import secrets_in
from streams.sdk.content import (
    ANY_TENANT,
    PrivateUnwrapper,
    PublicWrapper,
    SessionSealer,
    TenantWrappers,
)
from streams.sdk.vault_transit import VAULT_PREFIX, VaultTransit, name_of_kek


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


class Unwrappers:
    """Unwraps with whatever has the key: the private key of a tenant, or Vault. Close it after use."""

    def __init__(self, private: PrivateUnwrapper | None, vault: Callable[[], VaultTransit] | None) -> None:
        """Take the keys.

        Args:
            private: the private key of a tenant.
            vault: opens Vault; called for the first key of Vault.
        """
        self._private = private
        self._open_vault = vault
        self._vault: VaultTransit | None = None

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `KeyUnwrapper`."""
        if key.kek.startswith(VAULT_PREFIX):
            try:
                vault = self.vault()
            except SigningKeyError as error:
                raise ContentError(str(error)) from None
            if vault is not None:
                return vault.unwrap(key)
        if self._private is None:
            raise ContentError(f"it needs the key `{key.kek[:80]}`, which was not given (`--key FILE`)")
        return self._private.unwrap(key)

    def vault(self) -> VaultTransit | None:
        """Return Vault, open; None without one.

        Raises:
            SigningKeyError: the file of its token can't be read, or others can read it.
            ContentError: keys would cross a network unencrypted.
        """
        if self._vault is None and self._open_vault is not None:
            self._vault = self._open_vault()
        return self._vault

    def close(self) -> None:
        """Close the connection to Vault."""
        if self._vault is not None:
            self._vault.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def build_unwrapper(
    section: ContentSection, key_file: Path | None, passphrase: bytes | None, token_file: Path | None
) -> Unwrappers:
    """Return what unwraps keys, for a person who may read content. Blocking.

    With a private key, the token of Vault is not read before a key is one of Vault: it can be that of a gate.

    Args:
        key_file: the private key of a tenant.
        passphrase: the passphrase of that file.
        token_file: a token of Vault in place of the one in the settings.

    Raises:
        ContentError: neither a key nor Vault is there to unwrap with.
        SigningKeyError: a file can't be read, or others can read it.
    """
    vault = None if section.vault is None else partial(section.vault.opened, token_file)
    private = None if key_file is None else PrivateUnwrapper.load(key_file, passphrase)
    if vault is None and private is None:
        raise ContentError("give the private key of the tenant (`--key FILE`), or name a Vault in `[content.vault]`")
    made = Unwrappers(private, vault)
    if private is None:
        made.vault()
    return made


def examine_content_keys(section: ContentSection) -> Iterator[Finding]:
    """Check that the keys that content is encrypted for can be read: for `stoplog doctor`. Blocking: asks Vault."""
    name = "content keys"
    if not section.capture:
        yield fine(name, "no content is captured (`content.capture`)")
        return
    fields = ", ".join(section.capture)
    if not section.keys:
        advice = "create one with `stoplog keys content new --out FILE`, and name it in `content.keys`"
        make = failed if ContentField.ARGUMENTS in section.capture else warned
        yield make(name, f"{fields} are to be captured, and no tenant has a key", advice)
        return
    try:
        wrappers = _wrappers(section)
    except (ContentError, SigningKeyError) as error:
        yield failed(name, str(error), "correct section `content` of the settings: without keys, a gate does not start")
        return
    listed = ", ".join(f"{tenant}: `{wrapper.kek}`" for tenant, wrapper in wrappers.items())
    yield fine(name, f"{fields} are captured, under the keys of {listed}")


class Rewrapper:
    """Wraps keys of sessions again, with the key that gates wrap with now. Implements `KeyRewrapper`.

    From one version of a key of Vault to the next, Vault does it. Otherwise the keys are unwrapped in this process.

    INVARIANT: what is wrapped with the key of another tenant is left alone. Whoever puts it under this tenant, where it
    does not belong, would get it back wrapped with a key that he has, and could read that tenant's content.

    Attributes:
        kek: see `KeyRewrapper`.
    """

    def __init__(self, wrapper: PublicWrapper, unwrappers: Unwrappers, others: frozenset[str]) -> None:
        """Take the keys.

        Args:
            wrapper: wraps with the present key of the tenant.
            unwrappers: unwraps with the keys before it.
            others: the names of the keys of Vault that are other tenants' alone.
        """
        self.kek = wrapper.kek
        self._wrapper = wrapper
        self._unwrappers = unwrappers
        self._others = others

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """See `KeyRewrapper`."""
        name = name_of_kek(key.kek)
        if name in self._others:
            raise ContentError(f"it is wrapped with `{key.kek[:80]}`, which `content.keys` names for another tenant")
        vault = self._unwrappers.vault() if name is not None and name == name_of_kek(self.kek) else None
        if vault is not None:
            return vault.rewrap(key)
        return self._wrapper.wrap(key.kid, self._unwrappers.unwrap(key))


@contextmanager
def open_rewrapper(
    section: ContentSection, tenant_uid: str, key_file: Path | None, passphrase: bytes | None, token_file: Path | None
) -> Iterator[Rewrapper]:
    """Yield what wraps the keys of a tenant with the one that the settings name for it. Blocking.

    Args:
        key_file: the private key that they are wrapped with now; not needed from one version of a key of Vault to the
            next.
        passphrase: the passphrase of that file.
        token_file: a token of Vault in place of the one in the settings.

    Raises:
        ContentError: the settings name no key for the tenant, or there is nothing to unwrap with.
        SigningKeyError: a file can't be read, or others can read it.
    """
    stated = stated_key(section, tenant_uid)
    if stated is None:
        raise ContentError(f"setting `content.keys` has no key of tenant `{tenant_uid}`, nor one of all tenants (`*`)")
    shared = {stated, section.keys.get(ANY_TENANT)}
    others = frozenset(
        each.removeprefix(VAULT_PREFIX)
        for each in section.keys.values()
        if each.startswith(VAULT_PREFIX) and each not in shared
    )
    with build_unwrapper(section, key_file, passphrase, token_file) as unwrappers:
        if not stated.startswith(VAULT_PREFIX):
            yield Rewrapper(PublicWrapper.load(Path(stated)), unwrappers, others)
            return
        vault = unwrappers.vault()
        if vault is None:
            raise _no_vault(stated)
        yield Rewrapper(vault.wrapper(stated.removeprefix(VAULT_PREFIX)), unwrappers, others)


def stated_key(section: ContentSection, tenant_uid: str) -> str | None:
    """Return what the settings name as the key of a tenant, or None."""
    return section.keys.get(tenant_uid) or section.keys.get(ANY_TENANT)


def _wrappers(section: ContentSection) -> dict[str, PublicWrapper]:
    found: dict[str, PublicWrapper] = {}
    vault: VaultTransit | None = None
    try:
        for tenant, stated in section.keys.items():
            if not stated.startswith(VAULT_PREFIX):
                found[tenant] = PublicWrapper.load(Path(stated))
                continue
            if section.vault is None:
                raise _no_vault(stated)
            vault = vault or section.vault.opened()
            found[tenant] = vault.wrapper(stated.removeprefix(VAULT_PREFIX))
    finally:
        if vault is not None:
            vault.close()
    return found


def _no_vault(stated: str) -> ContentError:
    return ContentError(f"setting `content.keys` names `{stated}`, but there is no `[content.vault]`")
