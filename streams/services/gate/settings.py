"""`[gate]` and `[engine]` of the settings: the limits and durations of a gate."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace
from pydantic import Field, model_validator

from streams.audit.notes import Signer
from streams.audit.seal_keys import derived_seal_key
from streams.delegation.anchors import AnchorError, TrustAnchors
from streams.engine.settings import EngineSettings
from streams.model.audit import RetentionClass
from streams.model.delegation import GRANT_LIFE_MS_MAX
from streams.model.errors import SettingsError
from streams.operations.settings import AwsSection, VaultSection
from streams.processors.settings import GateSettings, WatchSettings, conflict_of
from streams.services.gate.pkcs11_signer import Pkcs11Signer
from streams.services.sections import Section

if TYPE_CHECKING:
    # Loaded by gates that sign with it: every command reads the settings.
    from streams.services.gate.remote_signer import RemoteSigner


class GateSection(Section):
    """`[gate]`: how gates decide. Durations are in ms of broker time.

    It has the settings of `GateSettings`, too.

    Attributes:
        deployment: the name that executors sign their reports for. It is needed only if a server has one key in several
            deployments.
        trust_anchors: by issuer of root grants, `hmac` or public keys (`"https://sts.example" = "ed25519:..."`).
        require_delegation: whether every session needs a grant. By default it does if `trust_anchors` names an issuer;
            without one, no session can have a grant that counts.
    """

    documented_in: ClassVar[type] = GateSettings

    deployment: str = Field("", max_length=100)
    bundle_name: str = "default"
    join_grace_ms: int = Field(2_000, ge=0, le=60_000)
    verdict_ttl_ms: int = Field(30_000, ge=100, le=3_600_000)
    intent_age_max_ms: int = Field(300_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    skew_ms: int = Field(30_000, ge=0, le=300_000)
    dedup_retention_ms: int = Field(86_400_000, ge=60_000, le=GRANT_LIFE_MS_MAX)
    verdict_bytes_retention_ms: int = Field(300_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    verdict_bytes_per_partition_max: int = Field(268_435_456, ge=1_048_576, le=1 << 40)
    approval_ttl_ms: int = Field(900_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    defer_ms: int = Field(60_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    args_bytes_max: int = Field(262_144, ge=1_024, le=900_000)
    pending_per_session_max: int = Field(64, ge=1, le=10_000)
    questions_per_session_budget: int = Field(10, ge=1, le=1_000_000)
    session_age_max_ms: int = Field(86_400_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    unattended_age_max_ms: int = Field(28_800_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    session_idle_ms: int = Field(3_600_000, ge=1_000, le=GRANT_LIFE_MS_MAX)
    budget_wait_ms: int = Field(500, ge=10, le=30_000)
    budget_wait_max_ms: int = Field(10_000, ge=10, le=60_000)
    budget_idle_ms: int = Field(5_000, ge=100, le=3_600_000)
    alert_window_ms: int = Field(60_000, ge=1_000, le=3_600_000)
    trust_anchors: dict[str, str | list[str]] = Field({})
    require_delegation: bool | None = None
    delegation_depth_max: int = Field(4, ge=0, le=16)

    @model_validator(mode="after")
    def _fits_together(self) -> GateSection:
        """Check what a gate would refuse at its start, so that every command that reads the settings reports it."""
        conflict = conflict_of(self)
        if conflict is not None:
            raise ValueError(conflict)
        return self

    def for_gate(
        self,
        root_key: bytes,
        *,
        capture: tuple[str, ...] = (),
        content_retention: RetentionClass = RetentionClass.STANDARD,
    ) -> GateSettings:
        """Return the settings of the gate's core.

        Args:
            capture, content_retention: see `GateSettings`; they are in the section `[content]`.

        Raises:
            SettingsError: the trust anchors are invalid.
        """
        values = self.model_dump()
        try:
            values["trust_anchors"] = TrustAnchors.of(self.trust_anchors)
        except AnchorError as error:
            raise SettingsError(f"setting `gate.trust_anchors`: {error}") from None
        if self.require_delegation is None:
            values["require_delegation"] = not values["trust_anchors"].is_empty
        return GateSettings(root_key=root_key, capture=capture, content_retention=content_retention, **values)


class TokenSection(Section):
    """`[seal.token]`: a key on a token, by PKCS #11.

    Attributes:
        module: the library of the token's maker.
        token: the label of the token.
        label: the label of the private key and of its public key.
        pin_file: a file whose first line is the PIN, which only its owner can read.
    """

    module: Path
    token: str
    label: str
    pin_file: Path


class SealVaultSection(VaultSection):
    """`[seal.vault]`: a key of the transit engine of a Vault server, of the type `ed25519`.

    Attributes:
        key: the name of the key.
        version: the version of the key. Executors must list a new version before gates sign with it.
        address: the server's address.
        mount: where the engine is mounted.
        token_file: a file whose first line is a token that may read the key and sign with it. It is read again when the
            server refuses.
        namespace: the namespace, if the server has several.
        ca_file: the authorities for its certificate (PEM); by default the system's.
        timeout_ms: how long a signature may take.
    """

    key: str = Field(pattern="^[A-Za-z0-9_.-]{1,200}$")
    version: int = Field(1, ge=1, le=1_000_000)
    timeout_ms: int = Field(2_000, ge=10, le=10_000)

    def signer(self) -> RemoteSigner:
        """Return what signs. Blocking.

        Raises:
            SigningKeyError: the key can't be used.
        """
        from streams.services.gate.remote_signer import open_signer  # noqa: PLC0415 - see above

        open_service = partial(self.opened, timeout_ms=self.timeout_ms)
        return open_signer(
            f"key `{self.key}` of Vault", open_service, lambda it: it.signing_key(self.key, self.version)
        )


class SealAwsSection(AwsSection):
    """`[seal.aws]`: a key of AWS KMS, of the key spec `ECC_NIST_EDWARDS25519`. Needs the extra `aws`.

    Attributes:
        key: the key: its id or ARN, or its alias (`alias/stoplog-seal`). An alias is looked up when the gate starts.
            Executors must list the next key before the alias is given to it.
        region: the region of the key (`eu-central-1`).
        endpoint: the address of the service, if it is not that of the region: such as that of a VPC endpoint.
        timeout_ms: how long a signature waits for credentials if those before have ended, then for a connection, and
            then for an answer.
    """

    key: str = Field(pattern="^[A-Za-z0-9:/_-]{1,400}$")
    timeout_ms: int = Field(2_000, ge=10, le=10_000)

    def signer(self) -> RemoteSigner:
        """Return what signs. Blocking.

        Raises:
            SigningKeyError: the key can't be used.
        """
        from streams.services.gate.remote_signer import open_signer  # noqa: PLC0415 - see above

        # A transaction waits for it. The gate itself tries again, with a new transaction.
        open_service = partial(self.opened, timeout_ms=self.timeout_ms, attempts_max=1)
        return open_signer(f"key `{self.key}` of AWS KMS", open_service, lambda it: it.signing_key(self.key))


class SealSection(Section):
    """`[seal]`: with which key a gate signs the heads that prove its verdicts.

    If no setting names one, the key is derived from the root key: for development, as the token service can derive it,
    too.

    Attributes:
        key_file: a file that `stoplog keys seal new` has made.
        key_variable: instead, the name of an environment variable that has the content of such a file.
        token: instead, a key on a token.
        vault: instead, a key of a Vault server.
        aws: instead, a key of AWS KMS.
    """

    key_file: Path | None = None
    key_variable: str | None = Field(None, pattern="^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    token: TokenSection | None = None
    vault: SealVaultSection | None = None
    aws: SealAwsSection | None = None

    @model_validator(mode="after")
    def _has_one_key(self) -> SealSection:
        if self._named_count > 1:
            names = "`key_file`, `key_variable`, `token`, `vault` and `aws`"
            raise ValueError(f"{names} name several keys; leave one of them in")
        return self

    @property
    def is_derived(self) -> bool:
        """Return whether the key is derived from the root key."""
        return self._named_count == 0

    @property
    def _named_count(self) -> int:
        return sum(each is not None for each in (self.key_file, self.key_variable, self.token, self.vault, self.aws))

    def signer(self, root_key: bytes) -> Signer:
        """Return what signs the heads. Blocking.

        Raises:
            SigningKeyError: the key can't be read.
        """
        # With all formats of keys: every command reads the settings of the gate.
        from streams.sdk.keys.key_files import load_key_file, read_key, read_private_line  # noqa: PLC0415 - see above

        if self.key_file is not None:
            return load_key_file(self.key_file)
        if self.key_variable is not None:
            return read_key(os.environ.get(self.key_variable, "").encode(), f"variable `{self.key_variable}`")
        if self.token is not None:
            pin = read_private_line(self.token.pin_file)
            return Pkcs11Signer(self.token.module, token=self.token.token, label=self.token.label, pin=pin)
        if self.vault is not None:
            return self.vault.signer()
        if self.aws is not None:
            return self.aws.signer()
        return derived_seal_key(root_key)


class WatchSection(Section):
    """`[watch]`: the watch of agents' behaviour; durations in ms of broker time.

    Attributes:
        rules: the folder with the files `*.detectors.yaml`; by default the one that is installed with stoplog.
        grace_ms: how long a decision waits for earlier ones of other partitions.
        publish_ms: how often the baseline of an agent is published at most.
        alert_window_ms: within which time alerts about one incident are counted together.
        commit_interval_ms: how long a transaction of the watch's workers may stay open while more input waits. It is
            committed earlier at `engine.transaction_age_max_ms` or `engine.transaction_bytes_max`. Nobody
            waits for a verdict of the watch, so its transactions are longer than those of gates, and cost less.
        commit_records_max: the number of input records after which they commit.
    """

    rules: Path | None = None
    grace_ms: int = Field(2_000, ge=0, le=60_000)
    publish_ms: int = Field(3_600_000, ge=1_000, le=86_400_000)
    alert_window_ms: int = Field(60_000, ge=1_000, le=3_600_000)
    commit_interval_ms: int = Field(500, ge=1, le=5_000)
    commit_records_max: int = Field(10_000, ge=1, le=100_000)

    def for_watch(self) -> WatchSettings:
        """Return the settings of the watch's core."""
        return WatchSettings(grace_ms=self.grace_ms, publish_ms=self.publish_ms, alert_window_ms=self.alert_window_ms)

    def for_engine(self, engine: EngineSettings) -> EngineSettings:
        """Return how the watch's workers run, who in everything else run as those of gates.

        Args:
            engine: how those of gates run.
        """
        return replace(engine, commit_interval_ms=self.commit_interval_ms, commit_records_max=self.commit_records_max)


