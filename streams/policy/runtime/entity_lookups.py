"""Find the entities that a call is about, for the fact `entities`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.model.attributes import entity_id_of
from streams.policy.cel.exact import compile_exact
from streams.policy.errors import EvaluationError
from streams.policy.language.check_memory import CheckedEntity
from streams.policy.language.fact_types import Facts, FactType, Kind, ListOf
from streams.policy.language.globs import ToolMatcher


class EntityLookup:
    """Looks up one declared entity for the calls of a tool.

    Attributes:
        name: the name of the entity in conditions.
        kind: the kind of the entity on its topic.
        needs: the top-level facts that its key reads.
    """

    __slots__ = ("_fields", "_key", "kind", "name", "needs")

    def __init__(self, item: CheckedEntity, constants: Mapping[str, Any]) -> None:
        entity = item.entity
        self.name = entity.name
        self.kind = entity.kind
        self.needs = item.key.facts
        self._key = compile_exact(item.key.tree, constants)
        self._fields = tuple((field.name, _test_of(field.type)) for field in entity.fields)

    def id_of(self, facts: Facts) -> str | None:
        """Return the id of the entity that a call is about; None if it names none."""
        try:
            return entity_id_of(self._key(facts))
        except EvaluationError:
            return None

    def fact(self, attributes: Mapping[str, Any], age_ms: int) -> dict[str, Any]:
        """Return the fact of a known entity. An attribute of another type than declared is left out."""
        found: dict[str, Any] = {"known": True, "age_ms": age_ms}
        for name, test in self._fields:
            value = attributes.get(name)
            if value is not None and test(value):
                found[name] = value
        return found


def lookups_for(
    entities: Sequence[CheckedEntity],
    constants: Mapping[str, Any],
    tool: tuple[str, str, str],
    read: frozenset[str] | None,
) -> tuple[EntityLookup, ...]:
    """Return the lookups for one version of a tool.

    Args:
        entities: the declared entities.
        constants: the named lists, by full name.
        tool: server, name and version.
        read: the names of the entities that rules, memories and budgets of the tool read; None if all.
    """
    return tuple(
        EntityLookup(item, constants)
        for item in entities
        if (read is None or item.entity.name in read)
        and (item.entity.match is None or ToolMatcher(item.entity.match).matches(*tool))
    )


def _test_of(wanted: FactType) -> Callable[[Any], bool]:
    if isinstance(wanted, ListOf):
        return lambda value: value.__class__ is list
    kinds = {Kind.STRING: str, Kind.INT: int, Kind.BOOL: bool}
    expected = kinds[Kind(str(wanted))]
    return lambda value: value.__class__ is expected
