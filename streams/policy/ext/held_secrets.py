"""Finds keys, tokens and passwords in a value: `holdsSecret(value)`.

The detectors are those of Kingfisher, which the library keeps up to date with the formats of issuers. It searches for
all of them at once, in time linear in the text, and asks nobody: no detector verifies what it finds.

Detectors expect a key between spaces, quotes or line ends. In an address, another character may be next to it, so the
long words of the text are searched by themselves, too. Percent encodings are decoded. Most texts have no long word, and
are not searched at all.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from streams.policy.cel.values import LISTS, type_of
from streams.policy.cel.work import spend
from streams.policy.errors import EvaluationError

VALUES_MAX = 20_000
UNITS_PER_VALUE, UNITS_PER_SEARCH = 4, 20
CHARS_MAX = 1_000_000
PIECE_CHARS = 16_000
"""Texts are searched in pieces, and the search stops at the first find.

A text made of nothing but beginnings of keys then costs no more than one piece: the library's own cost grows faster
than the number of its findings.
"""
OVERLAP_CHARS = 4_000
"""How much of a piece the next one repeats: more than the longest key has."""

HIDDEN_MAX = 32
"""How many encoded keys of a text are looked for in its words. In a text with more, every long word counts as one."""

_LONG_WORD = re.compile(r"[A-Za-z0-9_.+/=%-]{16,}")
"""Without such a word, a text has no key: keys are longer, and private keys have lines of 64 characters."""
_KEY = re.compile(r"[A-Za-z0-9_.+=-]{16,}")
_KEY_CHARS_MIN = 16
_STANDARD = str.maketrans("-_", "+/")


ANSWER: ContextVar[Callable[[str], bool | None] | None] = ContextVar("answer", default=None)
"""What answers `holdsSecret` for a text with a long word, so that the detectors are not loaded. None leaves it to them.

Gates never set it. An explanation of a recorded call does: see `recorded_answers`.
"""


@lru_cache(maxsize=1)
def _scanner() -> Any:
    from kingfisher_sdk import Rules, Scanner  # noqa: PLC0415 - large, and many bundles have no rules about keys

    # Compiling the detectors takes seconds, so the library keeps them in the cache folder of the account.
    return Scanner(Rules(confidence="medium"), redact=False)


def holds_secret(value: Any) -> bool:
    """Implement `holdsSecret(value)`: whether a value contains a key or a token at any depth, also in base64.

    The names of fields are searched, too, and count as context: a value under the name `aws_secret_access_key` is one,
    the same text elsewhere may not be.

    Raises:
        EvaluationError: the value has too many parts or characters, or something that is not a CEL value.
    """
    text = "\n".join(_lines(value))
    spend(UNITS_PER_SEARCH + len(text))
    if _LONG_WORD.search(text) is None:
        return False
    answer = ANSWER.get()
    if answer is not None and (known := answer(text)) is not None:
        return known
    scan = _scanner().scan
    return any(scan(piece) for piece in _pieces(_with_words(text)))


def _lines(value: Any) -> Iterator[str]:
    """Yield every text of a value, after the name of its field, and long names of fields without a text."""
    left: list[tuple[str, Any]] = [("", value)]
    seen = chars = 0
    while left:
        name, item = left.pop()
        seen += 1
        if item.__class__ is str:
            chars += len(item) + len(name)
            yield f"{name}: {item}" if name else item
        else:
            if len(name) >= _KEY_CHARS_MIN:
                # The name can be a key itself. A shorter one can't, and would only be context for other values.
                chars += len(name)
                yield name
            left += _inside(name, item)
        if not left:
            spend(UNITS_PER_VALUE * seen)
        if seen + len(left) > VALUES_MAX or chars > CHARS_MAX:
            spend(UNITS_PER_VALUE * (seen + len(left)))
            raise EvaluationError("value contains too many texts")


def _inside(name: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Return the parts of a value that is not a text, with the names of their fields."""
    if value.__class__ is dict or isinstance(value, Mapping):
        return [(key if key.__class__ is str else "", inner) for key, inner in value.items()]
    if value.__class__ in LISTS:
        return [(name, inner) for inner in value]
    type_of(value)
    return ()


def _with_words(text: str) -> bytes:
    """Return the text, the same without percent encodings, and its long words on lines of their own."""
    decoded = unquote(text) if "%" in text else text
    views = (text, *(() if decoded is text else (decoded,)), *_KEY.findall(decoded))
    return "\n".join(views).encode("utf-8", "replace")


def _pieces(data: bytes) -> Iterator[bytes]:
    at = 0
    while True:
        yield data[at : at + PIECE_CHARS]
        at += PIECE_CHARS - OVERLAP_CHARS
        if at + OVERLAP_CHARS >= len(data):
            return


def secrets_in(text: str) -> list[str]:
    """Return the keys and tokens in a text, and of those that are encoded there, the words that hold them.

    The detectors are those of `holdsSecret`. In doubt all long words are returned: where no word alone holds a key, and
    where more than `HIDDEN_MAX` keys are encoded. The work is then linear in the number of words, whatever they hold.
    """
    words = dict.fromkeys(_LONG_WORD.findall(text))
    if not words:
        return []
    scan = _scanner().scan
    found = dict.fromkeys(finding.secret for piece in _pieces(_with_words(text)) for finding in scan(piece))
    hidden: list[str] = []
    for secret in found:
        if secret not in words and secret not in text:
            hidden.append(secret)
            if len(hidden) > HIDDEN_MAX:
                return [*found, *words]
    if not hidden:
        return [*found]
    views = [(word, unquote(word), _from_base64(word)) for word in words]
    for secret in hidden:
        del found[secret]
        found |= dict.fromkeys([word for word, *decoded in views if any(secret in each for each in decoded)] or words)
    return [*found]


def _from_base64(word: str) -> str:
    try:
        return base64.b64decode(word.translate(_STANDARD) + "=" * (-len(word) % 4)).decode("utf-8", "replace")
    except ValueError:
        return ""


SECRET_FUNCTIONS: dict[str, Callable[..., Any]] = {"holdsSecret": holds_secret}
