"""Making publications of rules, signing them, and putting them on the topic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from streams.audit.keyring import with_signature
from streams.audit.signatures import SigningKey
from streams.codec.jsonform import JsonFormError, from_json, to_json
from streams.model.bundle_files import files_form, files_of
from streams.model.bundle_signature import publication_key, publication_message
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError, StoplogError
from streams.model.topics import RULESET
from streams.model.types import Header
from streams.operations.operator import Operator
from streams.operations.rules.history import RuleHistory, read_history
from streams.policy import bundle_from_files, compile_bundle, load_bundle
from streams.policy.language.bundle import BundleSource

DRAFT_FORM = "stoplog rules publication v1"
DRAFT_BYTES_MAX = 64_000_000
KEPT_MAX = 20
"""Publications that stay on the topic besides those in force; older ones are taken off, and can't be gone back to."""

replace = msgspec.structs.replace


class PublicationError(StoplogError):
    """A publication can't be made, read or published; says why, and what to do."""


class Published(NamedTuple):
    """What was published; `is_new` is False where the same rules are in force already."""

    bundle: RulesetBundle
    is_new: bool


def make_bundle(
    source: BundleSource,
    *,
    header: Header,
    name: str,
    version: str,
    serial: int,
    published_by: str,
    action: BundleAction = BundleAction.PUBLISH,
    canary_bp: int = 0,
) -> RulesetBundle:
    """A publication of files, without signatures. See `RulesetBundle`."""
    form = files_form(source.files)
    return RulesetBundle(
        header=header,
        name=name,
        version=version,
        serial=serial,
        digest=source.digest,
        files=form.files,
        packed=form.packed,
        published_by=published_by,
        action=action,
        canary_bp=canary_bp,
    )


def draft_directory(
    operator: Operator, directory: Path, name: str, *, canary_bp: int = 0, serial: int | None = None
) -> RulesetBundle:
    """A publication of the bundle in a directory, under a serial above every earlier one of its name.

    Args:
        name: what gates enforce it under (setting `gate.bundle_name`).
        canary_bp: for which share of sessions, in hundredths of a percent; 0 for all.
        serial: instead of the next one that the topic shows; for a topic that has lost its records.

    Raises:
        BundleReadError: its files can't be read.
        BundleError: it is refused; every gate would refuse it, too.
        PublicationError: a share is asked for where no rules are in force that the other sessions could have.
        TopicReadError, LogError: the topic can't be read.
    """
    source = load_bundle(directory)
    compiled = compile_bundle(source)
    history = read_history(operator, name)
    if canary_bp and history.stable is None:
        raise PublicationError(
            f"no rules of bundle `{name}` are in force for the other sessions; publish without a share"
        )
    return make_bundle(
        source,
        header=operator.header(),
        name=name,
        version=compiled.version,
        serial=history.next_serial if serial is None else serial,
        published_by=operator.name,
        canary_bp=canary_bp,
    )


def draft_promotion(operator: Operator, name: str) -> RulesetBundle:
    """A publication for all sessions of the rules that a share of them has.

    Raises:
        PublicationError: there are none.
        TopicReadError, LogError: the topic can't be read.
    """
    history = read_history(operator, name)
    if history.canary is None:
        raise PublicationError(f"no rules of bundle `{name}` are in force for a share of sessions; see `rules status`")
    return _anew(operator, history, history.canary.bundle, BundleAction.PROMOTE)


def draft_rollback(operator: Operator, name: str, to: int | None = None) -> RulesetBundle:
    """A publication of rules that were in force before, under a new serial.

    Args:
        to: the serial that they had. By default: where a share of sessions has other rules, those of the rest;
            otherwise the last that were in force for all before those of now.

    Raises:
        PublicationError: there are none.
        TopicReadError, LogError: the topic can't be read.
    """
    history = read_history(operator, name)
    if to is not None:
        wanted = history.of_serial(to)
        if wanted is None:
            kept = ", ".join(str(each.bundle.serial) for each in history.standing) or "none"
            raise PublicationError(f"serial {to} of bundle `{name}` is not on the topic any more; there are: {kept}")
    else:
        wanted = history.stable if history.canary is not None else history.former
        if wanted is None:
            raise PublicationError(f"bundle `{name}` has no earlier rules on the topic to go back to")
    if wanted.bundle.action is BundleAction.WITHDRAW:
        raise PublicationError(
            f"serial {wanted.bundle.serial} of bundle `{name}` withdrew the rules; name another (`--to`)"
        )
    return _anew(operator, history, wanted.bundle, BundleAction.ROLLBACK)


