"""`[sts]` of the settings: whose tokens the token service accepts, and the most that it grants agents for them."""

from __future__ import annotations

from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, model_validator

from streams.services.sections import HTTP_SCHEMES, IssuerSection, ListeningSection, Name, Section

SOURCES_MAX = 64
AGENTS_MAX = 10_000
SPIFFE = "spiffe://"
ANY_AGENT = "*"

Gives = Literal["user", "agent", "transaction", "id_jag"]
ConstraintName = Literal["EXACT", "RANGE", "ONE_OF", "NOT_ONE_OF", "CONTAINS", "SUBSET", "WILDCARD", "ALL", "ANY"]


class ArgumentSection(Section):
    """`[[sts.agents.NAME.tools.arguments]]`: a constraint on one argument of a tool.

    Attributes:
        argument: the argument, as a JSON pointer (`/to`).
        type: the kind of constraint; [delegation](../explanation/delegation.md) describes them.
        value: the parameter of that kind: a value, a list of values, a pattern, or bounds.
    """

    argument: str = Field(max_length=512)
    type: ConstraintName
    value: JsonValue = None


class ToolSection(Section):
    """`[[sts.agents.NAME.tools]]`: a tool that an agent may be granted.

    Attributes:
        server: the server that has the tool.
        name: its name at the server; `*` stands for all tools of the server.
        arguments: constraints on its arguments, which must all hold.
    """

    server: Name
    name: Name
    arguments: list[ArgumentSection] = Field([])


class SourceSection(IssuerSection):
    """`[sts.sources.NAME]`: an issuer whose tokens are accepted, and for what.

    It has the settings of `IssuerSection`, too.

    Attributes:
        issuer: its `iss`; for a SPIFFE trust domain `spiffe://` and its name.
        gives: the kinds of its tokens: of users, of agents, transaction tokens, identity assertions (ID-JAG).
        authorized_parties: further clients to which an ID token may have been issued (`azp`), if it states one or has
            several audiences. These are clients that pass the tokens of their users to agents.
        subject_prefix: precedes the names of its users, so that users of two issuers can't have the same name. It is
            required if there are several sources of users; sources with the same names for the same people share one.
        tenant: the tenant of its users' sessions; by default that of the settings.
        life_max_ms: tokens with a longer life are rejected.
        one_time: whether a token can be used once only; by default true for agents' tokens with a `jti`, and for
            identity assertions.
    """

    gives: list[Gives] = Field(min_length=1)
    authorized_parties: list[Name] = Field([], max_length=64)
    tenant: Name | None = None
    life_max_ms: int = Field(86_400_000, ge=1_000, le=31 * 86_400_000)
    one_time: bool | None = None

    @property
    def is_spiffe(self) -> bool:
        """Return whether its tokens are JWT-SVIDs."""
        return self.issuer.startswith(SPIFFE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.is_spiffe and (self.gives != ["agent"] or "/" in self.issuer.removeprefix(SPIFFE)):
            raise ValueError(
                f'`{self.issuer}`: a SPIFFE trust domain must have `gives = ["agent"]`, and a name without a path'
            )
        return self


class AgentSection(Section):
    """`[sts.agents.NAME]`: the most that an agent is granted, whatever its user could grant.

    Attributes:
        issuer: its issuer: the `iss` of its own token, or its trust domain.
        sub: its name at the issuer; `*` is every agent of the issuer.
        sources: the names of the sources for whose users it may act; by default all.
        scopes: the scopes that it may be granted.
        tools: the tools that it may be granted.
        servers: the audience of its tokens; by default the servers of `tools`.
        ttl_ms: the longest life of a session.
        max_depth: how often its grant may be delegated further.
        may_act: the agents to which it may delegate, by `sub`; by default all agents in the settings.
        bound: whether it must prove possession of its own key (DPoP, Ed25519) and gets no secret.
    """

    issuer: Name
    sub: Name
    sources: list[str] = Field([])
    scopes: list[Name] = Field([], max_length=256)
    tools: list[ToolSection] = Field([], max_length=128)
    servers: list[Name] | None = None
    ttl_ms: int = Field(3_600_000, ge=1_000, le=86_400_000)
    max_depth: int = Field(0, ge=0, le=8)
    may_act: list[Name] = Field([], max_length=64)
    bound: bool = False


class StsSection(ListeningSection):
    """`[sts]`: the token service, which opens sessions.

    It has the settings of `ListeningSection`, too.

    Attributes:
        issuer: the service's own `iss`: its URL, as clients see it. By default `http` (with `tls_key`, `https`),
            `host` and `port`.
        depth_max: the depth of the last hop of any chain; not above that of the gates.
        skew_ms: how far the clocks of issuers may be off.
        attended_within_ms: for an attended session, the longest time since the user has signed in.
        rotation_wait_ms: how long a new key is published before it is used: longer than clients cache keys.
        per_address_per_minute: the most requests a minute from one network address. That many may come at once.
        per_agent_per_minute: the most requests a minute from one agent, likewise.
        per_subject_per_minute: the most requests a minute by one agent for one subject, likewise.
        sources: the issuers whose tokens are accepted, by names of your choice.
        agents: the agents, by names of your choice.
    """

    carries: ClassVar[str] = "tokens and session keys"

    issuer: str = Field("http://127.0.0.1:8420", max_length=512)
    port: int = Field(8_420, ge=0, le=65_535)
    depth_max: int = Field(4, ge=0, le=8)
    skew_ms: int = Field(30_000, ge=0, le=300_000)
    attended_within_ms: int = Field(900_000, ge=1_000, le=86_400_000)
    rotation_wait_ms: int = Field(900_000, ge=0, le=86_400_000)
    per_address_per_minute: int = Field(600, ge=1, le=1_000_000)
    per_agent_per_minute: int = Field(300, ge=1, le=1_000_000)
    per_subject_per_minute: int = Field(60, ge=1, le=1_000_000)
    sources: dict[str, SourceSection] = Field({}, max_length=SOURCES_MAX)
    agents: dict[str, AgentSection] = Field({}, max_length=AGENTS_MAX)

    @model_validator(mode="after")
    def _check(self) -> Self:
        place = urlsplit(self.issuer)
        if place.scheme not in HTTP_SCHEMES or not place.netloc or place.query or place.fragment:
            raise ValueError(f"`issuer` is `{self.issuer}`: it must be a URL without query and fragment")
        _check_names(self)
        return self


def _check_names(section: StsSection) -> None:
    issuers = [source.issuer for source in section.sources.values()]
    for issuer in issuers:
        if issuers.count(issuer) > 1 or issuer == section.issuer:
            raise ValueError(f"issuer `{issuer}` is named twice among the sources, or is this service itself")
    of_users = [source for source in section.sources.values() if source.gives != ["agent"]]
    if len(of_users) > 1 and any("subject_prefix" not in source.model_fields_set for source in of_users):
        raise ValueError(
            "users of different sources could have the same name: set `subject_prefix` in each source, and the same "
            "prefix only for sources with the same names for the same people"
        )
    agents = [agent.sub for agent in section.agents.values()]
    for name, agent in section.agents.items():
        if agents.count(agent.sub) > 1:
            raise ValueError(
                f"agent `{agent.sub}` is listed twice: revocations and grants identify agents by name, so names must "
                "be unique, also among different issuers"
            )
        unknown = sorted(set(agent.sources) - set(section.sources))
        if unknown:
            raise ValueError(f"agent `{name}` names the source `{unknown[0]}`, which does not exist")
