"""Reads values that scenario files state in several places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from streams.policy.authoring.scenario_keys import MODEL_KEYS, NAMES_MAX, VALUE_CHARS_MAX
from streams.policy.errors import Findings, nearest
from streams.policy.language.located_yaml import MappingNode, Scalar, SequenceNode, node_kind
from streams.policy.language.yaml_mapping import MappingReader

LABEL = "a label such as `untrusted private`"


def origin_fields(reader: MappingReader, findings: Findings) -> dict[str, Any]:
    """Return model, system prompt and tools, as sessions and calls state them."""
    fields: dict[str, Any] = {key: reader.text(key) for key in ("prompt", "toolset")}
    node = reader.node("model")
    if node is not None:
        model = MappingReader(node, "`model`", MODEL_KEYS, findings)
        fields["model"] = without_absent({key.rstrip("!"): model.text(key.rstrip("!")) for key in MODEL_KEYS})
    return fields


def mapping_of(reader: MappingReader, key: str) -> Any:
    """Return the mapping under a key; None if there is none. Anything else is reported."""
    node = reader.node(key)
    if node is None:
        return None
    if not isinstance(node, MappingNode):
        reader.error("wrong_kind", node.location, f"`{key}` must be a mapping, found {node_kind(node)}")
        return None
    return reader.value(key, VALUE_CHARS_MAX)


def texts_of(reader: MappingReader, key: str) -> list[str] | None:
    """Return a list of texts that may be empty; None if it is absent."""
    node = reader.node(key)
    if node is None or (isinstance(node, SequenceNode) and not node.items):
        return None if node is None else []
    return list(reader.texts(key, NAMES_MAX))


def sets_of_texts(reader: MappingReader, key: str) -> list[str] | list[list[str]] | None:
    """Return a list of lists of texts, or the only one of them as a list of texts; None if it is absent."""
    node = reader.node(key)
    if not isinstance(node, SequenceNode) or not any(isinstance(item, SequenceNode) for item in node.items):
        return texts_of(reader, key)
    sets: list[list[str]] = []
    for item in reader.items(key, NAMES_MAX):
        within = item.items if isinstance(item, SequenceNode) else ()
        texts = [each.text for each in within if _is_text(each)]
        if not texts or len(texts) < len(within):
            message = f"`{key}` must be a list of texts, or of lists of texts, none of them empty"
            reader.error("wrong_kind", item.location, message)
        else:
            sets.append(texts)
    return sets


def _is_text(node: object) -> TypeGuard[Scalar]:
    return isinstance(node, Scalar) and node.is_text and bool(node.text)


def boolean_of(reader: MappingReader, key: str) -> bool | None:
    """Return the truth value under a key; None if there is none. Anything else is reported."""
    node = reader.node(key)
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return node.value
    if node is not None:
        shown = f"`{node.text}`" if isinstance(node, Scalar) else node_kind(node)
        reader.error("wrong_kind", node.location, f"`{key}` must be true or false, found {shown}")
    return None


def word_of(reader: MappingReader, key: str, known: tuple[str, ...]) -> str | None:
    """Return one of some words, in upper case, as records have it; files write it in lower case."""
    text = reader.text(key)
    if text is None or text.upper() in known:
        return None if text is None else text.upper()
    words = [word.lower() for word in known]
    message = f"`{key}` must be one of {', '.join(words)}, found `{text}`"
    reader.error("wrong_value", reader.at(key), message, nearest(text, words))
    return None


def without_absent(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
