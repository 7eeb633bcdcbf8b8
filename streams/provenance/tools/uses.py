"""What the arguments of a tool are for, and whose data its results are: proposals from names and schemas.

**A proposal never decides where data may go**: the sinks that the operator states (`sink_args`) do. Roles say how a
question is worded, which values a task scope calls its targets, and what is compared with the session's subject. In
measurements, judging by roles that were guessed from names let through five times as many attacks as judging by the
operator's sinks, so the two are kept apart.

The words are those of interfaces in general. A word that belongs to two roles has that of its most common use, and a
name that says nothing has the role UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from streams.model.catalog import ArgumentRole
from streams.provenance.acts.kinds import ActKind
from streams.provenance.acts.words import FORMS, TOOL_VERBS
from streams.provenance.pointers import last_name, unescaped
from streams.provenance.tools.places import Place, places_of, words_of
from streams.provenance.words import listed, names_several

_TIMES = listed(
    "date time datetime day weekday month year hour minute when deadline due until since expiry expiration duration "
    "departure arrival birthday dob timestamp"
)
_AMOUNTS = listed(
    "amount price total quantity qty sum cost fee tip balance discount percent percentage rate salary tax deposit "
    "cent minor money eur euros usd dollars gbp pounds chf francs sek nok dkk kronor pln zloty"
)
_MONEY = listed(
    "amount price total sum cost fee tip balance salary wage pay payment refund deposit credit charge bonus gross net "
    "budget value money cent minor tax fare fine premium "
    "eur euros usd dollars gbp pounds chf francs sek nok dkk kronor pln zloty"
)
"""The words of amounts that mean money. A quantity can be any: nobody writes down that two of a thing are wanted."""
_DESTINATIONS = listed(
    "to cc bcc recipient receiver destination dest payee beneficiary iban bic swift webhook callback endpoint url uri "
    "link href host hostname domain channel attendee participant invitee guest phone mobile fax forward redirect "
    "address street city zip postcode postal country assignee reviewer collaborator reader whom with"
)
_CONTENTS = listed(
    "body text message content subject title description comment note reason html markdown data payload caption "
    "attachment summary remark feedback answer reply detail instruction prompt memo greeting agenda headline code "
    "script command sql statement value"
)
_SELECTORS = listed("query search filter keyword term word q page limit offset cursor sort order_by pattern glob regex")
_IDENTIFIERS = listed(
    "id uid uuid guid key number no ref reference code sku slug handle token name path file filename folder directory "
    "dir repository repo branch commit tag resource object item record entry ticket issue event invoice booking "
    "reservation thread document doc project task job"
)
_OWNERS = listed(
    "customer client user owner patient member account mailbox employee subscriber guest student passenger cardholder "
    "holder resident person username userid tenant citizen applicant borrower policyholder"
)
_MEMBERS = listed("user username userid member guest person")
"""Those of the owners whom an act can make members, or give access: `invite_user`, `add_member`."""
_ADDRESSES_OF_PERSONS = listed("email mail")
_GIVING = listed("from by author sender owner")
_SAY_NOBODY = frozenset({ArgumentRole.TIME, ArgumentRole.AMOUNT, ArgumentRole.CONTENT, ArgumentRole.SELECTOR})
_GIVEN_ACCESS = (
    listed("user username userid"),
    listed("member person"),
    listed("guest invitee"),
    listed("to with whom recipient receiver grantee attendee participant collaborator reader viewer editor"),
)
"""Words for whoever can get access. A later row says more plainly than an earlier one that it is who gets it."""
_OWNERSHIP_ENDS = listed("id uid uuid no number ref reference email mail username name login key")
_NOT_OWNERS = listed("to from new target recipient receiver destination cc bcc other by author sender")
_PERSONS = _OWNERS - listed("account mailbox holder cardholder tenant owner")
"""Those of the owners who are one person: an account has several holders, and a tenant many users."""
_RELATIONS = listed("by of for from with at in on to as via per using given")
"""Words in the name of a tool behind which stands what it goes by."""
_RECORDS = listed("detail profile record info information data lookup search")
_ANOTHER = listed("other another parent next last previous first related linked new all any random")
_SETTINGS = listed("action mode operation op type kind format lang language locale currency unit status")

_TIME_FORMATS = frozenset({"date", "date-time", "time", "duration"})
_PLACE_FORMATS = frozenset({"uri", "uri-reference", "iri", "url", "hostname", "idn-hostname", "ipv4", "ipv6"})
_MAIL_FORMATS = frozenset({"email", "idn-email"})
_LONG_TEXT_CHARS = 300
DESCRIPTION_WORDS_MAX = 40
"""Words of an argument's description that are looked at."""
NAMED_DEPTH_MAX = 3
"""How deep names of arguments are looked at."""
NAMED_MAX = (0, 4, 8, 32)
"""How many names of one object are looked at, by how many levels are left: callers choose them, and they are cached."""
NAME_CHARS_MAX = 64
NAMES_CACHED_MAX = 512
_NESTED = frozenset({dict, list})


