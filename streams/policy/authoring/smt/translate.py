"""Translates checked conditions, and the match of rules, to formulas over the facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import z3

from streams.policy.authoring.smt import operators
from streams.policy.authoring.smt.expand import (
    CONSTANTS_MAX,
    TooLargeError,
    constant_elements,
    expand,
    normalize_predicate,
)
from streams.policy.authoring.smt.fact_variables import FactVariable, FactVariables, Path
from streams.policy.authoring.smt.terms import (
    CODE_POINT_MAX,
    TRUE,
    Sort,
    Term,
    TruthFormula,
    bounds,
    conjunction,
    constant,
    disjunction,
    negation,
    term_of,
    text,
    truth_of,
    typed_values,
    variable,
)
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.simplify import simplify
from streams.policy.cel.structural_hash import structural_key
from streams.policy.cel.tree import Call, Comprehension, Const, Expr, Ident, Select
from streams.policy.language.bundle import Match, Pattern
from streams.policy.language.fact_types import Struct
from streams.policy.language.globs import is_literal

_KINDS = {sort: Sort(sort) for sort in ("bool", "int", "double", "string")}
_ANY_RESULT = operators.ARITHMETIC | {"_[_]", "_?_:_", "dyn", "-_"}
"""Functions whose result has the declared type only if the operands have theirs."""


class Formula(NamedTuple):
    """The formula of a condition.

    Attributes:
        truth: when the condition is true and when it is false.
        axioms: axioms about the variables of the formula.
        paths: the facts that the condition reads.
    """

    truth: TruthFormula
    axioms: tuple[Any, ...]
    paths: frozenset[Path]


class Translator:
    """Translates the conditions of one bundle. The same fact is the same variable in all formulas.

    Args:
        structs: the records of the schema, by the checker's name of their type.
        constants: the named lists, by full name.
    """

    def __init__(self, structs: Mapping[str, Struct], constants: Mapping[str, Sequence[Any]]) -> None:
        self.variables = FactVariables(structs)
        self.members: dict[Path, list[tuple[Term, Any]]] = {}
        self._constants = constants
        self._names: dict[Any, str] = {}
        self._free_axioms: dict[str, tuple[Any, ...]] = {}
        self._used: set[str] = set()

    def condition(self, tree: Expr) -> Formula:
        """Return the formula of a condition."""
        try:
            ready = expand(simplify(tree), self._constants)
        except TooLargeError:
            return self._collected(lambda: self._free_truth(tree))
        return self._collected(lambda: self._truth(ready))

    def match(self, match: Match, *, is_permit: bool) -> Formula:
        """Return the formula which means that a rule applies to a call.

        If the caller is not known, a permit does not apply and every other rule does.
        """
        return self._collected(lambda: self._match(match, is_permit))

    def _collected(self, make: Callable[[], TruthFormula]) -> Formula:
        self._used, self.variables.used = set(), set()
        truth = make()
        axioms = [axiom for name in sorted(self._used) for axiom in self._free_axioms.get(name, ())]
        axioms += [axiom for path in sorted(self.variables.used) for axiom in self.variables.axioms(path)]
        kept = tuple(axiom for axiom in axioms if not z3.is_true(axiom))
        return Formula(truth, kept, frozenset(self.variables.used))

    def _match(self, match: Match, is_permit: bool) -> TruthFormula:
        server, name, version = (
            self.variables.text("tool", field).term.value for field in ("server_id", "name", "version")
        )
        tool = conjunction((
            disjunction(_tool(pattern, server, name) for pattern in match.tools),
            _matches(match.servers, server),
            _matches((match.tool_version,) if match.tool_version else (), version),
        ))  # fmt: skip
        if not (match.agents or match.tenants):
            return TruthFormula(tool, negation(tool))
        agent, tenant = self.variables.text("agent", "id").term, self.variables.root("tenant").term
        known = conjunction((agent.ok, tenant.ok))
        fits = conjunction((_matches(match.agents, agent.value), _matches(match.tenants, tenant.value)))
        caller = conjunction((known, fits)) if is_permit else disjunction((negation(known), fits))
        whole = conjunction((tool, caller))
        return TruthFormula(whole, negation(whole))

    def _free_name(self, node: Expr, about: str) -> str:
        key = (structural_key(node), about)
        name = self._names.setdefault(key, f"?{len(self._names)}")
        self._used.add(name)
        return name

    def _free_truth(self, node: Expr) -> TruthFormula:
        name = self._free_name(node, "truth")
        value, ok = z3.Bool(name), z3.Bool(f"{name} has a value")
        return TruthFormula(conjunction((ok, value)), conjunction((ok, negation(value))))

    def _free_term(self, node: Expr, sort: Sort | None = None) -> Term:
        if sort is None:
            sure = isinstance(node, Call) and node.function not in _ANY_RESULT
            sort = _KINDS.get(node.type.kind, Sort.ANY) if sure else Sort.ANY
        name = self._free_name(node, str(sort))
        term = variable(sort, name, z3.Bool(f"{name} has a value"))
        self._free_axioms[name] = (bounds(term),)
        return term

    def _free_bool(self, node: Expr, which: str = "") -> operators.Free:
        return lambda about: z3.Bool(self._free_name(node, f"{about}{which}"))

    def _truth(self, node: Expr) -> TruthFormula:
        if isinstance(node, Call):
            logic = self._logic(node)
            if logic is not None:
                return logic
        if isinstance(node, Select) and node.test:
            holder = self.variables.find(node.operand)
            if holder is None:
                return self._free_truth(node)
            return self.variables.within(holder, node.operand, node.field).presence
        if isinstance(node, Comprehension):
            return self._fold(node)
        term = self._term(node)
        return self._free_truth(node) if term is None else truth_of(term)

    def _logic(self, node: Call) -> TruthFormula | None:
        """Translate logical operators and other functions whose result is a bool; None if it is not one of them."""
        if node.function in ("_&&_", "_||_"):
            one, other = (self._truth(arg) for arg in node.args)
            if node.function == "_&&_":
                return TruthFormula(conjunction((one.yes, other.yes)), disjunction((one.no, other.no)))
            return TruthFormula(disjunction((one.yes, other.yes)), conjunction((one.no, other.no)))
        if node.function == "!_":
            inner = self._truth(node.args[0])
            return TruthFormula(inner.no, inner.yes)
        if node.function == "_?_:_" and node.type.kind == "bool":
            which, then, otherwise = (self._truth(arg) for arg in node.args)
            return TruthFormula(
                disjunction((conjunction((which.yes, then.yes)), conjunction((which.no, otherwise.yes)))),
                disjunction((conjunction((which.yes, then.no)), conjunction((which.no, otherwise.no)))),
            )
        return self._predicate(node)

    def _predicate(self, node: Call) -> TruthFormula | None:
        if node.function == "@in":
            return self._membership(node)
        if len(node.args) != 2:
            return None
        is_equality = node.function in ("_==_", "_!=_")
        if not is_equality and node.function not in operators.ORDERS | operators.TEXT_TESTS:
            return None
        left, right = (self._term(arg) for arg in node.args)
        if left is None or right is None:
            return self._free_truth(node)
        if is_equality:
            same = operators.equality(left, right, self._free_bool(_unordered(node)))
            return same if node.function == "_==_" else TruthFormula(same.no, same.yes)
        if node.function in operators.ORDERS:
            return operators.order(node.function, left, right, self._free_bool(node))
        return operators.text_test(node.function, left, right)

    def _membership(self, node: Call) -> TruthFormula:
        element, container = node.args
        values = constant_elements(container, self._constants)
        term = self._term(element)
        if values is not None and len(values) <= CONSTANTS_MAX and term is not None:
            known = [constant(value) for value in values]
            same = [
                operators.equality(term, value, self._free_bool(node, str(index)))
                for index, value in enumerate(known)
                if value is not None
            ]
            if len(same) == len(known):
                yes = disjunction(truth.yes for truth in same)
                return TruthFormula(yes, conjunction((term.ok, negation(yes))))
        fact_variable = self.variables.find(container)
        if fact_variable is None or term is None:
            return self._free_truth(node)
        return self._member(node, term, fact_variable)

    def _member(self, node: Call, element: Term, fact_variable: FactVariable) -> TruthFormula:
        """Translate the test whether a list of the facts contains a value, or a map a key."""
        found = []
        for typed in typed_values(fact_variable.term):
            if typed.sort is Sort.LIST:
                holds = self._free_bool(node)("member")
                self.members.setdefault(fact_variable.path, []).append((element, holds))
                self._free_axioms[self._free_name(node, "member")] = (z3.Implies(holds, fact_variable.size > 0),)
                found.append((conjunction((typed.when, element.ok)), holds))
            elif typed.sort is Sort.MAP:
                key = node.args[0]
                if not isinstance(key, Const) or type(key.value) is not str:
                    return self._free_truth(node)
                found.append((typed.when, self.variables.within(fact_variable, node.args[1], key.value).present))
        return TruthFormula(
            disjunction(conjunction((when, holds)) for when, holds in found),
            disjunction(conjunction((when, negation(holds))) for when, holds in found),
        )

    def _fold(self, node: Comprehension) -> TruthFormula:
        fold = classify(node)
        fact_variable = self.variables.find(node.iter_range)
        one_variable = fact_variable is not None and fact_variable.term.sort is Sort.LIST and not node.iter_var2
        if fact_variable is None or not one_variable or fold.kind not in (FoldKind.ALL, FoldKind.EXISTS):
            return self._free_truth(node)
        # `all` is the negation of `exists` with the negated predicate, also for errors.
        is_all = fold.kind is FoldKind.ALL
        test, flipped = normalize_predicate(fold.body, node.iter_var)
        asked = Call(node.type, -1, "#exists", False, (node.iter_range, test), ())
        name = self._free_name(asked, "not" if flipped is not is_all else "")
        some_fits, ok = z3.Bool(name), z3.Bool(f"{name} has a value")
        self._free_axioms[name] = (z3.Implies(fact_variable.size == 0, z3.And(ok, z3.Not(some_fits))),)
        yes, no = (conjunction((fact_variable.term.ok, ok, holds)) for holds in (some_fits, negation(some_fits)))
        return TruthFormula(no, yes) if is_all else TruthFormula(yes, no)

    def _term(self, node: Expr) -> Term | None:
        """Return the value of an expression, or None if formulas can't express its kind."""
        if isinstance(node, Const):
            return constant(node.value)
        if isinstance(node, Ident | Select) and not (isinstance(node, Select) and node.test):
            fact_variable = self.variables.find(node)
            if fact_variable is not None:
                return fact_variable.term
            return self._free_term(node) if isinstance(node, Select) else None
        if isinstance(node, Call):
            return self._call(node)
        return term_of(self._truth(node)) if node.type.kind == "bool" else None

    def _call(self, node: Call) -> Term | None:
        known = self._known_call(node)
        if known is not None:
            return known
        kind = node.type.kind
        return self._free_term(node) if kind in _KINDS or kind == "dyn" else None

    def _known_call(self, node: Call) -> Term | None:
        fact_variable = self.variables.find(node)
        if fact_variable is not None:
            return fact_variable.term
        if node.function == "dyn":
            return self._term(node.args[0])
        if node.function in operators.ARITHMETIC and len(node.args) == 2:
            left, right = (self._term(arg) for arg in node.args)
            return None if left is None or right is None else operators.arithmetic(node.function, left, right)
        if node.function == "-_":
            operand = self._term(node.args[0])
            return None if operand is None else operators.negative(operand)
        if node.function == "size" and len(node.args) == 1:
            return self._size(node)
        if node.function == "_?_:_" and node.type.kind != "bool":
            return self._either(node)
        logic = self._logic(node) if node.type.kind == "bool" else None
        return None if logic is None else term_of(logic)

    def _either(self, node: Call) -> Term | None:
        which = self._truth(node.args[0])
        then, otherwise = (self._term(arg) for arg in node.args[1:])
        if then is None or otherwise is None:
            return None
        return operators.select_case([(which.yes, then), (which.no, otherwise)])

    def _size(self, node: Call) -> Term | None:
        (held,) = node.args
        term = self._term(held)
        fact_variable = self.variables.find(held)
        if term is None:
            return None
        sizes = []
        for when, sort, value in typed_values(term):
            if sort is Sort.STRING:
                sizes.append((when, Term(TRUE, Sort.INT, z3.Length(value))))
            elif sort is Sort.LIST and fact_variable is not None:
                sizes.append((when, Term(TRUE, Sort.INT, fact_variable.size)))
            elif sort in (Sort.LIST, Sort.MAP):
                sizes.append((when, self._free_term(node, Sort.INT)))
        return operators.select_case(sizes)


