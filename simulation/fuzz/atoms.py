"""Fuzzing of the extraction of values: random contents of every form, with a value planted in them.

    python -m simulation.fuzz.atoms --cases 100000 --seed 7

Each content must be read without an error, twice with the same result, and within all bounds. A planted value must be
found, disguised or not; in a disguise it must be flagged as decoded.
"""

from __future__ import annotations

import argparse
import base64
import json
import random  # noqa: TID251 - a fuzzer is made of chance; its seed is an argument
import sys
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from streams.provenance.atoms.found import Extraction
from streams.provenance.contents.leaves import PATH_CHARS_MAX
from streams.provenance.extraction.collected import ATOMS_MAX
from streams.provenance.extraction.extract import extract_arguments, extract_content, extract_message

VALUE_CHARS_MAX = 4_096
_PIECES = (
    "a", "Kim", "the", "order", "17", "2026-03-05", "5 March", "$12.50", "@", "@@", "://", "http://", "a@b", "/",
    "\\", "%41", "&amp;", "&#", "\\u00", "=40", "\n", "\n\n", "\t", " ", "  ", '"', "'", "`", "\u201c", "{", "}",
    "[", "]", "<", ">", "<a href='", "<!--", "-->", "<td>", "</table>", "<table>", ":", ": ", ", ", "- ", "|",
    "---", "From: ", "\u0430", "\u200b", "\uff21", "\U000e0041", "\ud800", "\u0130", "\x00", "xn--", "xn--a.b",
    " dot ", " at ", "moc.", "//:", "==", "QUJDREVGR0hJ", "6162636465666768", "DE89", "+1 (", "1,", "1.",
    "please ", "send ", "!!", "*a", "&x", "? ", "%", "#",
)  # fmt: skip
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LOOKS = str.maketrans({"a": "\u0430", "e": "\u0435", "o": "\u043e", "i": "\u0456", "c": "\u0441", "p": "\u0440"})
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}

DISGUISES: Mapping[str, Callable[[str], str]] = {
    "none": lambda value: value,
    "case": str.upper,
    "look-alikes": lambda value: value.translate(_LOOKS),
    "full width": lambda value: value.translate(_WIDE),
    "zero width": "\u200b".join,
    "percent": lambda value: quote(value, safe=""),
    "html": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "escapes": lambda value: value.replace("@", "\\u0040").replace(".", "\\x2e"),
    "base64": lambda value: base64.b64encode(f"mail to {value} now".encode()).decode(),
    "hexadecimal": lambda value: f"mail to {value} now".encode().hex(),
    "spelled": lambda value: value.replace("@", " at ").replace(".", " dot "),
    "brackets": lambda value: value.replace("@", " [at] ").replace(".", " (dot) "),
    "spaced": " ".join,
    "reversed": lambda value: value[::-1],
}
"""Disguises of an address that has one dot, after its `@`."""


def random_text(chance: random.Random, pieces_max: int = 60) -> str:
    """Return a text of pieces that parsers stumble over."""
    return "".join(chance.choice(_PIECES) for _ in range(chance.randrange(pieces_max)))


def planted_address(chance: random.Random) -> str:
    """Return an address that no other part of a content holds."""
    name = "".join(chance.choice(_LETTERS) for _ in range(chance.randrange(4, 12)))
    host = "".join(chance.choice(_LETTERS) for _ in range(chance.randrange(4, 12)))
    return f"{name}@{host}.com"


def fault_of(extraction: Extraction) -> str:
    """Return which bound an extraction breaks; empty if none."""
    if len(extraction.found) > ATOMS_MAX:
        return "more values than the bound"
    for found in extraction.found:
        if len(found.value) > VALUE_CHARS_MAX or len(found.path) > PATH_CHARS_MAX or not found.value:
            return f"a value or path of a wrong length: {found!r}"[:300]
    return ""


def fault_in_text(text: str) -> str:
    """Read a text in every way, and return what is wrong with that."""
    for read in (extract_content, extract_message, lambda value: extract_arguments({"note": value, "ids": [value]})):
        extraction = read(text)
        if extraction != read(text):
            return "read twice, found different values"
        if fault := fault_of(extraction):
            return fault
    return ""


def fault_in_plant(chance: random.Random) -> str:
    """Plant an address in a content of some form, and return what is wrong if it is not found."""
    address, name = planted_address(chance), chance.choice(list(DISGUISES))
    hidden = DISGUISES[name](address)
    text = f"{chance.choice(('The list is at', 'Thanks for', 'Note'))} {hidden} {chance.choice(('today', 'for all'))}"
    form = chance.choice(("text", "json", "yaml", "html", "csv"))
    if form == "json":
        text = json.dumps({"a": [{"note": text}]}, ensure_ascii=chance.random() < 0.5)
    elif form == "yaml" and name not in ("escapes", "full width"):
        text = f"id: 3\nnote: {json.dumps(text)}\n"
    elif form == "html" and name != "html":
        text = f"<html><body><p>{text}</p></body></html>"
    elif form == "csv":
        text = f'id,note\n1,"{text}"\n2,"none"\n'
    found = [item for item in extract_content(text).found if item.value == address]
    if not found:
        return f"`{address}` is not found, {name} in {form}: {text!r}"
    if name not in ("none", "case") and not all(item.decoded for item in found) and hidden.lower() != address:
        return f"`{address}` is not flagged as decoded, {name} in {form}: {text!r}"
    return ""


def slowest(chars: int) -> tuple[float, str]:
    """Read contents of one piece or two, repeated, and return the most seconds that one took, with the piece."""
    worst = (0.0, "")
    for first in _PIECES:
        for second in ("", *_PIECES[::7]):
            piece = first + second
            began_s = time.process_time()
            extract_content(piece * (chars // len(piece)))
            worst = max(worst, (time.process_time() - began_s, piece))
    return worst


def main() -> int:
    """Run the given number of cases and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulation.fuzz.atoms", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="how many contents (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins (default: %(default)s)")
    parser.add_argument("--long", type=int, metavar="CHARS", help="read repeated pieces of this length, and time them")
    options = parser.parse_args()
    if options.long:
        seconds, piece = slowest(options.long)
        sys.stdout.write(f"the slowest content of {options.long} characters took {seconds:.2f} s: {piece!r} repeated\n")
        return 0
    for number in range(options.cases):
        chance = random.Random(f"{options.seed}/{number}")  # noqa: S311 - no secret
        text = random_text(chance)
        fault = fault_in_text(text) or fault_in_plant(chance)
        if fault:
            sys.stdout.write(f"case {options.seed}/{number}: {fault}\n  text: {text!r}\n")
            return 1
    sys.stdout.write(f"{options.cases} contents were read as expected (seed {options.seed})\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
