"""URLs with a host: `url(text)` and the functions on URLs.

Attacks on rules about URLs use differences between parsers. So a text is parsed with the grammar of RFC 3986, and
everything ambiguous is rejected. Then the WHATWG parser of browsers (`ada_url`) must find the same host.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from streams.policy.cel.ops import no_overload
from streams.policy.cel.values import LISTS, ExtensionValue, TypeValue
from streams.policy.errors import EvaluationError
from streams.policy.ext.hosts import Host, is_public, is_within, read_host
from streams.policy.ext.memoize import memoized

URL_CHARS_MAX = 8_192
URLS_KEPT_MAX = 512

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?\Z"
)
_USER_INFO = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:-]*\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_ASCII_REFUSED = frozenset('\\"<>^`{|} \x7f') | frozenset(map(chr, range(0x20)))
_DELIMITERS = frozenset("/\\?#@:%.[]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_STRUCTURE = re.compile(r"%(?:2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_DECODED_TWICE = re.compile(r"%[0-9A-Fa-f]{2}")
_DOTS_WITH_PARAMETERS = re.compile(r"/\.{1,2};")


@dataclass(frozen=True, slots=True)
class Url(ExtensionValue):
    """A URL that all parsers read in the same way."""

    TYPE: ClassVar[TypeValue] = TypeValue("rules.Url")

    scheme: str
    host: Host
    port: int
    path: str
    query: str
    has_user_info: bool

    def text(self) -> str:
        """Return the URL without user information and fragment, with its path decoded."""
        host = f"[{self.host.text}]" if ":" in self.host.text else self.host.text
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}{'?' if self.query else ''}{self.query}"


@memoized(URLS_KEPT_MAX)
def _read(text: str) -> Url:
    if len(text) > URL_CHARS_MAX:
        raise EvaluationError(f"url has more than {URL_CHARS_MAX} characters")
    _refuse_odd_characters(text)
    parts = _URL.match(text)
    if parts is None:
        raise EvaluationError("text is not a url with a scheme, `//` and a host")
    scheme = parts["scheme"].lower()
    if scheme not in _PORTS:
        raise EvaluationError(f"url must have one of the schemes {', '.join(_PORTS)}")
    if _BAD_PERCENT.search(text):
        raise EvaluationError("url has an invalid percent encoding")
    if parts["path"] is None and "@" in text[parts.end("authority") :]:
        raise EvaluationError("url has an @ after a host without a path: readers differ on what the host is")
    authority, _, after = parts["authority"].rpartition("@")
    if not _USER_INFO.match(authority) or "%" in after:
        raise EvaluationError("url has an unsupported host")
    name, port = _host_and_port(after, scheme)
    url = Url(
        scheme, read_host(name), port, _path(parts["path"] or "/"), parts["query"] or "", "@" in parts["authority"]
    )
    _check_against_browsers(text, url)
    return url


def _refuse_odd_characters(text: str) -> None:
    for character in text:
        if character.isascii():
            if character in _ASCII_REFUSED:
                raise EvaluationError("url has a character that must be encoded")
        elif unicodedata.category(character)[0] in "CZ" or _DELIMITERS & set(unicodedata.normalize("NFKC", character)):
            raise EvaluationError("url has a character that looks like a delimiter")


def _host_and_port(text: str, scheme: str) -> tuple[str, int]:
    if text.startswith("["):
        name, bracket, rest = text.partition("]")
        name += bracket
        colon, port = rest[:1], rest[1:]
        if colon not in ("", ":"):
            raise EvaluationError("url has an unsupported host")
    else:
        name, colon, port = text.partition(":")
    if not colon:
        return name, _PORTS[scheme]
    if not _PORT.match(port) or int(port) > 65_535:
        raise EvaluationError("url has an invalid port")
    return name, int(port)


def _path(raw: str) -> str:
    """Return the path, decoded once and without dot segments. A path that is still ambiguous is rejected."""
    if _ENCODED_STRUCTURE.search(raw):
        raise EvaluationError("url's path has an encoded separator or control character")
    try:
        path = unquote_to_bytes(raw).decode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        raise EvaluationError("url's path is not utf-8") from None
    if _DECODED_TWICE.search(path) or "\\" in path or _DOTS_WITH_PARAMETERS.search(path):
        raise EvaluationError("url's path is encoded twice, or mixes dots with parameters")
    for character in path:
        if not character.isascii() and (
            unicodedata.category(character)[0] == "C" or _DELIMITERS & set(unicodedata.normalize("NFKC", character))
        ):
            raise EvaluationError("url's path has a character that looks like a delimiter")
    segments = path.split("/")[1:]
    if ".." in segments and "" in segments[:-1]:
        raise EvaluationError("url's path mixes empty and dot segments: readers differ on where it leads")
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if not kept:
                raise EvaluationError("url's path climbs above its root")
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + end


def _check_against_browsers(text: str, url: Url) -> None:
    """Check that the parser of browsers finds the same scheme, host and port.

    Raises:
        EvaluationError: it does not.
    """
    from ada_url import URL  # noqa: PLC0415 - few commands of the command line run rules about URLs

    try:
        seen = URL(text)
        host = read_host(seen.hostname)
        port = int(seen.port) if seen.port else _PORTS[url.scheme]
        same = (seen.protocol, host, port) == (f"{url.scheme}:", url.host, url.port)
    except ValueError:
        same = False
    if not same:
        raise EvaluationError("url is read differently by RFC 3986 and by browsers")


def to_url(value: Any) -> Url:
    """Implement `url(text)`."""
    if value.__class__ is Url:
        return value
    if value.__class__ is not str:
        raise no_overload("url", value)
    return _read(value)


def is_url(value: Any) -> bool:
    """Implement `isUrl(text)`."""
    if value.__class__ is not str:
        raise no_overload("isUrl", value)
    try:
        _read(value)
    except EvaluationError:
        return False
    return True


def _url(name: str, value: Any) -> Url:
    if value.__class__ is not Url:
        raise no_overload(name, value)
    return value


_TEXT = frozenset((str,))


def texts_of(name: str, *values: Any) -> tuple[str, ...]:
    """Return the last argument, which is a text or a list of texts, as a tuple.

    Args:
        name: the name of the function, for errors.
        values: the arguments of the function.

    Raises:
        EvaluationError: it is neither.
    """
    last = values[-1]
    if last.__class__ is str:
        return (last,)
    if last.__class__ in LISTS and _TEXT.issuperset(map(type, last)):
        return tuple(last)
    raise no_overload(name, *values)


def host_within(value: Any, items: Any) -> bool:
    """Implement `url.hostWithin(domains)`."""
    return is_within(_url("hostWithin", value).host, texts_of("hostWithin", value, items))


URL_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "url": to_url,
    "isUrl": is_url,
    "scheme": lambda value: _url("scheme", value).scheme,
    "host": lambda value: _url("host", value).host.text,
    "port": lambda value: _url("port", value).port,
    "query": lambda value: _url("query", value).query,
    "hasUserInfo": lambda value: _url("hasUserInfo", value).has_user_info,
    "hostIsIp": lambda value: _url("hostIsIp", value).host.ip is not None,
    "hostWithin": host_within,
    "isPublicHost": lambda value: is_public(_url("isPublicHost", value).host),
}
"""The functions by name, except `path` of a URL: `file_paths.py` implements all functions of that name."""
