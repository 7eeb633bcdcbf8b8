"""Plans runs of histories: with the gate of the settings, the committed schemas, and the shipped rules."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from streams.operations.trial import TryPlan
from streams.wiring.codecs import build_offline_codec
from streams.wiring.shipped import rules_directory

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.processors.watch.behaviour_file import BehaviourFiles
    from streams.wiring.settings import Settings


def plan_trial(
    settings: Settings,
    history: Path,
    root_key: bytes,
    *,
    catalog: Path | None = None,
    rules: Path | None = None,
    approve: Collection[str] = (),
    watch: bool = False,
    few_records: bool = False,
) -> TryPlan:
    """Return the plan of a run over a history.

    Args:
        history: the file.
        root_key: the key from which session keys are derived.
        catalog: a file of catalog entries to publish before the first record.
        rules: a directory of rules; by default those of the history, or the starter rules.
        approve: the rules whose questions are answered with yes; see `TryPlan`.
        watch: whether the watch runs too, with the detectors in `rules`; without `rules`, with those that are shipped.
        few_records: whether the history is short: see `SeldomCodec`.

    Raises:
        SettingsError: the trust anchors are invalid.
        BundleError, BundleReadError: `watch` is set, and the detectors are wrong or there are none.
    """
    return TryPlan(
        history=history,
        codec=build_offline_codec(few_records=few_records),
        gate=settings.gate_settings(root_key),
        starter_rules=rules_directory(),
        catalog=catalog,
        rules=rules,
        approve=frozenset(approve),
        watch=_declared(rules or rules_directory()) if watch else None,
    )


def _declared(rules: Path) -> BehaviourFiles:
    from streams.policy.language.bundle import load_detector_files  # noqa: PLC0415 - most runs are without the watch
    from streams.processors.watch.behaviour_file import parse_behaviour  # noqa: PLC0415 - likewise

    return parse_behaviour(load_detector_files(rules))
