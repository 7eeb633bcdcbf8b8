"""The settings of all commands, and the classes of their sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from streams.model.errors import SettingsError
from streams.model.keys import is_tenant_name
from streams.ports.open_log import EMBEDDED_LOG_FILE

if TYPE_CHECKING:
    # Each is loaded when the section is stated, or read.
    from streams.operations.settings import (
        AlertsSection,
        AttributesSection,
        CatalogSection,
        ContentSection,
        Deployment,
        ReleaseSection,
        RulesSection,
        TopicsSection,
    )
    from streams.processors.settings import GateSettings
    from streams.services.approvals.settings import ApprovalsSection
    from streams.services.desk.settings import DeskSection
    from streams.services.gate.settings import EngineSection, GateSection, SealSection, WatchSection
    from streams.services.metrics import MetricsSection, TracesSection
    from streams.services.ssf.settings import SsfSection
    from streams.services.sts.settings import StsSection


_VALUE_CHARS_SHOWN = 80
SECRETIVE = frozenset({"kafka", "schema_registry"})
"""Sections whose values are never shown: they can have passwords, under names that only librdkafka knows."""


SECTIONS: Mapping[str, tuple[str, str]] = {
    "gate": ("streams.services.gate.settings", "GateSection"),
    "seal": ("streams.services.gate.settings", "SealSection"),
    "watch": ("streams.services.gate.settings", "WatchSection"),
    "engine": ("streams.services.gate.settings", "EngineSection"),
    "topics": ("streams.operations.settings", "TopicsSection"),
    "rules": ("streams.operations.settings", "RulesSection"),
    "sts": ("streams.services.sts.settings", "StsSection"),
    "ssf": ("streams.services.ssf.settings", "SsfSection"),
    "approvals": ("streams.services.approvals.settings", "ApprovalsSection"),
    "desk": ("streams.services.desk.settings", "DeskSection"),
    "catalog": ("streams.operations.settings", "CatalogSection"),
    "release": ("streams.operations.settings", "ReleaseSection"),
    "attributes": ("streams.operations.settings", "AttributesSection"),
    "content": ("streams.operations.settings", "ContentSection"),
    "alerts": ("streams.operations.settings", "AlertsSection"),
    "metrics": ("streams.services.metrics", "MetricsSection"),
    "traces": ("streams.services.metrics", "TracesSection"),
}
"""The sections: the module and the name of the class of each."""

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What Kafka accepts in the name of a member, and what can't lead out of the state folder."""

_TABLE_PARTS = 3

_Section = TypeVar("_Section", bound=BaseModel)


def section_class(name: str) -> type[BaseModel]:
    """Return the class of a section."""
    module, title = SECTIONS[name]
    found: type[BaseModel] = getattr(import_module(module), title)
    return found


def _details(error: ValidationError, *within: str) -> Iterator[InitErrorDetails]:
    """Yield the faults of an error again, as those of a section.

    Each keeps its text. Not every fault can be made again from its kind: that of a path has a kind of its own.
    """
    for fault in error.errors(include_url=False):
        again = PydanticCustomError(fault["type"], fault["msg"])
        yield InitErrorDetails(type=again, loc=(*within, *fault["loc"]), input=fault["input"])


def _checked_instance(name: str) -> str:
    if _INSTANCE.fullmatch(name) is None:
        raise PydanticCustomError(
            "instance", "input should be at most 100 letters, digits, `.`, `_` and `-`, the first a letter or a digit"
        )
    return name


def _checked_tenant(name: str) -> str:
    if not is_tenant_name(name):
        # Commands would accept it, and gates no record of it: a stop of one of its sessions would stop nothing.
        raise PydanticCustomError("tenant", "input should name a tenant, without `|` or NUL")
    return name


