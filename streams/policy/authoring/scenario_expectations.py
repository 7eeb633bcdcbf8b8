"""Reads what scenarios, and files of expectations, expect."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from streams.model.reasons import DeadLetterReason, Reason
from streams.policy.authoring.located_files import read_located
from streams.policy.authoring.rule_names import RuleNames
from streams.policy.authoring.scenario import LAST_LINE, ExpectedCall, ExpectedLine, ExpectedStep, ScenarioVerdict
from streams.policy.authoring.scenario_keys import (
    CALL_EXPECT_KEYS,
    EXPECTATION_KEYS,
    LINES_MAX,
    NAMES_MAX,
    STEP_EXPECT_KEYS,
)
from streams.policy.errors import Findings, nearest
from streams.policy.language.located_yaml import (
    MappingNode,
    Node,
    Scalar,
    SequenceNode,
    node_kind,
    to_python,
)
from streams.policy.language.yaml_mapping import MappingReader
from streams.policy.runtime.ruleset import CompiledRuleset


class KnownNames:
    """The names that expectations may use.

    Attributes:
        rules: the rules; None: any.
        memories: names of memories; None: any.
        budgets: names of budgets; None: any.
    """

    def __init__(self, ruleset: CompiledRuleset | None) -> None:
        self.rules: RuleNames | None = None
        self.memories: frozenset[str] | None = None
        self.budgets: frozenset[str] | None = None
        if ruleset is not None:
            packs = ruleset.bundle.packs
            self.rules = RuleNames(ruleset)
            self.memories = frozenset(memory.name for pack in packs for memory in pack.memories)
            self.budgets = frozenset(budget.name for pack in packs for budget in pack.budgets)


def read_expectations(path: Path, findings: Findings) -> tuple[ExpectedLine, ...]:
    """Return what a file expects of the lines of a history, and report its errors to `findings`. Blocking."""
    node = read_located(path, str(path), findings)
    if node is None:
        return ()
    reader = MappingReader(node, "a file of expectations", EXPECTATION_KEYS, findings)
    reader.text("history")
    return ExpectReader(findings, KnownNames(None)).lines(reader)


class ExpectReader:
    """Reads what steps, and lines of a history, expect."""

    def __init__(self, findings: Findings, names: KnownNames) -> None:
        self._findings = findings
        self._names = names

    def lines(self, reader: MappingReader) -> tuple[ExpectedLine, ...]:
        """Return what is expected of a history, from the key `expect` of a mapping."""
        found: dict[int, ExpectedLine] = {}
        node = reader.node("expect")
        # An empty list says that the history causes nothing, which is compared like everything else.
        is_empty = isinstance(node, SequenceNode) and not node.items
        nodes = () if is_empty else reader.items("expect", LINES_MAX)
        if not nodes and reader.node("expect") is None:
            reader.error("missing_key", reader.location, "a recorded `history` needs `expect`")
        for node in nodes:
            keys = ("line!", "verdict", *CALL_EXPECT_KEYS, *STEP_EXPECT_KEYS)
            inner = MappingReader(node, "an expectation", keys, self._findings)
            at = inner.node("line")
            is_end = isinstance(at, Scalar) and at.text == "end"
            line_no = LAST_LINE if is_end else inner.integer("line", 1, 2**31)
            if line_no is None:
                continue
            if line_no in found:
                inner.error("duplicate_line", inner.location, f"line {line_no or 'end'} is expected twice")
            has_own = any(inner.node(key) is not None for key in ("verdict", *CALL_EXPECT_KEYS))
            own = self._call(inner) if has_own else None
            expect = self._rest(inner, own, None)
            if not expects_something(expect):
                inner.error("expects_nothing", inner.location, "the line expects nothing")
            found[line_no] = ExpectedLine(inner.location, line_no, expect)
        return tuple(found[line_no] for line_no in sorted(found))

    def step(self, reader: MappingReader, calls: Iterable[str], *, is_judged: bool, what: str) -> ExpectedStep | None:
        """Return what a step expects, from its key `expect`; None after an error.

        Args:
            calls: the names of the calls of this step and those before.
            is_judged: whether the step is about a call that gets a verdict, so that it must expect one.
            what: what errors call the step.
        """
        node = reader.node("expect")
        if node is None:
            if is_judged:
                message = f"this {what} step expects nothing; state its verdict (or `none`)"
                reader.error("expects_nothing", reader.location, message)
                return None
            return ExpectedStep()
        if isinstance(node, Scalar) and node.value is not None:
            if not is_judged:
                message = f"a {what} step is about no call that gets a verdict; write {{calls: {{NAME: VERDICT}}}}"
                reader.error("wrong_kind", node.location, message)
                return None
            return self._whole(reader, "expect", node)
        keys = (*STEP_EXPECT_KEYS,) if not is_judged else ("verdict", *CALL_EXPECT_KEYS, *STEP_EXPECT_KEYS)
        inner = MappingReader(node, "`expect`", keys, self._findings)
        own = None
        if is_judged:
            if inner.node("verdict") is None and inner.node("dead_letters") is None:
                inner.error("expects_nothing", inner.location, "`expect` needs the key `verdict`")
                return None
            own = self._call(inner)
        expect = self._rest(inner, own, frozenset(calls))
        if isinstance(node, MappingNode) and not expects_something(expect):
            inner.error("expects_nothing", inner.location, "`expect` is empty")
        return expect

    def _whole(self, reader: MappingReader, key: str, node: Scalar) -> ExpectedStep | None:
        verdict = reader.choice(key, ScenarioVerdict)
        return None if verdict is None else ExpectedStep(own=ExpectedCall(node.location, verdict))

    def _rest(self, reader: MappingReader, own: ExpectedCall | None, known: frozenset[str] | None) -> ExpectedStep:
        calls: dict[str, ExpectedCall] = {}
        for name, node in reader.entries("calls", NAMES_MAX):
            if known is not None and name.text not in known:
                message = f"no step up to this one has the call `{name.text}`"
                reader.error("unknown_call", name.location, message, nearest(name.text, known))
            found = self._other_call(name, node)
            if found is not None:
                calls[name.text] = found
        letters = [self._one(reader, node, DeadLetterReason) for node in self._list(reader, "dead_letters") or ()]
        alerts = self._list(reader, "alerts")
        return ExpectedStep(
            own=own,
            calls=calls,
            alerts=None if alerts is None else tuple(sorted(self._text_of(reader, node) for node in alerts)),
            dead_letters=tuple(sorted(letter for letter in letters if letter is not None)),
        )

    def _other_call(self, name: Scalar, node: Node) -> ExpectedCall | None:
        if isinstance(node, Scalar):
            reader = MappingReader(MappingNode(name.location, ((name, node),)), "`calls`", (name.text,), self._findings)
            verdict = reader.choice(name.text, ScenarioVerdict)
            return None if verdict is None else ExpectedCall(node.location, verdict)
        return self._call(MappingReader(node, "a call", ("verdict!", *CALL_EXPECT_KEYS), self._findings))

    def _call(self, reader: MappingReader) -> ExpectedCall:
        verdict = reader.choice("verdict", ScenarioVerdict) if reader.node("verdict") is not None else None
        rules, errors = self._rule_ids(reader, "rules"), self._rule_ids(reader, "errors")
        return ExpectedCall(
            location=reader.location,
            verdict=verdict or ScenarioVerdict.NONE,
            reason=reader.choice("reason", Reason),
            rules=rules,
            errors=errors or frozenset(),
            memories=self._values(reader, "memories", self._names.memories, "memory", (int, bool, type(None))),
            budgets=self._values(reader, "budgets", self._names.budgets, "budget", (int,)),
        )

    def _rule_ids(self, reader: MappingReader, key: str) -> frozenset[str] | None:
        nodes = self._list(reader, key)
        if nodes is None:
            return None
        found = set()
        for node in nodes:
            rule_id = self._text_of(reader, node)
            if self._names.rules is not None:
                self._names.rules.check(reader, node.location, rule_id)
            found.add(rule_id)
        return frozenset(found)

    def _values(
        self, reader: MappingReader, key: str, known: frozenset[str] | None, what: str, kinds: tuple[type, ...]
    ) -> dict[str, Any]:
        found = {}
        for name, node in reader.entries(key, NAMES_MAX):
            if known is not None and name.text not in known:
                hint = nearest(name.text, known)
                reader.error(f"unknown_{what}", name.location, f"unknown {what} `{name.text}`", hint)
            value = to_python(node)
            if type(value) not in kinds:
                shown = "a whole number" if kinds == (int,) else "a whole number, true, false or null"
                reader.error("wrong_value", node.location, f"the value of a {what} must be {shown}")
                continue
            found[name.text] = value
        return found

    def _list(self, reader: MappingReader, key: str) -> tuple[Node, ...] | None:
        """Return the items of a list that may be empty; None if it is absent or wrong."""
        node = reader.node(key)
        if node is None:
            return None
        if not isinstance(node, SequenceNode) or len(node.items) > NAMES_MAX:
            message = f"`{key}` must be a list of 0 to {NAMES_MAX} items, found {node_kind(node)}"
            reader.error("wrong_kind", node.location, message)
            return None
        return node.items

    def _text_of(self, reader: MappingReader, node: Node) -> str:
        if isinstance(node, Scalar) and node.is_text:
            return node.text
        reader.error("wrong_kind", node.location, f"expected text, found {node_kind(node)}")
        return ""

    def _one(self, reader: MappingReader, node: Node, choices: type[DeadLetterReason]) -> DeadLetterReason | None:
        text = self._text_of(reader, node)
        try:
            return choices(text)
        except ValueError:
            hint = nearest(text, [str(choice) for choice in choices])
            reader.error("wrong_value", node.location, f"`{text}` is not a reason of dead letters", hint)
            return None


def expects_something(expect: ExpectedStep) -> bool:
    """Return whether anything is expected at all."""
    return expect != ExpectedStep()
