"""Lets a package offer names of its modules without loading them before they are used (PEP 562).

A command, an agent or a gate uses a small part of such a package, and loading all of it takes longer than many commands
run. Type checkers see ordinary imports below `TYPE_CHECKING`; a test compares these with the table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """Return the function `__getattr__` of a package.

    Args:
        package: its full name.
        names: for each module, the names that the package offers of it.
    """
    module_of = {name: module for module, offered in names.items() for name in offered}

    def load(name: str) -> object:
        module = module_of.get(name)
        if module is None:
            raise AttributeError(f"module `{package}` has no attribute `{name}`")
        value = getattr(import_module(module), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
