"""One Kafka broker for all tests, however many processes run them.

pytest-xdist runs the tests in worker processes. A fixture belongs to a process, so each worker would start a broker of
its own. Instead the process that starts the workers owns the broker: it listens on a socket, starts the broker when the
first worker asks for it, and stops it when the run ends. A worker can't own it, because a worker that runs out of tests
ends while the others still use the broker.
"""

from __future__ import annotations

import tempfile
import threading
import traceback
from contextlib import ExitStack
from multiprocessing.connection import Client, Listener
from pathlib import Path

from simulation.broker.bootstrap import find_bootstrap
from simulation.broker.kafka import BrokerUnavailableError

# More than there are workers, so that none is turned away while the broker starts.
WAITING_MAX = 64


class SharedBroker:
    """Owns a broker that is started on demand and tells its address to other processes.

    Attributes:
        address: where `ask` finds the owner.
    """

    def __init__(self) -> None:
        """Listen for workers. Starts no broker yet."""
        self._listener = Listener(backlog=WAITING_MAX)
        self.address: str = self._listener.address
        self._running = ExitStack()
        self._answer: tuple[str, str] | None = None
        self._thread = threading.Thread(target=self._serve, name="shared-broker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the broker if it was started, and answer no more."""
        with Client(self.address) as connection:
            connection.send(False)
        self._thread.join()
        self._listener.close()
        self._running.close()

    def _serve(self) -> None:
        while True:
            with self._listener.accept() as connection:
                try:
                    if not connection.recv():
                        return
                    self._answer = self._answer or self._start()
                    connection.send(self._answer)
                except (EOFError, ConnectionError):
                    # The worker has ended in the meantime; the others still need answers.
                    continue

    def _start(self) -> tuple[str, str]:
        """The broker's address, or why there is none."""
        try:
            folder = Path(self._running.enter_context(tempfile.TemporaryDirectory(prefix="stoplog-kafka-")))
            return self._running.enter_context(find_bootstrap(folder)), ""
        except BrokerUnavailableError as error:
            return "", str(error)
        except Exception:
            # Reported by the test that asked. Otherwise it would wait for an answer for ever.
            return "", traceback.format_exc()


def ask(address: str) -> str:
    """Return the bootstrap address of the broker, which is started if no other worker has asked before.

    Args:
        address: of the `SharedBroker`.

    Raises:
        BrokerUnavailableError: there is no broker; the message says why.
    """
    with Client(address) as connection:
        connection.send(True)
        bootstrap, why_not = connection.recv()
    if not bootstrap:
        raise BrokerUnavailableError(why_not)
    return str(bootstrap)
