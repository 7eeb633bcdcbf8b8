"""Runs measurements that are commands of their own, and takes what they print as the result."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

PRINTED_S_MAX = 180


def run(module: str, *, is_long: bool = False) -> dict[str, Any]:
    """Run `python -m MODULE` and return its output.

    Args:
        is_long: whether it may take as long as it needs.
    """
    timeout_s = None if is_long else PRINTED_S_MAX
    done = subprocess.run(
        [sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, timeout=timeout_s, check=True
    )
    return {"text": done.stdout}
