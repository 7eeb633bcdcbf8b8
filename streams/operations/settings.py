"""Sections of the settings that operations need: topics, and the trusted signers of rules, tools and releases."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from streams.audit.alert_handlers import AlertHandlers, AlertHandlersError
from streams.audit.attribute_writers import AttributeWriters, AttributeWritersError
from streams.audit.content_officers import ContentOfficers, OfficersError
from streams.audit.publishers import Publishers, PublishersError
from streams.audit.releasers import Releasers, ReleasersError
from streams.audit.reviewers import Reviewers, ReviewersError
from streams.model.attributes import BYTES_MAX, TENANT_BYTES_MAX, Room
from streams.model.audit import RetentionClass
from streams.model.content import ContentField
from streams.model.errors import SettingsError

if TYPE_CHECKING:
    # Loaded by those who use them: every command reads the settings.
    from streams.sdk.keys.aws_kms import AwsKms
    from streams.sdk.keys.vault_transit import VaultTransit


class _Section(BaseModel):
    # Validators are made for sections that a command reads, not for their neighbors: it reads two or three of many.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class TopicsSection(_Section):
    """`[topics]`: how `stoplog topics apply` creates topics, and for which principals.

    Attributes:
        principals: Kafka principals by role (`gate = ["User:gate-1"]`).
        instances: the instances that a gate's or a token service's principal runs as, by principal (`"User:gate-1" =
            ["gate-1"]`). No two principals share one: whoever has another's transactional id can stop it.
        executor_groups: the consumer groups that an executor's principal may join, by principal (`"User:mail" =
            ["stoplog-executor-mail"]`). No two principals share one.
        tenants: each tenant with the Kafka principals of its agents (`acme = ["User:acme-agent"]`). A tenant has a
            topic for the outcomes of its intents, which only these may read.
        gate_takeover: whether each gate may end the transactions of the others, by their names in `instances`. A
            takeover in seconds needs it; without it no gate can fence another, and a dead gate's partitions wait up to
            25 s longer.
        prefix: precedes the name of every topic, so that several deployments can share a cluster.
        partitions: how many partitions each topic has whose records are keyed by session. It can't be changed later
            without draining.
        replication: how many brokers have a copy of each partition. Use 3 in production.
        quotas: bytes per second and broker that a principal of a role may write; 0 or no entry: no limit. `stoplog
            topics apply` prints the commands that set them.
    """

    prefix: str = Field("", pattern="^[A-Za-z0-9._-]{0,100}$")
    partitions: int = Field(6, ge=1, le=10_000)
    replication: int = Field(1, ge=1, le=32_767)
    principals: dict[str, list[str]] = {}
    quotas: dict[str, Annotated[int, Field(ge=0)]] = {"agent": 524_288, "executor": 4_194_304}
    instances: dict[str, list[str]] = {}
    executor_groups: dict[str, list[str]] = {}
    tenants: dict[str, list[str]] = {}
    gate_takeover: bool = False


class RulesSection(_Section):
    """`[rules]`: whose signatures a gate requires on the rules that it enforces.

    Attributes:
        publishers: public keys by the names of their owners (`ann = "ed25519:..."`).
        required_signatures: how many publishers must sign every publication.
        allow_unsigned: whether rules without a signature are accepted. For development, without publishers: whoever may
            write the topic decides what the rules are.
    """

    publishers: dict[str, str] = {}
    required_signatures: int = Field(1, ge=1, le=8)
    allow_unsigned: bool = False

    def trusted(self) -> Publishers:
        """Return the trusted publishers of rules.

        Raises:
            SettingsError: the publishers are invalid.
        """
        try:
            return Publishers.of(self.publishers, required=self.required_signatures, allow_unsigned=self.allow_unsigned)
        except PublishersError as error:
            raise SettingsError(f"section `[rules]` of the settings: {error}") from None


class CatalogSection(_Section):
    """`[catalog]`: whose signatures a gate requires before a tool may be called.

    Attributes:
        reviewers: public keys by the names of their owners (`ann = "ed25519:..."`).
        required_signatures: how many reviewers must sign every approval.
        separation_of_duties: whether somebody other than the proposer must approve a tool.
        review_days: after how many days an approval expires unless the reviewer says otherwise; 0: never.
        allow_unsigned: whether approvals without a signature are accepted. For development, without
            reviewers: whoever may write the topic decides which tools there are.
    """

    reviewers: dict[str, str] = {}
    required_signatures: int = Field(1, ge=1, le=8)
    separation_of_duties: bool = True
    review_days: int = Field(365, ge=0, le=3_650)
    allow_unsigned: bool = False

    @property
    def key_option(self) -> str:
        """Return what a suggested command about the catalog needs for its signature, with a space before it."""
        return "" if self.allow_unsigned else " --key FILE"

    def trusted(self) -> Reviewers:
        """Return the trusted reviewers of tools.

        Raises:
            SettingsError: the reviewers are invalid.
        """
        try:
            return Reviewers.of(
                self.reviewers,
                required=self.required_signatures,
                allow_unsigned=self.allow_unsigned,
                separate_duties=self.separation_of_duties,
            )
        except ReviewersError as error:
            raise SettingsError(f"section `[catalog]` of the settings: {error}") from None


class ReleaseSection(_Section):
    """`[release]`: whose signature a stop needs to be released. Gates, the token service and executors check it.

    Attributes:
        releasers: public keys by the names of their owners (`ann = "ed25519:..."`).
        kinds: what a releaser may release, if not everything (`desk = ["SESSION", "SUBJECT"]`).
        deployment: the name of this deployment, which signatures cover; needed where deployments share keys.
        allow_unsigned: whether releases without a signature are accepted. For development, without
            releasers: whoever may write the topic can also release.
    """

    releasers: dict[str, str] = {}
    kinds: dict[str, list[str]] = {}
    deployment: str = Field("", max_length=200)
    allow_unsigned: bool = False

    @property
    def key_option(self) -> str:
        """Return what a suggested `stoplog release` needs for its signature, with a space before it."""
        return "" if self.allow_unsigned else " --key FILE"

    def trusted(self) -> Releasers:
        """Return the trusted releasers of stops.

        Raises:
            SettingsError: the releasers are invalid.
        """
        try:
            return Releasers.of(
                self.releasers, kinds=self.kinds, deployment=self.deployment, allow_unsigned=self.allow_unsigned
            )
        except ReleasersError as error:
            raise SettingsError(f"section `[release]` of the settings: {error}") from None


class AttributesSection(_Section):
    """`[attributes]`: whose records about entities a gate believes.

    Attributes:
        writers: public keys by the names of their owners (`crm = "ed25519:..."`).
        tenants: the tenants that a writer may speak for, if not all (`crm = ["acme"]`).
        kinds: the kinds of entities that a writer may speak about, if not all (`crm = ["customer"]`).
        deployment: the name of this deployment, which signatures cover; needed where deployments share keys.
        bytes_max: how many bytes of attributes a gate holds.
        tenant_bytes_max: how many of them may be one tenant's. Set it below `bytes_max` if tenants write their own.
        allow_unsigned: whether attributes without a signature are accepted. For development, without
            writers: whoever may write the topic may speak about every entity of every tenant.
    """

    writers: dict[str, str] = {}
    tenants: dict[str, list[str]] = {}
    kinds: dict[str, list[str]] = {}
    deployment: str = Field("", max_length=200)
    bytes_max: int = Field(BYTES_MAX, ge=1_048_576, le=8_589_934_592)
    tenant_bytes_max: int = Field(TENANT_BYTES_MAX, ge=1_048_576, le=8_589_934_592)
    allow_unsigned: bool = False

    def trusted(self) -> AttributeWriters:
        """Return the trusted writers of attributes.

        Raises:
            SettingsError: the writers are invalid.
        """
        try:
            return AttributeWriters.of(
                self.writers,
                tenants=self.tenants,
                kinds=self.kinds,
                deployment=self.deployment,
                allow_unsigned=self.allow_unsigned,
            )
        except AttributeWritersError as error:
            raise SettingsError(f"section `[attributes]` of the settings: {error}") from None

    def room(self) -> Room:
        """Return how many bytes a gate holds."""
        return Room(self.bytes_max, self.tenant_bytes_max)


class AlertsSection(_Section):
    """`[alerts]`: who may acknowledge and close alerts. The watch, the desk and `stoplog alerts` check it.

    Attributes:
        handlers: public keys by the names of their owners (`ann = "ed25519:..."`).
        tenants: the tenants whose alerts a handler may handle, if not all (`ann = ["acme"]`).
        deployment: the name of this deployment, which signatures cover; needed where deployments share keys.
        allow_unsigned: whether alerts can be closed without a signature. For development, without handlers: whoever may
            write the topic can close alerts.
    """

    handlers: dict[str, str] = {}
    tenants: dict[str, list[str]] = {}
    deployment: str = Field("", max_length=200)
    allow_unsigned: bool = False

    @property
    def key_option(self) -> str:
        """Return what a suggested command about alerts needs for its signature, with a space before it."""
        return "" if self.allow_unsigned else " --key FILE"

    def trusted(self) -> AlertHandlers:
        """Return the people who handle alerts.

        Raises:
            SettingsError: the handlers are invalid.
        """
        try:
            return AlertHandlers.of(
                self.handlers, tenants=self.tenants, deployment=self.deployment, allow_unsigned=self.allow_unsigned
            )
        except AlertHandlersError as error:
            raise SettingsError(f"section `[alerts]` of the settings: {error}") from None


class VaultSection(_Section):
    """`[content.vault]`: a Vault server whose transit engine has the keys of tenants.

    Attributes:
        address: its address.
        mount: where the engine is mounted.
        token_file: a file whose first line is a token. Gates need one that may read keys, readers one that may decrypt.
        namespace: the namespace, if the server has several.
        ca_file: the authorities for its certificate (PEM); by default the system's.
    """

    address: str = "https://127.0.0.1:8200"
    mount: str = Field("transit", pattern="^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$", max_length=200)
    token_file: Path
    namespace: str | None = None
    ca_file: Path | None = None

    def opened(self, token_file: Path | None = None, *, timeout_ms: int | None = None) -> VaultTransit:
        """Return the server, which the caller closes. Blocking: reads the token.

        Args:
            token_file: a token in place of the one of the settings.
            timeout_ms: how long an answer may take; by default as long as `VaultTransit` waits.

        Raises:
            SigningKeyError: the file of the token can't be read, or others can read it.
            ContentError: keys would cross a network unencrypted, or the token can't be one.
        """
        from streams.sdk.keys.vault_transit import TIMEOUT_MS, VaultTransit, read_token  # noqa: PLC0415 - see above

        return VaultTransit(
            self.address,
            partial(read_token, token_file or self.token_file),
            mount=self.mount,
            namespace=self.namespace,
            ca_file=self.ca_file,
            timeout_ms=timeout_ms or TIMEOUT_MS,
        )


class AwsSection(_Section):
    """`[content.aws]`: AWS KMS, if it has the keys of tenants. Needs the extra `aws`.

    Credentials are found as all programs of AWS find them: in environment variables, in the profile that `AWS_PROFILE`
    names, or by the role of the machine. Gates need some that may get public keys, readers some that may decrypt.

    Attributes:
        region: the region of the keys (`eu-central-1`).
        endpoint: the address of the service, if it is not that of the region: such as that of a VPC endpoint.
    """

    region: str = Field(pattern="^[a-z]{2}(-[a-z]{1,20}){1,3}-[0-9]{1,2}$")
    endpoint: str | None = Field(None, pattern="^https?://[^@ ]+$", max_length=500)

    def opened(self, *, timeout_ms: int | None = None, attempts_max: int | None = None) -> AwsKms:
        """Return the service, which the caller closes.

        Args:
            timeout_ms: how long an answer may take, and credentials before it; by default as long as `AwsKms` waits.
            attempts_max: how often a request is sent; by default as often as `AwsKms` sends it.

        Raises:
            ContentError: the extra `aws` is missing, keys would cross a network unencrypted, or botocore's own settings
                are invalid.
        """
        from streams.sdk.keys.aws_kms import ATTEMPTS_MAX, TIMEOUT_MS, AwsKms  # noqa: PLC0415 - see above

        return AwsKms(
            self.region,
            endpoint=self.endpoint,
            timeout_ms=timeout_ms or TIMEOUT_MS,
            attempts_max=attempts_max or ATTEMPTS_MAX,
        )


class ContentSection(_Section):
    """`[content]`: which content gates put on the record, encrypted, and who may erase it.

    Attributes:
        capture: what is put on the record; by default nothing.
        keys: by tenant, the public key that keys of its sessions are wrapped with: a file that `stoplog keys content
            new` has made, `vault:NAME` for a key of `[content.vault]`, or `aws:KEY` for a key of `[content.aws]`, by
            its alias, id or ARN (`aws:alias/stoplog-acme`). `"*"` is for tenants that are not named.
        vault: the Vault server, if it has keys of tenants.
        aws: AWS KMS, if it has keys of tenants.
        retention: the class of what is captured from now on (`short`, `standard`, `long`, `legal_hold`).
        short_days: after how many days `stoplog audit erase --expired --why TEXT` erases content of the class `short`.
        standard_days: the same for the class `standard`.
        long_days: the same for the class `long`.
        officers: who may end holds and order erasures: public keys by the names of their owners.
        deployment: the name of this deployment, which signatures cover; needed where deployments share keys.
        allow_unsigned: whether orders without a signature count. For development, without officers.
    """

    capture: list[ContentField] = []
    keys: dict[str, str] = {}
    vault: VaultSection | None = None
    aws: AwsSection | None = None
    retention: str = Field("standard", pattern="^(short|standard|long|legal_hold)$")
    short_days: int = Field(30, ge=1, le=36_500)
    standard_days: int = Field(180, ge=1, le=36_500)
    long_days: int = Field(1_095, ge=1, le=36_500)
    officers: dict[str, str] = {}
    deployment: str = Field("", max_length=200)
    allow_unsigned: bool = False

    @property
    def retention_class(self) -> RetentionClass:
        """Return the class of what is captured from now on."""
        return RetentionClass(self.retention.upper())

    @property
    def days(self) -> dict[RetentionClass, int | None]:
        """Return for how many days content of each class is kept; None: for good."""
        return {
            RetentionClass.SHORT: self.short_days,
            RetentionClass.STANDARD: self.standard_days,
            RetentionClass.LONG: self.long_days,
            RetentionClass.LEGAL_HOLD: None,
        }

    def trusted(self) -> ContentOfficers:
        """Return the officers whose orders count.

        Raises:
            SettingsError: the officers are invalid.
        """
        try:
            return ContentOfficers.of(self.officers, deployment=self.deployment, allow_unsigned=self.allow_unsigned)
        except OfficersError as error:
            raise SettingsError(f"section `[content]` of the settings: {error}") from None


@dataclass(frozen=True)
class Deployment:
    """The settings of the deployment that operations need.

    Attributes:
        tenant_uid: the tenant where none is named.
        bundle_name: the bundle of rules that the gates enforce.
        rules: the trusted publishers of rules.
        catalog: the trusted reviewers of tools.
        release: the trusted releasers of stops.
        attributes: the trusted writers of attributes.
        content: captured content: its keys, and who may erase it.
        alerts: the people who handle alerts.
    """

    tenant_uid: str
    bundle_name: str
    rules: RulesSection
    catalog: CatalogSection
    release: ReleaseSection
    attributes: AttributesSection = field(default_factory=AttributesSection)
    content: ContentSection = field(default_factory=ContentSection)
    alerts: AlertsSection = field(default_factory=AlertsSection)
