"""The entry point `stoplog`: starts the command line, or says how to install it.

`pip install stoplog` installs the SDK alone, without the packages that the command line needs.
"""

from __future__ import annotations

import atexit
import gc
import sys

LOADED_OBJECTS_MAX = 400_000
"""More objects than a short command makes while it loads its modules and reads the log."""

FAILED = 1
"""Exit status: the command line is not installed."""

_PACKAGE = __package__.partition(".")[0]


def main() -> None:
    """Run the command line, or say how to install it."""
    # Most of a short command is loading modules: many objects, no garbage. At the end, a last collection frees nothing.
    gc.set_threshold(LOADED_OBJECTS_MAX)
    atexit.register(gc.freeze)
    try:
        from streams.cli.main import main as run_command  # noqa: PLC0415 - may not be installed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == _PACKAGE:
            raise
        sys.stderr.write("error: the command line is not installed: run `pip install 'stoplog[cli]'`\n")
        sys.exit(FAILED)
    run_command()
