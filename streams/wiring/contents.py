"""Builds what wraps and unwraps the keys of captured content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Set
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from streams.audit.content import ContentError, KekFormError, KeyServiceAwayError
from streams.audit.signatures import SigningKeyError
from streams.model.content import ContentField
from streams.model.types import WrappedKey
from streams.operations.doctor.findings import Finding, failed, fine, warned
from streams.operations.settings import ContentSection
from streams.policy.ext.held_secrets import secrets_in
from streams.sdk.keys.aws_kms import AWS_PREFIX, AwsKms, is_kek
from streams.sdk.keys.content import (
    ANY_TENANT,
    KeyUnwrapper,
    PrivateUnwrapper,
    PublicWrapper,
    SessionSealer,
    TenantWrappers,
)
from streams.sdk.keys.vault_transit import VAULT_PREFIX, VaultTransit, name_of_kek
from streams.wiring.clock import SystemClock

ATTEMPTS_MAX = 3
"""How often a service is asked that does not answer. After that it is not asked again, for any key."""

PAUSE_MS = 500
"""Before the second attempt; twice as long before the third one."""

_Answer = TypeVar("_Answer")


def build_sealer(section: ContentSection) -> SessionSealer | None:
    """Return what encrypts the arguments that a gate captures; None if it captures none. Blocking.

    All other content is encrypted by those who report it. Public keys of services are fetched now, so a gate that runs
    does not ask them.

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


class KeyServices:
    """Opens the services that have keys of tenants, each when it is first needed. Close it after use."""

    def __init__(self, section: ContentSection, token_file: Path | None = None) -> None:
        """Take the settings; nothing is opened yet.

        Args:
            token_file: a token of Vault in place of the one in the settings.
        """
        self._section = section
        self._token_file = token_file
        self._vault: VaultTransit | None = None
        self._aws: AwsKms | None = None
        self._away: dict[str, KeyServiceAwayError] = {}

    @property
    def are_stated(self) -> bool:
        """Return whether the settings name a service."""
        return self._section.vault is not None or self._section.aws is not None

    def vault(self) -> VaultTransit | None:
        """Return Vault, open; None without one.

        Raises:
            SigningKeyError: the file of its token can't be read, or others can read it.
            ContentError: keys would cross a network unencrypted.
        """
        if self._vault is None and self._section.vault is not None:
            self._vault = self._section.vault.opened(self._token_file)
        return self._vault

    def aws(self) -> AwsKms | None:
        """Return AWS KMS, open; None without it.

        Raises:
            ContentError: the extra `aws` is missing, or keys would cross a network unencrypted.
        """
        if self._aws is None and self._section.aws is not None:
            self._aws = self._section.aws.opened()
        return self._aws

    def wrapper(self, stated: str) -> PublicWrapper:
        """Return what wraps with a key of the setting `content.keys`. Blocking.

        Raises:
            ContentError: the key can't be read, or the settings don't name its service.
            SigningKeyError: the file of Vault's token can't be read, or others can read it.
        """
        if stated.startswith(VAULT_PREFIX):
            vault = self.vault()
            if vault is None:
                raise _unnamed(stated, "content.vault")
            return vault.wrapper(stated.removeprefix(VAULT_PREFIX))
        if stated.startswith(AWS_PREFIX):
            aws = self.aws()
            if aws is None:
                raise _unnamed(stated, "content.aws")
            return aws.wrapper(stated.removeprefix(AWS_PREFIX))
        return PublicWrapper.load(Path(stated))

    def unwrapper_of(self, kek: str) -> KeyUnwrapper | None:
        """Return the service that has a key, open; None if it is not one of a service of the settings.

        Raises:
            ContentError: the service can't be opened.
        """
        try:
            if kek.startswith(VAULT_PREFIX):
                return self.vault()
        except SigningKeyError as error:
            raise ContentError(str(error)) from None
        return self.aws() if kek.startswith(AWS_PREFIX) else None

    def asked(self, kek: str, ask: Callable[[], _Answer]) -> _Answer:
        """Return the answer of the service that has a key. Blocking.

        A service that is away is asked again after a pause, and given up then: with thousands of keys, each of which
        waits until the time is out, a command would not end for days.

        Args:
            kek: the name of the key.
            ask: asks the service.

        Raises:
            KeyServiceAwayError: it is away, or was given up before.
            ContentError: it refuses.
        """
        service = kek.partition(":")[0]
        if service in self._away:
            raise self._away[service]
        for attempt in range(ATTEMPTS_MAX):
            try:
                return ask()
            except KeyServiceAwayError as error:
                away = error
            if attempt + 1 < ATTEMPTS_MAX:
                SystemClock().sleep_ms(PAUSE_MS << attempt)
        self._away[service] = away
        raise away

    def close(self) -> None:
        """Close the connections."""
        for service in (self._vault, self._aws):
            if service is not None:
                service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Unwrappers:
    """Unwraps with whatever has the key: the private key of a tenant, or a service. Close it after use.

    Attributes:
        services: the services of the settings.
    """

    def __init__(self, private: PrivateUnwrapper | None, services: KeyServices) -> None:
        """Take the keys.

        Args:
            private: the private key of a tenant.
            services: opens a service for the first key of it.
        """
        self._private = private
        self.services = services

    def unwrap(self, key: WrappedKey) -> bytes:
        """See `KeyUnwrapper`."""
        service = self.services.unwrapper_of(key.kek)
        if service is not None:
            return self.services.asked(key.kek, partial(service.unwrap, key))
        if self._private is None:
            raise ContentError(f"it needs the key `{key.kek[:80]}`, which was not given (`--key FILE`)")
        return self._private.unwrap(key)

    def close(self) -> None:
        """Close the connections to services."""
        self.services.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def build_unwrapper(
    section: ContentSection, key_file: Path | None, passphrase: bytes | None, token_file: Path | None
) -> Unwrappers:
    """Return what unwraps keys, for a person who may read content. Blocking.

    A service is not opened before a key is one of it: who reads what is wrapped elsewhere may have no credentials of
    it, or those of a gate.

    Args:
        key_file: the private key of a tenant.
        passphrase: the passphrase of that file.
        token_file: a token of Vault in place of the one in the settings.

    Raises:
        ContentError: neither a key nor a service is there to unwrap with.
        SigningKeyError: a file can't be read, or others can read it.
    """
    services = KeyServices(section, token_file)
    private = None if key_file is None else PrivateUnwrapper.load(key_file, passphrase)
    if private is None and not services.are_stated:
        raise ContentError(
            "give the private key of the tenant (`--key FILE`), or name a service in `[content.vault]` or "
            "`[content.aws]`"
        )
    return Unwrappers(private, services)


