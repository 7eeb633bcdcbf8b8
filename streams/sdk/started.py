"""Start something in a `with` statement, and close it if that fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Started(ABC):
    """Is started by the `with` statement that enters it, and closed when that is left."""

    @abstractmethod
    def start(self) -> None:
        """Start."""

    @abstractmethod
    def close(self) -> None:
        """Stop, also what a failed start has begun."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            # Nobody leaves what was not entered: a thread would follow the log until the process ends.
            self.close()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
