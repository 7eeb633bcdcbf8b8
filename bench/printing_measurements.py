"""Measurements that are commands of their own: what they print is the result."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

PRINTED_S_MAX = 180


def run(module: str) -> dict[str, Any]:
    """Run `python -m module`."""
    done = subprocess.run(
        [sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, timeout=PRINTED_S_MAX, check=True
    )
    return {"text": done.stdout}
