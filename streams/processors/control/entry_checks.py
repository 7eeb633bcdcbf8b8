"""Check a catalog entry that is to come into force: its schema, its keys, and whether its parts agree."""

from __future__ import annotations

from streams.audit.report_keys import ServerKeys
from streams.audit.signatures import SigningKeyError
from streams.model.canonical import CanonicalError, canonical, parse_strict
from streams.model.catalog import ToolCatalogEntry
from streams.model.definition import definition_digests
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.report_keys import REPORT_KEYS_NAME, report_keys_in
from streams.processors.control.schemas import ArgsSchema


def usable_schema(entry: ToolCatalogEntry) -> ArgsSchema:
    """Return the compiled schema of the arguments.

    Raises:
        RecordError: the schema can't be used, or the entry's parts differ from the definition that it states.
    """
    what = f"`{entry.server_id[:80]}/{entry.name[:80]}` is not usable; the tool is blocked"
    try:
        fault = definition_fault(entry)
        schema = ArgsSchema(entry.input_schema_json)
    except (ValueError, RecursionError) as error:
        text = f"input schema of {what}: {error}"
        raise RecordError(DeadLetterReason.CATALOG_INVALID, text) from None
    if fault is not None:
        raise RecordError(DeadLetterReason.CATALOG_INVALID, f"the entry of {what}: {fault}")
    return schema


def usable_keys(entry: ToolCatalogEntry) -> ServerKeys | None:
    """Return the keys of a server; None if the entry is a tool's.

    Raises:
        RecordError: the keys can't be used.
    """
    if entry.name != REPORT_KEYS_NAME:
        return None
    try:
        return ServerKeys.of(report_keys_in(entry))
    except (ValueError, SigningKeyError) as error:
        text = f"the report keys of `{entry.server_id[:80]}` are not usable; none count: {error}"
        raise RecordError(DeadLetterReason.CATALOG_INVALID, text) from None


def definition_fault(entry: ToolCatalogEntry) -> str | None:
    """Explain how the parts of an entry differ from its own definition; None if they agree, or it has no definition.

    A reviewer reads the description and the schema, but calls are compared by the digest: all must agree.
    """
    if entry.definition_json is None:
        return None
    try:
        tool = parse_strict(entry.definition_json)
        if not isinstance(tool, dict):
            return "its definition is not an object"
        digests = definition_digests(tool)
        # Compared in canonical form, because in Python `True == 1`.
        schemas_alike = canonical(parse_strict(entry.input_schema_json)) == canonical(tool.get("inputSchema"))
    except CanonicalError as error:
        return f"its definition can't be parsed: {error}"
    if digests != (entry.definition_digest, entry.description_digest, entry.input_schema_digest):
        return "its digests are not those of its definition"
    if tool.get("name") != entry.name or tool.get("description") != entry.description or not schemas_alike:
        return "its name, description or schema is not that of its definition"
    return None
