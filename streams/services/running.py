"""What all running services have in common: their parts are released together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self


class Running:
    """A service with all its parts; a context manager.

    The constructor of its class opens the parts, and leaves in `_opened` what releases them.
    """

    _opened: ExitStack

    def close(self) -> None:
        """Finish what is being done, and release all resources."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