def _unordered(node: Call) -> Call:
    """Return a normal form of `==` and `!=` that is the same for both operators and for either order of operands."""
    return Call(node.type, -1, "_==_", False, tuple(sorted(node.args, key=lambda arg: repr(structural_key(arg)))), ())


def _tool(pattern: Pattern, server: Any, name: Any) -> Any:
    if pattern.text == "*":
        return TRUE
    wanted_server, _, wanted_name = pattern.text.partition(".")
    return conjunction((_glob(wanted_server, server), _glob(wanted_name, name)))


def _matches(patterns: Sequence[Pattern], value: Any) -> Any:
    return disjunction(_glob(pattern.text, value) for pattern in patterns) if patterns else TRUE


def _glob(glob: str, value: Any) -> Any:
    """Return the formula which means that a text matches a glob."""
    if glob == "*":
        return TRUE
    if any(ord(character) >= CODE_POINT_MAX for character in glob):
        return z3.Bool(f"{value} is like {glob!r}")
    if is_literal(glob):
        return value == text(glob)
    if is_literal(glob[:-1]) and glob[-1] == "*":
        return z3.PrefixOf(text(glob[:-1]), value)
    if is_literal(glob[1:]) and glob[0] == "*":
        return z3.SuffixOf(text(glob[1:]), value)
    any_text = z3.Full(z3.ReSort(z3.StringSort()))
    any_character = z3.AllChar(z3.ReSort(z3.StringSort()))
    parts = [{"*": any_text, "?": any_character}.get(character) for character in glob]
    regex = [z3.Re(text(character)) if part is None else part for part, character in zip(parts, glob, strict=True)]
    return z3.InRe(value, regex[0] if len(regex) == 1 else z3.Concat(*regex))
