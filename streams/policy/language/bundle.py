"""A bundle of rules: its files, and the records that they are parsed into."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from streams.policy.errors import Location, PolicyError
from streams.policy.language.fact_types import Field
from streams.policy.language.located_yaml import Scalar
from streams.policy.results import ApprovalSettings, Mode, Obligation, RuleEffect

BUNDLE_FILE = "bundle.yaml"
RULES_SUFFIX = ".rules.yaml"
DETECTORS_SUFFIX = ".detectors.yaml"
"""The end of the names of files that declare behaviour. They are not part of a bundle: the watch reads them."""
FILES_MAX = 500
FILE_BYTES_MAX = 4_000_000
BUNDLE_BYTES_MAX = 32_000_000

_YAML = re.compile(r"(?i)\.ya?ml\Z")
_LIKE_BUNDLE = re.compile(r"(?i)bundle\.ya?ml")
_LIKE_RULES = re.compile(r"(?i)(.+)\.(rule|test|attack|scenario|detector|historie|history)s?\.ya?ml")
_RULES_KEY = re.compile(rb"(?m)^rules:")
_LOOKED_AT_BYTES = 65_536
_WRONG_NAMES_SHOWN = 5


class BundleReadError(PolicyError):
    """The files of a bundle can't be read from disk."""


class BundleSource(msgspec.Struct, frozen=True):
    """The files of a bundle by path (relative to its root, with `/`), and the SHA-256 digest that identifies them."""

    files: Mapping[str, str]
    digest: bytes


class Pattern(msgspec.Struct, frozen=True):
    """A glob and its location in the file."""

    text: str
    location: Location


class Match(msgspec.Struct, frozen=True):
    """The calls that a rule applies to. An empty tuple does not restrict them; `tools` is never empty."""

    tools: tuple[Pattern, ...]
    servers: tuple[Pattern, ...] = ()
    tool_version: Pattern | None = None
    agents: tuple[Pattern, ...] = ()
    tenants: tuple[Pattern, ...] = ()


class Rule(msgspec.Struct, frozen=True):
    """A rule as written, except that `mode` takes the bundle's mode into account."""

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


class NamedList(msgspec.Struct, frozen=True):
    """A named list of constants, all of one type."""

    name: str
    location: Location
    values: tuple[Any, ...]


class NamedMacro(msgspec.Struct, frozen=True):
    """A named expression."""

    name: str
    body: Scalar


class Keep(StrEnum):
    """How a memory aggregates its events."""

    ANY = "any"
    COUNT = "count"
    SUM = "sum"
    LAST = "last"


class Occasion(StrEnum):
    """The event in the life of an intent that a memory records."""

    JUDGED = "judged"
    ALLOWED = "allowed"
    DENIED = "denied"
    RAN = "ran"
    FAILED = "failed"
    APPROVED = "approved"


class Reset(msgspec.Struct, frozen=True):
    """The event that resets a memory: the next one of the session that matches."""

    on: Occasion
    match: Match
    when: Scalar | None


class Since(msgspec.Struct, frozen=True):
    """The call after which a memory starts again: the last one of the session that matches.

    An event counts only if its call was judged after that call. With a `key`, only the memory's value for that key
    starts again; without one, all of it.
    """

    on: Occasion
    match: Match
    when: Scalar | None
    key: Scalar | None


AGE_SUFFIX = "_age_ms"


