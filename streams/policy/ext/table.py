"""The functions of this package, by their names in conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.policy.ext.collect_texts import TEXT_COLLECTION_FUNCTIONS
from streams.policy.ext.emails import EMAIL_FUNCTIONS
from streams.policy.ext.file_paths import PATH_FUNCTIONS
from streams.policy.ext.globs import to_glob
from streams.policy.ext.held_secrets import SECRET_FUNCTIONS, holds_secret
from streams.policy.ext.lookalikes import LOOKALIKE_FUNCTIONS, skeleton
from streams.policy.ext.prices import with_prices
from streams.policy.ext.sql import DIALECTS, SQL_FUNCTIONS, to_sql
from streams.policy.ext.urls import URL_FUNCTIONS, to_url
from streams.policy.ext.versions import VERSION_FUNCTIONS


def to_shell(value: Any) -> dict[str, Any]:
    """Implement `shell(text)` and `shell(list)`; see `shell.py`, which is loaded when the first of them is called.

    Its parser is a quarter of this package, and few commands of the command line run rules about shells.
    """
    from streams.policy.ext.shell import to_shell as read  # noqa: PLC0415 - see above

    return read(value)


EXTENSION_FUNCTIONS: dict[str, Callable[..., Any]] = with_prices(
    {
        **URL_FUNCTIONS,
        **EMAIL_FUNCTIONS,
        **PATH_FUNCTIONS,
        "glob": to_glob,
        **VERSION_FUNCTIONS,
        "shell": to_shell,
        **SQL_FUNCTIONS,
        **LOOKALIKE_FUNCTIONS,
        **TEXT_COLLECTION_FUNCTIONS,
        **SECRET_FUNCTIONS,
    }
)


def load_libraries() -> None:
    """Load the libraries that functions otherwise load at their first call. Blocking.

    This takes some tenths of a second, and a few seconds if the detectors of secrets were never compiled on this
    machine. Long-running processes call it before they start to judge intents, so that no intent waits for it.
    """
    for dialect in DIALECTS:
        to_sql("select 1", dialect)
    to_shell("true")
    to_url("https://example.com/")
    skeleton("\u0430")  # a letter of another script: the table of those is large
    holds_secret("a" * 16)
