"""The functions of this package by their names in conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.policy.ext.emails import EMAIL_FUNCTIONS
from streams.policy.ext.filepaths import PATH_FUNCTIONS
from streams.policy.ext.globbing import to_glob
from streams.policy.ext.lookalikes import LOOKALIKE_FUNCTIONS
from streams.policy.ext.shells import SHELL_FUNCTIONS
from streams.policy.ext.sqls import SQL_FUNCTIONS
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
}
