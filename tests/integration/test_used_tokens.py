"""Tokens that can be used once, at services side by side on a real broker."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from streams.model.topics import TOKEN_USED
from streams.ports import TopicSpec
from streams.wiring.logs import open_log
from tests.integration.test_token_service import settings_of
from tests.unit.services.sts.used import holds_side_by_side

pytestmark = pytest.mark.broker

ROUNDS, USES = 20, 8


def test_of_uses_at_once_one_counts_at_services_side_by_side(tmp_path: Path, kafka_bootstrap: str) -> None:
    with open_log(settings_of(kafka_bootstrap, "sts-used", tmp_path)) as log:
        with closing(log.admin()) as admin:
            admin.create([TopicSpec(TOKEN_USED.name, 1, TOKEN_USED.config())], 1)
        holds_side_by_side(log, tmp_path, rounds=ROUNDS, uses=USES)
