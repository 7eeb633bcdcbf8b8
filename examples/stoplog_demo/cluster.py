"""What `docker-compose.yml` runs beside gates and token service: it publishes rules and tools, runs a mail server, and
lets an agent propose two calls.

`python -m stoplog_demo.cluster publish|executor|agent`. All of them read the settings of the environment.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from threading import Event

import httpx2

from stoplog_demo.catalog import FACTS, MAIL
from stoplog_demo.publication import OPERATOR, publish_catalog, publish_rules
from streams.audit.seal_key_list import ListedKey, SealKeyList
from streams.http.monitor import monitored
from streams.operations.catalog.history import read_catalog_history
from streams.operations.rules.history import read_history
from streams.operations.signing_keys import make_key_file
from streams.sdk.agent.agent import Agent
from streams.sdk.agent.token_exchange import StsClient
from streams.sdk.agent.toolset import Toolset
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.executor import Executor
from streams.sdk.executor.seal_key_file import SealKeyFile
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.verdict_consumer import VerdictLoop
from streams.sdk.keys.key_files import load_report_key
from streams.sdk.keys.root_key import load_root_key
from streams.sdk.mcp.tools import McpServerProcess
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings
from streams.wiring.shipped import rules_directory

REPOSITORY = Path("/srv/repository")
"""The list of the git pack needs an entry; no git server runs here."""

GROUP = "stoplog-executor-mail"
USER, AGENT = "ann", "assistant"
INSIDE = "bob@example.com"
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----"
OUTCOME_TIMEOUT_MS = 60_000
RUN_S_MAX = 60
REQUEST_S_MAX = 10
POLL_S = 0.2

# What the agent proposes: what a person reads about it, and the body of the mail.
PROPOSALS = (
    ("a mail to a colleague", "The build is green."),
    ("a mail with a private key", PRIVATE_KEY),
)


def publish(settings: Settings, key_file: Path) -> list[str]:
    """Publish the starter rules and the tools of the mail server, unless there are some already. Blocking.

    Args:
        settings: of the deployment, which accepts unsigned rules and tools.
        key_file: of the key with which the mail server's executor signs reports; made if it is missing, and beside it
            the list of the keys with which gates seal verdicts.

    Returns:
        What was done, for a person.
    """
    with open_operator(settings, OPERATOR) as operator, tempfile.TemporaryDirectory() as folder:
        transport = Transport(operator.log, operator.codec, operator.clock)
        done = []
        if not read_history(operator, settings.gate.bundle_name).standing:
            names = {"bundle_name": settings.gate.bundle_name, "tenant_uid": settings.tenant}
            bundle = publish_rules(transport, rules_directory(), repository=REPOSITORY, **names)
            done.append(f"rules published: the starter bundle, version {bundle.version}")
        if not key_file.exists():
            make_key_file(key_file)
            done.append(f"key of the executor created: {key_file}")
            done.append(f"list of the gates' keys created: {_write_seal_keys(settings, key_file)}")
        elif read_catalog_history(operator).listed:
            return done
        with _mail_server(Path(folder)) as server:
            count = publish_catalog(
                transport,
                {MAIL: server.list_tools()},
                FACTS,
                tenant_uid=settings.tenant,
                report_keys={MAIL: load_report_key(key_file)},
            )
        return [*done, f"tools published: {count} entries of the server `{MAIL}`"]


def _seal_keys_file(key_file: Path) -> Path:
    return key_file.with_name("seal-keys.json")


def _write_seal_keys(settings: Settings, key_file: Path) -> Path:
    """Write the list of the gates' keys beside the key of their executor; return the file."""
    public = settings.seal.signer(load_root_key(settings.key_path)).public
    listed = SealKeyList(deployment=settings.gate.deployment, serial=1, keys=(ListedKey(name="gate", key=str(public)),))
    path = _seal_keys_file(key_file)
    path.write_bytes(listed.format())
    return path


