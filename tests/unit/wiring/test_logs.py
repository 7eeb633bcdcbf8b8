"""The settings decide which log is opened, and which topics of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.model.errors import SettingsError
from streams.ports import TopicSpec
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings


def test_the_setting_decides(tmp_path: Path) -> None:
    settings = load_settings({"state_dir": tmp_path, "topics": {"prefix": "blue."}})
    with open_log(settings) as log:
        assert log.name.endswith("topics with prefix `blue.`")
        log.admin().create([TopicSpec("words", 1, {})], 1)
    with open_log(load_settings({"state_dir": tmp_path})) as whole:
        assert list(whole.admin().describe(["blue.words"], ())) == ["blue.words"]


@pytest.mark.parametrize("prefix", ["a b", "ü", "a/b", "x" * 101])
def test_a_prefix_that_no_topic_can_have_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match=r"setting `topics\.prefix`"):
        load_settings({"topics": {"prefix": prefix}})
