"""Mail addresses: `emailAddress(text)`, `emailAddresses(text or list)` and the functions on addresses.

Only the part of RFC 5322 is accepted that all mail programs read in the same way. Comments, groups, routes, quoted
local parts and address literals are legal but rare, and are the usual way to show one address to a rule and another to
a server.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import ExtensionValue, TypeValue
from streams.policy.errors import EvaluationError
from streams.policy.ext.hosts import Host, is_within, read_name
from streams.policy.ext.memoize import memoized
from streams.policy.ext.urls import texts_of

TEXT_CHARS_MAX = 32_768
ADDRESSES_MAX = 500
LOCAL_CHARS_MAX = 64
ADDRESSES_KEPT_MAX = 512

# Without % and !, which some mail servers read as routes to another host.
_LOCAL = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9#$&'*+/=?^_`{|}~-]+)*\Z")
_QUOTED = re.compile(r'"([^"\\]|\\["\\])*"\Z')
_NUMERIC = re.compile(r"([0-9]+|0x[0-9a-f]*)\Z")
_UNQUOTED_REFUSED = frozenset('<>@,;:()[]\\"')
_DISPLAY_REFUSED = frozenset("@<>;")


@dataclass(frozen=True, slots=True)
class EmailAddress(ExtensionValue):
    """An address without its display name; the domain is in lower case and punycode."""

    TYPE: ClassVar[TypeValue] = TypeValue("rules.EmailAddress")

    local: str
    domain: str

    def text(self) -> str:
        """Return `local@domain`."""
        return f"{self.local}@{self.domain}"


@memoized(ADDRESSES_KEPT_MAX)
def _read_all(text: str) -> tuple[EmailAddress, ...]:
    if len(text) > TEXT_CHARS_MAX:
        raise EvaluationError(f"addresses have more than {TEXT_CHARS_MAX} characters")
    for character in text:
        if not character.isprintable() or (not character.isascii() and _passes_for_a_delimiter(character)):
            raise EvaluationError("address has a character that is invisible or looks like a delimiter")
    parts = _split(text)
    if len(parts) > ADDRESSES_MAX:
        raise EvaluationError(f"there are more than {ADDRESSES_MAX} addresses")
    return tuple(map(_read, parts))


def _passes_for_a_delimiter(character: str) -> bool:
    return bool(_UNQUOTED_REFUSED & set(unicodedata.normalize("NFKC", character)))


def _split(text: str) -> list[str]:
    """Split a text at the commas outside of quotes, and strip spaces from each part."""
    parts, start, quoted, escaped = [], 0, False, False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            parts.append(text[start:index].strip(" "))
            start = index + 1
    parts.append(text[start:].strip(" "))
    if quoted or escaped:
        raise EvaluationError("address has an unmatched quotation mark")
    return parts


def _read(part: str) -> EmailAddress:
    if not part.endswith(">"):
        return _address(part)
    display, bracket, address = part[:-1].rpartition("<")
    display = display.strip(" ")
    if not bracket:
        raise EvaluationError("text is not a mail address")
    if display.startswith('"'):
        if not _QUOTED.match(display) or _DISPLAY_REFUSED & set(display):
            raise EvaluationError("address has a display name that looks like an address")
    elif _UNQUOTED_REFUSED & set(display):
        raise EvaluationError("address has a display name that looks like an address")
    return _address(address)


def _address(text: str) -> EmailAddress:
    local, at, name = text.partition("@")
    if not at or "@" in name or len(local) > LOCAL_CHARS_MAX or not _LOCAL.match(local):
        raise EvaluationError("text is not a mail address")
    if name.endswith("."):
        raise EvaluationError("address has a domain that ends in a dot")
    domain = read_name(name)
    if _NUMERIC.match(domain.rpartition(".")[2]):
        raise EvaluationError("address has a domain that is a number")
    return EmailAddress(local, domain)


def to_email_address(value: Any) -> EmailAddress:
    """Implement `emailAddress(text)`; the text must contain exactly one address."""
    if value.__class__ is not str:
        raise no_overload("emailAddress", value)
    found = _read_all(value)
    if len(found) != 1:
        raise EvaluationError("text contains more than one mail address")
    return found[0]


def to_email_addresses(value: Any) -> tuple[EmailAddress, ...]:
    """Implement `emailAddresses(text or list or null)`; null and a blank text contain no addresses."""
    if value is None:
        return ()
    if value.__class__ is str:
        return _read_all(value) if value.strip(" ") else ()
    found: list[EmailAddress] = []
    for text in texts_of("emailAddresses", value):
        found += _read_all(text)
        if len(found) > ADDRESSES_MAX:
            raise EvaluationError(f"there are more than {ADDRESSES_MAX} addresses")
    return tuple(found)


def is_email_address(value: Any) -> bool:
    """Implement `isEmailAddress(text)`."""
    if value.__class__ is not str:
        raise no_overload("isEmailAddress", value)
    try:
        to_email_address(value)
    except EvaluationError:
        return False
    return True


def _email(name: str, value: Any) -> EmailAddress:
    if value.__class__ is not EmailAddress:
        raise no_overload(name, value)
    return value


def domain_within(value: Any, items: Any) -> bool:
    """Implement `address.domainWithin(domains)`."""
    return is_within(Host(_email("domainWithin", value).domain), texts_of("domainWithin", value, items))


EMAIL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "emailAddress": to_email_address,
    "emailAddresses": to_email_addresses,
    "isEmailAddress": is_email_address,
    "local": lambda value: _email("local", value).local,
    "domain": lambda value: _email("domain", value).domain,
    "domainWithin": domain_within,
}
