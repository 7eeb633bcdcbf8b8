"""Write the functions of the codec that a watch calls for each decision: `python -m scripts.codec_functions FILE`.

The codec makes its functions of schemas when they are needed first, so no compiler sees them. Here they are made
beforehand, of the schemas of this checkout, with types that mypyc can use. `scripts.compiled` puts the module in the
place of `streams/codec/ready_made.py` in its copy. A function is taken for the same source alone: records of another
schema are read as ever.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from streams.codec.decoder import decoder_source
from streams.codec.encoder import encoder_source
from streams.codec.schemas import CommittedSchemas, record_class
from streams.codec.source import Source
from streams.model.topics import AUDIT, BEHAVIOUR, VERDICT
from streams.processors.watch.seen import SEEN

READ, WRITTEN = (VERDICT.name, AUDIT.name, BEHAVIOUR.name), (BEHAVIOUR.name,)
"""Topics of which a watch reads or writes a record for each decision."""

_HEAD = '''"""Functions of the codec, by the source that they were made from: see `scripts.codec_functions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.codec.scalars import check_instant, check_items, check_uuid
from streams.codec.varints import MalformedError, TruncatedError, read_length, read_long, skip_long

Maker = Callable[[Mapping[str, Any]], Callable[..., Any]]
'''
_IMPORTED = frozenset(
    {
        "read_long",
        "read_length",
        "skip_long",
        "check_uuid",
        "check_instant",
        "check_items",
        "MalformedError",
        "TruncatedError",
    }
)
_TYPES = {"small": "tuple[Any, ...]", "to_end": "tuple[int, ...]", "prefix": "bytes"}
"""Of values that functions know by name; all others may be anything."""
_PARAMETERS = {"b, p": "b: bytes, p: int", "r": "r: Any"}


def main() -> int:
    """Write the module into a file, or print it; return the exit status."""
    text = module_text()
    if sys.argv[1:]:
        Path(sys.argv[1]).write_text(text)
    else:
        sys.stdout.write(text)
    return 0


def module_text() -> str:
    """Return the source of the module."""
    made = list(_sources())
    functions = [_function(number, each) for number, each in enumerate(made)]
    texts = [f"    {each.text!r}: make_{number},\n" for number, each in enumerate(made)]
    table = f"MAKERS: dict[str, Maker] = {{\n{''.join(texts)}}}\n"
    return "\n\n".join((_HEAD, *functions, table))


def _sources() -> Iterator[Source]:
    """Yield the sources of the functions."""
    schemas = CommittedSchemas.load()
    for topic in READ:
        shape = schemas.current(topic).shape
        yield decoder_source(shape, shape, SEEN.get(topic) or record_class(topic))
    for topic in WRITTEN:
        yield encoder_source(schemas.current(topic).shape, b"")


def _function(number: int, source: Source) -> str:
    """Return a function that makes one of the codec of the values that it knows by name."""
    head, *lines = source.text.splitlines()
    signature = head.removeprefix("def compiled(").removesuffix("):")
    body = "\n".join(map(_line, lines))
    variables = sorted(set(re.findall(r"\bv\d+\b", body)), key=lambda name: int(name[1:]))
    known = [name for name in source.names if name not in _IMPORTED and re.search(rf"\b{name}\b", body)]
    parts = [
        f"def make_{number}(names: Mapping[str, Any]) -> Callable[..., Any]:",
        '    """Return one of the functions."""',
        *(f'    {name}: {_TYPES.get(name, "Any")} = names["{name}"]' for name in known),
        '    plain: Any = names["compiled"]',
        f"    def quick({_PARAMETERS[signature]}) -> Any:",
        *(f"        {name}: Any" for name in variables),
        *(("        n: int", "        q: int") if signature == "b, p" else ()),
        *(f"    {line}" for line in body.splitlines()),
        f"    def compiled({_PARAMETERS[signature]}) -> Any:",
        "        try:",
        f"            return quick({signature})",
        "        except Exception:",
        "            # It knows which field is at fault.",
        f"            return plain({signature})",
        "    return compiled",
    ]
    return "\n".join(parts) + "\n"


def _line(line: str) -> str:
    """Return a line in the form that mypyc makes the most of."""
    if line.strip() == "a = out.append":
        return ""
    if line.strip() == "out = [prefix]":
        return line.replace("out", "out: list[Any]", 1)
    return re.sub(r"^(\s*)a\(", r"\1out.append(", line)


if __name__ == "__main__":
    raise SystemExit(main())
