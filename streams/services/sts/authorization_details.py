"""`authorization_details` (RFC 9396): tools and limits on their arguments, as JSON and as in grants.

[{"type": "stoplog_tools", "tools": [{"server_id": "mail", "name": "send",
  "constraints": [{"argument": "/to", "type": "ONE_OF", "value": ["bob@example.com"]}]}]}]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from streams.identity.jose import is_plain
from streams.model.canonical import CanonicalError, canonical, parse_strict
from streams.model.delegation import ArgumentConstraint, AuthorizationDetail, ConstraintType, ToolGrant
from streams.model.token_reasons import TokenReason
from streams.services.sts.errors import refuse
from streams.services.sts.settings import ToolSection

DETAIL_TYPE = "stoplog_tools"
_MEMBERS = frozenset({"type", "locations", "actions", "datatypes", "identifier", "privileges", "tools"})


class _Member(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Constraint(_Member):
    argument: str
    type: ConstraintType
    value: Any = None


class _Tool(_Member):
    server_id: str
    name: str
    constraints: tuple[_Constraint, ...] = ()


class _Detail(_Member):
    type: str
    locations: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    datatypes: tuple[str, ...] = ()
    identifier: str | None = None
    privileges: tuple[str, ...] = ()
    tools: tuple[_Tool, ...] = ()


_DETAILS = TypeAdapter(tuple[_Detail, ...])


def parse_details(given: object) -> tuple[AuthorizationDetail, ...]:
    """Read details from JSON text, or from a value that was JSON.

    Raises:
        RefusedError: the details are malformed, or have members that are unknown and could not be enforced.
    """
    try:
        value = parse_strict(given) if isinstance(given, str) else given
        details = _DETAILS.validate_python(value)
        made = tuple(_detail(detail) for detail in details)
    except CanonicalError as error:
        raise refuse(TokenReason.TOOLS_TOO_WIDE, f"authorization_details: {error}") from None
    except ValidationError as error:
        raise refuse(TokenReason.TOOLS_TOO_WIDE, f"authorization_details: {_first_fault(error)}") from None
    check_names(made)
    return made


def check_names(details: Sequence[AuthorizationDetail]) -> None:
    """Check the characters of all names. The values of constraints may have any characters.

    Raises:
        RefusedError: a name has a character that is not allowed.
    """
    for detail in details:
        said = [detail.type, *detail.locations, *detail.actions, *detail.datatypes, *detail.privileges]
        said.append(detail.identifier or "")
        for tool in detail.tools:
            said += [tool.server_id, tool.name, *[bound.argument for bound in tool.constraints]]
        if not all(is_plain(text) for text in said):
            raise refuse(
                TokenReason.TOOLS_TOO_WIDE, "authorization_details: a name has characters that are not allowed"
            )


def details_json(details: Sequence[AuthorizationDetail]) -> list[dict[str, Any]]:
    """Return details as JSON, as in tokens and responses."""
    return [_json(detail) for detail in details]


def configured_details(tools: Sequence[ToolSection]) -> tuple[AuthorizationDetail, ...]:
    """Return the tools of the settings as details."""
    if not tools:
        return ()
    grants = tuple(
        ToolGrant(
            server_id=tool.server,
            name=tool.name,
            constraints=tuple(
                ArgumentConstraint(
                    argument=bound.argument,
                    type=ConstraintType(bound.type),
                    value_json=canonical(bound.value).decode(),
                )
                for bound in tool.arguments
            ),
        )
        for tool in tools
    )
    return (AuthorizationDetail(type=DETAIL_TYPE, tools=grants),)


def _first_fault(error: ValidationError) -> str:
    """Return what is wrong first, and where, without the values and names that the client has sent."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    known = {*_Detail.model_fields, *_Tool.model_fields, *_Constraint.model_fields}
    place = ".".join(str(part) if isinstance(part, int) or part in known else "*" for part in fault["loc"])
    return f"{fault['msg']}, at {place or 'the whole'}"


def _detail(detail: _Detail) -> AuthorizationDetail:
    if detail.type != DETAIL_TYPE:
        raise refuse(TokenReason.TOOLS_TOO_WIDE, f"authorization_details must have the type {DETAIL_TYPE}")
    return AuthorizationDetail(
        type=detail.type,
        locations=detail.locations,
        actions=detail.actions,
        datatypes=detail.datatypes,
        identifier=detail.identifier,
        privileges=detail.privileges,
        tools=tuple(
            ToolGrant(
                server_id=tool.server_id,
                name=tool.name,
                constraints=tuple(
                    ArgumentConstraint(argument=c.argument, type=c.type, value_json=canonical(c.value).decode())
                    for c in tool.constraints
                ),
            )
            for tool in detail.tools
        ),
    )


def _json(detail: AuthorizationDetail) -> dict[str, Any]:
    tools = [
        {
            "server_id": tool.server_id,
            "name": tool.name,
            "constraints": [
                {"argument": c.argument, "type": c.type.value, "value": parse_strict(c.value_json)}
                for c in tool.constraints
            ],
        }
        for tool in detail.tools
    ]
    fields: dict[str, Any] = {
        "type": detail.type,
        "locations": list(detail.locations),
        "actions": list(detail.actions),
        "datatypes": list(detail.datatypes),
        "identifier": detail.identifier,
        "privileges": list(detail.privileges),
    }
    return {name: value for name, value in fields.items() if value} | {"tools": tools}
