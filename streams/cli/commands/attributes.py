"""`stoplog attributes`: show and write what rules know of customers, documents, accounts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import ByOption, Connection, Output, Signature
from streams.cli.options.stretches import instant_ms
from streams.cli.terminal.screen import FAIL, FAINT, OK, WARN, Screen
from streams.cli.terminal.text import age_text, printable
from streams.codec.instants import instant_text
from streams.model.attributes import EntityAttributes, Value, read_attributes
from streams.operations.attributes import (
    EntityName,
    Standing,
    entity_name,
    import_entities,
    read_import,
    read_standing,
    remove_entity,
    set_attributes,
    value_of,
)
from streams.wiring.operators import open_operator

app = make_app("Show and write what your systems say about customers, documents, accounts.")

EntityArgument = Annotated[str, typer.Argument(metavar="KIND/ID", help="The entity, such as `customer/C-17`.")]
TenantOption = Annotated[
    str | None,
    typer.Option("--tenant", metavar="ID", help="The tenant of the entity. By default the setting `tenant`."),
]
_NAME_WIDTH_MAX = 40


@takes_groups
def show(*, entity: EntityArgument, tenant: TenantOption = None, connection: Connection, output: Output) -> None:
    """Show what gates know of an entity, since when, and who says so."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        name = entity_name(entity, tenant or operator.deployment.tenant_uid)
        standing = read_standing(operator, name)
        now_ms = operator.clock.now_ms()
    if standing is None:
        screen.record({"tenant_uid": name.tenant_uid, "kind": name.kind, "id": name.id, "known": False})
        screen.say(f"nothing is known of {_shown(name)}: rules that read it deny", WARN)
        raise typer.Exit(FAILED)
    _show(screen, name, standing, now_ms)
    if standing.fault is not None:
        raise typer.Exit(FAILED)


@takes_groups
def put(
    *,
    entity: EntityArgument,
    attributes: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=TEXT",
            help="Attributes: `tier=gold` sets a text; `limit:=500` sets JSON: a number, a bool, a list or `null`.",
        ),
    ],
    only: Annotated[
        bool, typer.Option("--only", help="Remove all other attributes of the entity.", show_default=False)
    ] = False,
    observed: Annotated[
        str | None,
        typer.Option("--observed", metavar="TIME", help="When this was known, such as `2026-01-31T09:00:00Z`."),
    ] = None,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="The reason, which is recorded.")] = None,
    tenant: TenantOption = None,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Set attributes of an entity. Gates use them within a second.

    Sign with the key of a writer (setting `attributes.writers`), unless the settings need no signature.
    """
    changes: dict[str, Value | None] = dict(map(value_of, attributes))
    observed_ms = instant_ms(observed, "--observed")
    settings = connection.settings()
    key = signature.signing_key()
    with open_operator(settings, name) as operator:
        named = entity_name(entity, tenant or operator.deployment.tenant_uid)
        record = set_attributes(
            operator, named, changes, replaces_all=only, observed_ms=observed_ms, reason=why, key=key
        )
        where = operator.log.name
    screen = output.screen()
    screen.record(_fields(record))
    screen.say(f"{_shown(named)} is set: recorded on the {where}", OK)
    _list(screen, read_attributes(record.attributes_json))


@takes_groups
def remove(*, entity: EntityArgument, tenant: TenantOption = None, connection: Connection, output: Output) -> None:
    """Remove an entity: rules that read it deny from then on."""
    screen = output.screen()
    with open_operator(connection.settings()) as operator:
        name = entity_name(entity, tenant or operator.deployment.tenant_uid)
        was_known = remove_entity(operator, name)
        where = operator.log.name
    screen.record({"tenant_uid": name.tenant_uid, "kind": name.kind, "id": name.id, "removed": was_known})
    if was_known:
        screen.say(f"{_shown(name)} is removed: recorded on the {where}", OK)
        return
    screen.say(f"there was no record of {_shown(name)}", WARN)
    raise typer.Exit(FAILED)


@takes_groups
def import_file(
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Entities as JSON lines: `kind`, `id`, `attributes`; `tenant` and `observed_at` if known.",
        ),
    ],
    tenant: TenantOption = None,
    signature: Signature,
    name: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Write many entities from a file of JSON lines. All of it is checked before anything is written."""
    screen = output.screen()
    settings = connection.settings()
    lines = read_import(file, tenant or settings.tenant)
    key = signature.signing_key()
    count = 0
    with open_operator(settings, name) as operator:
        for count in import_entities(operator, lines, key):
            screen.say(f"{count:,} of {len(lines):,} entities", FAINT)
        where = operator.log.name
    screen.record({"imported": count})
    screen.say(f"recorded {count:,} of {len(lines):,} entities of {printable(str(file))} on the {where}", OK)


def _fields(record: EntityAttributes) -> dict[str, object]:
    fields = {
        "tenant_uid": record.header.tenant_uid,
        "kind": record.kind,
        "id": record.id,
        "attributes": read_attributes(record.attributes_json),
        "set_by": record.set_by,
        "reason": record.reason,
        "observed_ms": record.observed_at,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _show(screen: Screen, name: EntityName, standing: Standing, now_ms: int) -> None:
    record = standing.record
    screen.record(
        {
            "tenant_uid": name.tenant_uid,
            "kind": name.kind,
            "id": name.id,
            "known": standing.fault is None,
            "attributes": dict(standing.attributes),
            "since_ms": standing.since_ms,
            "age_ms": max(0, now_ms - standing.since_ms),
            "offset": standing.offset,
            "source": None if record is None else record.header.source,
            "set_by": None if record is None else record.set_by,
            "reason": None if record is None else record.reason,
            "signed_by": standing.signer,
            "fault": standing.fault,
        }
    )
    screen.say(_shown(name))
    if standing.fault is not None:
        screen.say(f"its newest record does not count, so rules that read it deny: {standing.fault}", FAIL)
    _list(screen, standing.attributes)
    screen.say(f"known since {instant_text(standing.since_ms)} UTC ({age_text(now_ms - standing.since_ms)} ago)", FAINT)
    if record is not None:
        by = f"set by {record.set_by}" if record.set_by else f"written by {record.header.source}"
        signed = f", signed by {standing.signer}" if standing.signer else ""
        why = f": {record.reason}" if record.reason else ""
        screen.say(f"{by}{signed}, at offset {standing.offset}{why}", FAINT)


def _list(screen: Screen, attributes: Mapping[str, Value]) -> None:
    width = min(max(map(len, attributes), default=0), _NAME_WIDTH_MAX)
    for attribute, value in sorted(attributes.items()):
        shown = value if isinstance(value, str) else ", ".join(value) if isinstance(value, list) else str(value).lower()
        screen.say(f"  {printable(attribute):{width}}  {printable(shown)}")


def _shown(name: EntityName) -> str:
    return f"{name.kind}/{name.id} of tenant {name.tenant_uid}"


_COMMANDS: dict[str, Callable[..., None]] = {
    "show": show,
    "set": put,
    "import": import_file,
    "remove": remove,
}
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
