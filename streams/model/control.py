"""What is published to the gates: rule bundles and behaviour baselines."""

from __future__ import annotations

from enum import StrEnum

from streams.model.types import Header, Proof, Record, Sha256


class BundleFile(Record, frozen=True, kw_only=True):
    """One file of a bundle."""

    path: str
    content: str


class BundleAction(StrEnum):
    """The purpose of a publication; a gate acts only on its content."""

    UNKNOWN = "UNKNOWN"
    PUBLISH = "PUBLISH"
    PROMOTE = "PROMOTE"
    ROLLBACK = "ROLLBACK"
    WITHDRAW = "WITHDRAW"


class RulesetBundle(Record, frozen=True, kw_only=True):
    """A rule bundle as published. `serial` only ever rises. A bundle without files withdraws the rules.

    `canary_bp` is the share of sessions that the bundle is for, in hundredths of a percent; 0 means all. `packed` holds
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
    """A publication as the audit log records it. `signed_by` names the publishers with valid signatures."""

    name: str
    version: str
    serial: int
    action: BundleAction = BundleAction.UNKNOWN
    canary_bp: int = 0
    published_by: str
    signed_by: tuple[str, ...] = ()


class Baseline(Record, frozen=True, kw_only=True):
    """A snapshot of an agent's normal behaviour in an epoch."""

    header: Header
    agent: str
    epoch: str
    version: int
    intents_count: int
    state: bytes
