"""The whole demonstration, on a log on which a gate is running."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import stoplog_demo
import streams
from stoplog_demo.catalog import FACTS, GIT, MAIL
from stoplog_demo.errors import DemoError
from stoplog_demo.host import ISSUER, AgentHost
from stoplog_demo.publication import publish_catalog, publish_rules
from stoplog_demo.readiness import RulesWatch
from stoplog_demo.repository import make_repository
from stoplog_demo.scenario import Result, Scenario
from stoplog_demo.steps import Check, Summary
from stoplog_demo.view import View, open_view
from streams.audit.report_keys import ReportKey
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKey
from streams.model.verdict import Verdict
from streams.sdk.agent.development_tokens import DevTokenService
from streams.sdk.agent.toolset import Toolset
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.executor import Executor
from streams.sdk.executor.revocations import RevocationWatch
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.mcp.tools import McpServerProcess

GATE_TIMEOUT_MS = 30_000

CLOSING = "The agent obeyed the file. stoplog kept the token inside, and let the same agent's honest work run."

NextCommands = Callable[[Verdict | None], Sequence[tuple[str, str]]]
"""Returns what to type next, and what each command shows, once the mail to the attacker has its verdict."""


def follow_alert(attack: Verdict | None) -> list[tuple[str, str]]:
    """Return the commands that lead from the alert to its cause, on a log that the settings name."""
    if attack is None:
        return []
    return [
        ("stoplog tail alerts --no-follow", "The alerts of this run"),
        (f"stoplog explain {attack.intent_id}", "Why the mail was denied"),
        (f"stoplog session show {attack.session_id}", "What the agent had read"),
    ]


@dataclass(frozen=True, kw_only=True)
class DemoEnvironment:
    """What the demonstration needs.

    Attributes:
        transport: a log with all topics, on which a gate runs that enforces `bundle_name`.
        root_key: the gate's root key.
        workdir: a folder for the repository, the mail and the executor's store.
        rules_dir: the rule bundle that is published.
        tenant_uid: the tenant of its sessions.
        reviewer_key: signs the approvals of tools; None if the gate accepts unsigned approvals.
    """

    transport: Transport
    root_key: bytes
    workdir: Path
    rules_dir: Path
    bundle_name: str = "default"
    tenant_uid: str = "demo"
    reviewer_key: SigningKey | None = None


@dataclass(frozen=True, kw_only=True)
class DemoReport:
    """The result of the demonstration.

    Attributes:
        ok: whether every check passed; it determines the exit status.
        commands: what to type next, and what each command shows.
    """

    checks: Sequence[Check]
    commands: Sequence[tuple[str, str]]
    mail_folder: Path
    repository: Path

    @property
    def ok(self) -> bool:
        """See the class."""
        return bool(self.checks) and all(check.ok for check in self.checks)


def run_demo(
    environment: DemoEnvironment, view: View | None = None, next_commands: NextCommands = follow_alert
) -> DemoReport:
    """Start the servers, publish catalog and rules, run the four sessions, and show the result. Blocking.

    Args:
        view: shows the demonstration, and is closed when this returns; by default standard output.
        next_commands: see `NextCommands`.

    Raises:
        DemoError: no gate answers, the git server is not installed, or the folder is in use.
        StoplogError: something else that it needs is missing.
        LogError: the log can't be used any more.
    """
    shown = view or open_view(sys.stdout)
    with ExitStack() as closing:
        closing.callback(shown.close)
        return _Demo(environment, shown, closing).run(next_commands)


class _Demo:
    def __init__(self, environment: DemoEnvironment, view: View, closing: ExitStack) -> None:
        self._environment = environment
        self._view = view
        self._closing = closing
        self._mail_folder = environment.workdir / "mail"
        self._repository = environment.workdir / "repository"

    def run(self, next_commands: NextCommands) -> DemoReport:
        environment = self._environment
        servers = self._start_servers()
        listings = {server.server_id: server.list_tools() for server in servers}
        self._view.note(
            f"{sum(map(len, listings.values()))} tools listed by {len(servers)} MCP servers; the operator's facts make "
            f"{sum(map(len, FACTS.values()))} of them callable"
        )
        # A real deployment makes these with `stoplog keys server new`. Here every run must have the same ones, because
        # those of an earlier run stand in the catalog.
        report_keys = {server_id: ReportKey.derived(environment.root_key, server_id) for server_id in listings}
        publish_catalog(
            environment.transport,
            listings,
            FACTS,
            tenant_uid=environment.tenant_uid,
            report_keys=report_keys,
            key=environment.reviewer_key,
        )
        with RulesWatch(environment.transport) as watch:
            bundle = publish_rules(
                environment.transport,
                environment.rules_dir,
                repository=self._repository,
                bundle_name=environment.bundle_name,
                tenant_uid=environment.tenant_uid,
            )
            self._view.note("the gate compiles the rules")
            watch.wait(bundle, GATE_TIMEOUT_MS)
        toolset = Toolset.from_listings(listings)
        tokens = DevTokenService(
            environment.transport, environment.root_key, issuer=ISSUER, tenant_uid=environment.tenant_uid
        )
        revocations = RevocationWatch(environment.transport)
        self._closing.callback(revocations.close)
        executor = self._executor(servers, report_keys, revocations)
        host = AgentHost(environment.transport, tokens, toolset, executor, self._repository, self._view)
        result = Scenario(host, tokens, revocations, self._mail_folder, self._view).run()
        commands = next_commands(result.attack)
        self._view.summary(_summary(result, commands))
        return DemoReport(
            checks=result.checks, commands=commands, mail_folder=self._mail_folder, repository=self._repository
        )

    def _start_servers(self) -> list[McpServerProcess]:
        workdir = self._environment.workdir
        if importlib.util.find_spec("mcp_server_git") is None:
            raise DemoError("the demonstration needs the MCP server for git: `pip install 'stoplog[demo]'`")
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            self._mail_folder.mkdir()
        except FileExistsError:
            raise DemoError(f"`{workdir}` holds an earlier demonstration: remove it, or name another folder") from None
        scratch = make_repository(self._repository, os.environ.get("PATH", os.defpath))
        git = McpServerProcess(
            GIT,
            sys.executable,
            ["-m", "mcp_server_git", "--repository", str(scratch.path)],
            env=scratch.env,
            cwd=workdir,
            log_path=workdir / "git-server.log",
        )
        self._closing.callback(git.close)
        mail = McpServerProcess(
            MAIL,
            sys.executable,
            ["-m", "stoplog_demo.mail_server", "--folder", str(self._mail_folder)],
            # The package may run from its source tree, where the interpreter doesn't find it from another folder.
            env={"PYTHONPATH": _source_folders()},
            cwd=workdir,
            log_path=workdir / "mail-server.log",
        )
        self._closing.callback(mail.close)
        return [git, mail]

    def _executor(
        self,
        servers: Sequence[McpServerProcess],
        report_keys: Mapping[str, ReportKey],
        revocations: RevocationWatch,
    ) -> Executor:
        store = SingleUseStore(self._environment.workdir / "single-use.sqlite", owner="demo")
        self._closing.callback(store.close)
        executor = Executor(
            self._environment.transport,
            [server.server_id for server in servers],
            {name: tool for server in servers for name, tool in server.tools().items()},
            store,
            report_keys=report_keys,
            seal_keys=SealKeys.derived(self._environment.root_key),
            revocations=revocations,
        )
        self._closing.callback(executor.close)
        executor.start()
        return executor


def _summary(result: Result, commands: Sequence[tuple[str, str]]) -> Summary:
    failed = [check for check in result.checks if not check.ok]
    closing = f"The demonstration failed: {len(failed)} of {len(result.checks)} checks." if failed else CLOSING
    return Summary(
        checks=result.checks,
        mails=result.mails,
        folder_text=result.folder_text,
        closing=closing,
        commands=commands,
    )


def _source_folders() -> str:
    """Return the import path for a child process, which otherwise finds a source tree only in its own folder."""
    packages = (streams.__file__, stoplog_demo.__file__)
    return os.pathsep.join(str(Path(file).resolve().parents[1]) for file in packages)
