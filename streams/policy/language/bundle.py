"""A bundle of rules: as files, and as parsed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streams.policy.errors import Location, PolicyError
from streams.policy.language.located_yaml import Scalar
from streams.policy.results import ApprovalSettings, Mode, Obligation, RuleEffect

BUNDLE_FILE = "bundle.yaml"
RULES_SUFFIX = ".rules.yaml"
FILES_MAX = 500
FILE_BYTES_MAX = 4_000_000
BUNDLE_BYTES_MAX = 32_000_000


class BundleReadError(PolicyError):
    """The files of a bundle could not be read from disk."""


@dataclass(frozen=True, slots=True)
class BundleSource:
    """The files of a bundle, by path with `/` from its root, and the digest that names them."""

    files: Mapping[str, str]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Pattern:
    """A glob and where it was written."""

    text: str
    location: Location


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls a rule is for. An empty tuple says nothing; the tools are always named."""

    tools: tuple[Pattern, ...]
    servers: tuple[Pattern, ...] = ()
    tool_version: Pattern | None = None
    agents: tuple[Pattern, ...] = ()
    tenants: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as written. `mode` has the bundle's own mode worked in."""

    id: str
    version: str
    pack: str
    location: Location
    effect: RuleEffect
    mode: Mode
    match: Match
    when: Scalar
    reason: str
    explain: tuple[tuple[str, Scalar], ...] = ()
    tags: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    approval: ApprovalSettings | None = None
    defer_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NamedList:
    """A list of constants, all of one type."""

    name: str
    location: Location
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class NamedMacro:
    """A named expression."""

    name: str
    body: Scalar


class Keep(StrEnum):
    """What a memory keeps of the events that it is about."""

    ANY = "any"
    COUNT = "count"
    SUM = "sum"
    LAST = "last"


class Occasion(StrEnum):
    """What happens to an intent that a memory can be about."""

    JUDGED = "judged"
    ALLOWED = "allowed"
    DENIED = "denied"
    RAN = "ran"
    FAILED = "failed"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Reset:
    """What makes a memory forget: the session's next matching event."""

    on: Occasion
    match: Match
    when: Scalar | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Something that is remembered within a session, as declared under `history:`.

    Attributes:
        when: None counts every event that `match` takes; None of that, every tool's.
        key: kept for each of its values by itself.
        of: what is summed.
        within_ms: how long an event counts; None for as long as the session is known.
        group: whose approvals count; None for every group's.
    """

    name: str
    location: Location
    pack: str
    keep: Keep
    on: Occasion
    match: Match | None = None
    when: Scalar | None = None
    key: Scalar | None = None
    of: Scalar | None = None
    within_ms: int | None = None
    group: str | None = None
    reset: Reset | None = None


class Per(StrEnum):
    """Who shares a budget."""

    SESSION = "session"
    AGENT = "agent"
    USER = "user"
    TOOL = "tool"
    TENANT = "tenant"


class MeasureKind(StrEnum):
    """What a budget counts."""

    CALLS = "calls"
    SUM = "sum"
    DISTINCT = "distinct"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what is allowed, as declared under `budgets:`.

    Attributes:
        of: what is summed, or whose values are told apart; None counts calls.
        match: None is every tool.
        window_ms: it is full again at each multiple of this since the epoch; None: never (of sessions only).
    """

    name: str
    location: Location
    pack: str
    per: Per
    measure: MeasureKind
    of: Scalar | None
    match: Match | None
    when: Scalar | None
    limit: int
    window_ms: int | None


@dataclass(frozen=True, slots=True)
class Pack:
    """Rules that belong together; `name` is empty for what the bundle itself defines."""

    name: str
    owner: str | None
    lists: tuple[NamedList, ...] = ()
    macros: tuple[NamedMacro, ...] = ()
    rules: tuple[Rule, ...] = ()
    memories: tuple[Memory, ...] = ()
    budgets: tuple[Budget, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose form is right; its expressions are not checked yet."""

    name: str
    version: str
    mode: Mode
    owners: tuple[str, ...]
    catalog_digest: str | None
    shared: Pack
    packs: tuple[Pack, ...] = field(default=())


def bundle_from_files(files: Mapping[str, str]) -> BundleSource:
    """A bundle from its files, as it travels on the topic `agent.ruleset.v1`.

    Args:
        files: path, with `/`, from the bundle's root to content. Not trusted: `compile_bundle` judges them.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        # Lengths go in front, so that no two sets of files run together to one digest.
        for part in (path.encode("utf-8", "surrogatepass"), files[path].encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return BundleSource(MappingProxyType(dict(files)), digest.digest())


def load_bundle(directory: Path) -> BundleSource:
    """Read `bundle.yaml` and every `*.rules.yaml` below a directory. Blocking.

    Raises:
        BundleReadError: a file can't be read, is too large, is a symbolic link or is not UTF-8.
    """
    root = Path(directory)
    paths = [root / BUNDLE_FILE, *sorted(root.rglob(f"*{RULES_SUFFIX}"))]
    if not paths[0].is_file():
        raise BundleReadError(f"`{root}` holds no `{BUNDLE_FILE}`")
    if len(paths) > FILES_MAX:
        raise BundleReadError(f"`{root}` holds {len(paths)} files, at most {FILES_MAX} are read")
    files = {path.relative_to(root).as_posix(): read_text(path) for path in paths}
    total = sum(len(text) for text in files.values())
    if total > BUNDLE_BYTES_MAX:
        raise BundleReadError(f"`{root}` holds {total} characters, at most {BUNDLE_BYTES_MAX} are read")
    return bundle_from_files(files)


def read_text(path: Path) -> str:
    """A file's text, with its size bounded.

    Raises:
        BundleReadError: see `load_bundle`.
    """
    if path.is_symlink():
        raise BundleReadError(f"`{path}` is a symbolic link, rules are read from plain files")
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise BundleReadError(f"`{path}` has more than {FILE_BYTES_MAX} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        # The system's own text has the path once more.
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise BundleReadError(f"`{path}` can't be read: {why}") from error
