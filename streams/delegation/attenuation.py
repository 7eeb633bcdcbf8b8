"""Check that a grant conveys no more than its parent: scopes, servers, tools and their arguments, limits."""

from __future__ import annotations

from dataclasses import dataclass

from streams.delegation.constraints import Room
from streams.delegation.errors import GrantError
from streams.delegation.subsumption import Steps
from streams.delegation.tools import ANYTHING, GrantedTool, compile_tool, is_narrower
from streams.model.delegation import AuthorizationDetail, GrantBody
from streams.model.reasons import Reason

SCOPES_MAX = 256
AUDIENCE_MAX = 64
MAY_ACT_MAX = 64
DETAILS_MAX = 16
DETAIL_ITEMS_MAX = 64
TOOLS_MAX = 128
NAME_CHARS_MAX = 1_024
TEXT_CHARS_MAX = 32_768
"""The longest that all names and bounds of a grant may be together."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a grant allows, compiled: the tools of each of its authorization details."""

    details: tuple[tuple[AuthorizationDetail, tuple[GrantedTool, ...]], ...]

    @property
    def tools(self) -> tuple[GrantedTool, ...]:
        """Return the tools of all details."""
        return tuple(tool for _, tools in self.details for tool in tools)


def parts_of(body: GrantBody) -> Parts:
    """Compile what a grant allows.

    Raises:
        GrantError: the grant is too large, or has a bound that is not understood.
    """
    _check_sizes(body)
    room = Room()
    return Parts(tuple((d, tuple(compile_tool(tool, room) for tool in d.tools)) for d in body.authorization_details))


def check_narrower(parent: GrantBody, parent_parts: Parts, child: GrantBody, child_parts: Parts) -> None:
    """Check a grant against its parent.

    Raises:
        GrantError: the grant is wider in some respect, or can't be shown not to be.
    """
    wider = sorted(set(child.scopes) - set(parent.scopes))
    if wider:
        raise _wider(Reason.DELEGATION_WIDENED_SCOPES, child, wider[0])
    if ANYTHING not in parent.audience:
        wider = sorted(set(child.audience) - set(parent.audience))
        if wider:
            raise _wider(Reason.DELEGATION_WIDENED_AUDIENCE, child, wider[0])
    if parent.may_act and not (child.may_act and set(child.may_act) <= set(parent.may_act)):
        raise _wider(Reason.DELEGATION_WIDENED_LIMITS, child, "may_act")
    _check_budget(parent, child)
    steps = Steps()
    for detail, tools in child_parts.details:
        _check_detail(child, detail, tools, parent_parts, steps)


def _check_budget(parent: GrantBody, child: GrantBody) -> None:
    """Reject a delegated budget: it bounds one session, and each delegation, even to oneself, would multiply it."""
    if parent.budget is not None:
        raise _wider(Reason.DELEGATION_WIDENED_LIMITS, child, "budget (a grant with a budget can't be delegated)")


def _check_detail(
    child: GrantBody, detail: AuthorizationDetail, tools: tuple[GrantedTool, ...], parent: Parts, steps: Steps
) -> None:
    """Check that one detail of the parent covers all of this one: what belongs together stays together."""
    reason, what = Reason.DELEGATION_WIDENED_TOOLS, f"detail of type {detail.type[:80]}"
    for candidate, wider in parent.details:
        if not _is_same_kind(detail, candidate):
            continue
        for tool in tools:
            if any(is_narrower(tool, other, steps) for other in wider):
                continue
            named = any(other.covers(tool.server_id, tool.name) for other in wider)
            if named or reason is not Reason.DELEGATION_WIDENED_ARGUMENTS:
                reason = Reason.DELEGATION_WIDENED_ARGUMENTS if named else Reason.DELEGATION_WIDENED_TOOLS
                what = f"{tool.server_id[:80]}/{tool.name[:80]}"
            break
        else:
            return
    raise _wider(reason, child, what)


def _is_same_kind(child: AuthorizationDetail, parent: AuthorizationDetail) -> bool:
    """Return whether a detail is of the parent's type, and no wider in the fields of RFC 9396.

    The meaning of those fields is not defined here. An empty list may mean none or all, so it is only narrower than an
    empty one.
    """
    lists = (
        (child.locations, parent.locations),
        (child.actions, parent.actions),
        (child.datatypes, parent.datatypes),
        (child.privileges, parent.privileges),
    )
    return (
        child.type == parent.type
        and child.identifier == parent.identifier
        and all(bool(own) == bool(wider) and set(own) <= set(wider) for own, wider in lists)
    )


def _check_sizes(body: GrantBody) -> None:
    details = body.authorization_details
    tools = [tool for detail in details for tool in detail.tools]
    counts = (
        ("scopes", len(body.scopes), SCOPES_MAX),
        ("servers", len(body.audience), AUDIENCE_MAX),
        ("actors it may be delegated to", len(body.may_act), MAY_ACT_MAX),
        ("authorization details", len(details), DETAILS_MAX),
        ("tools", len(tools), TOOLS_MAX),
    )
    for what, count, most in counts:
        if count > most:
            raise _malformed(body, f"{count} {what}, at most {most} are accepted")
    names = [*body.scopes, *body.audience, *body.may_act]
    for detail in details:
        lists = (detail.locations, detail.actions, detail.datatypes, detail.privileges)
        if max(map(len, lists)) > DETAIL_ITEMS_MAX:
            raise _malformed(body, f"a detail with a list of more than {DETAIL_ITEMS_MAX} items")
        names += [detail.type, detail.identifier or "", *(item for items in lists for item in items)]
    names += [name for tool in tools for name in (tool.server_id, tool.name)]
    if any(len(name) > NAME_CHARS_MAX for name in names):
        raise _malformed(body, f"a name of more than {NAME_CHARS_MAX} characters")
    bounds = sum(len(c.argument) + len(c.value_json) for tool in tools for c in tool.constraints)
    total = bounds + sum(map(len, names))
    if total > TEXT_CHARS_MAX:
        raise _malformed(body, f"{total} characters of names and bounds, at most {TEXT_CHARS_MAX} are accepted")


def _wider(reason: Reason, child: GrantBody, what: str) -> GrantError:
    return GrantError(reason, f"grant `{child.uid[:80]}`, `{what[:200]}`")


def _malformed(body: GrantBody, detail: str) -> GrantError:
    return GrantError(Reason.DELEGATION_MALFORMED, f"grant `{body.uid[:80]}`, {detail}")
