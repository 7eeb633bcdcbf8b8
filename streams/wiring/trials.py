"""What a history is run with: the settings' gate, the committed schemas, and the rules that ship."""

from __future__ import annotations

from pathlib import Path

from streams.operations.trial import TryPlan
from streams.wiring.codecs import build_offline_codec
from streams.wiring.settings import Settings
from streams.wiring.shipped import rules_directory


def plan_trial(
    settings: Settings, history: Path, root_key: bytes, *, catalog: Path | None = None, rules: Path | None = None
) -> TryPlan:
    """Return the plan of a run over a history.

    Args:
        history: the file.
        root_key: what the sessions' keys are derived from.
        catalog: a file of catalog entries that are published before the first record.
        rules: a directory of rules; by default the history's own, or the starter rules.

    Raises:
        SettingsError: the trust anchors make no sense.
    """
    return TryPlan(
        history=history,
        codec=build_offline_codec(),
        gate=settings.gate_settings(root_key),
        starter_rules=rules_directory(),
        catalog=catalog,
        rules=rules,
    )
