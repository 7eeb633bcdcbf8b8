"""What is published to the gates: rule bundles and behaviour baselines."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Proof, Record, Sha256


class BundleFile(Record, frozen=True, kw_only=True):
    """One file of a bundle."""

    path: str
    content: str


class BundleAction(StrEnum):
    """What a publication is for; what a gate does with it follows from its content."""

    UNKNOWN = "UNKNOWN"
    PUBLISH = "PUBLISH"
    PROMOTE = "PROMOTE"
    ROLLBACK = "ROLLBACK"
    WITHDRAW = "WITHDRAW"


class RulesetBundle(Record, frozen=True, kw_only=True):
    """A rule bundle as published. `serial` only ever rises. Without files it withdraws the rules.

    `canary_bp` is the share of sessions that it is for, in hundredths of a percent; 0 is all of them. `packed` holds
    the files of a large bundle (`streams.model.bundle_files`).
    """

    header: Header
    name: str
    version: str
    serial: int
    digest: Sha256
    files: tuple[BundleFile, ...]
    published_by: str
    signatures: tuple[Proof, ...] = ()
    action: BundleAction = BundleAction.PUBLISH
    canary_bp: int = 0
    packed: bytes = b""


class RulesChange(Record, frozen=True, kw_only=True):
    """A publication as the audit tells of it. `signed_by` names the publishers whose signatures hold."""

    name: str
    version: str
    serial: int
    action: BundleAction = BundleAction.UNKNOWN
    canary_bp: int = 0
    published_by: str
    signed_by: tuple[str, ...] = ()


class Baseline(Record, frozen=True, kw_only=True):
    """A snapshot of what is normal for an agent in a behaviour epoch."""

    header: Header
    agent: str
    epoch: str
    version: int
    intents_count: int
    state: bytes