def propose_roles(input_schema: object, *, reads: bool) -> dict[str, ArgumentRole]:
    """Return the proposed roles of arguments by their path; arguments whose role is unknown are left out.

    Args:
        input_schema: the tool's JSON Schema.
        reads: whether the tool only reads: then its arguments select what is read.
    """
    places = places_of(input_schema)
    roles = {place.path: _role(place, reads=reads) for place in places}
    if any(roles[place.path] is ArgumentRole.AMOUNT and not _is_count(place) for place in places):
        # A call that moves an amount moves it to the account that it names, unless that is where it comes from.
        roles |= {place.path: ArgumentRole.DESTINATION for place in places if _is_payee_account(place.name)}
    return {path: role for path, role in roles.items() if role is not ArgumentRole.UNKNOWN}


Names = tuple[tuple[str, "Names"], ...]
"""The names of the members of a JSON object, each with those inside of it; of a list, those of its first item."""


def names_in(value: object, depth: int = NAMED_DEPTH_MAX) -> Names:
    """Return the names of the members of a JSON value, without those that lie too deep, are too many or too long."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, Mapping) or not depth:
        return ()
    many = NAMED_MAX[depth]
    members = value.items() if len(value) <= many else islice(value.items(), many)
    # Most members are plain values, of which nothing is asked: this is done for every call that the watch sees.
    return tuple(
        [
            (name, names_in(inner, depth - 1) if type(inner) in _NESTED else ())
            for name, inner in members
            if len(name) <= NAME_CHARS_MAX
        ]
    )


def roles_of_names(names: Names, *, reads: bool) -> tuple[tuple[str, ArgumentRole], ...]:
    """Return the proposed roles of the arguments of a call, by JSON pointer, where nobody knows the tool's schema.

    Args:
        names: of the arguments.
        reads: whether the tool only reads.
    """
    return tuple(propose_roles(_schema_of(names), reads=reads).items())


@lru_cache(maxsize=NAMES_CACHED_MAX)
def owners_of_names(names: Names) -> tuple[str, ...]:
    """Return the JSON pointers of the arguments that seem to say whose data or account a call is about."""
    return propose_owner_args(_schema_of(names), reads=True)


def _schema_of(names: Names) -> dict[str, Any]:
    """Return a schema that has the names, and says nothing about values."""
    return {"properties": {name: _schema_of(inner) for name, inner in names}} if names else {}


def is_identifier(pointer: str) -> bool:
    """Return whether an argument seems, by its name, to identify one thing."""
    words = _last_words(pointer)
    return bool(words) and (words[-1] in _IDENTIFIERS or words[-1] in _OWNERS)


def is_copy(pointer: str) -> bool:
    """Return whether an argument seems, by its name, to say who gets a copy of what goes to somebody else."""
    words = _last_words(pointer)
    return bool(words) and words[-1] in ("cc", "bcc")


def _last_words(pointer: str) -> tuple[str, ...]:
    """Return the words of the last name in a pointer; items of lists have none of their own."""
    names = [step for step in pointer.split("/")[1:] if not step.isdigit() and step != "*"]
    return words_of(unescaped(names[-1])) if names else ()


def propose_kind_arg(input_schema: object) -> str | None:
    """Return the path of the argument that says what a tool for several acts does; None if there is none.

    It is an enumerated argument at the top with a name such as `action`.
    """
    for place in places_of(input_schema):
        if len(place.names) != 1 or not isinstance(place.schema.get("enum"), list):
            continue
        words = words_of(place.name)
        if words and words[-1] in ("action", "operation", "op", "verb", "command", "method", "act"):
            return place.path
    return None


def propose_owner_args(input_schema: object, *, reads: bool, kind: str = "", tool: str = "") -> tuple[str, ...]:
    """Return the paths of arguments that seem to say whose data or account a call is about.

    Args:
        input_schema: the tool's JSON Schema.
        reads: whether the tool only reads.
        kind: the kind of act. Whom a tool gives access to, or makes a member, owns nothing yet.
        tool: the tool's name. Whom `invite_user` names is who is invited, even if it takes a mail address as well.
    """
    roles = {} if reads else propose_roles(input_schema, reads=False)
    places = places_of(input_schema)
    named = [place for place in places if _names_owner(place.names)]
    if kind == ActKind.SHARE:
        named = [place for place in named if not _joins(place, places, roles, tool)]
    return tuple(place.path for place in named if roles.get(place.path) is not ArgumentRole.DESTINATION)


def _joins(named: Place, places: Iterable[Place], roles: Mapping[str, ArgumentRole], tool: str) -> bool:
    """Return whether the owner that an argument of an act of sharing names is who gets access, and owns nothing yet.

    He is, unless another argument says so more plainly: `user_id` beside `email` says whose calendar is shared.
    """
    words = words_of(named.name)[-2:]
    if _MEMBERS.isdisjoint(words):
        return False
    return _acts_on_member(tool) or all(_access_row(words) >= _access_given(place, roles) for place in places)


def _access_given(place: Place, roles: Mapping[str, ArgumentRole]) -> int:
    """Return how plainly an argument says who gets access: a row of `_GIVEN_ACCESS`, or -1 if it does not."""
    words = words_of(place.name)
    if len(place.names) > 1 and words and words[-1] in _OWNERSHIP_ENDS:
        words += words_of(place.names[1])
    is_said = place.schema.get("type") != "boolean" and not isinstance(place.schema.get("enum"), list)
    if not is_said or roles.get(place.path) in _SAY_NOBODY or _GIVING.intersection(words):
        return -1
    row = _access_row(words)
    if row < 0 and _OWNERS.isdisjoint(words) and _ADDRESSES_OF_PERSONS.intersection(words[-2:]):
        return len(_GIVEN_ACCESS) - 1
    return row


def _access_row(words: Iterable[str]) -> int:
    """Return the last row of `_GIVEN_ACCESS` that has one of the words; -1 if none has."""
    return max((row for row, each in enumerate(_GIVEN_ACCESS) if each.intersection(words)), default=-1)


def _acts_on_member(tool: str) -> bool:
    """Return whether the verb of a tool's name has a member as its object: `invite_user`, `add_user_to_group`."""
    words = words_of(tool)
    return any(
        word in _MEMBERS and words[place + 1 : place + 2] in ((), ("to",), ("from",), ("into",), ("in",))
        for place, word in enumerate(words)
        if place and FORMS.get(words[place - 1], words[place - 1]) in TOOL_VERBS
    )


