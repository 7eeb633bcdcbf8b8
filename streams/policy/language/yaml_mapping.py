"""Reading of a YAML mapping against what is expected of it, with an error for everything that differs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.error_hints import suggest_word
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode, node_kind, to_python

LIST_ITEMS_MAX = 50_000
TEXT_CHARS_MAX = 500

DURATION_PATTERN = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)\Z")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_E = TypeVar("_E", bound=StrEnum)


class MappingReader:
    """A mapping with known keys.

    Args:
        node: what stands in the file, or None when nothing does.
        what: how errors call it, such as `a rule`.
        keys: the allowed keys; those that end in `!` are required.
    """

    def __init__(
        self, node: Node, what: str, keys: Iterable[str], findings: Findings, rule_id: str | None = None
    ) -> None:
        self.location = node.location
        self.rule_id = rule_id
        self._findings = findings
        self._entries: dict[str, tuple[Location, Node]] = {}
        keys = tuple(keys)
        known = [key.rstrip("!") for key in keys]
        if not isinstance(node, MappingNode):
            self.error("wrong_kind", node.location, f"{what} must be a mapping, found {node_kind(node)}")
            return
        for name, value in node:
            if name.text in known:
                self._entries[name.text] = (name.location, value)
            else:
                hint = nearest(name.text, known) or f"known keys are {', '.join(known)}"
                self.error("unknown_key", name.location, f"{what} has no key `{name.text}`", hint)
        for key in keys:
            if key.endswith("!") and key[:-1] not in self._entries:
                self.error("missing_key", node.location, f"{what} needs the key `{key[:-1]}`")

    def error(self, code: str, at: Location, message: str, hint: str | None = None) -> None:
        """Report an error under this form's rule."""
        self._findings.error(code, at, message, rule_id=self.rule_id, hint=hint)

    def node(self, key: str) -> Node | None:
        """The value under a key, if it is there."""
        found = self._entries.get(key)
        return found[1] if found else None

    def at(self, key: str) -> Location:
        """Where the key stands; the form's own place when it is absent."""
        found = self._entries.get(key)
        return found[0] if found else self.location

    def scalar(self, key: str) -> Scalar | None:
        """A value that is one piece of text, whatever it means."""
        node = self.node(key)
        if node is None:
            return None
        if not isinstance(node, Scalar) or node.value is None:
            hint = None if isinstance(node, Scalar) else "put the whole value in quotes"
            self.error("wrong_kind", node.location, f"`{key}` must be text, found {node_kind(node)}", hint)
            return None
        return node

    def text(self, key: str, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str | None:
        """A text, of a pattern where one is given."""
        node = self.node(key)
        return None if node is None else self._text(key, node, pattern, expected)

    def _text(self, key: str, node: Node, pattern: re.Pattern[str] | None, expected: str) -> str | None:
        if not isinstance(node, Scalar) or not node.is_text:
            hint = "put it in quotes" if isinstance(node, Scalar) and node.value is not None else None
            self.error("wrong_kind", node.location, f"`{key}` must be {expected}, found {node_kind(node)}", hint)
            return None
        if not node.text.strip() or len(node.text) > TEXT_CHARS_MAX:
            message = f"`{key}` must have 1 to {TEXT_CHARS_MAX} characters, found {len(node.text.strip())}"
            self.error("wrong_length", node.location, message)
            return None
        unseen = next((character for character in node.text if not character.isprintable() and character != "\n"), None)
        if unseen is not None:
            message = f"`{key}` holds a character that can't be seen, U+{ord(unseen):04X}"
            self.error("control_character", node.location, message)
            return None
        if pattern is not None and not pattern.match(node.text):
            self.error("wrong_value", node.location, f"`{key}` must be {expected}, found `{node.text}`")
            return None
        return node.text

    def texts(
        self, key: str, count_max: int, pattern: re.Pattern[str] | None = None, expected: str = "text"
    ) -> tuple[str, ...]:
        """A list of texts without repetition."""
        found: list[str] = []
        for node in self.items(key, count_max):
            text = self._text(key, node, pattern, expected)
            if text is None:
                continue
            if text in found:
                self.error("duplicate_item", node.location, f"`{key}` holds `{text}` twice")
            else:
                found.append(text)
        return tuple(found)

    def items(self, key: str, count_max: int) -> tuple[Node, ...]:
        """A list of anything, not empty."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            hint = "put it in brackets" if isinstance(node, Scalar) and node.is_text else None
            self.error("wrong_kind", node.location, f"`{key}` must be a list, found {node_kind(node)}", hint)
            return ()
        if not 1 <= len(node.items) <= count_max:
            self.error("wrong_length", node.location, f"`{key}` must have 1 to {count_max} items")
            return ()
        return node.items

    def entries(self, key: str, count_max: int) -> tuple[tuple[Scalar, Node], ...]:
        """The entries of a mapping with free keys."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node, MappingNode):
            self.error("wrong_kind", node.location, f"`{key}` must be a mapping, found {node_kind(node)}")
            return ()
        if len(node.entries) > count_max:
            self.error("wrong_length", node.location, f"`{key}` must have at most {count_max} entries")
            return ()
        return node.entries

    def choice(self, key: str, choices: type[_E], others: Mapping[str, str] = MappingProxyType({})) -> _E | None:
        """One of an enumeration's values; `others` are words for them that are known elsewhere, and not here."""
        text = self.text(key)
        if text is None:
            return None
        try:
            return choices(text)
        except ValueError:
            known = [str(choice) for choice in choices]
            node = self.node(key)
            at = node.location if node is not None else self.location
            hint = suggest_word(text, known, others)
            self.error("wrong_value", at, f"`{key}` must be one of {', '.join(known)}, found `{text}`", hint)
            return None

    def integer(self, key: str, low: int, high: int) -> int | None:
        """An integer within bounds."""
        node = self.node(key)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
            self.error("wrong_value", node.location, f"`{key}` must be an integer from {low} to {high}, found {shown}")
            return None
        return value

    def duration_ms(self, key: str, max_ms: int) -> int | None:
        """A duration such as `30s` or `15m`, in milliseconds."""
        node = self.node(key)
        if node is None:
            return None
        match = DURATION_PATTERN.match(node.text) if isinstance(node, Scalar) else None
        duration_ms = int(match[1]) * _UNIT_MS[match[2]] if match else 0
        if not 0 < duration_ms <= max_ms:
            shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
            message = f"`{key}` must be a duration up to {max_ms // 1000}s such as `30s` or `15m`, found {shown}"
            self.error("wrong_value", node.location, message)
            return None
        return duration_ms

    def value(self, key: str, chars_max: int) -> Any:
        """Anything, as plain Python, of bounded size."""
        node = self.node(key)
        if node is None:
            return None
        value = to_python(node)
        if len(repr(value)) > chars_max:
            self.error("wrong_length", node.location, f"`{key}` must take at most {chars_max} characters")
            return None
        return value