class Settings(BaseModel):
    """What all commands read.

    Attributes:
        log: the kind of log: a Kafka cluster, or the embedded log in a file.
        bootstrap: the cluster's brokers, `host:port`, comma-separated.
        kafka: further librdkafka settings (`security.protocol`, `sasl.mechanism`, ...), for every client.
        schema_registry_url: the URL of a schema registry, whose ids replace those in `schemas/ids.lock.json`.
        schema_registry: further settings of the client of the registry (`basic.auth.user.info`, ...).
        state_dir: the folder of local state, the embedded log and single-use records.
        root_key_file: the file of the root key, from which session keys are derived; by default `root.key` in
            `state_dir`. Only gates and the token service may have it.
        instance: this gate's stable name: at most 100 letters, digits, `.`, `_` and `-`. Its transactional id, its
            group membership and the folder of its state are named by it.
        group: the consumer group of the gates that share the partitions.
        tenant: the tenant where a command, a token or a record names none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    log: Literal["kafka", "embedded"] = "embedded"
    bootstrap: str = "127.0.0.1:9092"
    kafka: dict[str, str | int | bool] = {}
    schema_registry_url: str | None = None
    schema_registry: dict[str, str] = {}
    state_dir: Path = Path(".stoplog")
    root_key_file: Path | None = None
    instance: Annotated[str, AfterValidator(_checked_instance)] = "gate-1"
    group: str = "stoplog-gate"
    tenant: Annotated[str, AfterValidator(_checked_tenant)] = "default"

    # The class of a section is made when something of the section is stated, or when the section is read. To make all
    # of them takes a short command 50 ms of the 300 that it may take, and it reads three.
    if TYPE_CHECKING:
        gate: GateSection
        seal: SealSection
        watch: WatchSection
        engine: EngineSection
        topics: TopicsSection
        rules: RulesSection
        sts: StsSection
        ssf: SsfSection
        approvals: ApprovalsSection
        desk: DeskSection
        catalog: CatalogSection
        release: ReleaseSection
        attributes: AttributesSection
        content: ContentSection
        alerts: AlertsSection
        metrics: MetricsSection
        traces: TracesSection

    def __init__(self, **values: Any) -> None:
        """Check values.

        Args:
            values: by setting; those of a section as a mapping, or as the section itself.

        Raises:
            ValidationError: a setting is unknown, or has an invalid value; it has every fault.
        """
        sections = {name: values.pop(name) for name in SECTIONS if name in values}
        faults: list[InitErrorDetails] = []
        try:
            super().__init__(**values)
        except ValidationError as error:
            faults += _details(error)
        for name, value in sections.items():
            try:
                sections[name] = section_class(name).model_validate(value)
            except ValidationError as error:
                faults += _details(error, name)
        if faults:
            raise ValidationError.from_exception_data(type(self).__name__, faults)
        self.__dict__.update(sections)

    def __getattr__(self, name: str) -> Any:
        """Return a section of which nothing is stated: it is made when it is first read."""
        if name in SECTIONS:
            made = self.__dict__[name] = section_class(name)()
            return made
        return super().__getattr__(name)  # type: ignore[misc]  # the library hides it from type checkers

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        """Yield what `repr` and `str` show: only the names of settings in sections that can have passwords."""
        for name, value in super().__repr_args__():
            hidden = name in SECRETIVE and isinstance(value, dict)
            yield name, dict.fromkeys(value, "...") if hidden else value

    @property
    def embedded_path(self) -> Path:
        """Return the file of the embedded log."""
        return self.state_dir / EMBEDDED_LOG_FILE

    @property
    def key_path(self) -> Path:
        """Return the file of the root key."""
        return self.root_key_file or self.state_dir / "root.key"

    @property
    def deployment(self) -> Deployment:
        """Return the settings of the deployment that operations need."""
        from streams.operations.settings import Deployment  # noqa: PLC0415 - with the sections that it has

        return Deployment(
            tenant_uid=self.tenant,
            bundle_name=self.gate.bundle_name,
            rules=self.rules,
            catalog=self.catalog,
            release=self.release,
            attributes=self.attributes,
            content=self.content,
            alerts=self.alerts,
        )

    def gate_settings(self, root_key: bytes) -> GateSettings:
        """Return the settings of the gate's core.

        Raises:
            SettingsError: the trust anchors are invalid.
        """
        content = self.content
        captured = tuple(field.value for field in content.capture)
        return self.gate.for_gate(root_key, capture=captured, content_retention=content.retention_class)

    def approvals_at(self, host: str | None, port: int | None) -> ApprovalsSection:
        """Return the settings of the service for questions, with another address.

        Raises:
            SettingsError: the service may not listen on that address with these settings.
        """
        changed = {"host": host or self.approvals.host, "port": self.approvals.port if port is None else port}
        fields = {**self.approvals.model_dump(exclude_unset=True), **changed}
        return _validated("approvals", type(self.approvals), fields)

    def ssf_at(self, host: str | None, port: int | None) -> SsfSection:
        """Return the settings of the security event service, with another address.

        Raises:
            SettingsError: the service may not listen on that address with these settings.
        """
        changed = {"host": host or self.ssf.host, "port": self.ssf.port if port is None else port}
        return _validated("ssf", type(self.ssf), {**self.ssf.model_dump(), **changed})

    def sts_at(self, host: str | None, port: int | None) -> StsSection:
        """Return the settings of the token service, with another address, from which a missing issuer is derived.

        Raises:
            SettingsError: the service may not listen on that address with these settings.
        """
        changed = {"host": host or self.sts.host, "port": self.sts.port if port is None else port}
        if "issuer" not in self.sts.model_fields_set:
            scheme = "http" if self.sts.tls_key is None else "https"
            changed["issuer"] = f"{scheme}://{changed['host']}:{changed['port']}"
        return _validated("sts", type(self.sts), {**self.sts.model_dump(), **changed})


def _validated(name: str, kind: type[_Section], fields: dict[str, object]) -> _Section:
    """Return a section of the settings with these fields.

    Raises:
        SettingsError: they are not valid.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join((name, *map(str, fault["loc"])))
        if not fault["loc"]:
            text = fault["msg"].removeprefix("Value error, ")
            raise SettingsError(f"section `[{name}]` of the settings: {text}") from None
        raise SettingsError(f"{worded(where, fault['msg'])}{got(fault['input'])}") from None


