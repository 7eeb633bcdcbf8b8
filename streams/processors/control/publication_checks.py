"""Check a publication of rules by itself: its files, and whether its parts agree."""

from __future__ import annotations

import msgspec

from streams.model.bundle_files import files_of
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.policy import bundle_from_files
from streams.policy.language.bundle import BundleSource

CANARY_BP_ALL = 10_000
"""All sessions, in hundredths of a percent."""


def usable_source(bundle: RulesetBundle) -> BundleSource:
    """Return the files of a publication.

    Raises:
        RecordError: the publication is inconsistent.
    """
    what = f"bundle `{bundle.name}` serial {bundle.serial} is rejected"
    try:
        source = bundle_from_files(files_of(bundle))
    except ValueError as error:
        raise RecordError(DeadLetterReason.BUNDLE_INVALID, f"{what}: {error}") from None
    fault = None
    if source.digest != bundle.digest:
        fault = "its files do not have the digest that it states"
    elif bundle.action is BundleAction.UNKNOWN:
        fault = "its action is unknown to this version of the gate"
    elif (bundle.action is BundleAction.WITHDRAW) is bool(source.files):
        fault = "a bundle that withdraws the rules must have no files, and any other bundle must have files"
    elif not 0 <= bundle.canary_bp < CANARY_BP_ALL:
        fault = f"a share of {bundle.canary_bp} hundredths of a percent is out of range"
    elif bundle.canary_bp and bundle.action is not BundleAction.PUBLISH:
        fault = "only a publication of a new bundle can be for a share of the sessions"
    if fault is not None:
        raise RecordError(DeadLetterReason.BUNDLE_INVALID, f"{what}: {fault}")
    return source


def without_files(bundle: RulesetBundle) -> RulesetBundle:
    """Return what is kept of a publication once its files are read."""
    return msgspec.structs.replace(bundle, files=(), packed=b"")