class EngineSection(Section):
    """`[engine]`: how gates, budget allocators, notaries and watches poll, commit and keep time.

    It has the settings of `EngineSettings`, too.
    """

    documented_in: ClassVar[type] = EngineSettings

    poll_records_max: int = Field(1_000, ge=1, le=100_000)
    commit_interval_ms: int = Field(25, ge=1, le=5_000)
    commit_records_max: int = Field(2_000, ge=1, le=100_000)
    transaction_age_max_ms: int = Field(500, ge=10, le=5_000)
    transaction_bytes_max: int = Field(8 * 1024 * 1024, ge=1, le=1_073_741_824)
    record_aborts_max: int = Field(3, ge=1, le=10)
    idle_poll_ms: int = Field(50, ge=1, le=1_000)
    punctuate_ms: int = Field(100, ge=10, le=10_000)
    idle_margin_ms: int = Field(500, ge=0, le=60_000)
    input_wait_max_ms: int = Field(0, ge=0, le=86_400_000)
    time_ahead_max_ms: int = Field(60_000, ge=15_000, le=3_600_000)
    input_buffer_records_max: int = Field(1_000, ge=1, le=100_000)
    input_buffer_bytes_max: int = Field(4 * 1024 * 1024, ge=1, le=1_073_741_824)
    control_stale_ms: int = Field(10_000, ge=1_000, le=86_400_000)
    control_check_ms: int = Field(1_000, ge=100, le=86_400_000)
    standbys: int = Field(1, ge=0, le=10)

    def for_engine(self) -> EngineSettings:
        """Return the engine's settings."""
        return EngineSettings(**self.model_dump())
