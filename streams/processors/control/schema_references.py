"""Find what the references of a schema refer to, by pointer, anchor or the schema's own `$id`.

The cost of a schema is worked out by following its references. A reference that the validator followed elsewhere than
this module would hide its cost: 40 definitions that each refer twice to the next one by an anchor take hours. So what
could be read in another way is rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from streams.provenance.pointers import unescaped

_ANCHORS = ("$anchor", "$dynamicAnchor")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_META_SCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")
"""What the validator has of its own, and what no schema of a tool can change."""


class References:
    """The targets of the references of one schema."""

    def __init__(self, root: dict[str, Any]) -> None:
        """Find the anchors.

        Raises:
            ValueError: a part of the schema has an `$id` of its own, from which its references would start.
        """
        self._root = root
        own = next((root[name] for name in ("$id", "id") if isinstance(root.get(name), str)), "")
        self._id = own.partition("#")[0]
        self._anchors: dict[str, list[object]] = {}
        has_reference = has_inner_id = False
        for node in _nodes(root):
            for name in _ANCHORS:
                if isinstance(node.get(name), str):
                    self._anchors.setdefault(node[name], []).append(node)
            has_reference = has_reference or any(isinstance(node.get(name), str) for name in _REFERENCES)
            if node is not root:
                has_inner_id = has_inner_id or isinstance(node.get("$id"), str)
                has_inner_id = has_inner_id or (
                    "draft-04" in str(root.get("$schema")) and isinstance(node.get("id"), str)
                )
        if has_reference and (has_inner_id or self._id.startswith(_META_SCHEMAS)):
            raise ValueError("it has references, and an `$id` from which they could start elsewhere; remove the `$id`")

    def targets(self, reference: str) -> list[object]:
        """Return the parts of the schema that a reference can lead to.

        Raises:
            ValueError: it leads out of the schema.
        """
        base, _, fragment = reference.partition("#")
        if base.startswith(_META_SCHEMAS):
            return [self._root]
        if base and base != self._id:
            raise ValueError(f"the schema refers to `{reference[:80]}`; copy what it needs into `$defs`")
        fragment = unquote(fragment)
        if not fragment:
            return [self._root]
        if fragment.startswith("/"):
            return [self._pointed(fragment[1:])]
        return self._anchors.get(fragment, [self._root])

    def _pointed(self, pointer: str) -> object:
        """Return the target of a pointer. The validator rejects one that leads nowhere; here it counts as the root."""
        node: object = self._root
        for step in pointer.split("/"):
            name = unescaped(step)
            if isinstance(node, dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                return self._root
        return node


def _nodes(root: object) -> Iterator[dict[str, Any]]:
    left = [root]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node