def propose_output_owners(output_schema: object) -> tuple[str, ...]:
    """Return the paths of results that seem to say whose data they are; none without a schema of results."""
    return tuple(place.path for place in places_of(output_schema) if _names_owner(place.names))


def seems_owner(pointer: str) -> bool:
    """Return whether a field of a result seems, by its name, to say whose data the result is.

    Args:
        pointer: the JSON pointer of the field in the result.
    """
    steps = [unescaped(step) for step in pointer.split("/")[1:]]
    return _names_owner(tuple(step for step in reversed(steps) if not step.isdigit()))


@lru_cache(maxsize=NAMES_CACHED_MAX)
def person_returned(tool: str) -> str | None:
    """Return the word for the person whose record a tool returns, by the tool's name; None if it says no one person.

    `find_customer_by_email` returns a customer. `get_manager_of_employee`, `get_employee_manager` and
    `get_customer_orders` do not return who is named, and `get_next_user` returns another one.
    """
    words = words_of(tool)
    end = next((place for place, word in enumerate(words) if word in _RELATIONS), len(words))
    about = [word for word in words[:end] if word not in _OWNERSHIP_ENDS and word not in _RECORDS]
    if not about or about[-1] not in _PERSONS or len(_PERSONS.intersection(about)) > 1:
        return None
    return None if _ANOTHER.intersection(about) else about[-1]


