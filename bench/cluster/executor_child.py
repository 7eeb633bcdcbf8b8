"""An executor in a process of its own, which notes each call that it runs.

Not a command for people: `bench.cluster.executor_child` is ready once it can run calls, and works until it is told to
end. As a supervisor would, it starts anew after an error. It can be killed at any moment.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.cluster.calls import Ran
from bench.harness.child import READY, Child, ending, read_order, say
from bench.harness.workload import TEXTS
from bench.harness.world import ROOT_KEY, World
from streams.audit.seal_keys import SealKeys
from streams.ports import LogError
from streams.sdk import (
    Executor,
    ExecutorError,
    FunctionTool,
    ReportKey,
    RevocationWatch,
    SingleUseError,
    SingleUseStore,
    VerdictLoop,
)
from streams.sdk.connection.transport import Transport
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings

RESTART_PAUSE_S = 0.5
# A call takes that long before its effect and after it, so that kills cut calls off on either side.
CALL_HALF_S = 0.01
_UUID_CHARS = 36

_Tool = Callable[[Mapping[str, object]], object]


class _Notes:
    """The file of the calls that have run here."""

    def __init__(self, path: Path, instance: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._instance = instance

    def tool(self, server_id: str, name: str) -> _Tool:
        """Return a tool whose effect is a line in the file."""

        def call(args: Mapping[str, object]) -> object:
            time.sleep(CALL_HALF_S)
            intent_id = str(args[TEXTS[server_id, name]])[-_UUID_CHARS:]
            ran = Ran(self._instance, time.time_ns() / 1e6, server_id, name, intent_id, dict(args))
            # INVARIANT: one write for each line, so a kill leaves a whole line or none, and what is written outlives
            # the process. The system does not die here, so nothing has to be forced to the disk.
            os.write(self._file, f"{json.dumps(ran)}\n".encode())
            time.sleep(CALL_HALF_S)
            return "done"

        return call


def main() -> None:
    """Run it."""
    order = read_order()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    stop = ending()
    notes = _Notes(Path(order["notes"]), order["instance"])
    tools = {
        f"{server_id}/{name}": FunctionTool(notes.tool(server_id, name))
        for server_id, name in TEXTS
        if server_id in order["servers"]
    }
    while not stop.is_set():
        try:
            _run(order, tools, stop)
        except (ExecutorError, SingleUseError, LogError):
            logging.exception("the executor starts anew")
            stop.wait(RESTART_PAUSE_S)


def _run(order: Mapping[str, object], tools: Mapping[str, FunctionTool], stop: threading.Event) -> None:
    """Run calls until `stop` is set, or an error comes."""
    settings = Settings.model_validate(order["settings"])
    instance, servers = str(order["instance"]), [str(each) for each in _list(order["servers"])]
    log = open_log(settings)
    transport = Transport(log, build_codec(settings), SystemClock())
    keys = {server_id: ReportKey.derived(ROOT_KEY, server_id) for server_id in servers}
    try:
        with (
            SingleUseStore(Path(str(order["single_use"])), instance) as store,
            RevocationWatch(transport) as watch,
            Executor(
                transport,
                servers,
                tools,
                store,
                report_keys=keys,
                seal_keys=SealKeys.derived(ROOT_KEY),
                revocations=watch,
            ) as executor,
        ):
            say(READY)
            VerdictLoop(executor, transport, group=str(order["group"]), instance=instance).run(stop)
    finally:
        log.close()


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


class RunningExecutor(Child):
    """A running executor."""

    def __init__(self, world: World, instance: str, group: str, servers: tuple[str, ...]) -> None:
        """Start it, or start it again.

        Args:
            world: as its principal sees it.
            instance: its name.
            group: the consumer group of its servers.
            servers: whose calls it runs. Executors of the same group share the file of used verdicts.

        Raises:
            RuntimeError: it did not come up.
        """
        order = {
            "settings": world.settings,
            "instance": instance,
            "group": group,
            "servers": servers,
            "single_use": str(world.folder / f"{group}.sqlite"),
            "notes": str(notes_path(world.folder, instance)),
        }
        with (world.folder / f"{instance}.log").open("ab") as log:
            super().__init__("bench.cluster.executor_child", order, log=log)
        try:
            self.wait_ready()
        except RuntimeError:
            self.kill()
            raise


def notes_path(folder: Path, instance: str) -> Path:
    """Return the file of the calls that an executor has run."""
    return folder / f"ran-{instance}.jsonl"


def read_notes(path: Path) -> list[Ran]:
    """Return the calls that an executor has run, over all of its lives.

    Raises:
        ValueError: a line is not whole.
    """
    return [Ran(*json.loads(line)) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
