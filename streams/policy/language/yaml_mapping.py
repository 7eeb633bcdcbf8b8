"""Reads a YAML mapping with known keys and reports an error for everything that is not as expected."""

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
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_E = TypeVar("_E", bound=StrEnum)


class MappingReader:
    """Reads the values of a mapping.

    Args:
        node: the node in the file.
        what: the name of the mapping in errors, such as `a rule`.
        keys: the allowed keys; those that end in `!` are required.
        findings: receives the errors.
        rule_id: the rule that errors are reported for.
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
        """Report an error for the rule of this mapping."""
        self._findings.error(code, at, message, rule_id=self.rule_id, hint=hint)

    def node(self, key: str) -> Node | None:
        """Return the value of a key, or None."""
        found = self._entries.get(key)
        return found[1] if found else None

    def at(self, key: str) -> Location:
        """Return the location of a key, or that of the mapping if the key is absent."""
        found = self._entries.get(key)
        return found[0] if found else self.location

    def scalar(self, key: str) -> Scalar | None:
        """Return a scalar of any type, or None if it is absent or wrong."""
        node = self.node(key)
        if node is None:
            return None
        if not isinstance(node, Scalar) or node.value is None:
            hint = None if isinstance(node, Scalar) else "put the whole value in quotes"
            self.error("wrong_kind", node.location, f"`{key}` must be text, found {node_kind(node)}", hint)
            return None
        return node

    def text(self, key: str, pattern: re.Pattern[str] | None = None, expected: str = "text") -> str | None:
        """Return a text, or None if it is absent or wrong.

        Args:
            key: the key.
            pattern: what the text must match, if it is given.
            expected: what errors call such a text.
        """
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
            message = f"`{key}` contains an invisible character: U+{ord(unseen):04X}"
            self.error("control_character", node.location, message)
            return None
        if pattern is not None and not pattern.match(node.text):
            self.error("wrong_value", node.location, f"`{key}` must be {expected}, found `{node.text}`")
            return None
        return node.text

    def texts(
        self, key: str, count_max: int, pattern: re.Pattern[str] | None = None, expected: str = "text"
    ) -> tuple[str, ...]:
        """Return a list of distinct texts; empty if it is absent or wrong."""
        found: list[str] = []
        for node in self.items(key, count_max):
            text = self._text(key, node, pattern, expected)
            if text is None:
                continue
            if text in found:
                self.error("duplicate_item", node.location, f"`{key}` contains `{text}` twice")
            else:
                found.append(text)
        return tuple(found)

    def items(self, key: str, count_max: int) -> tuple[Node, ...]:
        """Return the items of a list, which must not be empty in the file; none if it is absent or wrong."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            hint = "write it as a list, in brackets" if isinstance(node, Scalar) and node.is_text else None
            self.error("wrong_kind", node.location, f"`{key}` must be a list, found {node_kind(node)}", hint)
            return ()
        if not 1 <= len(node.items) <= count_max:
            self.error("wrong_length", node.location, f"`{key}` must have 1 to {count_max} items")
            return ()
        return node.items

    def entries(self, key: str, count_max: int) -> tuple[tuple[Scalar, Node], ...]:
        """Return the entries of a mapping with any keys; none if it is absent or wrong."""
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
        """Return a value of an enumeration, or None. `others` are synonyms, for which the error has a hint."""
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
        """Return an integer from `low` to `high`, or None if it is absent or wrong."""
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
        """Return a duration such as `30s` or `15m` in milliseconds, or None if it is absent or wrong."""
        node = self.node(key)
        if node is None:
            return None
        match = DURATION_PATTERN.match(node.text) if isinstance(node, Scalar) else None
        duration_ms = int(match[1]) * UNITS_MS[match[2]] if match else 0
        if not 0 < duration_ms <= max_ms:
            shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
            message = f"`{key}` must be a duration up to {_duration_text(max_ms)} such as `30s` or `15m`, found {shown}"
            self.error("wrong_value", node.location, message)
            return None
        return duration_ms

    def value(self, key: str, chars_max: int) -> Any:
        """Return a value of any kind as plain Python, or None if it is absent or longer than `chars_max`."""
        node = self.node(key)
        if node is None:
            return None
        value = to_python(node)
        if len(repr(value)) > chars_max:
            self.error("wrong_length", node.location, f"`{key}` must have at most {chars_max} characters")
            return None
        return value


def _duration_text(duration_ms: int) -> str:
    """Return a duration as its author would write it, in the largest unit that it has a whole number of."""
    unit = max((unit for unit, of_ms in UNITS_MS.items() if duration_ms % of_ms == 0), key=lambda unit: UNITS_MS[unit])
    return f"{duration_ms // UNITS_MS[unit]}{unit}"
