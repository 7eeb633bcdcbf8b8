"""Fixtures of all tests, and what the processes of one run share."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from simulation.broker.bootstrap import find_bootstrap
from tests.shared_broker import SharedBroker, ask
from tests.turns import Turns

INTEGRATION = Path(__file__).parent / "integration"
OTHERS_PER_INTEGRATION = 6
"""So many files of other tests come after each of integration tests, which then keep two of three workers busy."""
SHARED = pytest.StashKey[dict[str, str]]()
TURNS = pytest.StashKey[Turns]()
BROKER_ADDRESS = "stoplog_broker_address"
TURNS_FOLDER = "stoplog_turns_folder"
FOLLOWING = frozenset({"stoplog-definitions", "stoplog-revocations", "stoplog-tenant-topics"})
"""The names of threads that follow a topic until they are closed."""
ENDING_S = 5.0
"""What a thread may take to end that its owner has told to, and does not wait for."""

# How long an example takes depends on what else the machine does, above all on the other workers.
settings.register_profile("stoplog", deadline=None)
settings.load_profile("stoplog")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist, which is about to start, what it shares with the others."""
    config: pytest.Config = node.config
    if SHARED not in config.stash:
        broker = SharedBroker()
        turns = tempfile.TemporaryDirectory(prefix="stoplog-turns-")
        # These run after a failure or an interrupt, too.
        config.add_cleanup(broker.close)
        config.add_cleanup(turns.cleanup)
        config.stash[SHARED] = {BROKER_ADDRESS: broker.address, TURNS_FOLDER: turns.name}
    node.workerinput.update(config.stash[SHARED])


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the turns, in a worker."""
    if hasattr(config, "workerinput"):
        config.stash[TURNS] = Turns(Path(config.workerinput[TURNS_FOLDER]))
        config.add_cleanup(config.stash[TURNS].close)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the tests of a worker.

    Files of integration tests are spread among the others from the beginning on, and are through well before the end:
    they wait as long as they compute, so that several at a time leave cores idle, and one that begins last keeps the
    other workers waiting. Files with tests that run alone come after all of them, and those tests last in their file,
    in one go: before each of them the workers wait for each other, and for whatever long test one of them is in.
    """
    if hasattr(config, "workerinput"):
        places = places_of_files(items)
        items.sort(key=lambda item: (is_timed(item), places[item.path]))


def places_of_files(items: Iterable[pytest.Item]) -> dict[Path, tuple[int, bool]]:
    """Where each file comes in the order: the earlier, the smaller."""
    files = dict.fromkeys(item.path for item in items)
    alone = {item.path for item in items if is_timed(item)}
    counted: Counter[bool] = Counter()
    places: dict[Path, tuple[int, bool]] = {}
    for path in files:
        is_other = not path.is_relative_to(INTEGRATION)
        place = counted[is_other] * (1 if is_other else OTHERS_PER_INTEGRATION)
        places[path] = (place + len(files) * OTHERS_PER_INTEGRATION * (path in alone), is_other)
        counted[is_other] += 1
    return places


# First, so that the time limit of a test begins when its turn has come.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Run tests marked `timed` while no other worker runs one."""
    turns = item.config.stash.get(TURNS, None)
    if turns is None:
        return (yield)
    turns.begin(alone=is_timed(item))
    try:
        return (yield)
    finally:
        turns.end(next_alone=is_timed(nextitem))


def is_timed(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("timed") is not None


@pytest.fixture(autouse=True)
def nothing_follows_the_log_any_more() -> Iterator[None]:
    """Fails a test that leaves a thread which follows a topic.

    Such a thread goes on beside the tests that follow in the same process, asks brokers that are gone, and writes into
    the logs that those tests look at.
    """
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.name in FOLLOWING]
    for thread in left:
        thread.join(ENDING_S)
    assert [thread.name for thread in left if thread.is_alive()] == []


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real broker, which is started for the first test that wants it."""
    if hasattr(request.config, "workerinput"):
        yield ask(request.config.workerinput[BROKER_ADDRESS])
        return
    with find_bootstrap(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap
