"""Reads fixtures: the facts, in JSON, that the cases and the attacks of rules start from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.policy.authoring.possible_facts import complete, impossibilities
from streams.policy.authoring.quiet_facts import money_of, with_quiet_facts
from streams.policy.errors import Findings, Location
from streams.policy.language.bundle import BundleReadError, read_text
from streams.policy.language.fact_validation import schema_violations
from streams.policy.language.paths import PathError, split_path, with_changes
from streams.policy.language.yaml_mapping import MappingReader
from streams.policy.runtime.ruleset import CompiledRuleset


class Fixtures:
    """Reads fixtures, each of them once, and changes their facts.

    Args:
        root: the directory of the rules; fixtures lie below it.
        ruleset: the compiled bundle, which says what `history` and `entities` have.
        findings: receives the errors.
    """

    def __init__(self, root: Path, ruleset: CompiledRuleset, findings: Findings) -> None:
        self._root = root.resolve()
        self._history = ruleset.history
        self._nothing = ruleset.memories.empty_history()
        self._entities = ruleset.entities
        self._unknown = ruleset.memories.no_entities()
        self._findings = findings
        self._read: dict[Path, Mapping[str, Any] | None] = {}

    def get(self, beside: Path, name: str, at: Location) -> Mapping[str, Any] | None:
        """Return the facts of a fixture, or None after an error was reported.

        Args:
            beside: the file that names the fixture.
            name: the path of the fixture, relative to that file's folder.
            at: where the file names it.
        """
        path = (beside.parent / name).resolve()
        if not path.is_relative_to(self._root):
            self._findings.error("outside", at, f"fixture `{name}` is outside the folder of the rules")
            return None
        if path not in self._read:
            self._read[path] = self._load(path, name, at)
        return self._read[path]

    def _load(self, path: Path, name: str, at: Location) -> Mapping[str, Any] | None:
        if not path.exists():
            where = path.relative_to(self._root).as_posix()
            hint = f"expected at `{where}` in the folder of the rules"
            self._findings.error("bad_fixture", at, f"fixture `{name}` does not exist", hint=hint)
            return None
        try:
            facts = json.loads(read_text(path))
        except BundleReadError as error:
            self._findings.error("bad_fixture", at, f"fixture {error}")
            return None
        except (ValueError, RecursionError) as error:
            self._findings.error("bad_fixture", at, f"fixture `{name}` is not JSON: {error}")
            return None
        problems = ["it must be an object"]
        if isinstance(facts, dict):
            # The fields of `history` and `entities` depend on the bundle. They are validated for each case.
            own = ("history", "entities")
            problems = schema_violations({name: fact for name, fact in facts.items() if name not in own})
            problems += [f"`{name}` must be a mapping" for name in own if not isinstance(facts.get(name, {}), dict)]
            problems.extend(f"no gate makes these facts: {why}" for why in impossibilities(facts))
        for problem in problems:
            self._findings.error("bad_fixture", at, f"fixture `{name}`: {problem}")
        return facts if not problems else None

    def changed(
        self, reader: MappingReader, fixture: Mapping[str, Any], changes: Mapping[str, Any], unset: Sequence[str] = ()
    ) -> Mapping[str, Any] | None:
        """Return the facts of a fixture after changes, or None after an error was reported.

        Facts that follow from the changed ones change with them; see `possible_facts.complete`. Facts that no gate
        could make are errors.

        Args:
            reader: the mapping of the file that changes them, for errors.
            fixture: the facts.
            changes: new values by path.
            unset: the paths of the fields to remove.
        """
        facts = self._with_own_facts(fixture)
        try:
            known = with_changes(facts, changes, ())
            complete(known, [split_path(path) for path in changes])
            changed = with_changes(known, {}, unset)
            paths = [split_path(path) for path in (*changes, *unset)]
            if any(path[0] == "args" for path in paths) and not any(path[0] == "money" for path in paths):
                changed["money"] = money_of(changed.get("args"))
        except PathError as error:
            reader.error("bad_path", reader.location, str(error))
            return None
        problems = schema_violations(known, partial=True, history=self._history, entities=self._entities)
        for problem in problems:
            reader.error("bad_facts", reader.location, f"the facts of the case don't fit the schema: {problem}")
        for why in () if problems else impossibilities(known):
            reader.error("impossible_facts", reader.location, f"no gate makes these facts: {why}")
        return changed

    def _with_own_facts(self, fixture: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fixture with the `history` of a new session, with unknown entities and with the provenance of a
        call that its user asked for, except for the fields that it sets itself."""
        facts = with_quiet_facts(fixture)
        if self._history.fields:
            facts["history"] = {**self._nothing, **fixture.get("history", {})}
        if self._entities.fields:
            facts["entities"] = {**self._unknown, **fixture.get("entities", {})}
        return facts
