"""Publishing a bundle of rules to the gates."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from streams.app.operator import Operator
from streams.model.control import BundleFile, RulesetBundle
from streams.model.topics import RULESET
from streams.policy import compile_bundle, load_bundle


class Published(NamedTuple):
    """What was published; `is_new` is False where the same bundle is the newest already."""

    bundle: RulesetBundle
    is_new: bool


def newest_bundle(operator: Operator, name: str) -> RulesetBundle | None:
    """The bundle of this name that was published last.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    newest: RulesetBundle | None = None
    for _, record in operator.find(RULESET):
        if isinstance(record, RulesetBundle) and record.name == name:
            newest = record if newest is None or record.serial > newest.serial else newest
    return newest


def publish_bundle(operator: Operator, directory: Path, name: str) -> Published:
    """Publish the bundle of a directory, under a serial above every earlier one of its name.

    Args:
        name: what gates enforce it under (setting `gate.bundle_name`).

    Raises:
        BundleReadError: its files can't be read.
        BundleError: it is refused; every gate would refuse it, too.
        PublishError, LogError: it is not known to be stored.
    """
    source = load_bundle(directory)
    compiled = compile_bundle(source)
    last = newest_bundle(operator, name)
    if last is not None and last.digest == source.digest and last.files:
        return Published(last, is_new=False)
    header = operator.header()
    bundle = RulesetBundle(
        header=header,
        name=name,
        version=compiled.version,
        serial=1 if last is None else last.serial + 1,
        digest=source.digest,
        files=tuple(BundleFile(path=path, content=text) for path, text in sorted(source.files.items())),
        published_by=operator.name,
    )
    operator.write(RULESET, [(name.encode(), bundle, header)])
    return Published(bundle, is_new=True)
