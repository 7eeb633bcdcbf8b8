"""Compile what a catalog entry says about a call: its kind, the roles of its values, its sinks, and how it is undone.

What the operator has not stated is proposed from the tool's names and schema, by the same functions as at an import.
Two things are never proposed here: sinks, because judging by guessed sinks lets attacks through, and the call that
undoes this one, because nobody has said that it does. To state that a tool has no owner arguments, or no owners in its
results, an operator names a place that can't exist, `/-`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from streams.model.canonical import CanonicalError, canonical
from streams.model.catalog import ArgumentRole, ToolCatalogEntry
from streams.model.labels import WORST, Integrity, Label, join_all
from streams.model.money import NO_MONEY, Money, Unit, read_money, unit_of
from streams.provenance.pointers import Paths, PathTable, last_name, normal, steps_of, unescaped, values_at
from streams.provenance.tools.kinds import kind_of_action, propose_kind
from streams.provenance.tools.places import places_of
from streams.provenance.tools.uses import propose_kind_arg, propose_owner_args, propose_roles, seems_money, seems_owner
from streams.provenance.words import UNTYPED, thing_of

_TEXT_OF_RESULT = re.compile(r"(?:/content/[0-9]+/text)?\Z")
"""The places of a text without fields: all of a result, or of a block of a result of MCP."""


class ToolUses:
    """The compiled facts of one catalog entry. Everything is worked out at its first use, once.

    Attributes:
        sinks: the places of arguments that say where data goes or what is acted on; only what the operator states.
    """

    def __init__(self, entry: ToolCatalogEntry) -> None:
        self._entry = entry
        self.sinks = Paths(entry.sink_args)

    @cached_property
    def kind(self) -> str:
        """The kind of act of the tool: the stated one, or else the proposed one."""
        entry = self._entry
        return entry.kind or propose_kind(entry.name, entry.description or "", entry.read_only)

    def kind_of(self, arguments: Mapping[str, Any]) -> str:
        """Return the kind of act of a call: of a tool for several acts, that which its argument names.

        A kind that the argument does not name is that of the tool.
        """
        if self._kind_arg is None:
            return self.kind
        chosen = next((value for _, value in values_at(arguments, self._kind_arg)), None)
        return (kind_of_action(chosen) if isinstance(chosen, str) else None) or self.kind

    def money_of(self, arguments: Mapping[str, Any], currency_unstated: str = "") -> Money | None:
        """Return the amount of a call; None if it can't be read.

        Args:
            arguments: of the call.
            currency_unstated: see `read_money`.
        """
        return NO_MONEY if "amount" not in arguments else read_money(arguments, self._unit, currency_unstated)

    def largest_money_of(self, arguments: Mapping[str, Any]) -> Money | None:
        """Return the largest amount that a call can mean; None if it can't be read.

        Where the schema does not say in which unit amounts are, a whole number is one of major units.
        """
        return read_money(arguments, Unit.MAJOR if self._unit is Unit.UNSTATED else self._unit)

    def role_of(self, pointer: str) -> ArgumentRole:
        """Return the role of the argument at a pointer: the stated one, or else the proposed one."""
        return self._roles.get(pointer) or ArgumentRole.UNKNOWN

    def is_money(self, pointer: str) -> bool:
        """Return whether the argument at a pointer is an amount of money."""
        return self.role_of(pointer) is ArgumentRole.AMOUNT and seems_money(pointer)

    @property
    def has_several_kinds(self) -> bool:
        """Whether an argument says which of several acts a call is."""
        return self._kind_arg is not None

    @property
    def roles(self) -> tuple[tuple[str, ArgumentRole], ...]:
        """The paths that have a role, and it."""
        return tuple((path, self.role_of(path)) for path in self._roles.paths)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the arguments that a call must have, as its schema says."""
        required = self._schema.get("required") if isinstance(self._schema, Mapping) else None
        return tuple(map(str, required)) if isinstance(required, list) else ()

    @cached_property
    def owner_args(self) -> Paths:
        """The places of arguments that say whose data or account a call is about."""
        entry = self._entry
        proposed = propose_owner_args(self._schema, reads=entry.read_only, kind=self.kind, tool=entry.name)
        return Paths(entry.owner_args or proposed)

    @cached_property
    def identifying(self) -> tuple[frozenset[str], ...]:
        """The sets of arguments by which a user identifies himself, as the operator states them; never proposed."""
        return tuple(frozenset(map(normal, paths)) for paths in self._entry.identifying_args)

    @cached_property
    def owners_looked_up(self) -> Paths:
        """The places of arguments by which a tool that reads looks an owner up: called as a field of its results that
        names one. `find_orders(email)` returns the orders of whoever has that address, if `/*/customer/email` names
        their owner. Of `/customer/id` that is `customer_id`: an `id` may be that of the order."""
        entry = self._entry
        names = {_said_of_owner(path) for path in self._output_owners.paths} if entry.read_only else set()
        paths = (place.path for place in places_of(self._schema) if place.name in names)
        return Paths(path for path in paths if not self.owner_args.cover(path))

    def is_output_owner(self, pointer: str) -> bool:
        """Return whether the field of a result at a pointer says whose data the result is."""
        return self._output_owners.cover(pointer) if self._output_owners else seems_owner(pointer)

    @cached_property
    def trusts_owners(self) -> bool:
        """Whether the operator states which fields of a result name the owner, and that only his systems write them."""
        paths = tuple(self._output_owners.paths)
        return bool(paths) and all(self.label_at(path).integrity is Integrity.TRUSTED for path in paths)

    def label_at(self, pointer: str) -> Label:
        """Return the label of the field of a result at a pointer: that by field, or else that of the whole output."""
        return self.stated_label_at(pointer) or WORST

    @cached_property
    def worst_label(self) -> Label:
        """The label of all that the tool returns: that of the whole, joined with those of fields with their own."""
        return join_all((self._entry.output_label or WORST, *[each.label for each in self._entry.output_labels]))

    @cached_property
    def returns_untrusted(self) -> bool:
        """Whether others may write anything that the tool returns: all of it, or a field with a label of its own."""
        return self.worst_label.integrity is not Integrity.TRUSTED

    def stated_label_at(self, pointer: str) -> Label | None:
        """Return the label that the operator has stated for the field of a result at a pointer; None if none.

        A text that may hold fields with labels of their own, unrecognised, has the worst of all labels. Otherwise
        whoever writes into such a field, so that the result can't be read as a record, would get the label of the
        whole.
        """
        stated = self._labels.get(pointer)
        if stated is None and self._entry.output_label is not None and self._holds_labelled_fields(pointer):
            return self.worst_label
        return stated or self._entry.output_label

    def _holds_labelled_fields(self, pointer: str) -> bool:
        """Return whether a value stands where the operator expects fields that have labels of their own."""
        if not self._entry.output_labels:
            return False
        if _TEXT_OF_RESULT.match(pointer):
            return True
        steps = steps_of(pointer)
        return any(len(path) > len(steps) and all(map(_leads_to, path, steps)) for path in self._labelled_steps)

    def undoing_args(self, arguments: Mapping[str, Any]) -> str | None:
        """Return the arguments of the call that undoes a call, as far as its arguments tell; None if nothing is known.

        Args:
            arguments: of the call that would be undone.

        Returns:
            A JSON object.
        """
        if not self._entry.compensating_args:
            return None
        undoing, _ = undoing_arguments(self._entry, {"args": arguments})
        try:
            return canonical(undoing).decode()
        except CanonicalError:
            return None

    @cached_property
    def _kind_arg(self) -> str | None:
        entry = self._entry
        if entry.read_only:
            return None
        if entry.kind_arg is not None:
            return normal(entry.kind_arg)
        return None if entry.kind is not None else propose_kind_arg(self._schema)

    @cached_property
    def _unit(self) -> Unit:
        return unit_of(self._schema)

    @cached_property
    def _schema(self) -> object:
        try:
            return json.loads(self._entry.input_schema_json)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def _roles(self) -> PathTable[ArgumentRole]:
        entry = self._entry
        roles = propose_roles(self._schema, reads=entry.read_only)
        for path in self.sinks.paths:
            if roles.get(path) not in (ArgumentRole.TARGET, ArgumentRole.DESTINATION):
                roles[path] = ArgumentRole.TARGET
        return PathTable(roles | {normal(use.path): use.role for use in entry.arg_roles})

    @cached_property
    def _output_owners(self) -> Paths:
        return Paths(_result_path(path) for path in self._entry.output_owners)

    @cached_property
    def _labelled_steps(self) -> tuple[tuple[str, ...], ...]:
        return tuple(steps_of(path) for path in self._labels.paths)

    @cached_property
    def _labels(self) -> PathTable[Label]:
        return PathTable({_result_path(each.path): each.label for each in self._entry.output_labels})


