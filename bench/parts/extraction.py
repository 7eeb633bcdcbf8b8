"""Measures what it costs to find the values in contents: `python -m bench extraction`.

An executor does this once for each result, the gate once for the arguments of each intent whose rules need it. The
contents are prose, records and pages of growing size, one of 1 MiB in each form that is recognised, and contents that
are made to be slow. Digests are made by the executor as well, and are counted apart.

What these contents say repeats, as in most records and logs. The manual of stoplog does not, and has more sentences
that read like instructions than most texts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from bench.harness.environments import REPOSITORY
from streams.provenance.atoms.found import Extraction
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import atoms_of
from streams.provenance.extraction.extract import CONTENT_CHARS_MAX, extract_arguments, extract_content

ROUNDS = 5
KIB = 1_024
_KEY = atom_key(bytes(32), "acme", "anna")
_PROSE = (
    "The meeting went well, and everybody was glad that the numbers had come in on time. Kim Lee from the office in "
    "Berlin said that invoice INV-{number} was sent on 5 March 2026 to desk{number}@shop.example. "
)
_ARGUMENTS = {
    "recipient": "kim.lee@shop.example",
    "amount": 1250.5,
    "order_id": 17,
    "date": "2026-03-05",
    "subject": "Dinner with Kim",
}
_PAGES = REPOSITORY / "docs"
SLOW = (
    *("a", "@a", "1 ", "/a", "Kim Lee saw it. ", "5 March ", "please send it. ", "<a '", "moc.a ", "\u0430\u0431 "),
    "Please order it by halfway 1" + 960 * ",1" + "x now.\n",
)
"""Pieces that make a content slow, if they are repeated."""


def main() -> None:
    """Print the measurements."""
    print("what                    size     found   complete   ms      us/KiB   digests ms")
    for name, content in _contents():
        _print(name, content, lambda content=content: extract_content(content))  # type: ignore[misc]  # bound at once
    print()
    text = json.dumps(_ARGUMENTS)
    arguments_s = _seconds(lambda: extract_arguments(_ARGUMENTS), 200)
    print(f"five arguments of a call ({len(text)} bytes): {arguments_s * 1e6:.0f} us")
    print()
    print(f"contents of {CONTENT_CHARS_MAX // KIB} KiB that are made to be slow, one piece repeated:")
    for piece in SLOW:
        content = piece * (CONTENT_CHARS_MAX // len(piece))
        print(f"  {piece!r:22} {_seconds(lambda content=content: extract_content(content), 1) * 1e3:7.0f} ms")  # type: ignore[misc]  # bound at once


def _contents() -> list[tuple[str, str]]:
    prose = "".join(_PROSE.format(number=number) for number in range(8_000))
    rows = [
        {"id": number, "name": "Kim Lee", "email": f"user{number}@shop.example", "total": number + 0.5, "state": "open"}
        for number in range(300)
    ]
    cells = "".join(f"<tr><td>{row['name']}</td><td>{row['email']}</td></tr>" for row in rows)
    page = f"<html><body><table><tr><th>Name</th><th>E-mail</th></tr>{cells}</table></body></html>"
    plain = "the quick brown fox was jumping over some lazy dogs in the garden while nobody looked at it. "
    return [
        *[(f"prose, {size // KIB} KiB", prose[:size]) for size in (KIB, 16 * KIB, 64 * KIB)],
        ("prose, 1 MiB", prose[: KIB * KIB]),
        ("words only, 1 MiB", plain * (KIB * KIB // len(plain))),
        ("JSON, 10 records", json.dumps(rows[:10])),
        ("JSON, 300 records", json.dumps(rows)),
        ("YAML, 50 records", "".join(_yaml(row) for row in rows[:50])),
        ("HTML, 300 rows", page),
        *[(f"{form}, 1 MiB", content[: KIB * KIB]) for form, content in _large()],
    ]


def _large() -> list[tuple[str, str]]:
    """Return a content of more than 1 MiB in each form."""
    rows = [
        {
            "id": number,
            "name": "Kim Lee",
            "email": f"user{number}@shop.example",
            "note": f"Invoice INV-{number} was sent on 5 March 2026.",
        }
        for number in range(12_000)
    ]
    names = list(rows[0])
    cells = [[str(row[name]) for name in names] for row in rows]
    html = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
    xml = "".join(
        f"<row>{''.join(f'<{name}>{cell}</{name}>' for name, cell in zip(names, row, strict=True))}</row>"
        for row in cells
    )
    mail = "From: kim@shop.example\nTo: anna@home.example\nSubject: Invoices\n\n"
    prose = "".join(_PROSE.format(number=number) for number in range(8_000))
    request = "Please send invoice INV-{number} to desk{number}@shop.example, and then delete it. "
    return [
        ("JSON", json.dumps(rows)),
        ("JSON lines", "\n".join(map(json.dumps, rows))),
        ("Python", str(rows)),
        ("MCP", json.dumps({"content": [{"type": "text", "text": json.dumps(rows)}]})),
        ("YAML", "".join(map(_yaml, rows))),
        ("CSV", "\n".join([",".join(names), *map(",".join, cells)])),
        ("table", "\n".join(f"| {' | '.join(row)} |" for row in (names, ["---"] * len(names), *cells))),
        ("HTML", f"<html><body><table>{html}</table></body></html>"),
        ("XML", f"<rows>{xml}</rows>"),
        ("mail", mail + prose),
        ("instructions", "".join(request.format(number=number) for number in range(16_000))),
        ("manual", manual := "\n\n".join(path.read_text() for path in sorted(_PAGES.rglob("*.md")))),
        ("manual, JSON", json.dumps([{"text": part} for part in manual.split("\n\n")])),
    ]


def _yaml(row: dict[str, object]) -> str:
    return "- " + "\n  ".join(f"{name}: {value}" for name, value in row.items()) + "\n"


def _print(name: str, content: str, read: Callable[[], Extraction]) -> None:
    extraction = read()
    read_s = _seconds(read, ROUNDS)
    digests_s = _seconds(lambda: atoms_of(extraction, _KEY), ROUNDS)
    size_kib = len(content) / KIB
    print(
        f"{name:20} {size_kib:7.1f} KiB {len(extraction.found):6d}   {'yes' if extraction.complete else 'no':8}"
        f" {read_s * 1e3:6.1f}   {read_s * 1e6 / size_kib:8.0f}   {digests_s * 1e3:6.1f}"
    )


def _seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the seconds of processor time that the fastest of some runs took."""
    best = float("inf")
    for _ in range(rounds):
        began_s = time.process_time()
        work()
        best = min(best, time.process_time() - began_s)
    return best


if __name__ == "__main__":
    main()
