"""Functions of the codec that were compiled beforehand, by the source that they were made from.

There are none here. `scripts.compiled` writes this module again in a copy whose modules are compiled, for what a watch
reads and writes of each decision (`scripts.codec_functions`, ADR 0172).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Maker = Callable[[Mapping[str, Any]], Callable[..., Any]]
"""Makes a function of the values of the names in its source. `compiled` is the function that Python makes of it."""

MAKERS: Mapping[str, Maker] = MappingProxyType({})
