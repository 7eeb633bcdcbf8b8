"""Read the settings: one TOML file, overridden by the environment. An unknown setting is an error.

Environment names are `STOPLOG_` and the path of the setting in capitals, with `__` between sections:
`STOPLOG_BOOTSTRAP`, `STOPLOG_GATE__VERDICT_TTL_MS`. Values of the environment win over the file.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError, create_model

from streams.model.canonical import CanonicalError, unique_members
from streams.model.errors import SettingsError
from streams.wiring.settings import (
    SECRETIVE,
    SECTIONS,
    Settings,
    got,
    section_class,
    setting_names,
    table_settings,
    worded,
)
from streams.wiring.settings_file import FAULTS_MAX, file_faults

ENV_PREFIX = "STOPLOG_"
SETTINGS_FILE = "stoplog.toml"
SETTINGS_FILE_VARIABLE = "STOPLOG_SETTINGS"


# The others are read by tests and by what they start, never by the product.
_NOT_SETTINGS = frozenset(
    {
        SETTINGS_FILE_VARIABLE,
        "STOPLOG_TEST_BOOTSTRAP",
        "STOPLOG_KAFKA_HOME",
        "STOPLOG_TEST_REGISTRY",
        "STOPLOG_REGISTRY_HOME",
    }
)


def load_settings(overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings.

    Args:
        overrides: values with the highest precedence (the command line).

    Raises:
        SettingsError: a setting is unknown or has an invalid value; names each one and its source.
    """
    faults = list(_unknown_variables(os.environ))
    file = _settings_file()
    named = os.environ.get(SETTINGS_FILE_VARIABLE)
    if named == "":
        faults.append(f"`{SETTINGS_FILE_VARIABLE}` is empty: set it to the path of the settings file, or unset it")
    elif named is not None and not file.is_file():
        fault = "is not a file" if file.exists() else "does not exist"
        faults.append(f"the settings file `{file}` {fault} (named by `--settings` or `{SETTINGS_FILE_VARIABLE}`)")
    faults += _file_faults(file) if file.is_file() else ()
    if faults:
        raise SettingsError("; ".join(faults))
    try:
        stated = tomllib.loads(file.read_bytes().decode()) if file.is_file() else {}
        return Settings.model_validate(_merged(_merged(stated, _values_of(os.environ)), overrides or {}))
    except ValidationError as error:
        raise SettingsError("; ".join(_faults(error, file))) from None
    except ValueError as error:
        raise SettingsError(f"`{file}` can't be read: {error}") from None


