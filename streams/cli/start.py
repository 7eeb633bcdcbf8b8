"""The entry point `stoplog`: starts the command line, or says how to install it.

`pip install stoplog` installs the SDK alone, without the packages that the command line needs.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys

LOADED_OBJECTS_MAX = 400_000
"""More objects than a short command makes while it loads its modules and reads the log."""

FAILED = 1
"""Exit status: the command line is not installed."""

INTERRUPTED = 130
"""Exit status: the person has stopped it while it was loaded."""

_PACKAGE = __package__.partition(".")[0]


def main() -> None:
    """Run the command line, or say how to install it."""
    # Most of a short command is loading modules: many objects, no garbage.
    gc.set_threshold(LOADED_OBJECTS_MAX)
    # The first that is registered is called last.
    atexit.register(_end_at_once)
    try:
        _load_and_run()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            _statuses.append(ended.code)
        raise
    except KeyboardInterrupt:
        # Loading takes longer than some need to change their minds.
        _statuses.append(INTERRUPTED)
        sys.exit(INTERRUPTED)


def _load_and_run() -> None:
    try:
        from streams.cli.main import main as run_command  # noqa: PLC0415 - may not be installed
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == _PACKAGE:
            raise
        sys.stderr.write("error: the command line is not installed: run `pip install 'stoplog[cli]'`\n")
        sys.exit(FAILED)
    run_command()


_statuses: list[int] = []
"""The exit status, once the command has ended."""


def _end_at_once() -> None:
    """End the process after all threads have ended and everything else that was registered has been called.

    The interpreter would now free every object of every module, one by one, which takes 15 ms. The operating system
    frees them all at once.
    """
    if not _statuses:
        gc.freeze()
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # the interpreter tries it again, and says that it failed
    os._exit(_statuses[-1])
