"""`stoplog audit verify`: whether anything of the recorded log was changed, dropped, reordered, cut off or forked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from streams.audit.seal_key_list import LIST_BYTES_MAX, SealKeyList
from streams.audit.seal_keys import SealKey, SealKeys, SealKeysError
from streams.audit.seals import NOTARY_LOG
from streams.audit.signatures import SigningKeyError
from streams.cli.main import FAILED, NOT_PROVEN
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output, checked_public
from streams.cli.terminal.screen import FAIL, FAINT, OK, WARN, Screen
from streams.model.plurals import many
from streams.model.topics import AUDIT_REPORTED
from streams.operations.private_file import replace_whole
from streams.operations.verify.offences import MEANINGS
from streams.operations.verify.partition import PartitionReport
from streams.operations.verify.run import (
    HEADS_BYTES_MAX,
    KeptHeads,
    KeptHeadsError,
    LogReport,
    LogSource,
    RecordSource,
    verify_log,
    verify_reported,
)
from streams.sdk.keys.root_key import RootKeyError, load_root_key
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

_REPORTS = "reports and session events"
_OTHERS = "records of others"

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
        help="A person who may sign the list of keys. Can be repeated: one of them must have signed it.",
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
        typer.Option(
            "--heads",
            metavar="FILE",
            help="Write the heads to this file, unless something is wrong, for a later `--since`.",
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            metavar="DIR",
            help="Check the copy that `audit export --raw` has written, in place of the log.",
        ),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The log has its beginning: report what is missing there as an offence.")
    ] = False,
    connection: Connection,
    output: Output,
) -> None:
    """Check that the audit log has a record of every verdict, and that nothing was changed since.

    Reports of executors and agents, and session events, are compared with what gates have read and sealed; a copy
    (`--archive`) does not have them. What others put on the record is compared with what the notaries beside the gates
    have sealed. The first offence of each partition is shown with its topic, partition and offset; the exit status is
    then 1. It is 3 if nothing is proven: the log, or a partition with verdicts, has no seal. Whether the ends of all
    topics were cut off at once shows only with `--since`.
    """
    screen, settings = output.screen(), connection.settings()
    trusted = seal_keys(settings, keys, holder)
    kept = KeptHeads({}) if since is None else KeptHeads.parse(_read(since, HEADS_BYTES_MAX))
    known, reported = kept.checked(trusted), kept.checked(trusted, NOTARY_LOG)
    report, codec = LogReport(), build_codec(settings)
    with _opened(settings, archive) as source:
        for each in verify_log(source, codec, trusted, since=known, is_whole=whole):
            report.partitions.append(each)
            screen.record(_fields(each))
            _tell(screen, each)
        for each in verify_reported(source, codec, trusted, since=reported, is_whole=whole):
            report.reported.append(each)
            screen.record(_reported_fields(each))
            _tell(screen, each)
    _sum_up(screen, report, is_derived=keys is None)
    if report.first is not None:
        raise typer.Exit(FAILED)
    if heads is not None and report.seals:
        # Mostly in place of those that were compared: a disk that is full must not take these away.
        replace_whole(heads, report.heads().format())
        screen.say(f"wrote the heads to {heads}: keep them where nobody who may write the log can change them", OK)
    elif heads is None and since is None:
        text = (
            "whether the end was cut off is not known: keep heads (--heads FILE), and compare them later (--since FILE)"
        )
        screen.prose(text, FAINT)
    if not report.is_proven:
        raise typer.Exit(NOT_PROVEN)


@contextmanager
def _opened(settings: Settings, archive: Path | None) -> Iterator[RecordSource]:
    """Open what has the records: a copy, or the log of the settings."""
    if archive is not None:
        from streams.operations.archive.copies import CopySource  # noqa: PLC0415 - needs an extra

        yield CopySource(archive)
        return
    with open_log(settings, create=False) as opened:
        yield LogSource(opened, SystemClock())


def seal_keys(settings: Settings, file: Path | None, holders: list[str] | None) -> SealKeys:
    """Return the keys whose seals count: of a list, or the one that gates with these settings sign with. Blocking.

    Raises:
        SealKeysError: the list can't be read or used.
        BadParameter: a holder is not `NAME=KEY`, or holders are given without a list.
    """
    named = named_holders(file, holders)
    if file is None:
        return _own_keys(settings)
    return key_list(file).checked(named)


def key_list(file: Path) -> SealKeyList:
    """Return a list of the gates' keys, of which nothing is checked yet. Blocking.

    Raises:
        SealKeysError: it can't be read, or is no such list; the message names the file.
    """
    try:
        return SealKeyList.parse(_read(file, LIST_BYTES_MAX))
    except KeptHeadsError as error:
        raise SealKeysError(str(error)) from None
    except SealKeysError as error:
        raise SealKeysError(f"`{file}` can't be used: {error}") from None


def named_holders(file: Path | None, holders: list[str] | None) -> dict[str, str] | None:
    """Return the people of whom one must have signed a list of keys; None if none are named.

    Raises:
        BadParameter: a holder is not `NAME=KEY`, or holders are given without a list.
    """
    named = {}
    for text in holders or []:
        name, separator, public = text.partition("=")
        if not separator or not name or file is None:
            raise typer.BadParameter(f"`{text}` is not NAME=KEY, or there is no --keys FILE", param_hint="--holder")
        checked_public(public, "--holder")
        named[name] = public
    return named or None


def _own_keys(settings: Settings) -> SealKeys:
    try:
        root_key = load_root_key(settings.key_path) if settings.seal.is_derived else b""
        public = settings.seal.signer(root_key).public
    except (RootKeyError, SigningKeyError) as error:
        # Who checks a log needs no secret key, so the advice to create one would be wrong.
        text = "name the list of the gates' public keys with `--keys FILE`"
        raise SealKeysError(
            f"{text}: the key that gates with these settings sign with is not known here ({error.fault})"
        ) from None
    return SealKeys.of([SealKey("own", public)], settings.gate.deployment)


def _read(file: Path, bytes_max: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max + 1)
    except OSError as error:
        raise KeptHeadsError(f"`{file}` can't be read: {error.strerror}") from None


def _fields(report: PartitionReport) -> dict[str, object]:
    return {
        "record": "partition",
        "partition": report.partition,
        "verdicts": report.verdicts,
        "audit_records": report.audits,
        "reports": report.inputs,
        **_common_fields(report),
    }


def _reported_fields(report: PartitionReport) -> dict[str, object]:
    return {
        "record": "reported",
        "partition": report.partition,
        "records": report.reported,
        **_common_fields(report),
    }


def _common_fields(report: PartitionReport) -> dict[str, object]:
    offence = report.offence
    return {
        "seals": report.seals,
        "size": report.size,
        "unsealed_verdicts": report.unsealed,
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
        screen.prose(f"partition {report.partition}: can't be known: {text}", WARN)
    if offence is not None:
        screen.say(f"partition {report.partition}: {offence.kind.value} at {offence.place}", FAIL)
        screen.say(f"    {offence.text}")
        screen.say(f"    {MEANINGS[offence.kind]}", FAINT)
        sealed = "is as it was sealed" if report.size == 1 else "are as they were sealed"
        whose = "of what others put on the record" if report.log == NOTARY_LOG else "of the log"
        screen.say(f"    up to there, {many(report.size, 'record')} {whose} {sealed}", FAINT)


def _sum_up(screen: Screen, report: LogReport, *, is_derived: bool) -> None:
    found, others = report.partitions, report.reported
    offences = len({each.partition for each in (*found, *others) if each.offence is not None})
    verdicts, audits = sum(each.verdicts for each in found), sum(each.audits for each in found)
    seals, inputs = report.seals, sum(each.inputs for each in found)
    reported = sum(each.reported for each in others)
    screen.record(
        {
            "record": "summary",
            "verdicts": verdicts,
            "audit_records": audits,
            "reports": inputs,
            "reports_not_compared": sum(each.not_compared for each in found),
            "reported_records": reported,
            "seals": seals,
            "unsealed_verdicts": sum(report.unsealed.values()),
            "offences": offences,
            "proven": report.is_proven,
            "not_checked": [] if others else [AUDIT_REPORTED.name],
        }
    )
    counted = [many(verdicts, "verdict"), many(audits, "audit record")]
    counted += [many(inputs, "report", _REPORTS)] if inputs else []
    counted += [many(reported, "record of others", _OTHERS)] if reported else []
    told = f"{', '.join(counted[:-1])} and {counted[-1]} under {many(seals, 'seal')}"
    if offences:
        bad = f"{offences} of {many(len(found), 'partition')} can't be relied on"
        screen.prose(f"{told} are as they were sealed; {bad}", FAIL)
    elif not seals:
        screen.prose("NOT PROVEN: nothing is sealed on this log, so nobody can tell whether it was changed", WARN)
    else:
        screen.prose(f"{told}: nothing was changed, dropped, reordered or forked", OK)
    if seals and report.unsealed:
        where = ", ".join(map(str, report.unsealed))
        text = f"NOT PROVEN: {many(sum(report.unsealed.values()), 'verdict')} on partitions without a seal ({where})"
        screen.prose(f"{text}: nobody can tell whether they were changed", WARN)
    left = sum(each.not_compared for each in found)
    if left:
        screen.prose(f"{many(left, 'report', _REPORTS)} could not be compared: their topics are not here", WARN)
    if not others:
        text = f"what others put on the record (`{AUDIT_REPORTED.name}`): it is not here with its seals"
        screen.prose(f"not checked: {text}", FAINT)
    if is_derived:
        screen.prose("checked with the key of these settings; name the list that auditors keep with --keys", FAINT)