def setting_names() -> tuple[str, ...]:
    """Return the dotted paths of all settings."""
    own = tuple(_paths(Settings))
    return (*own, *(path for name in SECTIONS for path in _paths(section_class(name), f"{name}.")))


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _paths(annotation, f"{prefix}{name}.")
            continue
        yield f"{prefix}{name}"
        # A section that may be left out, such as `seal.vault`, can be given as a whole or by its settings.
        parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else ()
        for part in parts:
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from _paths(part, f"{prefix}{name}.")


def table_settings(path: Sequence[str]) -> tuple[str, ...] | None:
    """Return the settings of a table of a table of tables, such as `desk.slack.NAME`; None if the path leads to none.

    Args:
        path: the table: its section, the setting, its name or index.
    """
    if len(path) != _TABLE_PARTS or path[0] not in SECTIONS:
        return None
    field = section_class(path[0]).model_fields.get(path[1])
    for kind in () if field is None else get_args(field.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return tuple(kind.model_fields)
    return None


def worded(path: str, text: str) -> str:
    """Return what is wrong with a setting: its name, and a sentence of pydantic without the capital letter.

    What a check of our own says is a sentence already, behind pydantic's words for its kind.
    """
    told = text.removeprefix("Value error, ")
    return f"setting `{path}`: {told if told != text else f'{text[:1].lower()}{text[1:]}'}"


def got(value: object) -> str:
    """Return the value that is wrong; empty for a whole section, of which the message names what is wrong."""
    return "" if isinstance(value, dict) else f", got `{str(value)[:_VALUE_CHARS_SHOWN]}`"
