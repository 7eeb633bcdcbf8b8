"""Every comparison with a secret takes a time that does not depend on where the two differ."""

from __future__ import annotations

import ast
import hmac
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.delegation.keys import hop_grant_key
from streams.model.proof import make_hmac, verify_hmac
from streams.services.approvals.signing import is_signed, signed_headers

ROOT = Path(__file__).parents[2] / "streams"

_SECRET = re.compile(
    r"(^|_)(secrets?|proofs?|hmac|mac|bearer|passwords?|passphrase|signatures?|root_key|private_key|api_key)$"
)
"""Names of what an attacker may be guessing."""


EXEMPT = {
    "policy/ext/held_secrets.py": "looks for secrets in a text whose writer has them",
}
"""Files in which a value with such a name is found in a text, and nobody guesses it, each with the reason."""


def names_in(node: ast.expr) -> Iterator[str]:
    """The names of the values themselves: of `a.proof.alg`, that is `alg`."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Subscript):
        yield from names_in(node.value)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            yield node.slice.value
    elif isinstance(node, ast.Call):
        yield from names_in(node.func)
        if isinstance(node.func, ast.Attribute):
            yield from names_in(node.func.value)
    elif isinstance(node, ast.BinOp):
        yield from (*names_in(node.left), *names_in(node.right))


def comparisons(source: str) -> Iterator[str]:
    """The comparisons for equality in a source whose sides are named like secrets."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Compare):
            continue
        sides = (node.left, *node.comparators)
        if any(isinstance(side, ast.Constant) and not side.value for side in sides):
            continue  # whether there is one at all
        if not any(isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for operator in node.ops):
            continue
        if any(_SECRET.search(name) for side in sides for name in names_in(side)):
            yield ast.unparse(node)


def test_no_secret_is_compared_character_by_character() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        for text in comparisons(path.read_text("utf-8"))
        if path.relative_to(ROOT).as_posix() not in EXEMPT
    ]
    assert found == []
    assert all(list(comparisons((ROOT / name).read_text("utf-8"))) for name in EXEMPT)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("stated == transmitter.bearer", True),
        ("make_hmac(secret, message) == event.proof", True),
        ("headers['proof'] != made", True),
        ("given[7:].encode() == secret", True),
        ("stated in signatures", True),
        ("event.proof is None", False),
        ("proof.alg == HMAC", False),
        ("hmac.compare_digest(made, proof)", False),
        ("secret == ''", False),
    ],
)
def test_such_a_comparison_is_found(source: str, expected: bool) -> None:
    assert bool(list(comparisons(source))) is expected


KEY, MESSAGE = bytes(range(32)), b"message"
HEADERS = signed_headers(KEY, "id", 1_000, MESSAGE)
CHECKS: dict[str, Callable[[], bool]] = {
    "proofs of intents, events and reports": lambda: verify_hmac(KEY, MESSAGE, make_hmac(KEY, MESSAGE)),
    "answers of people": lambda: is_signed(KEY, HEADERS, MESSAGE),
    "grants": lambda: hop_grant_key(KEY).verifies(MESSAGE, hop_grant_key(KEY).prove(MESSAGE).value),
}


@pytest.mark.parametrize("what", CHECKS)
def test_what_decides_is_the_comparison_in_constant_time(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, object]] = []

    def refuse(one: object, other: object) -> bool:
        asked.append((one, other))
        return False

    assert CHECKS[what]()
    monkeypatch.setattr(hmac, "compare_digest", refuse)
    assert not CHECKS[what]()
    assert [one == other for one, other in asked] == [True]
