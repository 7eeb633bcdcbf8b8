"""The type checker: from the text of a CEL expression to a checked tree, or to problems with their offsets.

This is the only module that uses `cel-expr-python`, Google's C++ implementation. It also offers the evaluator of that
library, as a reference for tests and benchmarks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from cel_expr_python import cel

from streams.policy.cel.checked_expression import read_checked_expression
from streams.policy.cel.tree import Comprehension, Expr, MakeStruct, walk
from streams.policy.errors import EvaluationError, PolicyError, nearest
from streams.policy.language import error_hints
from streams.policy.language.descriptors import PACKAGE, make_pool, message_name
from streams.policy.language.extension_declarations import EXTENSION_STRUCTS
from streams.policy.language.fact_types import FactType, Kind, ListOf, MapOf, Struct
from streams.policy.language.function_declarations import FUNCTION_NAMES, FUNCTIONS_CONFIG, NETWORK_TYPES
from streams.policy.language.schema import ENTITIES, FACTS, HISTORY, NOT_SUPPLIED, fact

TEXT_CHARS_MAX = 60_000
SYNTAX_ERRORS_MAX = 8
"""How many syntax errors behind the first one are looked for in an expression."""

CHECKERS_KEPT_MAX = 64
_SPACES_MAX = 100

CHECKER_CONFIG = f"""
stdlib:
  exclude_functions:
    - name: string
    - name: matches
extensions:
  - name: bindings
  - name: strings
  - name: two-var-comprehensions
{FUNCTIONS_CONFIG}"""
"""The functions and macros that expressions can use, in the library's configuration format."""
_REFERENCE_CONFIG = """
extensions:
  - name: bindings
  - name: strings
  - name: two-var-comprehensions
"""
_DECLARED_UNDER = {HISTORY: "history", ENTITIES: "entities"}
"""The records whose fields a bundle declares, and the key of a rule file under which it does."""
_ERROR = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*?)(?: \[[A-Z_]+\])?$")
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_FIELD = re.compile(r"undefined field '(.*?)' not found in struct '(.*?)'")
_NAME = re.compile(r"undeclared reference to '(.*?)' \(in container '.*?'\)")
_OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '\((.*)\)'")
_OPERAND = re.compile(r"expression of type '(.*?)' cannot be the operand of a select operation")


class Problem(NamedTuple):
    """An error at an offset of the checked text."""

    code: str
    offset: int
    message: str
    hint: str | None = None
    name: str | None = None  # the unknown name, if it may be the name of something that the bundle defines


