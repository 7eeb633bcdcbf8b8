"""Which modules a command loads: most of the time of a short command is spent in them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from streams.cli.commands.rules import group as rules
from tests.unit.cli.conftest import Stoplog

_CODE = """
import json, sys
from streams.cli.main import run
status = run(sys.argv[1:])
sys.stderr.write(json.dumps([status, sorted(sys.modules)]))
"""
FOR_HELP = {
    "annotated_doc",
    "attr",
    "markdown_it",
    "mdurl",
    "pygments",
    "rich",
    "shellingham",
    "typer",
    "typing_extensions",
}
FOR_PARAMETERS = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
FOR_RECORDS = {"msgspec", "orjson", "rfc8785"}
FOR_SIGNATURES = {"_cffi_backend", "_openssl", "cryptography"}
FOR_SETTINGS = {"yaml"}
HISTORIES = Path(__file__).parents[2] / "golden" / "try"
EXPLAINED = (
    *("rules", "explain", str(HISTORIES / "rules"), "--history", str(HISTORIES / "hijacked.jsonl")),
    *("--catalog", str(HISTORIES / "catalog.jsonl"), "--intent", "exfiltrate"),
)
"""Runs a whole gate: what takes the most objects."""

ROOMS_THAT_DECIDE = (
    "streams.engine.worker",
    "streams.history",
    "streams.kafka",
    "streams.policy.authoring",
    "streams.policy.cel",
    "streams.policy.language",
    "streams.policy.runtime",
    "streams.processors.gate",
    "streams.processors.control",
    "streams.sdk.agent.agent",
    "streams.sdk.executor.executor",
)


def loaded(*args: str) -> list[str]:
    """The modules that are loaded when a command has ended."""
    done = subprocess.run([sys.executable, "-c", _CODE, *args], capture_output=True, text=True, check=True)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    return list(modules)


def packages(modules: list[str]) -> set[str]:
    """The packages of others among them."""
    named = {module.partition(".")[0] for module in modules}
    return {
        name
        for name in named - set(sys.stdlib_module_names) - {"streams", "__main__", "__editables_finder"}
        if not name.startswith(("_sysconfigdata", "_editable", "_distutils", "__editable__"))
    }


def test_the_list_of_commands_loads_what_writes_it() -> None:
    modules = loaded("--help")
    assert packages(modules) <= FOR_HELP | FOR_RECORDS
    assert {"streams.cli.options.shared", "streams.operations", "streams.codec"}.isdisjoint(modules)


def test_the_help_of_a_command_loads_neither_settings_nor_a_log() -> None:
    modules = loaded("tail", "--help")
    assert packages(modules) <= FOR_HELP | FOR_RECORDS | FOR_SIGNATURES
    assert {"streams.wiring.settings", "streams.embedded"}.isdisjoint(modules)
    assert [module for module in modules if module.startswith(ROOMS_THAT_DECIDE)] == []


@pytest.mark.parametrize(
    "command",
    [
        *(("demo",), ("doctor",), ("gate",), ("try",), ("rules", "check"), ("rules", "status")),
        *(("incident", "export"), ("reach",), ("replay",)),
    ],
)
def test_the_help_of_what_takes_long_loads_nothing_of_it(command: tuple[str, ...]) -> None:
    modules = loaded(*command, "--help")
    allowed = FOR_HELP | FOR_RECORDS | FOR_SIGNATURES
    if command == ("rules", "status"):
        allowed |= FOR_PARAMETERS  # whose signatures count is a section of the settings
    assert packages(modules) - {"stoplog_demo"} <= allowed
    assert "streams.wiring.settings" not in modules
    assert [module for module in modules if module.startswith(ROOMS_THAT_DECIDE)] == []


def test_the_rules_in_force_are_shown_without_their_checker(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0
    modules = loaded("rules", "status")
    assert [module for module in modules if module.startswith(ROOMS_THAT_DECIDE)] == []


def test_tools_are_listed_without_the_rules(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0
    modules = loaded("catalog", "list")
    assert {"streams.operations.review.permitted_use", "streams.operations.catalog.mcp_list"}.isdisjoint(modules)
    assert [module for module in modules if module.startswith("streams.policy.language")] == []


def test_a_call_is_explained_without_what_it_does_not_need() -> None:
    """Neither the watch, nor the parser of shell text, which no rule asks for, nor what signs with a key elsewhere, nor
    what makes code for conditions that are evaluated once, nor what shows something to a person, nor what makes models
    for options: a text, a flag or a path needs none."""
    modules = loaded(*EXPLAINED)
    unneeded = (
        "typer._adapters",
        *("streams.processors.watch", "streams.operations.behaviour", "streams.codec.history_baselines"),
        *(
            "streams.policy.ext.shell",
            "streams.sdk.keys.vault_transit",
            "streams.sdk.keys.aws_kms",
            "streams.sdk.keys.content",
            "botocore",
        ),
        *("streams.policy.runtime.codegen", "streams.policy.runtime.portable", "ada_url"),
        *("pydantic_settings", "asyncio", "rich"),
        *("streams.services.desk", "streams.services.sts", "streams.services.ssf", "streams.services.approvals"),
    )
    assert [module for module in modules if module.startswith(unneeded)] == []
    assert "kingfisher_sdk" not in modules


@pytest.mark.parametrize("command", [("tail", "--help"), EXPLAINED], ids=["help", "explain"])
def test_a_short_command_collects_no_garbage(command: tuple[str, ...]) -> None:
    code = """
import gc, sys
from streams.cli.start import main
passes = []
gc.callbacks.append(lambda phase, info: passes.append(info["generation"]) if phase == "start" else None)
try:
    main()
finally:
    sys.stderr.write(str(len(passes)))
"""
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert int(done.stderr) == 0


def test_a_stop_loads_neither_rules_nor_another_log_than_its_own(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0
    modules = loaded("kill", "--tool", "mail/send", "--why", "x")
    assert packages(modules) <= FOR_HELP | FOR_PARAMETERS | FOR_RECORDS | FOR_SIGNATURES | FOR_SETTINGS
    assert [module for module in modules if module.startswith(ROOMS_THAT_DECIDE)] == []


def test_sessions_are_listed_without_the_rules(stoplog: Stoplog) -> None:
    assert stoplog("topics", "apply").status == 0
    modules = loaded("session", "list")
    assert "rich" not in packages(modules)  # a program reads it
    assert [module for module in modules if module.startswith(ROOMS_THAT_DECIDE)] == []


@pytest.mark.parametrize("package", ["streams.sdk", "streams.policy"])
def test_names_that_are_loaded_late_are_those_that_type_checkers_see(package: str) -> None:
    module = import_module(package)
    tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        (node.module, alias.name) for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {(name, offered) for name, names in module._NAMES.items() for offered in names}
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute `nonsense`"):
        _ = module.nonsense


@pytest.mark.parametrize("name", rules.COMMANDS)
def test_a_stub_says_what_its_command_says(name: str) -> None:
    module, function, text = rules.COMMANDS[name]
    documented = getattr(import_module(f"streams.cli.commands.rules.{module}"), function).__doc__
    assert " ".join(documented.split("\n\n")[0].split()) == text
    assert rules.load(name).params