class Memory(msgspec.Struct, frozen=True):
    """A value that is remembered within a session, as declared under `history:`.

    Attributes:
        match: the calls whose events count; None: every call.
        when: the condition under which an event counts; None: always.
        key: the memory holds a separate value for each value of this expression.
        of: the amount to add, if the memory keeps a sum.
        within_ms: how long an event counts; None: for the whole session.
        group: the group whose approvals count; None: every group.
        per: what shares the memory; None: each session has its own, and the fields below are None.
        window_ms: a shared memory starts again at each multiple of this since the epoch.
        fresh_ms: how old what is known of other partitions may be when a rule reads a shared memory.
        keys_max: how many values of `key` a shared memory may have in one window; None without `key`.
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
    since: Since | None = None
    per: Per | None = None
    window_ms: int | None = None
    fresh_ms: int | None = None
    keys_max: int | None = None

    @property
    def age_name(self) -> str:
        """Return the name of the field of `history` that says how old a shared memory is."""
        return f"{self.name}{AGE_SUFFIX}"


class Entity(msgspec.Struct, frozen=True):
    """A thing outside, as declared under `entities:`: rules read what operators' systems say about it.

    Attributes:
        kind: its kind on the topic of attributes.
        key: the id of the entity that a call is about.
        match: the calls that are about one; None: every call.
        fields: the attributes that rules can read, with their types.
    """

    name: str
    location: Location
    pack: str
    kind: str
    key: Scalar
    match: Match | None
    fields: tuple[Field, ...]


class Per(StrEnum):
    """The scope of a budget: the calls that share one."""

    SESSION = "session"
    AGENT = "agent"
    USER = "user"
    TOOL = "tool"
    TENANT = "tenant"


class MeasureKind(StrEnum):
    """The quantity that a budget limits."""

    CALLS = "calls"
    SUM = "sum"
    DISTINCT = "distinct"


class Budget(msgspec.Struct, frozen=True):
    """A limit on the calls that are allowed, as declared under `budgets:`.

    Attributes:
        of: the amount to sum, or the value whose distinct values are counted; None if calls are counted.
        match: the calls that it limits; None: every call.
        window_ms: the budget starts again at each multiple of this since the epoch; None (sessions only): never.
        key: each value of this expression has a budget of its own; None: all calls share one.
        keys_max: how many values may have a budget in one window; None without `key`.
        warn_at: with how much of the limit an alert is raised; 0: with none.
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
    key: Scalar | None = None
    keys_max: int | None = None
    warn_at: int = 0


class Pack(msgspec.Struct, frozen=True):
    """A group of rules, in one directory; `name` is empty for the names that the bundle itself defines."""

    name: str
    owner: str | None
    lists: tuple[NamedList, ...] = ()
    macros: tuple[NamedMacro, ...] = ()
    rules: tuple[Rule, ...] = ()
    memories: tuple[Memory, ...] = ()
    budgets: tuple[Budget, ...] = ()
    entities: tuple[Entity, ...] = ()


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that is parsed, but whose expressions are not yet checked."""

    name: str
    version: str
    mode: Mode
    owners: tuple[str, ...]
    catalog_digest: str | None
    shared: Pack
    packs: tuple[Pack, ...] = ()


def bundle_from_files(files: Mapping[str, str]) -> BundleSource:
    """Return a bundle made of its files, as the topic `agent.ruleset.v1` carries it.

    Args:
        files: contents by path, relative to the bundle's root, with `/`. They are not trusted: `compile_bundle` checks
            them.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        # Each part is preceded by its length, so that two different sets of files never have one digest.
        for part in (path.encode("utf-8", "surrogatepass"), files[path].encode("utf-8", "surrogatepass")):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return BundleSource(MappingProxyType(dict(files)), digest.digest())


def load_bundle(directory: Path) -> BundleSource:
    """Read `bundle.yaml` and every `*.rules.yaml` below a directory. Blocking.

    Raises:
        BundleReadError: a file can't be read, is too large, is a symbolic link or is not UTF-8, or there are too many.
    """
    root = Path(directory)
    paths = [root / BUNDLE_FILE, *sorted(root.rglob(f"*{RULES_SUFFIX}"))]
    _check_names(root)
    if not paths[0].is_file():
        raise BundleReadError(_without_bundle(root))
    if len(paths) > FILES_MAX:
        raise BundleReadError(f"`{root}` contains {len(paths)} files: the limit is {FILES_MAX}")
    files = {path.relative_to(root).as_posix(): read_text(path) for path in paths}
    total = sum(len(text) for text in files.values())
    if total > BUNDLE_BYTES_MAX:
        raise BundleReadError(f"`{root}` contains {total} characters: the limit is {BUNDLE_BYTES_MAX}")
    return bundle_from_files(files)


