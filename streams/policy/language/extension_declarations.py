"""Declares the functions of `streams.policy.ext`: their types and documentation.

The type checker, the reference page and completion in editors read these declarations. Types are written as on the
page: `list(string)`, and records by their name in `EXTENSION_STRUCTS`.
"""

from __future__ import annotations

from typing import NamedTuple

from streams.policy.language.fact_types import Field, Kind, ListOf, Struct

URL, EMAIL, PATH, GLOB, SEMVER = "rules.Url", "rules.EmailAddress", "rules.Path", "rules.Glob", "rules.Semver"
EXTENSION_TYPES = (URL, EMAIL, PATH, GLOB, SEMVER)
_TEXTS = "list(string)"


class Overload(NamedTuple):
    """One way to call a function."""

    id: str
    receiver: str  # empty if the function is not a method
    parameters: tuple[str, ...]
    result: str
    doc: str


class Group(NamedTuple):
    """Functions that have a common section on the reference page."""

    title: str
    intro: str
    functions: tuple[tuple[str, tuple[Overload, ...]], ...]


def _texts(name: str, doc: str, *, optional: bool = False) -> Field:
    return Field(name, ListOf(Kind.STRING), doc, optional)


COMMAND = Struct(
    "Command",
    (
        Field("name", Kind.STRING, "the name of the command, without a system folder: `rm` for `/bin/rm`. An "
              "assignment is a command named `=`; a redirection without a command is one named `>`"),
        _texts("args", "the words after the name; missing if one of them is known only at run time", optional=True),
        _texts("files", "the files and folders that the arguments name, for `cat`, `head`, `tail`, `wc`, `grep`, "
               "`ls`, `stat`, `du`, `df`, `diff`, `cmp`, `cut`, `realpath`, `cd`, `rm`, `mkdir`, `rmdir` and `touch`; "
               "empty for programs that read no file, such as `echo`. A wildcard stands for itself. Missing for "
               "other programs, "
               "with an unknown option, and if a file is known only at run time", optional=True),
        Field("line", Kind.STRING, "the source of the command, at most 500 characters"),
        _texts("env", "the names of the variables that are set for the command"),
        Field("piped", Kind.BOOL, "the command reads the output of another one"),
        Field("substituted", Kind.BOOL, "the command is inside `$(...)`, backticks, `<(...)` or `>(...)`"),
        Field("nested", Kind.BOOL, "another command runs it: `sudo`, `env`, `xargs`, `find -exec`, `bash -c`, "
              "`eval`..."),
        Field("elevated", Kind.BOOL, "`sudo`, `doas` or `pkexec` runs it"),
        Field("opaque", Kind.BOOL, "it runs code that is not part of the text: an interpreter, a script, another "
              "machine"),
    ),
)  # fmt: skip

SHELL = Struct(
    "Shell",
    (
        Field("commands", ListOf(COMMAND), "every simple command that the text can run"),
        _texts("variables", "the names of the variables whose values the text reads"),
        _texts("reads", "files that are redirected to input; missing if one is known only at run time", optional=True),
        _texts(
            "writes",
            "files that output is redirected to, except /dev/null; missing if one is known only at run time",
            optional=True,
        ),
    ),
)

SQL_STATEMENT = Struct(
    "SqlStatement",
    (
        Field("kind", Kind.STRING, "select, insert, update, delete, merge, create, drop, alter, truncate, begin, "
              "commit or rollback"),
        _texts("kinds", "the kinds of the statement and of its parts, such as a DELETE inside WITH"),
        _texts("tables", "the tables as written, `table` or `schema.table`, in lower case unless the database "
               "distinguishes case"),
        _texts("writes", "the tables that the statement changes"),
        _texts("functions", "the functions that the statement calls, in lower case, and the settings of the server "
               "that it reads, such as `@@datadir`"),
        Field("unfiltered", Kind.BOOL, "the statement contains an UPDATE, DELETE or MERGE whose condition does not "
              "restrict the rows: there is none, or it has a form such as `true`, `id = id`, `id - id = 0`, "
              "`id IS NOT NULL` or `id > 0`"),
    ),
)  # fmt: skip