class CheckError(PolicyError):
    """The text is not a well-typed expression; `problems` holds each reason."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(problem.message for problem in problems))


class CheckedExpression(msgspec.Struct, frozen=True):
    """A well-typed expression."""

    text: str
    tree: Expr


class Checker:
    """Checks expressions against the schema of facts, for one type of `args` and one set of named lists.

    Args:
        args: the type of the tool's arguments.
        lists: the element type of each list, by its full name (`lists.payments.agents`).
        history: the type of the fact `history`, which has a field for each memory of the bundle.
        entities: the type of the fact `entities`, which has a field for each entity that the bundle declares.
    """

    def __init__(
        self, args: FactType, lists: Mapping[str, Kind], history: Struct = HISTORY, entities: Struct = ENTITIES
    ) -> None:
        self._args = args
        self._structs = structs_by_type_name(args, history, entities)
        self._lists = dict(lists)
        own: dict[str, FactType] = {"args": args, "history": history, "entities": entities}
        variables: dict[str, Any] = {field.name: _cel_type(own.get(field.name, field.type)) for field in FACTS}
        variables |= {name: _cel_type(ListOf(kind)) for name, kind in lists.items()}
        variables |= dict.fromkeys(NETWORK_TYPES, cel.Type.DYN)
        config = cel.NewEnvConfigFromYaml(CHECKER_CONFIG)
        self._env = cel.NewEnv(make_pool(args, history, entities), config=config, variables=variables)

    def check(self, text: str) -> CheckedExpression:
        """Parse and type-check an expression.

        Raises:
            CheckError: it is not well-typed; the error holds every problem that was found.
        """
        if len(text) > TEXT_CHARS_MAX:
            message = f"the expression has {len(text)} characters: the limit is {TEXT_CHARS_MAX}"
            raise CheckError((Problem("too_long", 0, message),))
        try:
            serialized = self._env.compile(text).serialize()
        except (RuntimeError, ValueError, TypeError) as error:
            problems = self._explain(text, str(error))
            raise CheckError((*problems, *self._further_syntax_errors(text, problems))) from None
        tree = read_checked_expression(serialized)
        problems = tuple(_unsupported_nodes(tree))
        if problems:
            raise CheckError(problems)
        return CheckedExpression(text, tree)

    def _further_syntax_errors(self, text: str, problems: tuple[Problem, ...]) -> Iterator[Problem]:
        """Yield the syntax errors behind the first one, each found in the text with the earlier ones repaired."""
        grown_chars, offset = 0, problems[0].offset
        for _ in range(SYNTAX_ERRORS_MAX):
            repair = error_hints.repaired(text, offset) if problems[0].code == "syntax" else None
            if repair is None:
                return
            text, grown_chars = repair.text, grown_chars + repair.grown_chars
            try:
                self._env.compile(text)
            except (RuntimeError, ValueError, TypeError) as error:
                problems = self._explain(text, str(error))
            else:
                return
            offset = problems[0].offset
            if problems[0].code != "syntax" or offset < repair.end:
                return
            yield problems[0]._replace(offset=offset - grown_chars)

    def _explain(self, text: str, report: str) -> tuple[Problem, ...]:
        starts = [0]
        for line in text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        problems = []
        for report_line in report.splitlines():
            match = _ERROR.match(report_line)
            if match is not None and "*error*" not in match[3]:
                # A problem with the text as a whole has line -1.
                line_start = starts[max(min(int(match[1]), len(starts)) - 1, 0)]
                offset = max(line_start + int(match[2]) - 1, 0)
                problems.append(self._problem(match[3], text, min(offset, len(text))))
        # After the first syntax error the parser guesses what was meant, so its further errors are of no use.
        syntax_errors = [problem for problem in problems if problem.code == "syntax"]
        if syntax_errors:
            return (min(syntax_errors, key=lambda problem: problem.offset),)
        return tuple(problems) or (
            Problem("expression", 0, *error_hints.explain_parser_report(_without_codes(report))),
        )

    def _problem(self, message: str, text: str, offset: int) -> Problem:
        if match := _FIELD.search(message):
            field, struct = match[1], self._structs.get(match[2])
            known = [member.name for member in struct.fields] if struct else []
            has = f"its fields are {', '.join(known)}" if known else "it has no fields"
            declared_under = {f"{PACKAGE}.{each.name}": key for each, key in _DECLARED_UNDER.items()}.get(match[2])
            hint = nearest(field, known) or (f"declare it under `{declared_under}:`" if declared_under else has)
            owner = struct.name if struct else match[2]
            if (path := f"{owner.lower()}.{field}") in NOT_SUPPLIED:
                return _not_supplied(path, offset)
            name = field if owner in (HISTORY.name, ENTITIES.name) else None
            return Problem("unknown_field", offset, f"unknown field `{field}`, expected a field of {owner}", hint, name)
        if match := _NAME.search(message):
            return self._unknown_name(match[1], text, _start_of_name(match[1], text, offset))
        if match := _OVERLOAD.search(message):
            operator, types = match[1].strip("_@"), match[2].replace(f"{PACKAGE}.", "")
            advice = error_hints.call_hint(operator, types, text, offset)
            at = _start_of_name(operator, text, offset) if operator.isidentifier() else offset
            return Problem("wrong_type", at, f"`{operator}` can't be applied to ({types})", advice)
        if match := _OPERAND.search(message):
            return Problem("wrong_type", offset, f"a value of type {match[1]} has no fields")
        if "Syntax error" in message or "reserved identifier" in message:
            return Problem("syntax", *error_hints.explain_syntax_error(message, text, offset))
        return Problem("expression", offset, *error_hints.explain_parser_report(message))

    def _unknown_name(self, name: str, text: str, offset: int) -> Problem:
        root = name.partition(".")[0]
        if root == "lists":
            known = [listed.rpartition(".")[2] for listed in self._lists]
            leaf = name.rpartition(".")[2]
            hint = nearest(leaf, known) or "define it under `lists:`"
            return Problem("unknown_list", offset, f"unknown list `{leaf}`", hint)
        if root in NOT_SUPPLIED:
            return _not_supplied(root, offset)
        if name in FUNCTION_NAMES:
            return Problem(
                "wrong_type",
                offset,
                f"`{name}` can't be called like this",
                error_hints.form_hint(name, text, offset),
            )
        names = [field.name for field in FACTS]
        if text[offset + len(name) :].lstrip().startswith("("):
            hint = nearest(name, FUNCTION_NAMES) or "docs/reference/functions.md lists the functions"
        else:
            hint = nearest(root, names) or nearest(name, FUNCTION_NAMES) or f"the facts are {', '.join(names)}"
        if name in error_hints.CONSTANT_SYNONYMS:
            hint = f"write `{error_hints.CONSTANT_SYNONYMS[name]}`"
        return Problem("unknown_name", offset, f"unknown name `{name}`, expected a fact or a function", hint, name)


def _not_supplied(path: str, offset: int) -> Problem:
    return Problem("not_supplied", offset, f"no gate supplies the fact `{path}`", NOT_SUPPLIED[path])


@lru_cache(maxsize=CHECKERS_KEPT_MAX)
def _cached_checker(args: FactType, lists: tuple[tuple[str, Kind], ...], history: Struct, entities: Struct) -> Checker:
    return Checker(args, dict(lists), history, entities)


def checker_for(
    args: FactType, lists: Mapping[str, Kind], history: Struct = HISTORY, entities: Struct = ENTITIES
) -> Checker:
    """Return the checker for these types; it is made once and then cached."""
    return _cached_checker(args, tuple(sorted(lists.items())), history, entities)


def _unsupported_nodes(tree: Expr) -> list[Problem]:
    """Return the constructs of a tree that the library accepts but rules must not use."""
    problems = []
    for node in walk(tree):
        if isinstance(node, MakeStruct):
            message = f"`{node.name}{{...}}` makes a record: rules can't make records"
            problems.append(Problem("unsupported", max(node.offset, 0), message))
        elif isinstance(node, Comprehension):
            for name in (node.iter_var, node.iter_var2, node.accu_var):
                if name in ("lists", "macros") or fact(name) is not None:
                    message = f"variable `{name}` hides the fact `{name}`"
                    problems.append(Problem("hides_fact", max(node.offset, 0), message, "rename the variable"))
    return problems


def structs_by_type_name(args: FactType, history: Struct = HISTORY, entities: Struct = ENTITIES) -> dict[str, Struct]:
    """Return the records of the schema, of `args`, `history` and `entities`, by the checker's name of their type."""
    found: dict[str, Struct] = {}
    facts = (field.type for field in FACTS if field.name not in ("history", "entities"))
    stack: list[FactType] = [args, history, entities, *EXTENSION_STRUCTS, *facts]
    while stack:
        top = stack.pop()
        if isinstance(top, ListOf):
            stack.append(top.element)
        elif isinstance(top, MapOf):
            stack.append(top.value)
        elif isinstance(top, Struct):
            found[message_name(top)] = top
            stack.extend(field.type for field in top.fields)
    return found


