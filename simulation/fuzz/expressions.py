"""Random well-typed expressions, and facts for them."""

from __future__ import annotations

import copy
import json
import random  # noqa: TID251 - a fuzzer is made of chance; its seed is an argument
from collections.abc import Callable, Iterator
from typing import Any

SEARCHES = 5
AGENTS = ("helper", "billing-bot", "")

_TEXTS = ("", "a", "abc", "trusted", "untrusted", "a@b.example", "ÄÖ", "x y z", "1.5", "-7", "true", "日本")
_INTS = ("0", "1", "-1", "2", "3", "7", "100", "9223372036854775807", "-9223372036854775808", "4611686018427387904")
_DOUBLES = ("0.0", "1.0", "-1.5", "0.5", "1e300", "9007199254740993.0", "9223372036854775808.0")
_PATTERNS = ("^a", "b$", "[0-9]+", "un.*d", "(a|b)+", ".", "@[a-z.]+$")
_SEARCHED = ("args.to", "agent.id", "string(args.any)")
_CHOSEN = ('(args.to.matches("b$") ? user.scopes : args.tags)', '(agent.id.matches("un.*d") ? args.tags : user.scopes)')
_WRONG: tuple[Any, ...] = (None, True, False, 0, 1, -3, 2.0, 2.5, "", "a", "1", [], ["a"], [1], {}, {"a": 1})
_NUMBERS = ("int", "double")


