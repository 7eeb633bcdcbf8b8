"""Reads files that somebody else may have written, and that may be of any size."""

from __future__ import annotations

from pathlib import Path

from streams.model.errors import StoplogError


def read_bounded(path: Path, bytes_max: int, fault: type[StoplogError], kind: str = "") -> bytes:
    """Return the content of a file. Blocking.

    Args:
        bytes_max: how large it may be.
        fault: the error to raise if it is larger, or can't be read.
        kind: what the file is, in that error, such as "draft".
    """
    named = f"{kind} `{path}`".strip()
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        raise fault(f"{named} can't be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise fault(f"{named} has more than {bytes_max} bytes")
    return data