def run_executor(settings: Settings, key_file: Path, folder: Path, stop: Event) -> None:
    """Run the allowed calls of the mail server until `stop` is set. Blocking.

    Args:
        key_file: of the key that signs reports.
        folder: where each mail that is sent becomes a file.
    """
    with ExitStack() as stack:
        log = stack.enter_context(open_log(settings, create=False))
        releasers = settings.release.trusted()
        transport = stack.enter_context(Transport(log, build_codec(settings), SystemClock(), releasers))
        server = stack.enter_context(_mail_server(folder))
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        store = SingleUseStore(settings.state_dir / "single-use.sqlite", settings.instance)
        stack.callback(store.close)
        executor = Executor(
            transport,
            [MAIL],
            server.tools(),
            store,
            report_keys=load_report_key(key_file),
            seal_keys=SealKeyFile(_seal_keys_file(key_file), holders=None),
        )
        stack.callback(executor.close)
        loop = VerdictLoop(executor, transport, group=GROUP, instance=settings.instance)
        listen = settings.metrics.listen
        stack.enter_context(nullcontext() if listen is None else monitored(listen, loop.health))
        _say(f"the executor of `{MAIL}` follows the verdicts")
        loop.run(stop)


def propose(settings: Settings, url: str, folder: Path) -> bool:
    """Get a session from the token service, and propose two mails: one that runs, and one that is denied. Blocking.

    Args:
        url: of the token service, which has an issuer for development.
        folder: of the mail server's messages, where the agent looks for its own.

    Returns:
        Whether every call was decided, and every allowed one ran.
    """
    with ExitStack() as stack:
        sts = stack.enter_context(StsClient(url))
        session = sts.exchange(_token(url, "users", USER), _token(url, "agents", AGENT), purpose="tell Bob")
        _say(f"{USER} asks {AGENT}: session {session.credential.session_id} of the token service {url}")
        log = stack.enter_context(open_log(settings, create=False))
        transport = stack.enter_context(Transport(log, build_codec(settings), SystemClock()))
        with _mail_server(Path(stack.enter_context(tempfile.TemporaryDirectory()))) as server:
            toolset = Toolset.from_listings({MAIL: server.list_tools()})
        agent = stack.enter_context(Agent(transport, session.credential, toolset=toolset))
        all_well = True
        for what, body in PROPOSALS:
            before = _messages(folder)
            args = {"to": [INSIDE], "subject": "News", "body": body}
            told = agent.propose(f"{MAIL}/send", args, timeout_ms=OUTCOME_TIMEOUT_MS)
            _say(f"{what} to {INSIDE}: {told.outcome.value} ({told.reason})")
            _say(f"    why: stoplog explain {told.intent_id}")
            if told.outcome.value == "ALLOW":
                sent = _await_message(folder, before)
                _say(f"    {'sent as ' + sent if sent else 'not sent: see the log of the executor'}")
                all_well = all_well and bool(sent)
        return all_well


def _mail_server(folder: Path) -> McpServerProcess:
    folder.mkdir(parents=True, exist_ok=True)
    command = ["-m", "stoplog_demo.mail_server", "--folder", str(folder)]
    return McpServerProcess(MAIL, sys.executable, command, log_path=folder / "server.log")


def _token(url: str, kind: str, sub: str) -> str:
    asked = httpx2.get(f"{url}/dev/token", params={"kind": kind, "sub": sub}, timeout=REQUEST_S_MAX)
    return str(asked.raise_for_status().json()["token"])


def _messages(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.glob("*.eml"))


def _await_message(folder: Path, before: frozenset[str]) -> str:
    deadline_s = time.monotonic() + RUN_S_MAX
    while time.monotonic() < deadline_s:
        new = sorted(_messages(folder) - before)
        if new:
            return new[0]
        time.sleep(POLL_S)
    return ""


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run one of the three; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m stoplog_demo.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    publishing = commands.add_parser("publish", help="publish rules and tools, unless there are some")
    executing = commands.add_parser("executor", help="run the allowed calls of the mail server until SIGTERM")
    proposing = commands.add_parser("agent", help="propose two calls")
    for each in (publishing, executing):
        each.add_argument("--key", type=Path, required=True, help="the key that signs the executor's reports")
    for each in (executing, proposing):
        each.add_argument("--mail", type=Path, required=True, help="the folder in which mails become files")
    proposing.add_argument("--sts", required=True, metavar="URL", help="the token service")
    chosen = parser.parse_args(arguments)
    settings = load_settings()
    if chosen.what == "publish":
        for line in publish(settings, chosen.key) or ["nothing to do: rules and tools are published"]:
            _say(line)
        return 0
    if chosen.what == "agent":
        return 0 if propose(settings, chosen.sts, chosen.mail) else 1
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run_executor(settings, chosen.key, chosen.mail, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
