"""One service for the tests of a module that leave it as it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.services.sts.house import House, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    limits = dict.fromkeys(("per_subject_per_minute", "per_agent_per_minute", "per_address_per_minute"), 100_000)
    with open_house(tmp_path_factory.mktemp("house"), **limits) as opened:
        yield opened
