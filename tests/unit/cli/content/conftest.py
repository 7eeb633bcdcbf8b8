"""A site whose gate has captured content: recorded once, and copied for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.content.captured_site import configure_content, copied, make_captured_site


@pytest.fixture(scope="package")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, which nobody changes."""
    return make_captured_site(tmp_path_factory.mktemp("captured"))


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """The folder of the test's own copy."""
    return copied(recorded, tmp_path / "site")


@pytest.fixture
def site(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Stoplog:
    """Runs a command line on the copy."""
    configure_content(monkeypatch, folder)
    return stoplog
