"""Which codec a command gets."""

from __future__ import annotations

from streams.wiring.codecs import build_codec, build_offline_codec
from streams.wiring.settings import Settings


def test_what_is_read_and_run_again_compiles_each_schema_once() -> None:
    assert build_codec(Settings()) is build_offline_codec()
