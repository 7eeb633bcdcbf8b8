"""Parses the files of a bundle: checks keys, values, names and bounds. `compile.py` checks the expressions later."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from types import MappingProxyType

from streams.policy.errors import Findings, Location, nearest
from streams.policy.language.bundle import (
    BUNDLE_BYTES_MAX,
    BUNDLE_FILE,
    FILES_MAX,
    RULES_SUFFIX,
    Bundle,
    BundleSource,
    Match,
    NamedList,
    NamedMacro,
    Pack,
    Rule,
)
from streams.policy.language.error_hints import EFFECT_SYNONYMS, MODE_SYNONYMS
from streams.policy.language.located_yaml import MappingNode, Node, Scalar, SequenceNode, node_kind, read_yaml
from streams.policy.language.parse_entities import read_entities, report_repeated_entities
from streams.policy.language.parse_match import read_match
from streams.policy.language.parse_memory import read_budgets, read_memories, report_repeated_names
from streams.policy.language.schema import RESERVED_WORDS, schema_digest
from streams.policy.language.yaml_mapping import LIST_ITEMS_MAX, MappingReader
from streams.policy.results import GRANT_SCOPES, ApprovalSettings, Mode, Obligation, RuleEffect

API_VERSION = "rules/v1"
RULES_MAX = 20_000
NAMES_MAX = 500
TAGS_MAX = 20
EXPLAIN_MAX = 20
OBLIGATIONS_MAX = 10
QUORUM_MAX = 20
APPROVAL_TTL_MS_MAX = 7 * 86_400_000
APPROVAL_TTL_MS_DEFAULT = 900_000
DEFER_MS_MAX = 86_400_000
PROPERTIES_CHARS_MAX = 2_000
BIND_ALWAYS = ("tool", "args", "session")
BIND_KNOWN = (*BIND_ALWAYS, "agent", "model")

RULE_ID_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
PACK_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")
TAG_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
TAG_FORM = "letters, digits, `_`, `.`, `:` and `-`, such as `ASI02`"
"""What a tag is made of, as errors say it."""
DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}\Z")


def parse_bundle(source: BundleSource, findings: Findings) -> Bundle | None:
    """Parse the files of a bundle.

    Args:
        source: the files, which are not trusted.
        findings: receives the errors; if there are any, the result must not be used to judge intents.

    Returns:
        The bundle, or None if `bundle.yaml` can't be read.
    """
    start = Location(BUNDLE_FILE, 1, 1)
    if len(source.files) > FILES_MAX or sum(len(text) for text in source.files.values()) > BUNDLE_BYTES_MAX:
        message = f"a bundle must have at most {FILES_MAX} files and {BUNDLE_BYTES_MAX} characters"
        findings.error("too_large", start, message)
        return None
    if BUNDLE_FILE not in source.files:
        findings.error("missing_file", start, f"the bundle has no `{BUNDLE_FILE}`")
        return None
    root = read_yaml(BUNDLE_FILE, source.files[BUNDLE_FILE], findings)
    if root is None:
        return None
    return _Parser(findings).bundle(root, source)


class _Parser:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._rule_ids: dict[str, Location] = {}
        self._obligations: dict[str, Location] = {}
        self._unread_packs: set[str] = set()

    def bundle(self, root: Node, source: BundleSource) -> Bundle:
        keys = ("apiVersion!", "bundle!", "version!", "mode", "description", "owners", "packs", "schema_digest",
                "catalog_digest", "lists", "macros")  # fmt: skip
        reader = MappingReader(root, "a bundle", keys, self._findings)
        _api_version(reader)
        mode = reader.choice("mode", Mode, MODE_SYNONYMS) or Mode.ENFORCE
        if mode is Mode.OFF:
            reader.error("wrong_value", reader.at("mode"), "a bundle's `mode` must be enforce or shadow, found `off`")
        reader.text("description")
        digest = reader.text("schema_digest", DIGEST_PATTERN, "a SHA-256 digest in hex")
        if digest is not None and digest != schema_digest():
            hint = f"check the rules against this version's schema, whose digest is {schema_digest()}"
            reader.error(
                "schema_digest", reader.at("schema_digest"), "the bundle was written for another schema of facts", hint
            )
        shared = Pack("", None, self._lists(reader), self._macros(reader))
        packs = self._packs(source, mode, shared)
        self._check_listed_packs(reader, packs)
        return Bundle(
            reader.text("bundle", NAME_PATTERN, "a name of letters, digits and `_`") or "",
            reader.text("version", VERSION_PATTERN, "a version") or "",
            mode,
            reader.texts("owners", TAGS_MAX),
            reader.text("catalog_digest", DIGEST_PATTERN, "a SHA-256 digest in hex"),
            shared,
            packs,
        )

    def _check_listed_packs(self, reader: MappingReader, packs: Iterable[Pack]) -> None:
        if reader.node("packs") is None:
            return
        listed, there = reader.texts("packs", FILES_MAX), [pack.name for pack in packs]
        for name in listed:
            # A pack whose file can't be read has its own error already.
            if name not in there and name not in self._unread_packs:
                reader.error("missing_pack", reader.at("packs"), f"pack `{name}` has no files", nearest(name, there))
        for name in there:
            if name not in listed:
                message = f"pack `{name}` has files but is not listed under `packs`"
                reader.error("unlisted_pack", reader.at("packs"), message)

    def _packs(self, source: BundleSource, bundle_mode: Mode, shared: Pack) -> tuple[Pack, ...]:
        found: dict[str, Pack] = {}
        for path in sorted(source.files):
            if path == BUNDLE_FILE:
                continue
            parts = PurePosixPath(path).parts
            if len(parts) != 2 or not path.endswith(RULES_SUFFIX) or not PACK_PATTERN.match(parts[0]):
                message = (
                    f"unexpected file `{path}`: a bundle consists of `{BUNDLE_FILE}` and `PACK/NAME{RULES_SUFFIX}`"
                )
                self._findings.error("unexpected_file", Location(path, 1, 1), message)
                continue
            root = read_yaml(path, source.files[path], self._findings)
            if root is None:
                self._unread_packs.add(parts[0])
                continue
            pack = self._rule_file(root, parts[0], bundle_mode)
            found[pack.name] = _merge(found[pack.name], pack) if pack.name in found else pack
        for pack in found.values():
            self._report_repeated_names(shared, pack)
        report_repeated_names(found.values(), self._findings)
        report_repeated_entities(found.values(), self._findings)
        return tuple(found.values())

    def _report_repeated_names(self, shared: Pack, pack: Pack) -> None:
        for what in ("list", "macro"):
            seen: dict[str, Location] = {}
            named = [*getattr(shared, f"{what}s"), *getattr(pack, f"{what}s")]
            for item in named:
                at = item.body.location if isinstance(item, NamedMacro) else item.location
                if item.name in seen:
                    message = f"{what} `{item.name}` is defined twice, first at {seen[item.name]}"
                    self._findings.error("duplicate_name", at, message)
                seen.setdefault(item.name, at)

    def _rule_file(self, root: Node, directory: str, bundle_mode: Mode) -> Pack:
        keys = ("apiVersion!", "pack!", "owner", "description", "lists", "macros", "rules!", "history", "budgets",
                "entities")  # fmt: skip
        reader = MappingReader(root, "a rule file", keys, self._findings)
        _api_version(reader)
        name = reader.text("pack", PACK_PATTERN, "a name of lower-case letters, digits and `_`")
        if name is not None and name != directory:
            message = f"`pack` must be the name of its folder, `{directory}`, found `{name}`"
            reader.error("wrong_value", reader.at("pack"), message)
        reader.text("description")
        rules = [self._rule(node, directory, bundle_mode) for node in reader.items("rules", RULES_MAX)]
        return Pack(
            directory,
            reader.text("owner"),
            self._lists(reader),
            self._macros(reader),
            tuple(rule for rule in rules if rule is not None),
            read_memories(reader, directory, self._findings, self._match),
            read_budgets(reader, directory, self._findings, self._match),
            read_entities(reader, directory, self._findings, self._match),
        )

    def _lists(self, reader: MappingReader) -> tuple[NamedList, ...]:
        found = []
        for key, node in reader.entries("lists", NAMES_MAX):
            _check_name(reader, "list", key)
            if not isinstance(node, SequenceNode):
                reader.error("wrong_kind", node.location, f"list `{key.text}` must be a list, found {node_kind(node)}")
            elif len(node.items) > LIST_ITEMS_MAX:
                reader.error("wrong_length", node.location, f"list `{key.text}` has more than {LIST_ITEMS_MAX} items")
            else:
                found.append(NamedList(key.text, key.location, _constants(reader, key.text, node)))
        return tuple(found)

    def _macros(self, reader: MappingReader) -> tuple[NamedMacro, ...]:
        found = []
        for key, node in reader.entries("macros", NAMES_MAX):
            _check_name(reader, "macro", key)
            if not isinstance(node, Scalar) or node.value is None:
                message = f"macro `{key.text}` must be an expression, found {node_kind(node)}"
                reader.error("wrong_kind", node.location, message)
            else:
                found.append(NamedMacro(key.text, node))
        return tuple(found)

    def _rule(self, node: Node, pack: str, bundle_mode: Mode) -> Rule | None:
        keys = ("id!", "version", "effect!", "mode", "match!", "when!", "reason!", "explain", "tags", "obligations",
                "approval", "defer")  # fmt: skip
        named = node.get("id") if isinstance(node, MappingNode) else None
        reader = MappingReader(node, "a rule", keys, self._findings, named.text if isinstance(named, Scalar) else None)
        rule_id = reader.text("id", RULE_ID_PATTERN, "letters, digits, `-` and `_`")
        if rule_id is not None:
            first = self._rule_ids.setdefault(rule_id, reader.at("id"))
            if first != reader.at("id"):
                reader.error("duplicate_rule", reader.at("id"), f"a rule with this id is already at {first}")
        effect = reader.choice("effect", RuleEffect, EFFECT_SYNONYMS)
        mode = reader.choice("mode", Mode, MODE_SYNONYMS) or Mode.ENFORCE
        when, match, reason = reader.scalar("when"), self._match(reader), reader.text("reason")
        approval, defer_ms = self._approval(reader, effect), self._defer(reader, effect)
        explain = self._explain(reader)
        obligations = self._obligation_list(reader, effect)
        version, tags = (
            reader.text("version", VERSION_PATTERN, "a version"),
            reader.texts("tags", TAGS_MAX, TAG_PATTERN, TAG_FORM),
        )
        if when is None:
            return None
        if bundle_mode is Mode.SHADOW and mode is Mode.ENFORCE:
            mode = Mode.SHADOW
        # If a part is missing, the bundle is rejected. The rule is returned anyway, so that its condition is checked.
        return Rule(
            rule_id or "?",
            version or "1",
            pack,
            reader.location,
            effect or RuleEffect.DENY,
            mode,
            match or Match(()),
            when,
            reason or "",
            explain,
            tags,
            obligations,
            approval,
            defer_ms,
        )

    def _match(self, reader: MappingReader, key: str = "match", more_keys: tuple[str, ...] = ()) -> Match | None:
        return read_match(reader, self._findings, key, more_keys)

    def _approval(self, reader: MappingReader, effect: RuleEffect | None) -> ApprovalSettings | None:
        node = reader.node("approval")
        if node is None:
            if effect is RuleEffect.REQUIRE_APPROVAL:
                example = "such as `approval: {group: finance, ttl: 15m}`"
                message = f"a rule that requires approval needs the key `approval`, {example}"
                reader.error("missing_key", reader.location, message)
            return None
        if effect is not RuleEffect.REQUIRE_APPROVAL:
            reader.error(
                "wrong_effect", reader.at("approval"), "`approval` is allowed only with the effect require_approval"
            )
        inner = MappingReader(
            node, "`approval`", ("group!", "quorum", "ttl", "bind", "grants"), self._findings, reader.rule_id
        )
        bind = inner.texts("bind", len(BIND_KNOWN)) or BIND_ALWAYS
        for name in bind:
            if name not in BIND_KNOWN:
                message = f"`bind` must be one of {', '.join(BIND_KNOWN)}, found `{name}`"
                inner.error("wrong_value", inner.at("bind"), message, nearest(name, BIND_KNOWN))
        if not set(BIND_ALWAYS) <= set(bind):
            inner.error("wrong_value", inner.at("bind"), "`bind` must include tool, args and session")
        grants = inner.text("grants") or GRANT_SCOPES[-1]
        if grants not in GRANT_SCOPES:
            message = f"`grants` must be one of {', '.join(GRANT_SCOPES)}, found `{grants}`"
            inner.error("wrong_value", inner.at("grants"), message, nearest(grants, GRANT_SCOPES))
        return ApprovalSettings(
            inner.text("group") or "",
            inner.integer("quorum", 1, QUORUM_MAX) or 1,
            inner.duration_ms("ttl", APPROVAL_TTL_MS_MAX) or APPROVAL_TTL_MS_DEFAULT,
            bind,
            grants=grants,
        )

    def _defer(self, reader: MappingReader, effect: RuleEffect | None) -> int | None:
        if reader.node("defer") is None:
            if effect is RuleEffect.DEFER:
                reader.error(
                    "missing_key", reader.location, "a rule that defers needs the key `defer`: a duration such as `30s`"
                )
            return None
        if effect is not RuleEffect.DEFER:
            reader.error("wrong_effect", reader.at("defer"), "`defer` is allowed only with the effect defer")
        return reader.duration_ms("defer", DEFER_MS_MAX)

    def _explain(self, reader: MappingReader) -> tuple[tuple[str, Scalar], ...]:
        found = []
        for key, node in reader.entries("explain", EXPLAIN_MAX):
            if not isinstance(node, Scalar) or node.value is None:
                reader.error(
                    "wrong_kind", node.location, f"`{key.text}` must be an expression, found {node_kind(node)}"
                )
            elif not NAME_PATTERN.match(key.text):
                reader.error(
                    "wrong_value", key.location, f"`{key.text[:80]}` is not a name: use letters, digits and `_`"
                )
            else:
                found.append((key.text, node))
        return tuple(found)

    def _obligation_list(self, reader: MappingReader, effect: RuleEffect | None) -> tuple[Obligation, ...]:
        if reader.node("obligations") is not None and effect in (RuleEffect.DENY, RuleEffect.QUARANTINE):
            reader.error(
                "wrong_effect", reader.at("obligations"), f"a rule with the effect {effect} can't have obligations"
            )
        found = []
        for node in reader.items("obligations", OBLIGATIONS_MAX):
            inner = MappingReader(node, "an obligation", ("id!", "type!", "properties"), self._findings, reader.rule_id)
            obligation_id = inner.text("id", RULE_ID_PATTERN, "letters, digits, `-` and `_`")
            kind = inner.text("type", NAME_PATTERN, "a name")
            inner.entries("properties", NAMES_MAX)
            properties = inner.value("properties", PROPERTIES_CHARS_MAX)
            if obligation_id is None or kind is None:
                continue
            first = self._obligations.setdefault(obligation_id, inner.location)
            if first != inner.location:
                message = f"an obligation with the id `{obligation_id}` is already at {first}"
                inner.error("duplicate_obligation", inner.location, message)
            shown = MappingProxyType(properties) if isinstance(properties, dict) else MappingProxyType({})
            found.append(Obligation(obligation_id, kind, shown))
        return tuple(found)


def _api_version(reader: MappingReader) -> None:
    text = reader.text("apiVersion")
    if text is not None and text != API_VERSION:
        reader.error("wrong_value", reader.at("apiVersion"), f"`apiVersion` must be `{API_VERSION}`, found `{text}`")


def _check_name(reader: MappingReader, what: str, key: Scalar) -> None:
    if not NAME_PATTERN.match(key.text) or key.text in RESERVED_WORDS:
        message = f"a {what} name must be letters, digits and `_`, and not a reserved word, found `{key.text[:80]}`"
        reader.error("wrong_value", key.location, message)


def _constants(reader: MappingReader, name: str, node: SequenceNode) -> tuple[object, ...]:
    values: list[object] = []
    for item in node.items:
        value = item.value if isinstance(item, Scalar) else None
        if value is None:
            reader.error("wrong_kind", item.location, f"list `{name}` must contain constants, found {node_kind(item)}")
        elif values and type(value) is not type(values[0]):
            message = f"list `{name}` must contain values of one type, found {node_kind(item)} after another type"
            reader.error("mixed_list", item.location, message, "put texts that look like numbers in quotes")
        else:
            values.append(value)
    return tuple(values)


def _merge(first: Pack, second: Pack) -> Pack:
    return Pack(
        first.name,
        first.owner or second.owner,
        first.lists + second.lists,
        first.macros + second.macros,
        first.rules + second.rules,
        first.memories + second.memories,
        first.budgets + second.budgets,
    )
