"""Sections of the settings that operations go by: topics, and whose signatures count on rules and tools."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from streams.audit.publishers import Publishers, PublishersError
from streams.audit.reviewers import Reviewers, ReviewersError
from streams.model.errors import SettingsError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TopicsSection(_Section):
    """`[topics]`: how `stoplog topics apply` makes them, and for which principals (by role: `gate = ["User:gate"]`).

    `prefix`: goes before the name of every topic, for a deployment of its own beside others on one cluster.
    `executor_group_prefix`: what the consumer groups of executors are called, where there are access entries.
    """

    prefix: str = Field("", pattern="^[A-Za-z0-9._-]{0,100}$")
    partitions: int = Field(6, ge=1, le=10_000)
    replication: int = Field(1, ge=1, le=32_767)
    principals: dict[str, list[str]] = {}
    executor_group_prefix: str = "stoplog-executor"


class RulesSection(_Section):
    """`[rules]`: whose signatures a gate wants under the rules that it enforces.

    `publishers`: public keys by the names of their owners (`ann = "ed25519:..."`).
    `required_signatures`: of how many different ones every publication needs a signature.
    `allow_unsigned`: for development, without publishers: whoever may write the topic decides what the rules are.
    """

    publishers: dict[str, str] = {}
    required_signatures: int = Field(1, ge=1, le=8)
    allow_unsigned: bool = False

    def trusted(self) -> Publishers:
        """Return whose signatures count on rules.

        Raises:
            SettingsError: the publishers make no sense.
        """
        try:
            return Publishers.of(self.publishers, required=self.required_signatures, allow_unsigned=self.allow_unsigned)
        except PublishersError as error:
            raise SettingsError(f"section `[rules]` of the settings: {error}") from None


class CatalogSection(_Section):
    """`[catalog]`: whose signatures a gate wants before a tool may be called.

    `reviewers`: public keys by the names of their owners (`ann = "ed25519:..."`).
    `required_signatures`: of how many different ones every approval needs a signature.
    `separation_of_duties`: whether who has proposed a tool can't be the only one to approve it.
    `review_days`: how long an approval holds where the reviewer says nothing else; 0: for ever.
    `allow_unsigned`: for development, without reviewers: whoever may write the topic decides which tools there are.
    """

    reviewers: dict[str, str] = {}
    required_signatures: int = Field(1, ge=1, le=8)
    separation_of_duties: bool = True
    review_days: int = Field(365, ge=0, le=3_650)
    allow_unsigned: bool = False

    def trusted(self) -> Reviewers:
        """Return whose signatures count on catalog entries.

        Raises:
            SettingsError: the reviewers make no sense.
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


@dataclass(frozen=True)
class Deployment:
    """What operations know of the deployment that they work on.

    Attributes:
        tenant_uid: the tenant of what names none.
        bundle_name: the rules that its gates enforce.
        rules: whose signatures count on rules.
        catalog: whose signatures count on catalog entries.
    """

    tenant_uid: str
    bundle_name: str
    rules: RulesSection
    catalog: CatalogSection
