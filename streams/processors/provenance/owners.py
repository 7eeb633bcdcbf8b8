"""Ask what operators' systems say about whose the records are that a call names (`agent.attributes.v1`).

**Idea.** Whose an account number is, often only the bank's systems know: neither the number nor anything that the
session has read says it. So a record of attributes can state `owner_sub`, and the fact `owner` follows it before
everything that contents say. It is looked up by the value of an argument:

- An argument that names an owner (`owner_args`) may be called anything (`iban`), so it is looked up in every kind of
  which an entity states an owner. If one of these kinds is what the argument is called, it alone counts.
- Any other argument that says what is read or acted on is looked up only in the kind that it is called by (`order_id`:
  kind `order`). So a customer 17 is not taken for an order 17.

**Rejected.** Kinds in the catalog: an operator would state for each tool what the name of its argument says already.
All kinds for all arguments: short numbers would meet records of other things.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streams.model.attributes import OWNER_SUB, entity_id_of
from streams.processors.control.attributes import UNKNOWN, Attributes


class StatedOwners:
    """Whose the records are that one call names, as far as operators' systems say it.

    Attributes:
        age_ms: the time since what was found was last known to be true, of the oldest record; None if nothing was.
        is_unclear: whether a record that the call names can't be read, so that nobody can say whose it is.
    """

    __slots__ = ("_attributes", "_now_ms", "_sub", "_tenant_uid", "age_ms", "is_unclear")

    def __init__(self, attributes: Attributes, tenant_uid: str, sub: str, now_ms: int) -> None:
        self._attributes = attributes
        self._tenant_uid = tenant_uid
        self._sub = sub
        self._now_ms = now_ms
        self.age_ms: int | None = None
        self.is_unclear = False

    def is_subjects(self, value: Any, thing: str, *, in_all_kinds: bool) -> bool | None:
        """Return whether the record that a value names is the subject's; None if nobody says whose it is.

        Args:
            value: of an argument: a text or a whole number, which is the id of the record.
            thing: what the argument is called, which may be the kind of the record.
            in_all_kinds: whether records of any kind count if there is none of kind `thing`. If several are found, all
                of them must be the subject's.
        """
        entity_id = entity_id_of(value)
        if entity_id is None:
            return None
        kinds = self._attributes.owner_kinds(self._tenant_uid)
        found = self._ask((thing,), entity_id) if thing in kinds else []
        if not found and in_all_kinds:
            found = self._ask(sorted(kinds), entity_id)
        return all(found) if found else None

    def _ask(self, kinds: Iterable[str], entity_id: str) -> list[bool]:
        answers = []
        for kind in kinds:
            entity = self._attributes.find(self._tenant_uid, kind, entity_id)
            if entity is None:
                self.is_unclear = True
            elif entity is not UNKNOWN and OWNER_SUB in entity.attributes:
                owner = entity.attributes[OWNER_SUB]
                answers.append(self._sub in owner if isinstance(owner, list) else owner == self._sub)
                self.age_ms = max(self.age_ms or 0, self._now_ms - entity.since_ms)
        return answers
