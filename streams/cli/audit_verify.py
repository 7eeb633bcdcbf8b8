"""`stoplog audit verify`: whether anything of the recorded log was changed, dropped, reordered, cut off or forked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.audit.seal_key_list import LIST_BYTES_MAX, SealKeyList
from streams.audit.seals import SealKey, SealKeys, SealKeysError
from streams.cli.findings import many
from streams.cli.main import FAILED
from streams.cli.option_groups import takes_groups
from streams.cli.options import Connection, Output
from streams.cli.screen import FAIL, FAINT, OK, WARN, Screen
from streams.operations.root_key import load_root_key
from streams.operations.verify.offences import MEANINGS
from streams.operations.verify.partition import PartitionReport
from streams.operations.verify.run import HEADS_BYTES_MAX, KeptHeads, KeptHeadsError, LogReport, verify_log
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

KeysOption = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        metavar="FILE",
        help="The list of gates' keys (`stoplog keys seal list`). By default the key that these settings sign with.",
    ),
]
HolderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--holder",
        metavar="NAME=KEY",
        help="A person who may sign the list of keys. Repeatable: one of those that you name must have signed it.",
    ),
]


@takes_groups
def verify(
    *,
    keys: KeysOption = None,
    holder: HolderOption = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="Heads of an earlier run: the log must go on from them."),
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="FILE", help="Write the heads to this file, if nothing is wrong. Keep it."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The log has its beginning: report what is missing there as an offence.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Check that every verdict is on the record, and that nothing of the record was changed since.

    Reads verdicts, audit records and heads from the log alone. The first offence of each partition is shown with its
    topic, partition and offset; the exit status is then 1. Only `--since` shows whether the end of all three topics was
    cut off.
    """
    screen, settings = output.screen(), connection.settings()
    trusted = seal_keys(settings, keys, holder)
    known = {} if since is None else KeptHeads.parse(_read(since, HEADS_BYTES_MAX)).checked(trusted)
    report = LogReport()
    with open_log(settings, create=False) as opened:
        found = verify_log(opened, build_codec(settings), SystemClock(), trusted, since=known, is_whole=whole)
        for each in found:
            report.partitions.append(each)
            screen.record(_fields(each))
            _tell(screen, each)
    _sum_up(screen, report, is_derived=keys is None)
    if report.first is not None:
        raise typer.Exit(FAILED)
    if heads is not None:
        heads.write_bytes(report.heads().format())
        screen.say(f"wrote the heads to {heads}: keep it where nobody can change it who may write the log", OK)
    elif since is None:
        screen.say("whether the end was cut off shows with --since and the heads that an earlier run has kept", FAINT)


def seal_keys(settings: Settings, file: Path | None, holders: list[str] | None) -> SealKeys:
    """Return the keys whose seals count: of a list, or the one that gates with these settings sign with. Blocking.

    Raises:
        SealKeysError: the list can't be read or used.
        BadParameter: a holder is not `NAME=KEY`, or holders are given without a list.
    """
    named = {}
    for text in holders or []:
        name, separator, public = text.partition("=")
        if not separator or not name or file is None:
            raise typer.BadParameter(f"`{text}` is not NAME=KEY, or there is no --keys FILE", param_hint="--holder")
        named[name] = public
    if file is None:
        root_key = load_root_key(settings.key_path) if settings.seal.is_derived else b""
        return SealKeys.of([SealKey("own", settings.seal.signer(root_key).public)], settings.gate.deployment)
    try:
        return SealKeyList.parse(_read(file, LIST_BYTES_MAX)).checked(named or None)
    except KeptHeadsError as error:
        raise SealKeysError(str(error)) from None


def _read(file: Path, bytes_max: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max + 1)
    except OSError as error:
        raise KeptHeadsError(f"`{file}` can't be read: {error.strerror}") from None


def _fields(report: PartitionReport) -> dict[str, object]:
    offence = report.offence
    return {
        "record": "partition",
        "partition": report.partition,
        "verdicts": report.verdicts,
        "audit_records": report.audits,
        "seals": report.seals,
        "size": report.size,
        "offence": None
        if offence is None
        else {
            "kind": offence.kind.value,
            "topic": offence.topic,
            "partition": offence.partition,
            "offset": offence.offset,
            "text": offence.text,
        },
        "unknown": report.unknown,
    }


def _tell(screen: Screen, report: PartitionReport) -> None:
    offence = report.offence
    for text in report.unknown:
        screen.say(f"partition {report.partition}: can't be known: {text}", WARN)
    if offence is not None:
        screen.say(f"partition {report.partition}: {offence.kind.value} at {offence.place}", FAIL)
        screen.say(f"    {offence.text}")
        screen.say(f"    {MEANINGS[offence.kind]}", FAINT)
        screen.say(f"    up to there, {many(report.size, 'record')} of the log are as they were sealed", FAINT)


def _sum_up(screen: Screen, report: LogReport, *, is_derived: bool) -> None:
    found = report.partitions
    offences = sum(each.offence is not None for each in found)
    verdicts, audits = sum(each.verdicts for each in found), sum(each.audits for each in found)
    seals = sum(each.seals for each in found)
    screen.record(
        {"record": "summary", "verdicts": verdicts, "audit_records": audits, "seals": seals, "offences": offences}
    )
    told = f"{many(verdicts, 'verdict')} and {many(audits, 'audit record')} under {many(seals, 'seal')}"
    if offences:
        screen.say(
            f"{told} are as gates wrote them; {offences} of {many(len(found), 'partition')} can't be relied on", FAIL
        )
    elif not seals:
        screen.say("nothing is sealed on this log, so nothing is proven", WARN)
    else:
        screen.say(f"{told}: nothing was changed, dropped, reordered or forked", OK)
    if is_derived:
        screen.say("checked with the key of these settings; name the list that auditors keep with --keys", FAINT)
