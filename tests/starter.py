"""The rules that come with the product, for tests of what reads rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from streams.policy import BundleSource, load_bundle

FOLDER = Path(__file__).parents[1] / "rules"


def starter_source() -> BundleSource:
    """The bundle's files."""
    return load_bundle(FOLDER)


def starter_fixtures() -> list[dict[str, Any]]:
    """Facts of a call of each kind, as the packs' own tests begin with them."""
    return [json.loads(path.read_text()) for path in sorted((FOLDER / "fixtures").glob("*.json"))]
