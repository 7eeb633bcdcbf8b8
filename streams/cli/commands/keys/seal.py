"""`stoplog keys seal`: the keys with which gates sign what proves their verdicts, and the list of those that count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams.audit.seal_key_list import LIST_BYTES_MAX, ListedKey, SealKeyList
from streams.audit.seal_keys import KeyState, SealKeysError
from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output, PassphraseOption, checked_public, load_key
from streams.cli.terminal.screen import OK, Screen
from streams.codec.instants import instant_text
from streams.operations.private_file import changing, replace_whole
from streams.operations.signing_keys import make_key_file
from streams.sdk.keys.root_key import load_root_key
from streams.wiring.clock import SystemClock

seal_app = make_app("Create keys of gates, and list those whose seals count.")

ListFile = Annotated[Path, typer.Argument(metavar="FILE", help="The list; it is created if it is not there.")]


@seal_app.callback()
def _seal() -> None:
    """Create keys of gates, and list those whose seals count."""


@seal_app.command("new")
@takes_groups
def new_seal_key(
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The new file for the private key.")],
    output: Output,
) -> None:
    """Create the key with which gates sign what proves their verdicts. An existing file is never overwritten.

    Give the file to gates alone: whoever has it can have executors run anything. Executors and auditors need the public
    key only.
    """
    screen = output.screen()
    key = make_key_file(out)
    screen.record({"private_key": str(out), "public_key": str(key.public), "kid": key.public.kid})
    screen.say(f"private key created: {out}", OK)
    screen.say("list the public key for executors and auditors, under a name of your choice:\n", lines=True)
    screen.say(f"    stoplog keys seal list seal-keys.json --add NAME={key.public}\n", lines=True)
    screen.say("when they have the list, let the gates sign with the key:\n", lines=True)
    screen.say(f'    [seal]\n    key_file = "{out}"', lines=True)


@seal_app.command("show")
@takes_groups
def show_seal_key(*, connection: Connection, output: Output) -> None:
    """Print the public half of the key that gates with these settings sign with. The command needs the key itself."""
    screen, settings = output.screen(), connection.settings()
    is_derived = settings.seal.is_derived
    key = settings.seal.signer(load_root_key(settings.key_path) if is_derived else b"")
    screen.record({"public_key": str(key.public), "kid": key.public.kid, "derived": is_derived})
    screen.say(str(key.public), lines=True)
    if is_derived:
        screen.say(
            "it is derived from the root key, for development; in production, `stoplog keys seal new --out FILE`"
        )


@seal_app.command("list")
@takes_groups
def list_seal_keys(
    file: ListFile,
    *,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="NAME=KEY", help="A key whose seals count from now on. Can be repeated."),
    ] = None,
    retire: Annotated[
        list[str] | None,
        typer.Option("--retire", metavar="NAME", help="A key that no gate signs with any more. Can be repeated."),
    ] = None,
    revoke: Annotated[
        list[str] | None,
        typer.Option(
            "--revoke",
            metavar="NAME",
            help="A key that others may have: no seal of it counts any more. Can be repeated.",
        ),
    ] = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment", metavar="NAME", help="The gates' setting `gate.deployment`.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Sign the list with this key, as one of its holders.")
    ] = None,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Print the list of the keys whose seals count, or change it.

    Executors and auditors read the file while they run, and take a change within a second. Every change raises its
    number and drops its signatures, so sign it again.
    """
    screen = output.screen()
    # First, because it may ask for a passphrase.
    holder = None if key is None else load_key(key, passphrase_file)
    try:
        # What one of two commands revokes must not count again because of the other.
        with changing(file):
            before = _read(file, deployment)
            keys = _changed(before, add or [], retire or [], revoke or [], SystemClock().now_ms())
            is_same = keys == list(before.keys) and deployment in (None, before.deployment)
            after = before if is_same else before.changed(keys)
            if deployment is not None:
                after = msgspec.structs.replace(after, deployment=deployment)
            if holder is not None:
                after = after.signed(holder)
            if not after.keys:
                raise SealKeysError(
                    f"`{file}` is not there, and lists no key yet; name the first one with `--add NAME=KEY`"
                )
            after.checked(None)
            if after != before:
                _write(file, after)
    except OSError as error:
        raise SealKeysError(f"`{file}` can't be read: {error.strerror}") from None
    _show(screen, file, after)


def _read(file: Path, deployment: str | None) -> SealKeyList:
    try:
        with file.open("rb") as opened:
            return SealKeyList.parse(opened.read(LIST_BYTES_MAX + 1))
    except FileNotFoundError:
        return SealKeyList(deployment=deployment or "", serial=0, keys=())


def _changed(before: SealKeyList, add: list[str], retire: list[str], revoke: list[str], now_ms: int) -> list[ListedKey]:
    """Return the keys with the changes that were asked for.

    INVARIANT: no change lets a seal count that did not count before it, except for those of a new key. So a revoked key
    stays revoked, and a retired one keeps the instant at which it was retired.

    Raises:
        BadParameter: a name is not in the list, or is there already, or is that of a revoked key that is to be retired.
    """
    keys = {each.name: each for each in before.keys}
    for text in add:
        name, separator, public = text.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"write NAME=KEY, such as `gates=ed25519:...`; found `{text}`", param_hint="--add")
        checked_public(public, "--add")
        if name in keys:
            raise typer.BadParameter(f"the list has a key `{name}` already; give the new one another name")
        keys[name] = ListedKey(name=name, key=public)
    for name in (*retire, *revoke):
        if name not in keys:
            raise typer.BadParameter(f"the list has no key `{name}`")
        known = keys[name]
        if name in revoke:
            keys[name] = ListedKey(name=name, key=known.key, state=KeyState.REVOKED)
        elif known.state is KeyState.REVOKED:
            raise typer.BadParameter(f"key `{name}` is revoked; if it was retired, its earlier seals would count again")
        elif known.state is KeyState.ACTIVE:
            keys[name] = ListedKey(name=name, key=known.key, state=KeyState.RETIRED, until_ms=now_ms)
    return list(keys.values())


def _write(file: Path, listed: SealKeyList) -> None:
    """Replace the file at once, so that executors, which read it again and again, see the one list or the other."""
    try:
        replace_whole(file, listed.format())
    except OSError as error:
        raise SealKeysError(f"`{file}` can't be written: {error.strerror}") from None


def _show(screen: Screen, file: Path, listed: SealKeyList) -> None:
    screen.record(
        {
            "file": str(file),
            "deployment": listed.deployment,
            "serial": listed.serial,
            "keys": [{"name": each.name, "key": each.key, "state": each.state.value} for each in listed.keys],
            "signed_by": [each.kid for each in listed.signatures],
        }
    )
    signed = f"signed by {len(listed.signatures)}" if listed.signatures else "not signed"
    named = f" of deployment `{listed.deployment}`" if listed.deployment else ""
    screen.say(f"list {listed.serial} of the keys of gates{named}, {signed}: {file}", OK)
    width = max((len(each.name) for each in listed.keys), default=0)
    for each in listed.keys:
        until = "" if each.until_ms is None else f"  since {instant_text(each.until_ms)}"
        screen.say(f"    {each.state.value:<8} {each.name:<{width}}  {each.key}{until}")