SQL = Struct("Sql", (Field("statements", ListOf(SQL_STATEMENT), "the statements, in their order"),))

EXTENSION_STRUCTS = (SHELL, SQL)

_URLS = Group(
    "URLs",
    "A URL is parsed with the grammar of RFC 3986 and with the WHATWG algorithm that browsers use. It is an error if "
    "the two disagree, or if the text contains backslashes, spaces, control characters, a second `@`, encoded "
    "slashes or dots, a path that climbs above its root, or leading zeros in a port or address. Schemes are http, "
    "https, ws, wss and ftp. No name is resolved: a host name can lead to any address.",
    (
        ("url", (Overload("url_string", "", ("string",), URL, "the URL; an error if the text is not a URL"),)),
        ("isUrl", (Overload("is_url_string", "", ("string",), "bool", "`url` accepts the text"),)),
        ("scheme", (Overload("url_scheme", URL, (), "string", "the scheme in lower case"),)),
        ("host", (
            Overload("url_host", URL, (), "string",
                     "the host in lower case and punycode, without a final dot. An address is normalized, also if "
                     "it is written as `0x7f.1` or `[::ffff:127.0.0.1]`"),
        )),
        ("port", (Overload("url_port", URL, (), "int", "the port, or the default port of the scheme"),)),
        ("query", (Overload("url_query", URL, (), "string", "the text after `?`, not decoded"),)),
        ("hasUserInfo", (Overload("url_has_user_info", URL, (), "bool", "the URL has a name or password before `@`"),)),
        ("hostIsIp", (Overload("url_host_is_ip", URL, (), "bool", "the host is an IP address"),)),
        ("hostWithin", (
            Overload("url_host_within_list", URL, (_TEXTS,), "bool",
                     "the host is one of these domains or a subdomain of one; an IP address must be in the list"),
            Overload("url_host_within_string", URL, ("string",), "bool", "the same for one domain"),
        )),
        ("isPublicHost", (
            Overload("url_is_public_host", URL, (), "bool",
                     "the host is not a local, private or reserved address, nor a name that only private networks "
                     "resolve"),
        )),
    ),
)  # fmt: skip

_EMAILS = Group(
    "Mail addresses",
    "Only addresses that all mail programs read in the same way are accepted. Comments, groups, quoted local parts, "
    "`%` and `!` in local parts, address literals, display names that contain an address, and a second `@` are "
    "errors.",
    (
        ("emailAddress", (
            Overload("email_address_string", "", ("string",), EMAIL,
                     "the one address in the text, with or without a display name"),
        )),
        ("emailAddresses", (
            Overload("email_addresses_string", "", ("string",), f"list({EMAIL})",
                     "the addresses in a text, separated by commas; none for an empty text or null"),
            Overload("email_addresses_list", "", (_TEXTS,), f"list({EMAIL})", "the addresses in all the texts"),
        )),
        ("isEmailAddress", (
            Overload("is_email_address_string", "", ("string",), "bool", "`emailAddress` accepts the text"),
        )),
        ("local", (Overload("email_local", EMAIL, (), "string", "the part before `@`"),)),
        ("domain", (Overload("email_domain", EMAIL, (), "string", "the domain in lower case and punycode"),)),
        ("domainWithin", (
            Overload("email_domain_within_list", EMAIL, (_TEXTS,), "bool",
                     "the domain is one of these or a subdomain of one"),
            Overload("email_domain_within_string", EMAIL, ("string",), "bool", "the same for one domain"),
        )),
    ),
)  # fmt: skip

_PATHS = Group(
    "Paths",
    "Paths of POSIX systems, compared exactly and as text. Dots and repeated slashes are resolved. Backslashes, "
    "drives, schemes, a leading `~`, `${...}`, encoded dots and slashes, characters that look like these, and kernel "
    "links below /proc and /dev/fd are errors. **Symbolic links are not visible here**: `..` is resolved as if there "
    "were none. Whether a file system distinguishes upper and lower case is not known either. The sandbox of the "
    "tool must handle both.",
    (
        ("path", (
            Overload("path_string", "", ("string",), PATH, "an absolute path"),
            Overload("path_string_string", "", ("string", "string"), PATH,
                     "a path that is relative to a folder, unless it is absolute"),
            Overload("path_string_path", "", ("string", PATH), PATH, "the same"),
            Overload("url_path", URL, (), "string",
                     "the path of a URL, decoded once, without dots and repeated slashes"),
        )),
        ("isPath", (
            Overload("is_path_string", "", ("string",), "bool", "`path` accepts the text"),
            Overload("is_path_string_string", "", ("string", "string"), "bool", "the same with a folder"),
        )),
        ("within", (
            Overload("path_within_string", PATH, ("string",), "bool", "the path is this folder or is below it"),
            Overload("path_within_list", PATH, (_TEXTS,), "bool", "the same for any of several folders"),
            Overload("path_within_path", PATH, (PATH,), "bool", "the same for a path"),
        )),
        ("name", (Overload("path_name", PATH, (), "string", "the last segment; empty for the root"),)),
        ("extension", (
            Overload("path_extension", PATH, (), "string",
                     "the part of the name after its last dot, in lower case; empty if there is none or if the name "
                     "begins with it"),
        )),
        ("parent", (
            Overload("path_parent", PATH, (), PATH, "the folder that contains the path; the root for the root"),
        )),
        ("segments", (Overload("path_segments", PATH, (), _TEXTS, "the segments of the path"),)),
    ),
)  # fmt: skip

_GLOBS = Group(
    "Globs",
    "`*` is any text without a slash, `**` any text (`/**/` also matches a single slash), `?` one character except a "
    "slash, `{a,b}` one of the alternatives. Brackets and backslashes are errors. Case is significant.",
    (
        ("glob", (Overload("glob_string", "", ("string",), GLOB, "a glob"),)),
        ("matches", (
            Overload("matches", "", ("string", "string"), "bool",
                     "the standard function of CEL: the text contains a match of a regular expression"),
            Overload("matches_string", "string", ("string",), "bool", "the standard function of CEL, as a method"),
            Overload("glob_matches_string", GLOB, ("string",), "bool", "the glob matches the whole text"),
            Overload("glob_matches_path", GLOB, (PATH,), "bool", "the glob matches the whole path"),
            Overload("path_matches_string", PATH, ("string",), "bool", "a glob, given as text, matches the whole path"),
            Overload("path_matches_glob", PATH, (GLOB,), "bool", "the same for a glob"),
        )),
    ),
)  # fmt: skip

_VERSIONS = Group(
    "Versions",
    "Semantic Versioning 2.0.0. Comparisons ignore build metadata.",
    (
        ("semver", (Overload("semver_string", "", ("string",), SEMVER, "a version such as 1.4.0 or 2.0.0-rc.1"),)),
        ("isSemver", (Overload("is_semver_string", "", ("string",), "bool", "`semver` accepts the text"),)),
        ("major", (Overload("semver_major", SEMVER, (), "int", "the first number"),)),
        ("minor", (Overload("semver_minor", SEMVER, (), "int", "the second number"),)),
        ("patch", (Overload("semver_patch", SEMVER, (), "int", "the third number"),)),
        ("compareTo", (
            Overload("semver_compare_to_string", SEMVER, ("string",), "int", "-1, 0 or 1"),
            Overload("semver_compare_to_semver", SEMVER, (SEMVER,), "int", "the same"),
        )),
        ("isLessThan", (
            Overload("semver_is_less_than_string", SEMVER, ("string",), "bool", "the version is before the argument"),
            Overload("semver_is_less_than_semver", SEMVER, (SEMVER,), "bool", "the same"),
        )),
        ("isGreaterThan", (
            Overload("semver_is_greater_than_string", SEMVER, ("string",), "bool", "the version is after the argument"),
            Overload("semver_is_greater_than_semver", SEMVER, (SEMVER,), "bool", "the same"),
        )),
    ),
)  # fmt: skip

