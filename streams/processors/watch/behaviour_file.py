"""Parse the files that declare behaviour: detectors, selections, correlations, and what of a call they look at.

Everything is checked on load, and every error names its file and line. It is read like rule files are, by the same
reader of YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from streams.behaviour.activity import FIELDS, MEASURES
from streams.behaviour.correlations import COMPARISONS, FieldTest, Selection
from streams.behaviour.declarations import KINDS, PARAMETERS, Declaration
from streams.behaviour.detectors.registry import RISK
from streams.behaviour.profiles import ROLE_MARK, Extraction
from streams.behaviour.watcher import Declared
from streams.policy.errors import BundleError, Findings, Location, nearest
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode, read_yaml
from streams.policy.language.parse import TAG_FORM, TAG_PATTERN
from streams.policy.language.yaml_mapping import MappingReader
from streams.processors.watch.correlation_file import CorrelationParser
from streams.processors.watch.features import Cohort, Features
from streams.processors.watch.file_values import (
    ITEMS_MAX,
    SIGNAL_PREFIXES,
    SPAN_MS_MAX,
    Severity,
    flag_of,
    known_field,
    number_of,
)

API_VERSION = "behaviour/v1"
DECLARED_MAX = 200
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
WORD_PATTERN = re.compile(r"\{([a-z][a-z_.]*)\}")
HOWS = ("contains", "startswith", "endswith", *COMPARISONS)


class ReadAs(StrEnum):
    """How the value of an argument is read."""

    TEXT = "text"
    DOMAIN = "domain"
    NUMBER = "number"


class FeatureRole(StrEnum):
    """What an argument is for: the roles of the catalog, and whose data a call is about."""

    TARGET = "TARGET"
    DESTINATION = "DESTINATION"
    AMOUNT = "AMOUNT"
    OWNER = "OWNER"


class BehaviourFiles(NamedTuple):
    """What files declare: detectors and correlations, and how activities are made of calls.

    `packs` and `places` say of each detector and correlation, by name, to which pack it belongs and where it stands.
    `descriptions` say what each pack is about.
    """

    declared: Declared
    features: Features
    packs: Mapping[str, str] = MappingProxyType({})
    places: Mapping[str, Location] = MappingProxyType({})
    descriptions: Mapping[str, str] = MappingProxyType({})


_COMMON = ("detector!", "name!", "key!", "tools", "threshold!", "alerts", "title", "explain!", "severity", "tags")
_DURATIONS: Mapping[str, str] = MappingProxyType(
    {"window_ms": "window", "half_life_ms": "half_life", "history_ms": "history", "settle_ms": "settle"}
)
"""The keys of durations, which are written with a unit, by their parameters."""


def parse_behaviour(files: Mapping[str, str]) -> BehaviourFiles:
    """Return what files declare.

    Args:
        files: the text of each file by its path; not trusted.

    Raises:
        BundleError: something is wrong; it has every error with its place.
    """
    findings = Findings()
    parser = _Parser(findings)
    for path in sorted(files):
        root = read_yaml(path, files[path], findings)
        if root is not None:
            parser.file(root)
    parsed = parser.result()
    if findings.has_errors:
        raise BundleError(findings.errors(), "declarations of behaviour")
    return parsed


class _Parser:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._names: dict[str, Location] = {}
        self._detectors: list[Declaration] = []
        self._selections: dict[str, tuple[Selection, str]] = {}
        self._correlations = CorrelationParser(findings, self._selections, self._new_name)
        self._cohorts: list[Cohort] = []
        self._extractions: list[Extraction] = []
        self._fields_used: list[tuple[str, Location]] = []
        self._pack = ""
        self._packs: dict[str, str] = {}
        self._descriptions: dict[str, str] = {}

    def file(self, root: Node) -> None:
        keys = ("apiVersion!", "pack!", "description", "agents", "features", "detectors", "rules", "correlations")
        reader = MappingReader(root, "a behaviour file", keys, self._findings)
        if reader.text("apiVersion") not in (None, API_VERSION):
            reader.error("wrong_value", reader.at("apiVersion"), f"`apiVersion` must be `{API_VERSION}`")
        self._pack = reader.text("pack", NAME_PATTERN, "a name of lower-case letters, digits and `_`") or ""
        self._descriptions[self._pack] = reader.text("description") or ""
        for node in reader.items("agents", ITEMS_MAX):
            self._cohort(node)
        for key, node in reader.entries("features", ITEMS_MAX):
            self._feature(key, node, reader)
        for node in reader.items("detectors", DECLARED_MAX):
            self._detector(node)
        for node in reader.items("rules", DECLARED_MAX):
            self._selection(node)
        for node in reader.items("correlations", DECLARED_MAX):
            self._correlations.note(node, self._pack)

    def result(self) -> BehaviourFiles:
        found = self._correlations.read()
        self._packs |= self._correlations.packs
        known = {f"{'risk' if each.kind == RISK else 'signal'}.{each.name}" for each in self._detectors}
        for field, location in (*self._fields_used, *self._correlations.fields_used):
            if field not in known:
                hint = nearest(field, known) or "declare a detector of this name"
                self._findings.error("unknown_signal", location, f"there is no `{field}`", hint=hint)
        return BehaviourFiles(
            Declared(tuple(self._detectors), found),
            Features(tuple(self._cohorts), tuple(self._extractions)),
            self._packs,
            {name: self._names[name] for name in self._packs},
            self._descriptions,
        )

    def _new_name(self, reader: MappingReader, key: str) -> str | None:
        name = reader.text(key, NAME_PATTERN, "a name of lower-case letters, digits and `_`")
        if name is None:
            return None
        first = self._names.setdefault(name, reader.at(key))
        if first != reader.at(key):
            reader.error("duplicate_name", reader.at(key), f"`{name}` is declared twice, first at {first}")
        return name

    def _cohort(self, node: Node) -> None:
        reader = MappingReader(node, "an agent type", ("match!", "type!"), self._findings)
        match, name = reader.texts("match", ITEMS_MAX), reader.text("type", NAME_PATTERN, "a name")
        if match and name:
            self._cohorts.append(Cohort(match, name))

    def _feature(self, key: Scalar, node: Node, outer: MappingReader) -> None:
        known = ("destination", "object", "owner", "amount")
        if key.text not in known:
            hint = nearest(key.text, known) or f"known features are {', '.join(known)}"
            outer.error("unknown_key", key.location, f"there is no feature `{key.text[:80]}`", hint)
            return
        if not isinstance(node, SequenceNode):
            outer.error("wrong_kind", node.location, f"`{key.text}` must be a list of arguments")
            return
        for item in node.items:
            reader = MappingReader(item, "a feature", ("tools!", "arg", "role", "as"), self._findings)
            tools, arg = reader.texts("tools", ITEMS_MAX), reader.text("arg")
            role = reader.choice("role", FeatureRole)
            read_as = reader.choice("as", ReadAs) or (ReadAs.NUMBER if key.text == "amount" else ReadAs.TEXT)
            if (reader.node("arg") is None) is (reader.node("role") is None):
                message = "a feature must have either `arg`, the place of an argument, or `role`, what it is for"
                reader.error("wrong_value", reader.location, message)
            elif arg is not None and not arg.startswith("/"):
                reader.error(
                    "wrong_value", reader.at("arg"), f"`arg` must be a JSON pointer such as `/to`, found `{arg}`"
                )
            elif tools and (arg or role):
                pointer = arg or f"{ROLE_MARK}{role}"
                self._extractions.append(Extraction(key.text, tools, pointer, read_as.value))

    def _detector(self, node: Node) -> None:
        kind_node = node.get("detector") if isinstance(node, MappingNode) else None
        kind = kind_node.text if isinstance(kind_node, Scalar) else ""
        takes = KINDS.get(kind)
        if takes is None:
            at = kind_node.location if kind_node is not None else node.location
            hint = nearest(kind, KINDS) or f"known detectors are {', '.join(KINDS)}"
            self._findings.error("wrong_value", at, f"there is no detector `{kind[:80]}`", hint=hint)
            return
        needs = [f"{_DURATIONS.get(each, each)}!" for each in takes.needs]
        reader = MappingReader(
            node,
            f"detector `{kind}`",
            (*_COMMON, *needs, *(_DURATIONS.get(each, each) for each in takes.may)),
            self._findings,
        )
        name, key = self._new_name(reader, "name"), self._fields(reader, "key")
        threshold = number_of(reader, "threshold")
        explain = reader.text("explain") or ""
        self._check_words(reader, explain, takes.words)
        optional: dict[str, object] = {}
        for parameter in PARAMETERS:
            value = self._parameter(reader, parameter)
            if value is not None:
                optional[parameter] = value
        if name is None or not key or threshold is None:
            return
        if threshold <= 0:
            reader.error("wrong_value", reader.at("threshold"), "`threshold` must be above 0")
            return
        found = {
            "kind": kind,
            "name": name,
            "key": key,
            "tools": reader.texts("tools", ITEMS_MAX),
            "threshold": threshold,
            "alerts": flag_of(reader, "alerts", default=True),
            "title": reader.text("title") or "",
            "explain": explain,
            "severity": (reader.choice("severity", Severity) or Severity.MEDIUM).value,
            "tags": reader.texts("tags", ITEMS_MAX, TAG_PATTERN, TAG_FORM),
            **optional,
        }
        self._detectors.append(msgspec.convert(found, Declaration))
        self._packs[name] = self._pack

    def _parameter(self, reader: MappingReader, parameter: str) -> object:
        key = _DURATIONS.get(parameter, parameter)
        if reader.node(key) is None:
            return None
        if parameter in _DURATIONS:
            return reader.duration_ms(key, SPAN_MS_MAX)
        if parameter == "peer":
            return self._fields(reader, key)
        if parameter in ("term", "value"):
            text = reader.text(key)
            return None if text is None else known_field(reader, key, text, FIELDS if parameter == "term" else MEASURES)
        if parameter in ("limit", "count_max"):
            return reader.integer(key, 1, 1_000_000)
        return number_of(reader, key)

    def _fields(self, reader: MappingReader, key: str) -> tuple[str, ...]:
        found = reader.texts(key, ITEMS_MAX)
        return tuple(field for field in found if known_field(reader, key, field, FIELDS))

    def _check_words(self, reader: MappingReader, text: str, words: tuple[str, ...]) -> None:
        for word in WORD_PATTERN.findall(text):
            if word not in words and word not in FIELDS:
                hint = f"it may name {', '.join(words)} and fields such as agent.id"
                reader.error(
                    "unknown_word", reader.at("explain"), f"`explain` names `{word}`, which does not exist", hint
                )

    def _selection(self, node: Node) -> None:
        reader = MappingReader(node, "a rule", ("name!", "title", "detection!"), self._findings)
        name = self._new_name(reader, "name")
        title = reader.text("title")
        inner = reader.node("detection")
        if name is None or inner is None:
            return
        detection = MappingReader(inner, "a detection", ("selection!", "filter", "condition!"), self._findings)
        condition = detection.text("condition")
        has_filter = detection.node("filter") is not None
        wanted = "selection and not filter" if has_filter else "selection"
        if condition not in (None, wanted):
            detection.error("wrong_value", detection.at("condition"), f"`condition` must be `{wanted}` here")
        tests = self._tests(detection, "selection")
        if tests:
            self._selections[name] = Selection(name, tests, self._tests(detection, "filter")), title or name

    def _tests(self, reader: MappingReader, key: str) -> tuple[FieldTest, ...]:
        found = []
        for name, node in reader.entries(key, ITEMS_MAX):
            field, _, how = name.text.partition("|")
            if how not in ("", *HOWS):
                reader.error("wrong_value", name.location, f"there is no modifier `{how}`", nearest(how, HOWS))
                continue
            if field.startswith(SIGNAL_PREFIXES):
                self._fields_used.append((field, name.location))
            elif field not in FIELDS and field not in MEASURES:
                reader.error("unknown_field", name.location, f"there is no field `{field}`", nearest(field, FIELDS))
                continue
            items = node.items if isinstance(node, SequenceNode) else (node,)
            values = [item.value for item in items if isinstance(item, Scalar)]
            usable = tuple(value for value in values if isinstance(value, str | float | int))
            if not usable or len(usable) != len(items):
                reader.error("wrong_kind", node.location, f"`{name.text}` must be text, a number or a list of them")
                continue
            found.append(FieldTest(field, how, usable))
        return tuple(found)
