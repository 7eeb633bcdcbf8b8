"""The functions of this package by their names in conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.policy.ext.collect_texts import TEXT_COLLECTION_FUNCTIONS
from streams.policy.ext.emails import EMAIL_FUNCTIONS
from streams.policy.ext.file_paths import PATH_FUNCTIONS
from streams.policy.ext.globs import to_glob
from streams.policy.ext.lookalikes import LOOKALIKE_FUNCTIONS, skeleton
from streams.policy.ext.shell import SHELL_FUNCTIONS, to_shell
from streams.policy.ext.sql import DIALECTS, SQL_FUNCTIONS, to_sql
from streams.policy.ext.urls import URL_FUNCTIONS
from streams.policy.ext.versions import VERSION_FUNCTIONS

EXTENSION_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **URL_FUNCTIONS,
    **EMAIL_FUNCTIONS,
    **PATH_FUNCTIONS,
    "glob": to_glob,
    **VERSION_FUNCTIONS,
    **SHELL_FUNCTIONS,
    **SQL_FUNCTIONS,
    **LOOKALIKE_FUNCTIONS,
    **TEXT_COLLECTION_FUNCTIONS,
}


def load_libraries() -> None:
    """Load what functions otherwise load when they are first asked for, which takes some tenths of a second.

    For processes that judge for long: before they take up work nobody waits for it.
    """
    for dialect in DIALECTS:
        to_sql("select 1", dialect)
    to_shell("true")
    skeleton("a")