def _without_bundle(root: Path) -> str:
    """Return what to do about a path that is not the folder of a bundle, of which a pack needs lists and macros."""
    missing = f"`{root}` contains no `{BUNDLE_FILE}`"
    if not root.exists():
        return f"there is no folder `{root}`: name the one that contains `{BUNDLE_FILE}`"
    if not root.is_dir():
        return f"`{root}` is a file: name the folder that contains `{BUNDLE_FILE}`"
    above = next((each for each in root.resolve().parents if (each / BUNDLE_FILE).is_file()), None)
    if above is not None:
        return f"{missing}; it is a part of the bundle `{above}`: name that folder"
    below = next(iter(sorted(root.glob(f"*/{BUNDLE_FILE}"))), None)
    if below is not None:
        return f"{missing}, but `{below.parent}` does: name that folder"
    return f"{missing}; `stoplog rules new PACK` begins one"


def load_detector_files(directory: Path) -> dict[str, str]:
    """Read every `*.detectors.yaml` below a directory, and return the texts by their paths in it. Blocking.

    Raises:
        BundleReadError: as for `load_bundle`; or there is none.
    """
    root = Path(directory)
    if not root.is_dir():
        raise BundleReadError(f"there is no folder `{root}`: name the one that contains files `*{DETECTORS_SUFFIX}`")
    paths = sorted(root.rglob(f"*{DETECTORS_SUFFIX}"))
    if not 1 <= len(paths) <= FILES_MAX:
        raise BundleReadError(
            f"`{root}` contains {len(paths)} files `*{DETECTORS_SUFFIX}`: 1 to {FILES_MAX} are needed"
        )
    return {path.relative_to(root).as_posix(): read_text(path) for path in paths}


def read_text(path: Path) -> str:
    """Read a text file of bounded size. Blocking, but not for a file that somebody else has to write first.

    Raises:
        BundleReadError: see `load_bundle`.
    """
    if path.is_symlink():
        raise BundleReadError(f"`{path}` is a symbolic link: rules must be plain files")
    if path.exists() and not path.is_file():
        raise BundleReadError(f"`{path}` is not a regular file")
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
        if len(data) > FILE_BYTES_MAX:
            raise BundleReadError(f"`{path}` is larger than {FILE_BYTES_MAX} bytes")
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        # `strerror` does not repeat the path, unlike the error's own text.
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise BundleReadError(f"`{path}` can't be read: {why}") from error


def _check_names(root: Path) -> None:
    """Reject files that nobody would read, although their names or contents say that somebody should.

    Raises:
        BundleReadError: names them, and the names that they should have.
    """
    wrong = []
    for path in sorted(root.rglob("*")):
        wanted = _name_for(path, is_at_root=path.parent == root)
        if wanted not in (None, path.name):
            wrong.append(f"`{path.relative_to(root).as_posix()}` must be named `{wanted}`")
    if wrong:
        more = f", and {len(wrong) - _WRONG_NAMES_SHOWN} more" if len(wrong) > _WRONG_NAMES_SHOWN else ""
        shown = "; ".join(wrong[:_WRONG_NAMES_SHOWN])
        raise BundleReadError(f"`{root}` contains files that would be ignored: {shown}{more}")


def _name_for(path: Path, *, is_at_root: bool) -> str | None:
    """Return the name that a file must have to be read as what it seems to be; None if it seems to be nothing."""
    if not _YAML.search(path.name) or not path.is_file():
        return None
    if like := _LIKE_RULES.fullmatch(path.name):
        kind = like[2].lower()
        return f"{like[1]}.{'historie' if kind == 'history' else kind}s.yaml"
    if is_at_root:
        return BUNDLE_FILE if _LIKE_BUNDLE.fullmatch(path.name) else None
    with path.open("rb") as opened:
        is_rules = _RULES_KEY.search(opened.read(_LOOKED_AT_BYTES)) is not None
    return f"{path.stem}{RULES_SUFFIX}" if is_rules else None