def is_called_as_owner(name: str) -> bool:
    """Return whether a name is that of an owner and of nothing beside: `email`, `customer_id`; not `spouse_of`."""
    words = words_of(name)
    return bool(words) and (_OWNERS | _OWNERSHIP_ENDS).issuperset(words)


@lru_cache(maxsize=NAMES_CACHED_MAX)
def names_person(pointer: str) -> bool:
    """Return whether an argument that names an owner names one person, by its name: `customer_id`, not `account_id`."""
    return not _PERSONS.isdisjoint(_last_words(pointer))


def seems_money(pointer: str) -> bool:
    """Return whether an argument that is an amount seems, by its name, to be one of money.

    Args:
        pointer: the JSON pointer of the argument.
    """
    return not _MONEY.isdisjoint(words_of(last_name(pointer)))


def _names_owner(names: tuple[str, ...]) -> bool:
    """Return whether names such as `customer`, `customer_id` or `customer/id` say whose something is."""
    if not names:
        return False
    words = words_of(names[0])
    if not words or any(word in _NOT_OWNERS for word in words):
        return False
    if words[-1] in _OWNERS:
        return True
    if words[-1] not in _OWNERSHIP_ENDS:
        return False
    if len(words) > 1:
        return words[-2] in _OWNERS
    above = words_of(names[1]) if len(names) > 1 else ()
    return bool(above) and above[-1] in _OWNERS and not any(word in _NOT_OWNERS for word in above)


def _is_payee_account(name: str) -> bool:
    words = words_of(name)
    return bool(set(words) & {"account", "iban", "card", "wallet"}) and not set(words) & {"from", "source", "own", "my"}


def _role(place: Place, *, reads: bool) -> ArgumentRole:
    kind, shape = place.schema.get("type"), place.schema.get("format")
    if kind == "boolean":
        return ArgumentRole.UNKNOWN
    if shape in _TIME_FORMATS:
        return ArgumentRole.TIME
    words = words_of(place.name)
    if isinstance(place.schema.get("enum"), list) or (words and words[-1] in _SETTINGS):
        return ArgumentRole.SELECTOR if reads and "enum" not in place.schema else ArgumentRole.UNKNOWN
    if shape in _PLACE_FORMATS or (shape in _MAIL_FORMATS and not reads):
        return ArgumentRole.DESTINATION
    named = _named_role(place, words, reads=reads)
    if named is not ArgumentRole.UNKNOWN:
        return named
    if reads:
        return ArgumentRole.SELECTOR
    length = place.schema.get("maxLength")
    if isinstance(length, int) and length >= _LONG_TEXT_CHARS:
        return ArgumentRole.CONTENT
    if kind == "number" or _is_count(place):
        return ArgumentRole.AMOUNT
    described = _described_role(place.schema)
    if described is not ArgumentRole.UNKNOWN:
        return described
    return ArgumentRole.TARGET if place.is_required and len(place.names) == 1 else ArgumentRole.UNKNOWN


