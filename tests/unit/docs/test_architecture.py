"""The page about the architecture shows the rooms that there are, in the order of the contract, with their imports."""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

import grimp
import pytest

from tests.unit.docs.pages import DOCS

ROOT = DOCS.parent
PAGE = DOCS / "explanation" / "architecture.md"


class Room(NamedTuple):
    name: str
    holds: str
    imports: frozenset[str]


def table(text: str) -> list[Room]:
    """The rows of the table of rooms."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    return [Room(name, holds, frozenset(re.findall(r"`(\w+)`", imports))) for name, holds, imports in rows]


def layers() -> list[set[str]]:
    """The rows of the contract on the house, without rooms that are still to come."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (house,) = (each for each in contracts if each.get("containers") == ["streams"] and each["type"] == "layers")
    assert house["exhaustive"]
    rows = [{part.strip() for part in row.split("|")} for row in house["layers"]]
    return [{name for name in row if not name.startswith("(")} for row in rows]


def folders() -> set[str]:
    """The rooms that there really are."""
    paths = [path for path in (ROOT / "streams").iterdir() if not path.name.startswith(("_", "."))]
    return {path.stem for path in paths if path.suffix == ".py" or any(path.rglob("*.py"))}


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each room imports from which others."""
    graph = grimp.build_graph("streams", exclude_type_checking_imports=True, cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules - {"streams"}:
        room = module.split(".")[1]
        named = graph.find_modules_directly_imported_by(module) - {"streams"}
        others = {name.split(".")[1] for name in named}
        found.setdefault(room, set()).update(others - {room})
    return found


def wrong_order(rooms: list[Room], rows: list[set[str]]) -> list[str]:
    """Rooms that are not where the contract has them."""
    depth = {name: number for number, row in enumerate(rows) for name in row}
    named = [room.name for room in rooms if room.name in depth]
    return [
        name for name, expected in zip(named, sorted(named, key=depth.__getitem__), strict=True) if name != expected
    ]


def forbidden_arrows(rooms: list[Room], rows: list[set[str]]) -> list[str]:
    """Imports on the page that the contract forbids."""
    depth = {name: number for number, row in enumerate(rows) for name in row}
    return [
        f"{room.name} -> {other}"
        for room in rooms
        for other in sorted(room.imports)
        if other not in depth or depth[other] <= depth[room.name]
    ]


def test_every_room_is_on_the_page_once() -> None:
    names = [room.name for room in table(PAGE.read_text("utf-8"))]
    assert sorted(names) == sorted(folders())
    assert set(names) == set().union(*layers())


def test_the_rooms_stand_in_the_order_of_the_contract() -> None:
    assert wrong_order(table(PAGE.read_text("utf-8")), layers()) == []


def test_no_arrow_is_forbidden() -> None:
    assert forbidden_arrows(table(PAGE.read_text("utf-8")), layers()) == []


def test_the_arrows_are_the_imports_of_today(imports: dict[str, set[str]]) -> None:
    told = {room.name: set(room.imports) for room in table(PAGE.read_text("utf-8"))}
    assert told == imports


def test_the_files_that_the_page_names_are_there() -> None:
    text = PAGE.read_text("utf-8")
    named = set(re.findall(r"`((?:streams/|sdk/|engine/|processors/|tests/)[\w./-]+)`", text))
    named |= set(re.findall(r"\b((?:sdk|engine|stores)/\w+\.py)\b", text))
    assert len(named) > 12
    assert [name for name in sorted(named) if not ((ROOT / name).exists() or (ROOT / "streams" / name).exists())] == []


def test_a_page_that_lies_is_found() -> None:
    text = PAGE.read_text("utf-8")
    rooms = table(text)
    swapped = [*rooms[1:], rooms[0]]
    assert wrong_order(swapped, layers())
    lying = table(
        text.replace("| `http` | what", "| `http` | What").replace("| `model` | records", "| `modal` | records")
    )
    assert sorted(room.name for room in lying) != sorted(folders())
    upward = [room._replace(imports=room.imports | {"cli"}) if room.name == "engine" else room for room in rooms]
    sideways = [room._replace(imports=room.imports | {"http"}) if room.name == "identity" else room for room in rooms]
    assert forbidden_arrows(upward, layers()) == ["engine -> cli"]
    assert forbidden_arrows(sideways, layers()) == ["identity -> http"]
