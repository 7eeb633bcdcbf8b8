"""Makes virtual environments for other products that are measured, whose packages may conflict with ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALL_S_MAX = 300


def python_of(name: str, requirements: Path) -> Path:
    """Return the Python of an environment under .cache, which is made where there is none for these requirements.

    Args:
        name: of the environment.
        requirements: a file of pinned packages.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = REPOSITORY / ".cache" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=INSTALL_S_MAX)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(requirements)], check=True, timeout=INSTALL_S_MAX)
        (folder / "complete").touch()
    return python
