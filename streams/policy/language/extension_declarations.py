"""What checker, reference page and completion are told of the functions in `streams.policy.ext`: types and meaning.

Types are written as in the page: `list(string)`, and records by their name in `EXTENSION_STRUCTS`.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.language.schema import Field, Kind, ListOf, Struct

URL, EMAIL, PATH, GLOB, SEMVER = "rules.Url", "rules.EmailAddress", "rules.Path", "rules.Glob", "rules.Semver"
EXTENSION_TYPES = (URL, EMAIL, PATH, GLOB, SEMVER)
_TEXTS = "list(string)"


class Overload(NamedTuple):
    """One way to call a function."""

    id: str
    receiver: str  # "" where it is none's
    parameters: tuple[str, ...]
    result: str
    doc: str


class Group(NamedTuple):
    """Functions that belong together on the page."""

    title: str
    intro: str
    functions: tuple[tuple[str, tuple[Overload, ...]], ...]


_TEXTS_DOC = (
    "every text within a value, however deep, keys of maps among them, in no order that is promised; an error above "
    "5,000 texts or a million characters"
)


def _texts(name: str, doc: str, *, optional: bool = False) -> Field:
    return Field(name, ListOf(Kind.STRING), doc, optional)


COMMAND = Struct(
    "Command",
    (
        Field("name", Kind.STRING, "without the folder where it is one of the system's: `rm` for `/bin/rm`; a lone or "
              "leading assignment is a command `=`, a lone redirection one `>`"),
        _texts("args", "what follows the name; missing where a part of it is known only at run time", optional=True),
        Field("line", Kind.STRING, "the command as it stands, at most 500 characters"),
        _texts("env", "the names of variables that are set for it"),
        Field("piped", Kind.BOOL, "it reads what another command writes"),
        Field("substituted", Kind.BOOL, "it stands in `$(...)`, backticks, `<(...)` or `>(...)`"),
        Field("nested", Kind.BOOL, "another command runs it: `sudo`, `env`, `xargs`, `find -exec`, `bash -c`, "
                                   "`eval`..."),
        Field("elevated", Kind.BOOL, "by `sudo`, `doas` or `pkexec`"),
        Field("opaque", Kind.BOOL, "it runs code that can't be seen here: an interpreter, a script, another machine"),
    ),
)  # fmt: skip

SHELL = Struct(
    "Shell",
    (
        Field("commands", ListOf(COMMAND), "every simple command that the text can run"),
        _texts("reads", "files that are redirected in; missing where one is known only at run time", optional=True),
        _texts("writes", "files that are redirected out, but for /dev/null; missing likewise", optional=True),
    ),
)

SQL_STATEMENT = Struct(
    "SqlStatement",
    (
        Field("kind", Kind.STRING, "select, insert, update, delete, merge, create, drop, alter, truncate, begin, "
              "commit or rollback"),
        _texts("kinds", "its own and those of what stands in it, such as a DELETE within WITH"),
        _texts("tables", "`table` or `schema.table` as written, in lower case where the database does not tell case"),
        _texts("writes", "those of the tables that it changes"),
        _texts("functions", "in lower case"),
        Field("unfiltered", Kind.BOOL, "an UPDATE or DELETE in it has no WHERE"),
    ),
)  # fmt: skip

SQL = Struct("Sql", (Field("statements", ListOf(SQL_STATEMENT), "in their order"),))

EXTENSION_STRUCTS = (SHELL, SQL)

GROUPS: tuple[Group, ...] = (
    Group(
        "URLs",
        "Read by the grammar of RFC 3986 and by the WHATWG's (browsers'); what the two read differently is an error, "
        "as "
        "are backslashes, spaces, control characters, a second `@`, encoded slashes and dots, paths that climb above "
        "their root, ports and addresses with leading zeros. Schemes are http, https, ws, wss and ftp. Nothing is "
        "looked up: a name may lead anywhere.",
        (
            ("url", (Overload("url_string", "", ("string",), URL, "the URL; an error where the text is none"),)),
            ("isUrl", (Overload("is_url_string", "", ("string",), "bool", "whether `url` would have a value"),)),
            ("scheme", (Overload("url_scheme", URL, (), "string", "in lower case"),)),
            ("host", (Overload("url_host", URL, (), "string", "in lower case and punycode, without a last dot; an "
                               "address in its one form, also where it is written as `0x7f.1` or "
                               "`[::ffff:127.0.0.1]`"),)),
            ("port", (Overload("url_port", URL, (), "int", "the scheme's own where none is written"),)),
            ("query", (Overload("url_query", URL, (), "string", "what follows `?`, not decoded"),)),
            ("hasUserInfo", (Overload("url_has_user_info", URL, (), "bool", "a name or password stands before `@`"),)),
            ("hostIsIp", (Overload("url_host_is_ip", URL, (), "bool", "the host is an address"),)),
            ("hostWithin", (
                Overload("url_host_within_list", URL, (_TEXTS,), "bool",
                         "the host is one of these domains or below one; an address must be listed itself"),
                Overload("url_host_within_string", URL, ("string",), "bool", "the same of one domain"),
            )),
            ("isPublicHost", (Overload("url_is_public_host", URL, (), "bool", "not an address of this machine, of a "
                                       "private network or reserved, and no name that is served only inside"),)),
        ),
    ),
    Group(
        "Mail addresses",
        "What mail programs read alike. Comments, groups, quoted local parts, `%` and `!` in them, address literals, "
        "display names that hold an address, and a second `@` are errors.",
        (
            ("emailAddress", (Overload("email_address_string", "", ("string",), EMAIL, "exactly one address, with or "
                                       "without a display name"),)),
            ("emailAddresses", (
                Overload("email_addresses_string", "", ("string",), f"list({EMAIL})", "those of a text, with commas "
                         "between them; none of an empty text or of null"),
                Overload("email_addresses_list", "", (_TEXTS,), f"list({EMAIL})", "those of all the texts"),
            )),
            ("isEmailAddress", (Overload("is_email_address_string", "", ("string",), "bool",
                                         "whether `emailAddress` would have a value"),)),
            ("local", (Overload("email_local", EMAIL, (), "string", "what stands before `@`"),)),
            ("domain", (Overload("email_domain", EMAIL, (), "string", "in lower case and punycode"),)),
            ("domainWithin", (
                Overload("email_domain_within_list", EMAIL, (_TEXTS,), "bool", "the domain is one of these or below "
                    "one"),
                Overload("email_domain_within_string", EMAIL, ("string",), "bool", "the same of one domain"),
            )),
        ),
    ),
    Group(
        "Paths",
        "Of POSIX systems, compared as text and exactly. Dots and repeated slashes are resolved; backslashes, drives, "
        "schemes, a leading `~`, `${...}`, encoded dots and slashes, characters that can pass for these, and the "
        "kernel's "
        "links below /proc and /dev/fd are errors. **Where a symbolic link leads can't be seen**, so `..` is "
        "resolved as if "
        "there were none, and whether a file system tells upper from lower case is not known: both are for the "
        "tool's sandbox.",
        (
            ("path", (
                Overload("path_string", "", ("string",), PATH, "an absolute path"),
                Overload("path_string_string", "", ("string", "string"), PATH, "a path that starts from a folder, "
                    "where "
                         "it is not absolute"),
                Overload("path_string_path", "", ("string", PATH), PATH, "the same"),
                Overload("url_path", URL, (), "string", "of a URL: decoded once, without dots and repeated slashes"),
            )),
            ("isPath", (
                Overload("is_path_string", "", ("string",), "bool", "whether `path` would have a value"),
                Overload("is_path_string_string", "", ("string", "string"), "bool", "the same with a folder"),
            )),
            ("within", (
                Overload("path_within_string", PATH, ("string",), "bool", "it is this folder or lies below it"),
                Overload("path_within_list", PATH, (_TEXTS,), "bool", "the same of any of some folders"),
                Overload("path_within_path", PATH, (PATH,), "bool", "the same of a path"),
            )),
            ("name", (Overload("path_name", PATH, (), "string", "the last segment; empty of the root"),)),
            ("extension", (Overload("path_extension", PATH, (), "string", "what follows the name's last dot, in lower "
                                    "case; empty where there is none, or where the name begins with it"),)),
            ("parent", (Overload("path_parent", PATH, (), PATH, "the folder it is in; of the root the root"),)),
            ("segments", (Overload("path_segments", PATH, (), _TEXTS, "the names on the way"),)),
        ),
    ),
    Group(
        "Globs",
        "`*` is any run without a slash, `**` any run (`/**/` also a single slash), `?` one character but a slash, "
        "`{a,b}` "
        "one of these. Brackets and backslashes are errors. Case counts.",
        (
            ("glob", (Overload("glob_string", "", ("string",), GLOB, "a pattern"),)),
            ("matches", (
                Overload("matches", "", ("string", "string"), "bool", "CEL's own: a regular expression is found in "
                    "the text"),
                Overload("matches_string", "string", ("string",), "bool", "CEL's own, as a method"),
                Overload("glob_matches_string", GLOB, ("string",), "bool", "the glob is for the whole text"),
                Overload("glob_matches_path", GLOB, (PATH,), "bool", "the glob is for the whole path"),
                Overload("path_matches_string", PATH, ("string",), "bool", "a glob, given as text, is for the whole "
                    "path"),
                Overload("path_matches_glob", PATH, (GLOB,), "bool", "the same of a glob"),
            )),
        ),
    ),
    Group(
        "Versions",
        "Semantic Versioning 2.0.0; build metadata counts in no comparison.",
        (
            ("semver", (Overload("semver_string", "", ("string",), SEMVER, "a version such as 1.4.0 or 2.0.0-rc.1"),)),
            ("isSemver", (Overload("is_semver_string", "", ("string",), "bool", "whether `semver` would have a "
                "value"),)),
            ("major", (Overload("semver_major", SEMVER, (), "int", "its first number"),)),
            ("minor", (Overload("semver_minor", SEMVER, (), "int", "its second number"),)),
            ("patch", (Overload("semver_patch", SEMVER, (), "int", "its third number"),)),
            ("compareTo", (
                Overload("semver_compare_to_string", SEMVER, ("string",), "int", "-1, 0 or 1"),
                Overload("semver_compare_to_semver", SEMVER, (SEMVER,), "int", "the same"),
            )),
            ("isLessThan", (
                Overload("semver_is_less_than_string", SEMVER, ("string",), "bool", "it comes before this version"),
                Overload("semver_is_less_than_semver", SEMVER, (SEMVER,), "bool", "the same"),
            )),
            ("isGreaterThan", (
                Overload("semver_is_greater_than_string", SEMVER, ("string",), "bool", "it comes after this version"),
                Overload("semver_is_greater_than_semver", SEMVER, (SEMVER,), "bool", "the same"),
            )),
        ),
    ),
    Group(
        "Shell text",
        "Read by the grammar of bash, all of it or not at all. `sudo`, `env`, `xargs`, `find -exec`, `bash -c`, "
        "`eval` and "
        "their like are looked into, five deep. Functions, aliases, arithmetic on variables, commands whose name is "
        "known "
        "only at run time and anything else whose meaning is not certain is an error. So "
        "`shell(args.command).commands.all(c, c.name in lists.safe)` holds only where nothing else is run, as far as "
        "the "
        "listed programs themselves don't: a name in such a list vouches for all its options. For other shells (zsh, "
        "fish, "
        "PowerShell) it does not speak.",
        (
            ("shell", (
                Overload("shell_string", "", ("string",), "Shell", "of a text that is given to a shell"),
                Overload("shell_list", "", (_TEXTS,), "Shell", "of a command that is given as a list of words"),
            )),
        ),
    ),
    Group(
        "SQL",
        "Dialects: `postgres`, `mysql`, `sqlite`. Backslashes, dollar quotes, comments that may be run, and statements "
        "that are kept as text (CALL, DO, COPY, PRAGMA, GRANT, ...) are errors. A name of a query within WITH is no "
        "table.",
        (("sql", (Overload("sql_string_string", "", ("string", "string"), "Sql", "of a text in a dialect"),)),),
    ),
    Group(
        "Names that look alike",
        "By the data of Unicode's report 39, accents and case aside; of ASCII 0 and o, 1, i and l, m and rn, w and vv.",
        (
            ("skeleton", (Overload("skeleton_string", "", ("string",), "string", "equal for texts that look alike"),)),
            ("isLookalikeOf", (
                Overload("is_lookalike_of_list", "string", (_TEXTS,), "bool", "it, or a domain above it, looks like "
                    "one of "
                         "these and is none of them nor below one"),
                Overload("is_lookalike_of_string", "string", ("string",), "bool", "the same of one name"),
            )),
        ),
    ),
    Group(
        "Whole values",
        "For what may stand anywhere in the arguments, whatever the tool calls them.",
        (
            ("texts", (Overload("texts_dyn", "", ("dyn",), _TEXTS, _TEXTS_DOC),)),
        ),
    ),
)  # fmt: skip

EXTENSION_OVERLOADS: dict[str, tuple[Overload, ...]] = {
    name: overloads for group in GROUPS for name, overloads in group.functions
}
TEXT_OVERLOADS = tuple(
    (f"{name.partition('.')[2].lower()}_to_string", "", (name,), "string") for name in EXTENSION_TYPES
)
"""`string(value)` of the types; declared with the other overloads of `string`."""
