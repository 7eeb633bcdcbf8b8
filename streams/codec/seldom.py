"""A codec for work that reads and writes few records of each topic, such as a command that shows one call.

Its functions are interpreted at first (`streams.codec.interpreted`), because they are ready at once. A function is
compiled when it has been called often enough for that to pay off, and when it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.codec.avro import Codec
from streams.codec.decoder import compile_decoder
from streams.codec.encoder import compile_encoder
from streams.codec.interpreted import interpret_decoder, interpret_encoder
from streams.codec.schema_types import RecordShape
from streams.codec.source import Compiled, Place, Ready
from streams.model.types import Record

CALLS_MAX = 64
"""How often a function is interpreted. To compile one takes as long as to interpret it about a hundred times."""


class SeldomCodec(Codec):
    """A codec with the results and the errors of `Codec`. It is ready at once, and slower for each record."""

    def _decoder(self, reader: RecordShape, writer: RecordShape, record: type[Record]) -> Ready:
        interpreted = interpret_decoder(reader, writer, record)
        if interpreted is None:
            return super()._decoder(reader, writer, record)
        return SeldomCalled(interpreted, lambda: compile_decoder(reader, writer, record))

    def _encoder(self, shape: RecordShape, prefix: bytes) -> Ready:
        interpreted = interpret_encoder(shape, prefix)
        if interpreted is None:
            return super()._encoder(shape, prefix)
        return SeldomCalled(interpreted, lambda: compile_encoder(shape, prefix))


class SeldomCalled:
    """A function that is interpreted at first.

    Attributes:
        function: what to call next: it changes when the function is compiled.
    """

    def __init__(self, interpreted: Callable[..., Any], compile_it: Callable[[], Compiled]) -> None:
        self.function: Callable[..., Any] = self._interpret
        self._interpreted = interpreted
        self._compile = compile_it
        self._compiled: Compiled | None = None
        self._left = CALLS_MAX

    def place(self, error: BaseException) -> Place:
        """Return where in the compiled function `error` was raised: no other raises one."""
        return self._get_compiled().place(error)

    def _interpret(self, *args: Any) -> Any:
        if self._left > 0:
            self._left -= 1
            try:
                return self._interpreted(*args)
            except Exception:  # noqa: S110 - whatever it is, the compiled function decides
                pass
        return self._get_compiled().function(*args)

    def _get_compiled(self) -> Compiled:
        if self._compiled is None:
            self._compiled = self._compile()
            self.function = self._compiled.function
        return self._compiled
