"""Makes, signs and publishes bundles of rules."""

from __future__ import annotations

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
from streams.operations.bounded_file import read_bounded
from streams.operations.operator import Operator
from streams.operations.private_file import replace_whole
from streams.operations.rules.history import RuleHistory, read_history
from streams.policy import bundle_from_files, compile_bundle, load_bundle
from streams.policy.language.bundle import BundleSource

DRAFT_FORM = "stoplog rules publication v1"
DRAFT_BYTES_MAX = 64_000_000
KEPT_MAX = 20
"""How many publications stay on the topic besides those in force. Older ones are deleted, so a rollback can't use
them."""

replace = msgspec.structs.replace


class PublicationError(StoplogError):
    """A publication can't be made, read or published; says why, and what to do."""


class Published(NamedTuple):
    """A publication; `is_new` is False if the same rules were in force already."""

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
    canary_bp: int = 0,
) -> RulesetBundle:
    """Return an unsigned publication of files. See `RulesetBundle`."""
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
        action=BundleAction.PUBLISH,
        canary_bp=canary_bp,
    )


def draft_directory(
    operator: Operator, directory: Path, name: str, *, canary_bp: int = 0, serial: int | None = None
) -> RulesetBundle:
    """Return an unsigned publication of a directory, with a higher serial than all earlier ones of its name.

    Args:
        name: the bundle's name, which gates enforce (setting `gate.bundle_name`).
        canary_bp: the share of sessions, in hundredths of a percent; 0 for all.
        serial: the serial, if the topic has lost its records; by default the next one.

    Raises:
        BundleReadError: its files can't be read.
        BundleError: the rules are invalid; every gate would reject them.
        PublicationError: a share is given, but no rules are in force for the other sessions.
        TopicReadError, LogError: the topic can't be read.
    """
    source = load_bundle(directory)
    compiled = compile_bundle(source)
    history = read_history(operator, name)
    if canary_bp and history.stable is None:
        raise PublicationError(
            f"no rules of bundle `{name}` are in force for the other sessions; publish without a share first"
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
    """Return an unsigned publication, for all sessions, of the rules that a share of them has.

    Raises:
        PublicationError: no rules are in force for a share of sessions.
        TopicReadError, LogError: the topic can't be read.
    """
    history = read_history(operator, name)
    if history.canary is None:
        raise PublicationError(f"no rules of bundle `{name}` are in force for a share of sessions; see `rules status`")
    return _again(operator, history, history.canary.bundle, BundleAction.PROMOTE)


def draft_rollback(operator: Operator, name: str, to: int | None = None) -> RulesetBundle:
    """Return an unsigned publication of earlier rules, with a new serial.

    Args:
        to: the serial of the earlier rules. By default, if a share of sessions has other rules, those of the other
            sessions; otherwise the rules that were in force for all before the current ones.

    Raises:
        PublicationError: there are no such rules.
        TopicReadError, LogError: the topic can't be read.
    """
    history = read_history(operator, name)
    if to is not None:
        wanted = history.of_serial(to)
        if wanted is None:
            kept = ", ".join(str(each.bundle.serial) for each in history.standing) or "none"
            raise PublicationError(f"serial {to} of bundle `{name}` is not on the topic; the topic has: {kept}")
    else:
        wanted = history.stable if history.canary is not None else history.former
        if wanted is None:
            raise PublicationError(f"the topic has no earlier rules of bundle `{name}`")
    if wanted.bundle.action is BundleAction.WITHDRAW:
        raise PublicationError(
            f"serial {wanted.bundle.serial} of bundle `{name}` withdrew the rules; give another one with `--to`"
        )
    return _again(operator, history, wanted.bundle, BundleAction.ROLLBACK)


def _again(operator: Operator, history: RuleHistory, bundle: RulesetBundle, action: BundleAction) -> RulesetBundle:
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
    """Return the publication with one more signature, which replaces an earlier one by the same key."""
    return replace(bundle, signatures=with_signature(bundle.signatures, publication_message(bundle), key))


def check_draft(bundle: RulesetBundle) -> BundleSource:
    """Check that a publication is consistent, and that gates would accept its rules.

    Raises:
        PublicationError: its files don't match its digest, or its rules don't match its version.
        BundleError: the rules are invalid.
    """
    try:
        source = bundle_from_files(files_of(bundle))
    except ValueError as error:
        raise PublicationError(f"the draft's files can't be read: {error}") from None
    if source.digest != bundle.digest:
        raise PublicationError("the draft's files don't match its digest; write a new draft")
    compiled = compile_bundle(source)
    if compiled.version != bundle.version:
        raise PublicationError(f"the draft states version `{bundle.version}`, but its rules state `{compiled.version}`")
    return source


def publish(operator: Operator, bundle: RulesetBundle) -> Published:
    """Publish a bundle, and delete publications that are older than `KEPT_MAX` others. Block until it is stored.

    Somebody else may publish between reading the topic and writing to it. Gates reject the later record then, so the
    topic is read afterwards: nobody is told that a rollback is in force which is not.

    Raises:
        PublicationError: signatures are missing, or another publication has a higher serial, or was stored earlier with
            the same serial.
        TopicReadError, LogError: the topic can't be read.
        PublishError: it is not known whether the bundle is stored.
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
            f"serial {bundle.serial} of bundle `{bundle.name}` is not above {history.next_serial - 1}, which has been "
            "published since; write a new draft"
        )
    operator.write(RULESET, [(publication_key(bundle), bundle, bundle.header)])
    _check_not_late(bundle, read_history(operator, bundle.name))
    operator.delete(RULESET, history.outdated(KEPT_MAX - 1))
    return Published(bundle, is_new=True)


def _check_not_late(bundle: RulesetBundle, after: RuleHistory) -> None:
    """Check that no other publication came first that makes gates reject this one, which is stored.

    Raises:
        PublicationError: one did.
    """
    key = publication_key(bundle)
    own = first = after.of_serial(bundle.serial)
    if own is not None and own.key == key:
        higher = (each for each in after.standing if each.bundle.serial > bundle.serial and each.offset < own.offset)
        first = next(higher, None)
    if first is not None:
        raise PublicationError(
            f"serial {first.bundle.serial} of bundle `{bundle.name}` was published by {first.bundle.published_by} at "
            f"the same time, and came first: gates reject yours, serial {bundle.serial}. See `stoplog rules status`, "
            "and run the command again if your rules are still wanted"
        )


def _in_force(bundle: RulesetBundle, history: RuleHistory) -> RulesetBundle | None:
    """Return the publication with the same rules if it is in force for all sessions."""
    stable = history.stable
    if stable is None or history.canary is not None or bundle.canary_bp or bundle.action is not BundleAction.PUBLISH:
        return None
    is_same = stable.bundle.digest == bundle.digest and stable.bundle.action is not BundleAction.WITHDRAW
    return stable.bundle if is_same else None


def write_draft(bundle: RulesetBundle, path: Path) -> None:
    """Write a publication to a file, for others to sign. Blocking.

    Raises:
        PublicationError: the file can't be written.
    """
    data = msgspec.json.format(msgspec.json.encode({"form": DRAFT_FORM, "publication": to_json(bundle)}), indent=1)
    try:
        replace_whole(path, data + b"\n")
    except OSError as error:
        raise PublicationError(f"draft `{path}` can't be written: {error.strerror}") from None


def read_draft(path: Path) -> RulesetBundle:
    """Read a publication from a file; check only its form. Blocking.

    Raises:
        PublicationError: the file can't be read, or is not a draft.
    """
    data = read_bounded(path, DRAFT_BYTES_MAX, PublicationError, "draft")
    try:
        draft = msgspec.json.decode(data)
        if not isinstance(draft, dict) or draft.get("form") != DRAFT_FORM:
            raise PublicationError(
                f"`{path}` is not a draft of this version; write one with `stoplog rules publish DIR --out FILE`"
            )
        return from_json(RulesetBundle, draft.get("publication"), "publication")
    except (msgspec.DecodeError, UnicodeError, RecursionError, JsonFormError) as error:
        raise PublicationError(f"`{path}` is not a draft: {error}") from None