def _leads_to(stated: str, step: str) -> bool:
    """Return whether a step of a stated path is a step of a pointer; `*` stands for a place in a list alone.

    An object has its own names: `{"error": "no such customer"}` is not a list whose records could not be read.
    """
    return stated == step or (stated == "*" and step.isdigit())


def _said_of_owner(path: str) -> str:
    """Return what an argument is called that names the owner whom a field names."""
    name = last_name(path)
    *_, around, _ = ("", "", *steps_of(path))
    says_little = name == _NAME or thing_of(name) == UNTYPED
    return f"{around}_{name}" if says_little and around not in ("", "*") else name


_NAME = "name"


def _result_path(path: str) -> str:
    """Return the JSON pointer of a path in results, which operators write with dots: `*.id` is `/*/id`."""
    return path if path.startswith("/") else "/" + path.replace(".", "/")


def undoing_arguments(entry: ToolCatalogEntry, known: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments of the call that undoes a call, and the sources of those that are not known.

    Args:
        entry: the tool of the call that would be undone.
        known: its arguments as `args`, and its result as `result` if that is known.

    Returns:
        The arguments by name; and the pointers into `known` that hold nothing. A source with `*` gives a list.
    """
    undoing: dict[str, Any] = {}
    missing: list[str] = []
    for each in entry.compensating_args:
        source = normal(each.source)
        found = [value for _, value in values_at(known, source)]
        if not found:
            missing.append(source)
            continue
        _put(undoing, steps_of(each.path), found if "*" in steps_of(source) else found[0])
    return undoing, tuple(missing)


def _put(into: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    """Put a value into nested objects; where one of them is something else, it is replaced."""
    for step in steps[:-1]:
        name = unescaped(step)
        inner = into.get(name)
        if not isinstance(inner, dict):
            inner = into[name] = {}
        into = inner
    if steps:
        into[unescaped(steps[-1])] = value
