"""The exact evaluator: compiles a checked tree to nested closures that implement CEL exactly, including its errors.

`&&` and `||` ignore an error of one operand if the other one decides; so do `all` and `exists` for their elements.
Generated code must agree with this evaluator, and leaves to it every expression that it can't evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from streams.model.errors import InvariantError
from streams.policy.cel.folds import FoldKind, classify
from streams.policy.cel.functions import FUNCTIONS
from streams.policy.cel.ops import has_field, no_overload, select
from streams.policy.cel.tree import (
    Call,
    Comprehension,
    Const,
    Expr,
    Ident,
    MakeList,
    MakeMap,
    MakeStruct,
    Select,
    children,
    walk,
)
from streams.policy.cel.values import LISTS, TYPE_NAMES, CelMap, type_of
from streams.policy.cel.work import CURRENT, begin, end
from streams.policy.errors import EvaluationError, PolicyError

STEPS_MAX = 200_000
"""How many elements the folds of one evaluation may visit. The elements of nested folds count each time."""

UNITS_PER_NODE = 2
"""The work of one operator, function or name."""

_STEPS, _ROOT = "#steps", "#root"
Variables = dict[str, Any]
Node = Callable[[Variables], Any]
Program = Callable[[Mapping[str, Any]], Any]

UNBOUND: Mapping[str, Any] = MappingProxyType({})
"""The variables of folds outside of all folds: none."""


class PartProgram(Protocol):
    """A program that can also evaluate a part of a fold, in which variables of the fold are bound."""

    def __call__(self, variables: Mapping[str, Any], bound: Mapping[str, Any] = UNBOUND) -> Any:
        """Return the value.

        Args:
            variables: the variables of the whole expression.
            bound: the variables of folds; a value can be a `DeferredError`.

        Raises:
            EvaluationError: the expression has no value.
        """


class UnsupportedExpressionError(PolicyError):
    """The tree has a construct that the evaluator does not support; a checked rule never has one."""


class DeferredError:
    """An error that is the value of a variable; it is raised when the variable is read."""

    __slots__ = ("error",)

    def __init__(self, error: EvaluationError) -> None:
        self.error = error


def compile_exact(tree: Expr, constants: Mapping[str, Any] | None = None) -> Program:
    """Compile a tree to a function from variables to its value.

    Args:
        tree: the tree from the checker.
        constants: variables whose values never change; they take precedence over variables of the same name.

    Returns:
        The function. It raises EvaluationError if the expression has no value, and no other error.

    Raises:
        UnsupportedExpressionError: the tree creates a record.
    """
    return _program(_Compiler(constants or {}).node(tree), sum(1 for _ in walk(tree)))


class PartsCompiler:
    """Compiles expressions that share parts, each part once: an explanation asks for the value of every part.

    Args:
        constants: see `compile_exact`.
    """

    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._compiler = _SharingCompiler(constants)
        self._counts: dict[int, int] = {}

    def compile(self, tree: Expr) -> PartProgram:
        """Compile a tree, or a part of one, as `compile_exact` does."""
        return _program(self._compiler.node(tree), self._count(tree))

    def _count(self, tree: Expr) -> int:
        """Return how many nodes a tree has."""
        # By identity: the compiler keeps every tree that it has compiled, so no other node can take the place of one.
        found = self._counts.get(id(tree))
        if found is None:
            found = self._counts[id(tree)] = 1 + sum(map(self._count, children(tree)))
        return found


def _program(run: Node, node_count: int) -> PartProgram:
    base_units = UNITS_PER_NODE * node_count

    def program(variables: Mapping[str, Any], bound: Mapping[str, Any] = UNBOUND) -> Any:
        account, token = CURRENT.get(), None
        if account is None:
            token = begin()
        else:
            account.left -= base_units
        try:
            return run({**variables, **bound, _STEPS: [0], _ROOT: variables})
        except EvaluationError:
            raise
        except Exception as error:
            # Any exception that a malformed value causes is an error of the expression, so that it fails closed.
            raise EvaluationError(f"evaluation failed: {type(error).__name__}") from error
        finally:
            if token is not None:
                end(token)

    return program


class _Compiler:
    def __init__(self, constants: Mapping[str, Any]) -> None:
        self._constants = constants

    def node(self, node: Expr) -> Node:
        if isinstance(node, Const):
            value = node.value
            return lambda _: value
        if isinstance(node, Ident):
            return self._ident(node.name)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Call):
            return self._call(node)
        if isinstance(node, MakeList):
            items = [self.node(item) for item in node.items]
            return lambda variables: [item(variables) for item in items]
        if isinstance(node, MakeMap):
            entries = [(self.node(key), self.node(value)) for key, value in node.entries]
            return lambda variables: CelMap([(key(variables), value(variables)) for key, value in entries])
        if isinstance(node, Comprehension):
            return self._fold(node)
        name = node.name if isinstance(node, MakeStruct) else type(node).__name__
        raise UnsupportedExpressionError(f"`{name}` can't be evaluated")

    def _ident(self, name: str) -> Node:
        if name.startswith("."):
            # A leading dot means the outer variable, if a variable of a fold hides it.
            outer = self._ident(name[1:])
            return lambda variables: outer(variables[_ROOT])
        if name in self._constants:
            constant = self._constants[name]
            return lambda _: constant
        if name in TYPE_NAMES:
            default = TYPE_NAMES[name]
            return lambda variables: variables.get(name, default)

        def ident(variables: Variables) -> Any:
            try:
                value = variables[name]
            except KeyError:
                raise EvaluationError(f"no such variable: {name}") from None
            if value.__class__ is DeferredError:
                raise value.error
            return value

        return ident

    def _select(self, node: Select) -> Node:
        operand, field = self.node(node.operand), node.field
        if node.test:
            return lambda variables: has_field(operand(variables), field)
        return lambda variables: select(operand(variables), field)

    def _call(self, node: Call) -> Node:
        args = [self.node(arg) for arg in node.args]
        if node.function == "_&&_":
            return _logical_operator("_&&_", args[0], args[1], decides=False)
        if node.function == "_||_":
            return _logical_operator("_||_", args[0], args[1], decides=True)
        if node.function == "_?_:_":
            return _conditional(*args)
        if node.function == "@not_strictly_false":
            return _not_strictly_false(args[0])
        function = FUNCTIONS.get(node.function)
        if function is None:
            # Only an unchecked tree has an unknown function. It is an error of the evaluation, which `||` may ignore.
            return _unknown_function(node.function)
        return _applied(function, node.function, args)

    def _fold(self, node: Comprehension) -> Node:
        fold = classify(node)
        if fold.kind is FoldKind.BIND:
            return _bind(node.accu_var, self.node(node.accu_init), self.node(node.result))
        elements = _elements(node, self.node(node.iter_range))
        if fold.kind is FoldKind.LIST:
            test = self.node(fold.test) if fold.test is not None else None
            return _collected(elements, test, self.node(fold.body))
        return _general(
            node,
            elements,
            self.node(node.accu_init),
            self.node(node.condition),
            self.node(node.step),
            self.node(node.result),
        )


class _SharingCompiler(_Compiler):
    """Compiles each node once. It keeps every node, so that their identities stay unique."""

    def __init__(self, constants: Mapping[str, Any]) -> None:
        super().__init__(constants)
        self._made: dict[int, tuple[Expr, Node]] = {}

    def node(self, node: Expr) -> Node:
        found = self._made.get(id(node))
        if found is None:
            found = self._made[id(node)] = node, super().node(node)
        return found[1]


def _logical_operator(name: str, left: Node, right: Node, *, decides: bool) -> Node:
    """Implement `&&` (false decides) and `||` (true decides). If one operand decides, an error of the other is ignored.

    Args:
        name: the operator, for errors.
        left: the first operand.
        right: the second operand.
        decides: the value of an operand that decides.
    """

    def junction(variables: Variables) -> bool:
        failed: EvaluationError | None = None
        try:
            one = left(variables)
            if one is decides:
                return bool(one)
            if one.__class__ is not bool:
                failed = no_overload(name, one)
        except EvaluationError as error:
            failed = error
        two = right(variables)
        if two is decides:
            return bool(two)
        if failed is not None:
            raise failed
        if two.__class__ is not bool:
            raise no_overload(name, two)
        return not decides

    return junction


def _unknown_function(name: str) -> Node:
    def unknown(_: Variables) -> Any:
        raise EvaluationError(f"no such function: {name}")

    return unknown


def _conditional(condition: Node, then: Node, otherwise: Node) -> Node:
    def conditional(variables: Variables) -> Any:
        chosen = condition(variables)
        if chosen is True:
            return then(variables)
        if chosen is False:
            return otherwise(variables)
        raise no_overload("_?_:_", chosen)

    return conditional


def _not_strictly_false(operand: Node) -> Node:
    def not_strictly_false(variables: Variables) -> bool:
        try:
            return operand(variables) is not False
        except EvaluationError:
            return True

    return not_strictly_false


def _applied(function: Callable[..., Any], name: str, args: list[Node]) -> Node:
    if len(args) == 1:
        (only,) = args

        def single(variables: Variables) -> Any:
            return function(only(variables))

        return _with_type_errors(single, name)
    if len(args) == 2:
        first, second = args

        def double(variables: Variables) -> Any:
            return function(first(variables), second(variables))

        return _with_type_errors(double, name)
    return _with_type_errors(lambda variables: function(*[arg(variables) for arg in args]), name)


def _with_type_errors(apply: Node, name: str) -> Node:
    """Return a node that raises EvaluationError for a wrong number of arguments, which only unchecked trees have."""

    def guarded(variables: Variables) -> Any:
        try:
            return apply(variables)
        except TypeError:
            raise EvaluationError(f"no such overload: {name}") from None

    return guarded


def _bind(name: str, value: Node, body: Node) -> Node:
    def bound(variables: Variables) -> Any:
        try:
            inner = value(variables)
        except EvaluationError as error:
            # The error of a bound value is raised only where the name is read, as for any other operand.
            inner = DeferredError(error)
        return body({**variables, name: inner})

    return bound


def _elements(node: Comprehension, iter_range: Node) -> Callable[[Variables], Iterable[tuple[Any, Variables]]]:
    """Return a function that yields the elements of a fold, each with the fold's variables bound to it."""
    one, two = node.iter_var, node.iter_var2
    units = UNITS_PER_NODE * sum(1 for part in (node.condition, node.step) for _ in walk(part))

    def elements(variables: Variables) -> Iterable[tuple[Any, Variables]]:
        source = iter_range(variables)
        pairs: Iterable[tuple[Any, Any]]
        if source.__class__ in LISTS:
            pairs = enumerate(source) if two else ((item, None) for item in source)
        elif isinstance(source, Mapping):
            pairs = source.items() if two else ((key, None) for key in source)
        else:
            raise EvaluationError(f"a value of type {type_of(source).name} can't be iterated over")
        steps, scope, account = variables[_STEPS], dict(variables), CURRENT.get()
        if account is None:
            raise InvariantError("an expression is evaluated without an account of work")
        for first, second in pairs:
            steps[0] += 1
            if steps[0] > STEPS_MAX:
                raise EvaluationError(f"expression takes more than {STEPS_MAX} steps")
            account.left -= units
            if account.left < 0:
                account.spend(0)
            scope[one] = first
            if two:
                scope[two] = second
            yield first, scope

    return elements


def _collected(elements: Callable[..., Any], test: Node | None, body: Node) -> Node:
    def collected(variables: Variables) -> list[Any]:
        found = []
        for _, scope in elements(variables):
            if test is not None:
                chosen = test(scope)
                if chosen is False:
                    continue
                if chosen is not True:
                    raise no_overload("_?_:_", chosen)
            found.append(body(scope))
        return found

    return collected


def _general(
    node: Comprehension, elements: Callable[..., Any], init: Node, condition: Node, step: Node, result: Node
) -> Node:
    accu_var, constant = node.accu_var, isinstance(node.condition, Const)

    def general(variables: Variables) -> Any:
        accu = init(variables)
        for _, scope in elements(variables):
            scope[accu_var] = accu
            if condition(scope) is not True:
                break
            try:
                accu = step(scope)
            except EvaluationError as error:
                if constant:
                    # If the condition is constant, no later element can make up for the error.
                    raise
                accu = DeferredError(error)
        return result({**variables, accu_var: accu})

    return general