def _anew(operator: Operator, history: RuleHistory, bundle: RulesetBundle, action: BundleAction) -> RulesetBundle:
    return replace(
        bundle,
        header=operator.header(),
        serial=history.next_serial,
        published_by=operator.name,
        action=action,
        canary_bp=0,
        signatures=(),
    )


def sign(bundle: RulesetBundle, key: SigningKey) -> RulesetBundle:
    """The publication with one more signature; a former one by the same key is replaced."""
    return replace(bundle, signatures=with_signature(bundle.signatures, publication_message(bundle), key))


def check_draft(bundle: RulesetBundle) -> BundleSource:
    """That a publication is what it says, and that gates would take its rules.

    Raises:
        PublicationError: its files are not those of its digest, or it contradicts itself.
        BundleError: gates would refuse its rules.
    """
    try:
        source = bundle_from_files(files_of(bundle))
    except ValueError as error:
        raise PublicationError(f"the draft's files can't be read: {error}") from None
    if source.digest != bundle.digest:
        raise PublicationError("the draft's files are not those that its digest was made of; make a new one")
    compiled = compile_bundle(source)
    if compiled.version != bundle.version:
        raise PublicationError(f"the draft says version `{bundle.version}`, its rules say `{compiled.version}`")
    return source


def publish(operator: Operator, bundle: RulesetBundle) -> Published:
    """Put a publication on the topic, and take off what is older than `KEPT_MAX` others. Blocks until it is stored.

    Raises:
        PublicationError: it lacks signatures, or was overtaken by another.
        TopicReadError, PublishError, LogError: the topic can't be read, or it is not known to be stored.
    """
    try:
        operator.deployment.rules.trusted().signers(bundle)
    except RecordError as error:
        raise PublicationError(str(error)) from None
    history = read_history(operator, bundle.name)
    same = _in_force(bundle, history)
    if same is not None:
        return Published(same, is_new=False)
    if bundle.serial < history.next_serial:
        raise PublicationError(
            f"serial {bundle.serial} of bundle `{bundle.name}` is not above {history.next_serial - 1}, which is on the "
            "topic: something was published since; make a new draft"
        )
    operator.write(RULESET, [(publication_key(bundle), bundle, bundle.header)])
    operator.delete(RULESET, history.outdated(KEPT_MAX - 1))
    return Published(bundle, is_new=True)


def _in_force(bundle: RulesetBundle, history: RuleHistory) -> RulesetBundle | None:
    """The publication by which all sessions have these rules already."""
    stable = history.stable
    if stable is None or history.canary is not None or bundle.canary_bp or bundle.action is not BundleAction.PUBLISH:
        return None
    is_same = stable.bundle.digest == bundle.digest and stable.bundle.action is not BundleAction.WITHDRAW
    return stable.bundle if is_same else None


def write_draft(bundle: RulesetBundle, path: Path) -> None:
    """Write a publication to a file, for others to sign. Blocking.

    Raises:
        PublicationError: it can't be written.
    """
    data = msgspec.json.format(msgspec.json.encode({"form": DRAFT_FORM, "publication": to_json(bundle)}), indent=1)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        beside.write_bytes(data + b"\n")
        beside.replace(path)
    except OSError as error:
        raise PublicationError(f"draft `{path}` can't be written: {error.strerror}") from None


def read_draft(path: Path) -> RulesetBundle:
    """Read a publication from a file; nothing of it is checked but its form. Blocking.

    Raises:
        PublicationError: it can't be read, or is no draft.
    """
    try:
        with path.open("rb") as file:
            data = file.read(DRAFT_BYTES_MAX + 1)
    except OSError as error:
        raise PublicationError(f"draft `{path}` can't be read: {error.strerror}") from None
    if len(data) > DRAFT_BYTES_MAX:
        raise PublicationError(f"draft `{path}` has more than {DRAFT_BYTES_MAX} bytes")
    try:
        draft = msgspec.json.decode(data)
        if not isinstance(draft, dict) or draft.get("form") != DRAFT_FORM:
            raise PublicationError(f"`{path}` is no draft of this version; make one with `stoplog rules publish --out`")
        return from_json(RulesetBundle, draft.get("publication"), "publication")
    except (msgspec.DecodeError, JsonFormError) as error:
        raise PublicationError(f"`{path}` is no draft: {error}") from None