def _is_count(place: Place) -> bool:
    """Return whether an argument says how many of something: a whole number that is called after several, `bags`."""
    return place.schema.get("type") == "integer" and names_several(place.name)


def _named_role(place: Place, words: tuple[str, ...], *, reads: bool) -> ArgumentRole:
    """Return the role that the name says; a name such as `id` or `name` inside `recipient` is a recipient's."""
    above = tuple(word for name in place.names[1:2] for word in words_of(name))
    for each in (words, above):
        role = _role_of_words(each, place.schema.get("type"), reads=reads)
        if role is not ArgumentRole.UNKNOWN and not (role is ArgumentRole.TARGET and each is words and above):
            return role
    return _role_of_words(words, place.schema.get("type"), reads=reads)


def _role_of_words(words: tuple[str, ...], kind: object, *, reads: bool) -> ArgumentRole:
    if not words:
        return ArgumentRole.UNKNOWN
    last, first = words[-1], words[0]
    is_number = kind in ("integer", "number")
    if last in _AMOUNTS or (is_number and last in ("value", "count", "limit") and not reads):
        return ArgumentRole.SELECTOR if reads else ArgumentRole.AMOUNT
    if last in _TIMES or (last in ("start", "end", "at", "begin") and not is_number):
        return ArgumentRole.TIME
    if _says_destination(words):
        # An address of the network says where a read goes; a person's says whom it is about.
        is_network = last in ("url", "uri", "link", "href", "host", "hostname", "domain", "endpoint", "webhook")
        return ArgumentRole.DESTINATION if is_network or not reads else ArgumentRole.SELECTOR
    if reads:
        return ArgumentRole.SELECTOR if {last, first} & (_SELECTORS | _IDENTIFIERS) else ArgumentRole.UNKNOWN
    if last in _IDENTIFIERS or last in _OWNERS or first in _SELECTORS:
        return ArgumentRole.CONTENT if last == "code" and len(words) == 1 else ArgumentRole.TARGET
    return ArgumentRole.CONTENT if last in _CONTENTS else ArgumentRole.UNKNOWN


def _says_destination(words: tuple[str, ...]) -> bool:
    last, first = words[-1], words[0]
    if last in _DESTINATIONS or (last in ("email", "mail") and first not in ("from", "sender")):
        return True
    # `to_account`, `recipient_name`, `new_address`; but no `to_date`, which is decided before.
    return first in ("to", "recipient", "receiver", "destination", "dest", "payee", "beneficiary", "forward", "deliver")


def _described_role(schema: Mapping[str, Any]) -> ArgumentRole:
    text = schema.get("description")
    if not isinstance(text, str):
        return ArgumentRole.UNKNOWN
    words = words_of(text[:1_000])[:DESCRIPTION_WORDS_MAX]
    tables = (
        (ArgumentRole.DESTINATION, _DESTINATIONS - {"to", "link", "country", "city"}),
        (ArgumentRole.TIME, _TIMES - {"time", "when", "since", "until"}),
        (ArgumentRole.AMOUNT, _AMOUNTS - {"total", "rate", "minor"}),
        (ArgumentRole.CONTENT, _CONTENTS - {"value", "data", "code"}),
        (ArgumentRole.TARGET, frozenset({"id", "identifier", "number", "name", "key"})),
    )
    # The first word that says something: descriptions begin with what the value is.
    for word in words:
        for role, table in tables:
            if word in table:
                return role
    return ArgumentRole.UNKNOWN
