"""Runs measurements that are commands of their own, and takes what they print as the result."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

PRINTED_S_MAX = 180


def run(module: str) -> dict[str, Any]:
    """Run `python -m MODULE` and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, timeout=PRINTED_S_MAX, check=True
    )
    return {"text": done.stdout}