def _cel_type(fact_type: FactType) -> Any:
    if isinstance(fact_type, ListOf):
        return cel.Type.List(_cel_type(fact_type.element))
    if isinstance(fact_type, MapOf):
        return cel.Type.Map(cel.Type.STRING, _cel_type(fact_type.value))
    if isinstance(fact_type, Struct):
        return cel.Type(message_name(fact_type))
    return {
        Kind.BOOL: cel.Type.BOOL,
        Kind.INT: cel.Type.INT,
        Kind.DOUBLE: cel.Type.DOUBLE,
        Kind.STRING: cel.Type.STRING,
        Kind.DYN: cel.Type.DYN,
    }[fact_type]


def _start_of_name(name: str, text: str, offset: int) -> int:
    """Return the start of a name. The checker reports the offset of its last dot, or of the bracket of a call."""
    pattern = r"\s*\.\s*".join(map(re.escape, name.lstrip(".").split(".")))
    reach = len(name) + _SPACES_MAX
    whole = re.compile(rf"(?<!\w){pattern}(?!\w)\s*")
    found = whole.finditer(text, max(offset - reach, 0), offset + reach)
    return next((match.start() for match in found if match.start() <= offset <= match.end()), offset)


def _without_codes(report: str) -> str:
    """Return the first line of the library's report, without the library's error codes."""
    first = (report.splitlines() or ["not an expression"])[0]
    return _STATUS.sub("", first)


def reference_evaluator(text: str, names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], Any]:
    """Return the library's own evaluator of an expression, with every variable dynamic and facts as maps.

    Args:
        text: an expression, without network functions.
        names: the variables that it may read.

    Returns:
        A function from variables to the value as plain Python. It raises EvaluationError if there is no value.

    Raises:
        CheckError: the text is not a valid expression of these variables.
    """
    config = cel.NewEnvConfigFromYaml(_REFERENCE_CONFIG)
    env = cel.NewEnv(config=config, variables=dict.fromkeys(names, cel.Type.DYN))
    try:
        expression = env.compile(text)
    except RuntimeError as error:
        raise CheckError((Problem("expression", 0, str(error).splitlines()[0]),)) from None

    def evaluate(variables: Mapping[str, Any]) -> Any:
        result = expression.eval(data=variables)
        if result.type() == cel.Type.ERROR:
            raise EvaluationError(str(result.value()))
        return result.plain_value()

    return evaluate
