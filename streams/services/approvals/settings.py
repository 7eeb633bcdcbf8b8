"""`[approvals]` of the settings: who is sent questions, and whose answers are accepted."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from streams.services.sections import IssuerSection, ListeningSection, Name, Section, check_url

PARTIES_MAX = 32
SIGNERS_MAX = 256
GROUPS_MAX = 64
TENANTS_MAX = 1_024


class WebhookSection(Section):
    """`[approvals.webhooks.NAME]`: a receiver of questions.

    Attributes:
        url: where questions are sent: `https` (`http` on loopback).
        secret_file: the file of the secret that signs them: `whsec_` and base64, as Standard Webhooks has it.
        tenants: the tenants whose questions it gets; by default all.
    """

    url: Name
    secret_file: Path
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_url(self.url)
        return self


class SignerSection(Section):
    """`[approvals.signers.NAME]`: a person whose signed answers are accepted.

    Attributes:
        sub: the person's name, as approvals record it.
        groups: the groups that the person is in.
        secret_file: the file of the person's secret, `whsec_` and base64. Nobody else may have it.
        tenants: the tenants whose questions the person may answer; by default all.
    """

    sub: Name
    groups: list[Name] = Field([], max_length=GROUPS_MAX)
    secret_file: Path
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)


class PeopleSection(IssuerSection):
    """`[approvals.people.NAME]`: an issuer of tokens that identify people.

    It has the settings of `IssuerSection`, too.

    Attributes:
        subject_claim: the claim with the person's name.
        groups_claim: the claim with the person's groups, a list of texts.
        subject_prefix: precedes the names, as `subject_prefix` of the token service's source does. It is required if
            there are several issuers.
        tenants: the tenants whose questions its people may answer; by default all. A group of the same name can be in
            several tenants, so name them where issuers belong to tenants.
    """

    subject_claim: Name = "sub"
    groups_claim: Name = "groups"
    tenants: list[Name] | None = Field(None, min_length=1, max_length=TENANTS_MAX)


class ApprovalsSection(ListeningSection):
    """`[approvals]`: the service that sends questions to people, and takes their answers.

    It has the settings of `ListeningSection`, too.

    Attributes:
        url: the URL of the service as others see it; questions name it, so that answers find it.
        per_address_per_minute: the most requests a minute from one network address. That many may come at once.
        skew_ms: how far clocks may differ: of signed answers, and of issuers.
        retry_first_ms: the pause before a question is sent again; each further pause is twice as long.
        retry_max_ms: the longest pause.
        webhooks: the receivers of questions, by names of your choice.
        signers: the people whose signed answers are accepted, by names of your choice.
        people: the issuers of tokens that identify people, by names of your choice.
    """

    carries: ClassVar[str] = "answers"

    url: str = Field("http://127.0.0.1:8422", max_length=512)
    port: int = Field(8_422, ge=0, le=65_535)
    per_address_per_minute: int = Field(120, ge=1, le=1_000_000)
    skew_ms: int = Field(300_000, ge=0, le=600_000)
    retry_first_ms: int = Field(500, ge=10, le=60_000)
    retry_max_ms: int = Field(60_000, ge=10, le=3_600_000)
    webhooks: dict[str, WebhookSection] = Field({}, max_length=PARTIES_MAX)
    signers: dict[str, SignerSection] = Field({}, max_length=SIGNERS_MAX)
    people: dict[str, PeopleSection] = Field({}, max_length=PARTIES_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        issuers = [people.issuer for people in self.people.values()]
        if len(set(issuers)) != len(issuers):
            raise ValueError("an issuer is named twice among the people")
        if len(issuers) > 1 and any("subject_prefix" not in each.model_fields_set for each in self.people.values()):
            raise ValueError("people of different issuers could have the same name: set `subject_prefix` for each")
        return self
