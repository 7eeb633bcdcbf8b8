"""File paths of POSIX systems: `path(text)`, `path(text, folder)` and the functions on paths.

Paths are compared as text. The target of a symbolic link is not known here, nor whether a file system distinguishes
upper and lower case. The sandbox of the tool must handle both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.model.visible import is_seen
from streams.policy.cel.ops import no_overload
from streams.policy.cel.strings import matches as matches_regex
from streams.policy.cel.values import ExtensionValue, TypeValue
from streams.policy.errors import EvaluationError
from streams.policy.ext.globs import Glob, to_glob
from streams.policy.ext.memoize import memoized
from streams.policy.ext.urls import Url, texts_of

PATH_CHARS_MAX = 4_096
PATHS_KEPT_MAX = 1_024
ROOTS_KEPT_MAX = 256

_ENCODED = re.compile(r"%(?:2e|2f|5c|25|00)|%u", re.IGNORECASE)
_DRIVE_OR_SCHEME = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*:/")
_EXPANDED = re.compile(r"~|.*(\$[({]|`)|(.*/)?\$[A-Za-z_]", re.DOTALL)
_KERNEL_LINKS = re.compile(r"/proc/(.*/)?(root|cwd|exe|fd|map_files)(/|\Z)|/dev/(fd|stdin|stdout|stderr)(/|\Z)")
_STRUCTURE = frozenset("/\\.:%~$`")


@dataclass(frozen=True, slots=True)
class FilePath(ExtensionValue):
    """An absolute path without dot segments, empty segments and a final slash."""

    TYPE: ClassVar[TypeValue] = TypeValue("rules.Path")

    whole: str

    def text(self) -> str:
        """Return the path."""
        return self.whole

    @property
    def name(self) -> str:
        """Return the last segment, which is empty for the root."""
        return self.whole.rpartition("/")[2]


@memoized(PATHS_KEPT_MAX)
def _read(text: str, folder: str) -> FilePath:
    if not text or len(text) > PATH_CHARS_MAX:
        raise EvaluationError(f"path must have 1 to {PATH_CHARS_MAX} characters")
    _refuse_tricks(text)
    if not text.startswith("/"):
        if not folder:
            raise EvaluationError("path is relative: give its folder as the second argument")
        if not folder.startswith("/"):
            raise EvaluationError("folder is not an absolute path")
        text = f"{_read(folder, '').whole}/{text}"
    kept: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            if not kept:
                raise EvaluationError("path climbs above the root")
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    whole = "/" + "/".join(kept)
    if _KERNEL_LINKS.match(whole):
        raise EvaluationError("path goes through a link of the kernel, such as /proc/self/root")
    return FilePath(whole)


def _refuse_tricks(text: str) -> None:
    """Reject a text that a tool may decode, expand or normalize to another path."""
    if "\\" in text or _DRIVE_OR_SCHEME.match(text):
        raise EvaluationError("path has a backslash, a drive or a scheme")
    if _ENCODED.search(text):
        raise EvaluationError("path has an encoded separator or dot")
    if _EXPANDED.match(text):
        raise EvaluationError("path begins with `~`, or contains text that a shell would expand")
    for character in text:
        if not is_seen(character):
            raise EvaluationError("path has an invisible character")
        if not character.isascii() and _STRUCTURE & set(unicodedata.normalize("NFKC", character)):
            raise EvaluationError("path has a character that looks like a separator or a dot")
    if not text.isascii() and unicodedata.normalize("NFC", text) != text:
        raise EvaluationError("path is not in Unicode normal form C")


def to_path(*args: Any) -> Any:
    """Implement `path(text)` and `path(text, folder)`, and `url.path()`, whose result is a text."""
    first = args[0] if args else None
    if len(args) == 1 and first.__class__ is Url:
        return first.path
    if len(args) == 1 and first.__class__ is FilePath:
        return first
    folder = args[1] if len(args) == 2 else ""
    if folder.__class__ is FilePath:
        folder = folder.whole
    if not 1 <= len(args) <= 2 or first.__class__ is not str or folder.__class__ is not str:
        raise no_overload("path", *args)
    return _read(first, folder)


def is_path(*args: Any) -> bool:
    """Implement `isPath(text)`, `isPath(text, folder)`."""
    if not 1 <= len(args) <= 2 or args[0].__class__ is not str or args[-1].__class__ is not str:
        raise no_overload("isPath", *args)
    try:
        _read(args[0], args[1] if len(args) == 2 else "")
    except EvaluationError:
        return False
    return True


def _path(name: str, value: Any) -> FilePath:
    if value.__class__ is not FilePath:
        raise no_overload(name, value)
    return value


@memoized(ROOTS_KEPT_MAX)
def _roots(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_read(item, "").whole for item in items)


def within(value: Any, roots: Any) -> bool:
    """Implement `path.within(root)` and `path.within(roots)`: whether a path is one of the folders or below one."""
    path = _path("within", value).whole
    if roots.__class__ is FilePath:
        roots = roots.whole
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in
               _roots(texts_of("within", value, roots)))  # fmt: skip


def matches(*args: Any) -> bool:
    """Implement `text.matches(regex)`, `path.matches(glob)`, `glob.matches(text)`, `glob.matches(path)`."""
    if len(args) == 2:
        first, second = args
        if first.__class__ is FilePath and second.__class__ in (str, Glob):
            return to_glob(second).matches(first.whole)
        if first.__class__ is Glob and second.__class__ in (str, FilePath):
            return bool(first.matches(second.whole if isinstance(second, FilePath) else second))
    return matches_regex(*args)


def segments(value: Any) -> tuple[str, ...]:
    """Implement `path.segments()`."""
    return tuple(_path("segments", value).whole.split("/")[1:]) if value != _ROOT else ()


def extension(value: Any) -> str:
    """Implement `path.extension()`: the part of the name after its last dot, in lower case, or an empty text."""
    stem, dot, last = _path("extension", value).name.rpartition(".")
    return last.lower() if dot and stem else ""


def parent(value: Any) -> FilePath:
    """Implement `path.parent()`; the parent of the root is the root."""
    return FilePath(_path("parent", value).whole.rpartition("/")[0] or "/")


_ROOT = FilePath("/")

PATH_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "path": to_path,
    "isPath": is_path,
    "within": within,
    "matches": matches,
    "name": lambda value: _path("name", value).name,
    "segments": segments,
    "extension": extension,
    "parent": parent,
}