_SHELL = Group(
    "Shell text",
    "The text is parsed with the grammar of bash, completely or not at all. It is also an error if dash or the shell "
    "of BusyBox, which often are `sh`, would run another command or write another file than bash: a quote in `$'...'`, "
    "`&&` or `>` within `[[ ]]`, `+=`. Commands inside `sudo`, `env`, `xargs`, "
    "`find -exec`, `bash -c`, `eval` and similar commands are found, up to five levels deep. Functions, aliases, "
    "arithmetic on variables, commands whose name is known only at run time, and everything else whose meaning is "
    "not certain are errors. So `shell(args.command).commands.all(c, c.name in lists.safe)` is true only if no other "
    "command runs, except for what the listed programs start themselves: a name in such a list covers all options of "
    "the program. After `cd`, a relative path can start at several folders; every path that it can have is listed, "
    "relative to the folder in which the text starts. The result does not apply to other shells (zsh, fish, "
    "PowerShell).",
    (
        ("shell", (
            Overload("shell_string", "", ("string",), "Shell", "the commands of a text that is given to a shell"),
            Overload("shell_list", "", (_TEXTS,), "Shell",
                     "the commands of a command that is given as a list of words"),
        )),
    ),
)  # fmt: skip

_SQL = Group(
    "SQL",
    "Dialects: `postgres`, `mysql`, `sqlite`. Backslashes, dollar quotes, comments that a server may execute, and "
    "statements that the parser keeps as text (CALL, DO, COPY, PRAGMA, GRANT, ...) are errors. The name of a query "
    "in WITH is not a table.",
    (
        ("sql", (
            Overload("sql_string_string", "", ("string", "string"), "Sql", "the statements of a text in a dialect"),
        )),
    ),
)  # fmt: skip

_LOOKALIKES = Group(
    "Names that look alike",
    "Two texts look alike according to the data of Unicode Technical Report 39, ignoring accents and case. Among "
    "ASCII characters, 0 looks like o, 1 and i like l, m like rn, and w like vv.",
    (
        ("skeleton", (Overload("skeleton_string", "", ("string",), "string", "equal for texts that look alike"),)),
        ("isLookalikeOf", (
            Overload("is_lookalike_of_list", "string", (_TEXTS,), "bool",
                     "the text, or a domain above it, looks like one of these names, but is neither one of them nor "
                     "below one"),
            Overload("is_lookalike_of_string", "string", ("string",), "bool", "the same for one name"),
        )),
    ),
)  # fmt: skip

_VALUES = Group(
    "Whole values",
    "For text that can be anywhere in the arguments, whatever the tool calls them.",
    (
        ("texts", (
            Overload("texts_dyn", "", ("dyn",), _TEXTS,
                     "every text in a value at any depth, including the keys of maps, in no particular order; an "
                     "error above 5,000 texts or a million characters"),
        )),
    ),
)  # fmt: skip

_SECRETS = Group(
    "Keys and tokens",
    "The detectors are those of [Kingfisher](https://github.com/mongodb/kingfisher), with the formats of some hundred "
    "issuers. They also find keys in base64 and in percent encodings. Nothing is verified with the issuer. A key that "
    "is cut into parts, encrypted or encoded otherwise is not found.",
    (
        ("holdsSecret", (
            Overload("holds_secret_dyn", "", ("dyn",), "bool",
                     "a text in the value, at any depth, contains a key, a token or a password. The names of fields "
                     "are searched, too, and count as context. An error above 20,000 values or a million characters"),
        )),
    ),
)  # fmt: skip

GROUPS: tuple[Group, ...] = (_URLS, _EMAILS, _PATHS, _GLOBS, _VERSIONS, _SHELL, _SQL, _LOOKALIKES, _VALUES, _SECRETS)

EXTENSION_OVERLOADS: dict[str, tuple[Overload, ...]] = {
    name: overloads for group in GROUPS for name, overloads in group.functions
}
TEXT_OVERLOADS = tuple(
    (f"{name.partition('.')[2].lower()}_to_string", "", (name,), "string") for name in EXTENSION_TYPES
)
"""The overloads of `string(value)` for these types; `function_declarations.py` declares them with the others."""
