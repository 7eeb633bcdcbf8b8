"""State folders are closed to others, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.stores.private_folder import is_open_to_others, make_private
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_all_that_is_made_is_closed_and_what_is_there_stays(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    make_private(shared / "state" / "gate")
    make_private(shared / "state" / "gate")
    make_private(shared)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (shared, shared / "state", shared / "state" / "gate")]
    assert modes == [0o755, 0o700, 0o700]
    assert (is_open_to_others(shared), is_open_to_others(shared / "state")) == (True, False)


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(OSError, match="file"):
            make_private(path)


def test_the_folder_of_the_embedded_log_is_closed(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state")
    open_log(settings).close()
    assert not is_open_to_others(settings.state_dir)
    assert stat.S_IMODE(settings.embedded_path.stat().st_mode) == 0o600
