"""`stoplog audit prove` and `audit check-receipt`: what proves one verdict to somebody who doesn't have the log."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.audit.receipt_check import FILE_BYTES_MAX, ReceiptError, check, told
from streams.audit.seal_keys import KeyState
from streams.cli.commands.audit.verify import HolderOption, KeysOption, key_list, named_holders, seal_keys
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output, checked_public
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN
from streams.model.errors import StoplogError
from streams.operations.private_file import write_private
from streams.operations.topics.lookup import find_intent
from streams.operations.verify.prove import prove as prove_intent
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log


class ReceiptFileError(StoplogError):
    """A file of a receipt, or of keys, can't be read or written."""


@takes_groups
def prove(
    *,
    intent: Annotated[
        str,
        typer.Argument(metavar="INTENT", help="An intent, or its verdict, alert or question; the beginning is enough."),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The file of the receipt.")],
    keys: KeysOption = None,
    holder: HolderOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Write a receipt: a file that proves an intent's verdict and its audit record, without the log.

    The file has the verdict as it was given, with the arguments of the call in plain text, and the key for the values
    of the call's result. Give it to nobody who may not see them.
    """
    screen, settings = output.screen(), connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    trusted = seal_keys(settings, keys, holder)
    with open_log(settings, create=False) as opened:
        owner = find_intent(opened, codec, clock, intent, settings.tenant)
        made = prove_intent(opened, codec, clock, trusted, owner, settings.content.trusted())
    text = made.text()
    check(text, [made.key])
    try:
        write_private(out, text)
    except OSError as error:
        raise ReceiptFileError(f"`{out}` can't be written: {error.strerror}") from None
    screen.record({"record": "receipt", "file": str(out), "intent_id": owner.intent_id, "key": made.key})
    screen.say(f"wrote the receipt of intent {owner.intent_id} to {out}", OK)
    screen.say("it holds the arguments of the call in plain text", WARN)
    screen.say(f"check it anywhere: stoplog audit check-receipt {out} --key {made.key}")


@takes_groups
def check_receipt(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The receipt.")],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="A public key of gates that you trust. Can be repeated."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="The list of gates' keys that you trust.")
    ] = None,
    holder: HolderOption = None,
    output: Output,
) -> None:
    """Check a receipt without the log, and say whether the act was within the user's request, and on what facts.

    The exit status is 1 if the receipt doesn't hold. Whoever has only the file can check it with the one file
    `streams/audit/receipt_check.py`.
    """
    screen = output.screen()
    trusted, own, holders = [checked_public(each, "--key") for each in key or ()], None, named_holders(keys, holder)
    if keys is not None:
        listed = key_list(keys)
        own = listed.checked(holders).origin(0)
        # Whether a seal is from before a key was retired, only its time says, and that is not signed.
        trusted += [each.key for each in listed.keys if each.state is not KeyState.REVOKED]
    if not trusted:
        text = "name a public key of gates that you trust (`--key KEY`), or your list of them (`--keys FILE`)"
        raise typer.BadParameter(text, param_hint="--key")
    try:
        found = check(_read(file), trusted)
        if own is not None and found["origin"].rpartition("/")[0] != own.rpartition("/")[0]:
            raise ReceiptError(f"it is of the log `{found['origin']}`, and the keys are those of another deployment")
    except ReceiptError as error:
        screen.record({"record": "receipt", "file": str(file), "holds": False, "fault": str(error)})
        screen.say(f"the receipt does not hold: {error}", FAIL)
        raise typer.Exit(FAILED) from None
    proven = {"audit_event" if name == "record" else name: value for name, value in _plain(found).items()}
    screen.record({"record": "receipt", "file": str(file), "holds": True, **proven})
    first, *lines = told(found)
    screen.say(first, OK)
    for line in lines:
        screen.prose(line, STRONG if line.endswith("; the facts:") else FAINT if line.startswith("not proven") else "")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ReceiptFileError(f"`{file}` can't be read: {error.strerror}") from None


def _plain(value: Any) -> Any:
    """Return a value with its bytes in base64, for JSON."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
