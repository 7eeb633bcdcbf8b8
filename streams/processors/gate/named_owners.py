"""Say of how many people's data the calls of a session are, as far as the calls themselves and operators' systems tell.

Whose a record is, operators' systems say first (`owner_sub` of `agent.attributes.v1`), by the id that a call names. Of
what they don't know, the arguments that name an owner say it (`owner_args` of the catalog, or what their names say).
The first person is whom the session is about; whoever goes on to others walks over records that are not its business.

**Rejected.** To count the owners of results: a list shows fifty people to whoever asks for the oldest order. To count
the subject apart: at a desk nobody's data is the subject's, and elsewhere `owner.other` says more than a number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from streams.behaviour.activity import digest_of
from streams.model.attributes import OWNER_SUB, entity_id_of
from streams.model.catalog import ArgumentRole
from streams.processors.control.attributes import UNKNOWN, Attributes
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.gate.case import Case
from streams.provenance.contents.leaves import leaves_of
from streams.provenance.pointers import last_name
from streams.provenance.words import UNTYPED, thing_of

OWNERS_MAX = 33
"""The first person of a session, and those beside it that are counted."""
LEAVES_MAX = 512
"""Arguments of one call that are looked at."""
_NAMES_NO_RECORD = frozenset({ArgumentRole.CONTENT, ArgumentRole.AMOUNT, ArgumentRole.TIME, ArgumentRole.DESTINATION})


def with_owners(known: tuple[int, ...], case: Case, attributes: Attributes) -> tuple[int, ...]:
    """Return whose data the calls of a session have been about, in order, with those of one more call.

    Args:
        known: the digests of those before it, at most `OWNERS_MAX`.
        case: the call.
        attributes: what operators' systems say.
    """
    tool = case.tool
    if len(known) >= OWNERS_MAX or tool is None:
        return known
    kinds = attributes.owner_kinds(case.asked.intent.header.tenant_uid)
    if not kinds and not tool.uses.owner_args:
        # As of most tools: nothing says whose anything is.
        return known
    found = dict.fromkeys(known)
    for owner in _owners_in(case, tool, kinds, attributes):
        found[digest_of(owner)] = None
    return known if len(found) == len(known) else tuple(found)[:OWNERS_MAX]


def _owners_in(case: Case, tool: CatalogTool, kinds: Collection[str], attributes: Attributes) -> Iterator[str]:
    """Yield whose data a call is about, by the names that operators' systems or its arguments have for them."""
    tenant_uid, owner_args = case.asked.intent.header.tenant_uid, tool.uses.owner_args
    for number, leaf in enumerate(leaves_of(case.known_arguments().values)):
        value = entity_id_of(leaf.value)
        if number >= LEAVES_MAX:
            return
        if value is None:
            continue
        names_owner = bool(owner_args) and owner_args.cover(leaf.path)
        if not names_owner and (not kinds or tool.uses.role_of(leaf.path) in _NAMES_NO_RECORD):
            continue
        name = last_name(leaf.path)
        thing = thing_of(name) if name else UNTYPED
        asked = (thing_of(tool.entry.name) if thing == UNTYPED else thing,)
        stated = [owner for kind in asked if kind in kinds for owner in _stated(attributes, tenant_uid, kind, value)]
        if names_owner and not stated:
            stated = [owner for kind in sorted(kinds) for owner in _stated(attributes, tenant_uid, kind, value)]
        if stated or names_owner:
            yield from stated or [value]


def _stated(attributes: Attributes, tenant_uid: str, kind: str, entity_id: str) -> list[str]:
    """Return whose a record is; a record of several is the first one's."""
    entity = attributes.find(tenant_uid, kind, entity_id)
    if entity is None or entity is UNKNOWN:
        return []
    owner = entity.attributes.get(OWNER_SUB)
    first = min(owner, default=None) if isinstance(owner, list) else owner
    return [first] if isinstance(first, str) else []
