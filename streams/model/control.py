"""What is published to the gates: rule bundles and behaviour baselines."""

from __future__ import annotations

from streams.model.types import Header, Proof, Record, Sha256


class BundleFile(Record, frozen=True, kw_only=True):
    """One file of a bundle."""

    path: str
    content: str


class RulesetBundle(Record, frozen=True, kw_only=True):
    """A rule bundle as published; an empty `files` withdraws it. `serial` only ever rises."""

    header: Header
    name: str
    version: str
    serial: int
    digest: Sha256
    files: tuple[BundleFile, ...]
    published_by: str
    signatures: tuple[Proof, ...] = ()


class Baseline(Record, frozen=True, kw_only=True):
    """A snapshot of what is normal for an agent in a behaviour epoch."""

    header: Header
    agent: str
    epoch: str
    version: int
    intents_count: int
    state: bytes