class ExpressionMaker:
    """Makes expressions that mostly type-check."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._variables: list[tuple[str, str]] = []

    def make(self, kind: str, depth: int) -> str:
        """Return an expression of a kind: bool, int, double, string or list (of texts)."""
        if depth <= 0 or self._chance.random() < 0.15:
            return self._leaf(kind)
        makers: dict[str, Callable[[int], str]] = {
            "bool": self._bool,
            "int": self._int,
            "double": self._double,
            "string": self._string,
            "list": self._list,
        }
        if self._chance.random() < 0.08:
            then, otherwise = self.make(kind, depth - 1), self.make(kind, depth - 1)
            return f"({self.make('bool', depth - 1)} ? {then} : {otherwise})"
        if self._chance.random() < 0.04:
            return self._bind(kind, depth)
        return makers[kind](depth - 1)

    def _pick(self, *choices: str) -> str:
        return self._chance.choice(choices)

    def _bind(self, kind: str, depth: int) -> str:
        inner, name = self._pick("bool", "int", "string"), f"b{len(self._variables)}"
        value = self.make(inner, depth - 1)
        self._variables.append((name, inner))
        body = self.make(kind, depth - 1)
        self._variables.pop()
        return f"cel.bind({name}, {value}, {body})"

    def _leaf(self, kind: str) -> str:
        own = [name for name, known in self._variables if known == kind]
        if own and self._chance.random() < 0.5:
            return self._chance.choice(own)
        if kind == "bool":
            return self._pick(
                *("true", "false", "session.tainted", "tool.read_only", "session.attended", "approval.granted"),
                *("session.fingerprint_changed", "has(session.model)", "has(args.urgent)", "args.urgent == true"),
                *("has(agent.instance)", "has(args.amount)"),
            )
        if kind == "int":
            fields = ("session.spent", "session.risk", "now.hour", 'session.calls["a"]', "args.amount", "intent.turn")
            return self._pick(*_INTS, *fields, "size(provenance)", "delegation.hops[0].depth")
        if kind == "double":
            return self._pick(*_DOUBLES, "double(delegation.hops[0].depth)", "args.price", "double(session.spent)")
        if kind == "string":
            fields = ("agent.id", "agent.instance", "tool.name", "user.scopes[0]", "args.to", "provenance[0].trust")
            return self._pick(*(json.dumps(text, ensure_ascii=False) for text in _TEXTS), *fields)
        return self._pick(
            "user.scopes", "tool.sink_args", "lists.demo.agents", '["a", "abc"]', "[]", "args.tags", *_CHOSEN
        )

    def _bool(self, depth: int) -> str:
        shape = self._chance.randrange(11)
        if shape < 4:
            return f"({self.make('bool', depth)} {self._pick('&&', '||')} {self.make('bool', depth)})"
        if shape == 4:
            return f"!{self.make('bool', depth)}"
        if shape == 5:
            kind = self._pick("bool", "int", "double", "string", "list")
            return f"({self.make(kind, depth)} {self._pick('==', '!=')} {self.make(kind, depth)})"
        if shape == 6:
            one, two = self._pick(*_NUMBERS), self._pick(*_NUMBERS)
            left, right = self.make(one, depth), self.make(two, depth)
            right = f"dyn({left})" if self._chance.random() < 0.25 else right
            return f"(dyn({left}) {self._pick('<', '<=', '>', '>=', '==')} {right})"
        if shape == 7:
            kind = self._pick("int", "double", "string")
            left, right = self.make(kind, depth), self.make(kind, depth)
            # Random operands are hardly ever equal, where `<` and `<=` differ.
            right = left if self._chance.random() < 0.25 else right
            return f"({left} {self._pick('<', '<=', '>', '>=')} {right})"
        if shape == 8:
            # Texts of the lists that facts have, or a text is hardly ever in a list, and never but the first in it.
            element = self._pick('"abc"', '"b"', '"trusted"', self.make("string", depth))
            return f"({element} in {self.make('list', depth)})"
        if shape == 9:
            return self._text_test(depth)
        return self._quantifier(depth)

    def _text_test(self, depth: int) -> str:
        if self._chance.random() < 0.3:
            return self._search()
        text = self.make("string", depth)
        if self._chance.random() < 0.3:
            return f'{text}.matches("{self._pick(*_PATTERNS)}")'
        return f"{text}.{self._pick('startsWith', 'endsWith', 'contains')}({self.make('string', depth)})"

    def searches(self) -> Iterator[str]:
        """Yield conditions that do little but look for patterns, and go through lists that depend on it."""
        for _ in range(SEARCHES):
            yield self._search()
        chosen = self._pick(*_CHOSEN)
        yield from (f'{chosen}.exists(x, x.startsWith("a"))', f'{chosen}.all(x, x != "b")')

    def _search(self) -> str:
        """Return a search in one of few texts: what is looked for in one text is looked for together."""
        text, patterns = self._pick(*_SEARCHED), self._chance.sample(_PATTERNS, 2)
        if self._chance.random() < 0.5:
            return f'{text}.matches("{patterns[0]}")'
        listed = ", ".join(json.dumps(pattern) for pattern in patterns)
        return f"[{listed}].{self._pick('exists', 'all')}(p, {text}.matches(p))"

    def _quantifier(self, depth: int) -> str:
        macro, name = self._pick("all", "exists", "exists_one"), f"x{len(self._variables)}"
        source, kind = self._pick("provenance", "texts", "texts", "any"), "string"
        self._variables.append((f"{name}.trust" if source == "provenance" else name, kind))
        if source == "any":
            self._variables[-1] = (f"string({name})", kind)
        body = self.make("bool", depth)
        self._variables.pop()
        ranged = {"provenance": "provenance", "texts": self.make("list", depth), "any": "args.any"}[source]
        if source == "texts" and macro != "exists_one" and self._chance.random() < 0.2:
            return f"{ranged}.{macro}(i, {name}, {body} || i > 1)"
        return f"{ranged}.{macro}({name}, {body})"

    def _int(self, depth: int) -> str:
        shape = self._chance.randrange(6)
        if shape < 3:
            return f"({self.make('int', depth)} {self._pick('+', '-', '*', '/', '%')} {self.make('int', depth)})"
        if shape == 3:
            return f"-({self.make('int', depth)})"
        if shape == 4:
            return f"size({self.make(self._pick('string', 'list'), depth)})"
        return f"{self.make('string', depth)}.indexOf({self.make('string', depth)})"

    def _double(self, depth: int) -> str:
        return f"({self.make('double', depth)} {self._pick('+', '-', '*', '/')} {self.make('double', depth)})"

    def _string(self, depth: int) -> str:
        shape = self._chance.randrange(7)
        text = self.make("string", depth)
        if shape == 0:
            return f"({text} + {self.make('string', depth)})"
        if shape == 1:
            return f"{text}.{self._pick('lowerAscii', 'upperAscii', 'trim')}()"
        if shape == 2:
            return f"string({self.make(self._pick('int', 'bool'), depth)})"
        if shape == 3:
            return f"{text}.substring({self.make('int', 0)})"
        if shape == 4:
            return f"{text}.charAt({self.make('int', 0)})"
        if shape == 5:
            return f"{text}.replace({self.make('string', 0)}, {self.make('string', 0)})"
        return f"{self.make('list', depth)}[{self._pick('0', '1', 'size(provenance)')}]"

    def _list(self, depth: int) -> str:
        shape, name = self._chance.randrange(4), f"x{len(self._variables)}"
        if shape == 0:
            return f"({self.make('list', depth)} + {self.make('list', depth)})"
        if shape == 1:
            return f'{self.make("string", depth)}.split("{self._pick(",", "a", "b", " ")}")'
        source = self.make("list", depth)
        self._variables.append((name, "string"))
        body = self.make("bool" if shape == 2 else "string", depth)
        self._variables.pop()
        return f"{source}.{'filter' if shape == 2 else 'map'}({name}, {body})"


class FactsMaker:
    """Makes facts: complete, with fields missing, or with values of wrong types."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def make(self) -> dict[str, Any]:
        """Return one set of facts."""
        facts = self._complete()
        for _ in range(self._chance.choice((0, 0, 1, 2, 4))):
            self._damage(facts)
        return facts

    def _complete(self) -> dict[str, Any]:
        chance = self._chance
        scopes = chance.sample(["a", "abc", "trusted", "mail:send"], chance.randrange(4))
        model = {"model": chance.choice(_TEXTS)} if chance.random() < 0.5 else {}
        args: dict[str, Any] = {"amount": chance.choice((0, 5, 2**62, -3)), "to": chance.choice(_TEXTS)}
        optional = {"price": 1.5, "urgent": True, "tags": ["a", "b"], "any": chance.choice(_WRONG)}
        args |= {name: value for name, value in optional.items() if chance.random() < 0.5}
        trust = ("trusted", "untrusted")
        return {
            "intent": {"turn": chance.randrange(5)},
            "args": args,
            "agent": {"id": chance.choice(AGENTS), "instance": "1.5"},
            "user": {"id": "alice", "scopes": scopes},
            "session": {
                "tainted": chance.random() < 0.5,
                "attended": chance.random() < 0.5,
                "spent": chance.choice((0, 7, 50_000, 2**63 - 1)),
                "risk": chance.randrange(5),
                "calls": {"a": 1} if chance.random() < 0.5 else {},
                "fingerprint_changed": chance.random() < 0.5,
                **model,
            },
            "delegation": {"hops": [{"depth": 0}] if chance.random() < 0.7 else []},
            "tool": {"name": chance.choice(_TEXTS), "read_only": chance.random() < 0.5, "sink_args": ["/to"]},
            "provenance": [{"source": "e", "trust": chance.choice(trust)} for _ in range(chance.randrange(3))],
            "approval": {"granted": chance.random() < 0.5},
            "now": {"hour": chance.randrange(24)},
        }

    def _damage(self, facts: dict[str, Any]) -> None:
        holder: Any = facts
        while True:
            if not isinstance(holder, dict | list) or not holder:
                return
            key = self._chance.choice(list(holder) if isinstance(holder, dict) else list(range(len(holder))))
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and self._chance.random() < 0.8:
                holder = inner
                continue
            if isinstance(holder, dict) and self._chance.random() < 0.6:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(self._chance.choice(_WRONG))
            return
