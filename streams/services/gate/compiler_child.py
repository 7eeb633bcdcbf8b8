"""The process that compiles a bundle: it reads files from standard input, and writes rules as data to standard output.

It opens no files, has no secrets, and its memory, time and output are limited. Its input was signed by a publisher, but
a large library in another language processes it; this process confines all faults of that library.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import Any

import msgspec

ACCEPTED, REFUSED = 0, 1
MEMORY_BYTES_MAX = 4_000_000_000
CPU_S_MAX = 120
OUTPUT_BYTES_MAX = 256_000_000
NICENESS = 5

_decode = msgspec.msgpack.Decoder(dict[str, str]).decode
_encode = msgspec.msgpack.Encoder().encode


def main() -> int:
    """Compile a bundle. Return the exit status: 0 if standard output has the result."""
    _bound()
    files = _decode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(_encode(_compiled(files)))
    sys.stdout.buffer.flush()
    return 0


def _compiled(files: dict[str, str]) -> tuple[int, Any]:
    """Return ACCEPTED and the portable rules, or REFUSED and all errors."""
    from streams.policy import BundleError, bundle_from_files  # noqa: PLC0415 - the bounds must hold for the library, too
    from streams.policy.runtime.portable import compile_portable  # noqa: PLC0415 - likewise

    try:
        return ACCEPTED, compile_portable(bundle_from_files(files))
    except BundleError as error:
        return REFUSED, [
            (each.severity.value, each.code, *each.location, each.message, each.rule_id, each.hint)
            for each in error.findings
        ]


def _bound() -> None:
    for name, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, CPU_S_MAX),
        (resource.RLIMIT_FSIZE, OUTPUT_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(name)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError):  # macOS has no limit on memory; the limits of the gate still apply
            resource.setrlimit(name, (bound, bound))
    # Meanwhile the gate continues to decide, perhaps on the same core.
    os.nice(NICENESS)


if __name__ == "__main__":
    sys.exit(main())