def examine_content_keys(section: ContentSection) -> Iterator[Finding]:
    """Check that the keys that content is encrypted for can be read, for `stoplog doctor`. Blocking: asks services."""
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

    From one version of a key of Vault to the next, Vault does it, and from one key of AWS KMS to another, KMS does.
    Otherwise the keys are unwrapped in this process.

    INVARIANT: what is wrapped with the key of another tenant is left alone. Whoever puts it under this tenant, where it
    does not belong, would get it back wrapped with a key that he has, and could read that tenant's content. A key of
    Vault keeps its name over its versions, so the settings tell whose it is. A key of KMS is another one after a
    rotation, and nothing tells whose the one before was: so only those that are named are unwrapped.

    Attributes:
        kek: see `KeyRewrapper`.
    """

    def __init__(
        self, wrapper: PublicWrapper, unwrappers: Unwrappers, others: frozenset[str], former: frozenset[str]
    ) -> None:
        """Take the keys.

        Args:
            wrapper: wraps with the present key of the tenant.
            unwrappers: unwraps with the keys before it.
            others: the names of the keys of Vault that are other tenants' alone.
            former: the names of the keys of AWS KMS that the tenant has had (`WrappedKey.kek`).
        """
        self.kek = wrapper.kek
        self._wrapper = wrapper
        self._unwrappers = unwrappers
        self._others = others
        self._former = former

    def rewrap(self, key: WrappedKey) -> WrappedKey:
        """See `KeyRewrapper`."""
        name = name_of_kek(key.kek)
        if name in self._others:
            raise ContentError(f"it is wrapped with `{key.kek[:80]}`, which `content.keys` names for another tenant")
        if key.kek.startswith(AWS_PREFIX):
            return self._moved_from_aws(key)
        vault = self._unwrappers.services.vault() if name is not None and name == name_of_kek(self.kek) else None
        if vault is not None:
            return self._unwrappers.services.asked(key.kek, partial(vault.rewrap, key))
        return self._wrapper.wrap(key.kid, self._unwrappers.unwrap(key))

    def _moved_from_aws(self, key: WrappedKey) -> WrappedKey:
        if not is_kek(key.kek):
            raise ContentError(f"it needs the key `{key.kek[:80]}`, which is not one of AWS KMS")
        if key.kek not in self._former:
            text = f"it is wrapped with `{key.kek}`; if that was a key of this tenant, give `--from {key.kek}`"
            raise ContentError(text)
        aws = self._unwrappers.services.aws() if self.kek.startswith(AWS_PREFIX) else None
        if aws is not None:
            return self._unwrappers.services.asked(key.kek, partial(aws.rewrap, key, self.kek))
        return self._wrapper.wrap(key.kid, self._unwrappers.unwrap(key))


@contextmanager
def open_rewrapper(
    section: ContentSection,
    tenant_uid: str,
    key_file: Path | None,
    passphrase: bytes | None,
    token_file: Path | None,
    former: Collection[str] = (),
    *,
    is_dry_run: bool = False,
) -> Iterator[Rewrapper]:
    """Yield what wraps the keys of a tenant with the one that the settings name for it. Blocking.

    Args:
        key_file: the private key that they are wrapped with now; not needed from one key of a service to another one of
            the same service.
        passphrase: the passphrase of that file.
        token_file: a token of Vault in place of the one in the settings.
        former: the names of the keys of AWS KMS that they are wrapped with now.
        is_dry_run: whether nothing is wrapped. Then nothing to unwrap with is needed.

    Raises:
        KekFormError: `former` has a name that is not one of AWS KMS.
        ContentError: the settings name no key for the tenant, or there is nothing to unwrap with, or `former` has the
            name of another tenant's key.
        SigningKeyError: a file can't be read, or others can read it.
    """
    for each in former:
        if not is_kek(each):
            raise KekFormError(f"`--from` is for keys of AWS KMS, as `--dry-run` names them: not for `{each[:80]}`")
    stated = stated_key(section, tenant_uid)
    if stated is None:
        raise ContentError(f"setting `content.keys` has no key of tenant `{tenant_uid}`, nor one of all tenants (`*`)")
    own = {stated, section.keys.get(ANY_TENANT)}
    others = frozenset(
        each.removeprefix(VAULT_PREFIX)
        for each in section.keys.values()
        if each.startswith(VAULT_PREFIX) and each not in own
    )
    if is_dry_run:
        opened = Unwrappers(None, KeyServices(section, token_file))
    else:
        opened = build_unwrapper(section, key_file, passphrase, token_file)
    with opened as unwrappers:
        if former:
            _reject_keys_of_others(section, tenant_uid, own, former, unwrappers.services)
        yield Rewrapper(unwrappers.services.wrapper(stated), unwrappers, others, frozenset(former))


def stated_key(section: ContentSection, tenant_uid: str) -> str | None:
    """Return what the settings name as the key of a tenant, or None."""
    return section.keys.get(tenant_uid) or section.keys.get(ANY_TENANT)


def _reject_keys_of_others(
    section: ContentSection, tenant_uid: str, own: Set[str | None], former: Collection[str], services: KeyServices
) -> None:
    """Compare what is said to be former keys of a tenant with the keys of all others. Blocking: asks for aliases.

    Args:
        own: how the settings name the keys that the tenant may have had.

    Raises:
        ContentError: one is the key of another tenant, or a key of another tenant can't be looked up.
    """
    for other, stated in section.keys.items():
        if stated in own or not stated.startswith(AWS_PREFIX):
            continue
        try:
            kek = stated if is_kek(stated) else services.wrapper(stated).kek
        except ContentError as error:
            text = f"key `{stated}` of tenant `{other}` can't be looked up, which `--from` is compared with"
            raise ContentError(f"{text}: {error}") from None
        if kek in former:
            text = f"`--from` is for keys that tenant `{tenant_uid}` has had, but `content.keys` names"
            raise ContentError(f"{text} `{kek}` for tenant `{other}`")


def _wrappers(section: ContentSection) -> dict[str, PublicWrapper]:
    with KeyServices(section) as services:
        return {tenant: services.wrapper(stated) for tenant, stated in section.keys.items()}


def _unnamed(stated: str, section: str) -> ContentError:
    return ContentError(f"setting `content.keys` names `{stated}`, but there is no `[{section}]`")