def _values_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the environment states: each section as a mapping.

    Raises:
        SettingsError: a variable of several values is not JSON, or states one of them twice.
    """
    if not _are_stated(environment):
        return {}
    # It takes 20 ms to load, with asyncio and all other sources that the library knows. Most commands need none.
    from pydantic_settings import EnvSettingsSource  # noqa: PLC0415 - see above

    class Source(EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
            del field_name, field
            # Of two members with one name, such as an issuer, the second would count without a word.
            return json.loads(value, object_pairs_hook=unique_members)

    stated = {name.upper().removeprefix(ENV_PREFIX).partition("__")[0].lower() for name in environment}
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in Settings.model_fields.items()}
    fields |= {name: (section_class(name), {}) for name in SECTIONS if name in stated}
    source = Source(
        create_model("Environment", **fields),
        case_sensitive=False,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
    )
    try:
        return source()
    except ValueError as error:
        wrong = error
    # The error names a section, of which several variables may be set. The one that fails alone is it.
    for name, text in environment.items():
        source.env_vars = {name.lower(): text}
        try:
            source()
        except ValueError as error:
            wrong_json = "" if isinstance(error.__cause__, CanonicalError) else " is not JSON"
            raise SettingsError(f"environment variable `{name}`{wrong_json}: {error.__cause__}") from None
    raise wrong


def _are_stated(environment: Mapping[str, str]) -> bool:
    """Return whether the environment has variables with our prefix."""
    return any(name.upper().startswith(ENV_PREFIX) and name.upper() not in _NOT_SETTINGS for name in environment)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of both. Those of `over` win; sections are merged setting by setting."""
    merged = dict(under)
    for name, value in over.items():
        beneath = merged.get(name)
        if isinstance(beneath, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(beneath, value)
        else:
            merged[name] = value
    return merged


def _file_faults(file: Path) -> Iterator[str]:
    """Yield the faults of the settings file, each with its line.

    Raises:
        SettingsError: it can't be read, or is not TOML.
    """
    try:
        found = list(file_faults(file, Settings, lambda name: section_class(name) if name in SECTIONS else None))
    except (ValueError, OSError) as error:
        raise SettingsError(f"`{file}` can't be read: {error}") from None
    for fault in found[:FAULTS_MAX]:
        at = f"`{file}`" if fault.line is None else f"`{file}:{fault.line}`"
        path = ".".join(map(str, fault.path))
        if fault.kind == "extra_forbidden":
            yield f"{at}: setting `{path}` is unknown{_suggestion_beside(fault.path)}"
            continue
        value = "" if fault.path[0] in SECRETIVE else got(fault.value)
        advice = f": {fault.advice}" if fault.advice else ""
        yield f"{at}: {worded(path, fault.text)}{value}{advice}"
    if len(found) > FAULTS_MAX:
        yield f"and {len(found) - FAULTS_MAX} more"


def settings_sources() -> tuple[str, ...]:
    """Return where the settings come from: the file, if there is one, and the environment variables."""
    file = _settings_file()
    named = tuple(name for name in sorted(os.environ) if name.upper().startswith(ENV_PREFIX))
    variables = tuple(f"`{name}`" for name in named if name.upper() not in _NOT_SETTINGS)
    return (f"`{file}`", *variables) if file.is_file() else variables


def _settings_file() -> Path:
    return Path(os.environ.get(SETTINGS_FILE_VARIABLE, SETTINGS_FILE))


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield variables with our prefix that set nothing: most likely a misspelling, so the setting has no effect."""
    if not _are_stated(environment):
        return
    known = {ENV_PREFIX + path.upper().replace(".", "__") for path in setting_names()}
    known |= {ENV_PREFIX + name.upper() for name in (*Settings.model_fields, *SECTIONS)}
    for name in sorted(environment):
        upper = name.upper()
        if not upper.startswith(ENV_PREFIX) or upper in known or upper in _NOT_SETTINGS:
            continue
        if any(upper.startswith(f"{ENV_PREFIX}{section}__") for section in ("KAFKA", "SCHEMA_REGISTRY")):
            continue
        yield f"environment variable `{name}` is not a setting{_variable_suggestion(upper, known)}"


def _variable_suggestion(name: str, known: set[str]) -> str:
    """Return what may be meant by an unknown variable. In a table of the settings, it is one of that table."""
    table, separator, _ = name.partition("__")
    # What all of them begin with makes none of them likely.
    return _suggestion(name, known, f"{table}{separator}" if separator and table in known else ENV_PREFIX)


def _faults(error: ValidationError, file: Path) -> Iterator[str]:
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            near = _suggestion_beside(fault["loc"])
            yield f"setting `{path}` is unknown (in `{file}` or the command line){near}"
        else:
            value = "" if str(fault["loc"][0]) in SECRETIVE else got(fault["input"])
            yield f"{worded(path, fault['msg'])}{value}"


def _suggestion_beside(path: Sequence[str | int]) -> str:
    """Return what may be meant by an unknown setting. In a table with a name of its own, it is one of that table."""
    *within, name = map(str, path)
    beside = table_settings(within)
    if beside is None:
        stated = ".".join([*within, name])
        # The table that it is in is near, and no answer.
        return _suggestion(stated, {each for each in setting_names() if not stated.startswith(f"{each}.")})
    return _suggestion(name, set(beside)) or f"; `{'.'.join(within)}` has {', '.join(f'`{each}`' for each in beside)}"


def _suggestion(name: str, known: set[str], shared: str = "") -> str:
    """Return what of the known names may be meant, among those that begin with `shared` as the name does."""
    ends = sorted(each.removeprefix(shared) for each in known if each.startswith(shared))
    near = difflib.get_close_matches(name.removeprefix(shared), ends, n=1)
    return f"; did you mean `{shared}{near[0]}`?" if near else ""
