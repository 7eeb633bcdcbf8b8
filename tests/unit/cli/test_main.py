"""The entry point: help, version, errors for people, exit statuses."""

from __future__ import annotations

import ctypes
import os
import pty
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from streams.cli.main import COMMANDS
from streams.cli.terminal.text import printable, short
from tests.unit.cli.conftest import Stoplog

START_S_MAX = 1.0
"""It takes 0.15 s. What this bound catches is a command that loads what it should load when it is run."""


def test_help_lists_every_command(stoplog: Stoplog) -> None:
    for args in (("--help",), ("-h",), ()):
        result = stoplog(*args)
        assert result.status == 0
        assert all(name in result.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own(stoplog: Stoplog, name: str) -> None:
    result = stoplog(name, "--help")
    assert result.status == 0
    assert f"stoplog {name}" in result.out


def test_help_loads_no_heavy_module() -> None:
    code = (
        "import sys; from streams.cli.main import run; run(['--help']); "
        "heavy = {'confluent_kafka', 'rocksdict', 'cel_expr_python', 'pydantic', 'jsonschema_rs', 'mcp'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or None)"
    )
    before = os.times()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    after = os.times()
    assert done.stderr == ""
    assert done.returncode == 0
    # Of the processor, because others share the machine.
    taken_s = after.children_user + after.children_system - before.children_user - before.children_system
    assert 0 < taken_s < START_S_MAX


def test_the_version_is_the_distributions(stoplog: Stoplog) -> None:
    result = stoplog("--version")
    assert result.status == 0
    assert result.out.startswith("stoplog 0.")


def test_a_misspelt_command_is_told_with_a_suggestion(stoplog: Stoplog) -> None:
    result = stoplog("topcs")
    assert result.status == 2
    assert result.err == "error: no such command `topcs`. Did you mean `topics`?\nRun `stoplog --help` for help.\n"
    assert result.out == ""


def test_a_missing_option_is_told_with_where_to_read_on(stoplog: Stoplog) -> None:
    result = stoplog("kill", "--session", "s-1")
    assert result.status == 2
    assert result.err == "error: missing option `--why`\nRun `stoplog kill --help` for help.\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("session", "show", "--session", "s-1"), "write SESSION without `--session`: `stoplog session show SESSION`"),
        (("explain", "--intent", "i-1"), "write INTENT without `--intent`: `stoplog explain INTENT`"),
        (("alerts", "ack", "--alert=a"), "write ALERT without `--alert`: `stoplog alerts ack ALERT`"),
        (("resume", "--session", "s-1"), "no such command `resume`. Did you mean `release`?"),
        (("behaviour", "mailer"), "no such command `mailer`; the commands of `stoplog behaviour` are `show`"),
        (("session",), "missing command; the commands of `stoplog session` are `show`, `list`"),
        (("nothing",), "no such command `nothing`"),
        (
            ("kill", "--all", "--why", "x", "--until", "soon"),
            "invalid value for `--until`: `soon` is neither",
        ),
    ],
)
def test_who_mistakes_how_a_command_is_written_learns_how_it_is(
    stoplog: Stoplog, args: tuple[str, ...], told: str
) -> None:
    stoplog("topics", "apply")
    result = stoplog(*args)
    assert result.status == 2
    assert result.err.startswith(f"error: {told}")
    assert " --help` for help.\n" in result.err


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("tail",), "missing argument `SUBJECT`. Choose from: verdicts, audit, alerts, ocsf, "),
        (("tail", "nothing"), "invalid value for `SUBJECT`: `nothing` is not one of `verdicts`, `audit`, "),
        (("tail", "alerts", "--no-follw"), "no such option: `--no-follw`"),
        (("kill", "--why", "x"), "give exactly one of --session, --agent, "),
        (("tail", "alerts", "--max", "0"), "invalid value for `--max`: it must be greater than or equal to 1"),
    ],
)
def test_a_mistake_in_a_choice_is_reported_in_one_line_without_the_words_of_libraries(
    stoplog: Stoplog, args: tuple[str, ...], told: str
) -> None:
    result = stoplog(*args)
    assert result.status == 2
    first, hint = result.err.splitlines()
    assert first.startswith(f"error: {told}")
    assert hint == f"Run `stoplog {args[0]} --help` for help."


@pytest.mark.parametrize(
    ("args", "where"),
    [
        (("--bootstrap", "x", "tail", "alerts"), "after the command: `stoplog COMMAND --bootstrap ...`"),
        (("session", "list", "--settings", "x"), "before the command: `stoplog --settings ... session list`"),
    ],
)
def test_an_option_on_the_wrong_side_of_the_command_is_told_where_it_stands(
    stoplog: Stoplog, args: tuple[str, ...], where: str
) -> None:
    result = stoplog(*args)
    assert result.status == 2
    assert f"; it stands {where}\n" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("kill", "--all"),
        ("release", "--all"),
        ("alerts", "close", "a"),
        ("audit", "read", "s-1"),
        ("audit", "erase", "--session", "s-1"),
    ],
)
@pytest.mark.parametrize("why", ["", "  "])
def test_a_reason_that_is_recorded_is_not_empty(stoplog: Stoplog, args: tuple[str, ...], why: str) -> None:
    stoplog("topics", "apply")
    result = stoplog(*args, "--why", why)
    assert result.status == 2
    assert result.err.startswith("error: invalid value for `--why`: a reason must not be empty\n")
    assert stoplog("tail", "revocations", "--no-follow").records == []


def test_errors_for_people_have_no_traceback_unless_it_is_asked_for(stoplog: Stoplog) -> None:
    result = stoplog("topics", "check")
    assert result.status == 1
    assert result.err.startswith("error: there is no embedded log at `.stoplog/log.sqlite`; create it with")
    assert "Traceback" not in result.err
    result = stoplog("--debug", "topics", "check")
    assert result.status == 1
    assert "Traceback" in result.err
    assert "error: there is no embedded log" in result.err


@pytest.mark.parametrize("command", [("topics", "check"), ("gate",)])
def test_who_is_in_another_folder_than_the_settings_is_told_so(stoplog: Stoplog, command: tuple[str, ...]) -> None:
    hint = "no settings were read, because there is no `stoplog.toml` in this folder"
    assert stoplog(*command).err.splitlines()[-1] == hint
    Path("stoplog.toml").write_text('state_dir = "state"\n')
    assert hint not in stoplog(*command).err


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("topics", "apply", "--state-dir", "taken"), "taken"),
        (("topics", "apply", "--state-dir", "taken/state"), "taken/state"),
        (("keys", "new", "--out", "taken/root.key"), "taken"),
        (("rules", "new", "notes", "--dir", "taken"), "taken/notes"),
        (("try", "history.jsonl", "--out", "taken/out.jsonl"), "taken/out.jsonl"),
        (("demo", "--keep", "taken/demo"), "taken/demo"),
    ],
)
def test_a_place_that_can_not_be_written_is_named(
    stoplog: Stoplog, home: Path, args: tuple[str, ...], named: str
) -> None:
    (home / "taken").write_text("a file, and so no folder")
    (home / "history.jsonl").write_text("")
    result = stoplog(*args)
    assert result.status == 1
    assert "Traceback" not in result.err
    assert f"error: `{named}` can't be used: " in result.err
    assert "Not a directory" in result.err or "File exists" in result.err


def _like_anybody() -> None:
    """Give up what lets root write into every folder; for others it changes nothing."""
    drop_from_bounding_set = 24
    for capability in (1, 2, 3):  # to write anything, to read anything, and to act as the owner of any file
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("topics", "apply", "--state-dir", "closed"), "`closed/log.sqlite` can't be "),
        (("topics", "apply", "--state-dir", "closed/state"), "`closed/state` can't be used: Permission denied"),
        (("try", "history.jsonl", "--out", "closed/out.jsonl"), "`closed/out.jsonl` can't be used: Permission denied"),
        (("keys", "new", "--out", "closed/root.key"), "`closed/root.key` can't be used: Permission denied"),
    ],
)
def test_a_folder_that_nobody_may_write_is_named(home: Path, args: tuple[str, ...], told: str) -> None:
    (home / "closed").mkdir(mode=0o500)
    (home / "history.jsonl").write_text("")
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", *args],
        cwd=home,
        preexec_fn=_like_anybody,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"error: {told}" in ended.stderr


def test_settings_that_can_not_be_understood_are_a_misuse(stoplog: Stoplog, home: Path) -> None:
    (home / "stoplog.toml").write_text('bootstrp = "x"')
    result = stoplog("topics", "check")
    assert result.status == 2
    assert "did you mean `bootstrap`?" in result.err


@pytest.mark.parametrize("service", ["sts", "ssf", "approvals"])
def test_an_option_that_is_no_valid_setting_is_named(stoplog: Stoplog, service: str) -> None:
    result = stoplog(service, *(["serve"] if service == "approvals" else []), "--port", "99999")
    assert result.status == 2
    assert result.err.startswith(f"error: setting `{service}.port`: input should be less than or equal to 65535, got")


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ('{"security.protcol": "SSL"}', "setting `kafka`: no such configuration property: `security.protcol`"),
        ('{"security.protocol": "FOO"}', "setting `kafka`: invalid value `FOO` for configuration property"),
        ('{"bootstrap.servers": "x:1"}', "setting `kafka`: `bootstrap.servers` can't be given here: name the brokers"),
        ("no json", "environment variable `STOPLOG_KAFKA` is not JSON: Expecting value"),
    ],
)
@pytest.mark.parametrize("command", ["session list", "topics check", "tail alerts"])
def test_a_setting_of_kafka_that_is_not_valid_is_named(
    stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, command: str, stated: str, told: str
) -> None:
    monkeypatch.setenv("STOPLOG_KAFKA", stated)
    result = stoplog(*command.split(), "--bootstrap", "127.0.0.1:1")
    assert result.status == 2
    assert result.err.startswith(f"error: {told}")


def test_a_settings_file_can_be_named(stoplog: Stoplog, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_SETTINGS", "")  # restored afterwards
    (home / "mine.toml").write_text('state_dir = "elsewhere"')
    result = stoplog("--settings", "mine.toml", "topics", "check")
    assert "`elsewhere/log.sqlite`" in result.err
    assert stoplog("--settings", "none.toml", "topics", "check").status == 2


def test_what_an_attacker_wrote_does_not_reach_the_terminal(stoplog: Stoplog) -> None:
    result = stoplog("topics", "check", "--state-dir", "x\x1b[31m\u202ey")
    assert "x\\x1b[31m\\u202ey" in result.err
    assert "\x1b" not in result.err


@pytest.mark.parametrize(("no_color", "begins"), [("", "\x1b[31m\x1b[1merror:"), ("1", "\x1b[1merror:")])
def test_an_error_has_no_color_where_nobody_wants_colors(no_color: str, begins: str) -> None:
    ours, theirs = pty.openpty()
    try:
        with os.fdopen(theirs, "wb") as terminal:
            command = [sys.executable, "-m", "streams.cli", "topcs"]
            done = subprocess.run(command, stderr=terminal, env={**os.environ, "NO_COLOR": no_color}, check=False)
        assert done.returncode == 2
        assert os.read(ours, 4_096).decode().startswith(begins)
    finally:
        os.close(ours)


def test_a_reader_that_goes_away_ends_a_command_quietly(stoplog: Stoplog) -> None:
    stoplog("topics", "apply")
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m streams.cli topics show --json | head -1"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(import_module("streams").__file__ or "").parents[1])},
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_a_full_disk_is_told_of_without_a_traceback(stoplog: Stoplog) -> None:
    stoplog("topics", "apply")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "topics", "show", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(import_module("streams").__file__ or "").parents[1])},
            check=False,
        )
    assert done.stderr == "error: a file can't be written: No space left on device; make room on its disk\n"
    assert done.returncode == 1


# Ctrl-C while the command line is loaded.
INTERRUPTED_LOADING = """
import sys

class Impatient:
    def find_spec(self, name, path, target=None):
        if name == "streams.cli.terminal.text":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Impatient())
from streams.cli.start import main
main()
"""


def test_who_interrupts_while_it_is_loaded_sees_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_LOADING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (130, "", "")


class TestText:
    @pytest.mark.parametrize("text", ["plain", "Größe 🙂 日本", "tab-free", ""])
    def test_what_is_harmless_stays(self, text: str) -> None:
        assert printable(text) == text

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
            ("\u200bzero\u2066", "\\u200bzero\\u2066"),
            ("\ud800", "\\ud800"),
            ("\x9b31m", "\\x9b31m"),
            ("\U000e0041", "\\U000e0041"),
        ],
    )
    def test_what_moves_the_cursor_or_hides_is_escaped(self, text: str, shown: str) -> None:
        assert printable(text) == shown

    def test_lines_can_stay(self) -> None:
        assert printable("a\nb\x1b", lines=True) == "a\nb\\x1b"

    def test_cutting(self) -> None:
        assert short("abcdef", 4) == "abc…"
        assert short("abcd", 4) == "abcd"
        assert len(short("\x1b" * 100, 10)) == 10


def test_a_command_ends_with_its_status_after_all_that_is_to_be_done_at_the_end() -> None:
    """Objects are not freed one by one. Threads end, and what others have registered is called and written."""
    code = """
import atexit, sys, threading, time
from streams.cli import main as cli, start
def run():
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    atexit.register(lambda: sys.stdout.write("registered"))
    sys.exit(int(sys.argv[1]))
cli.main = run
class Freed:
    def __del__(self): sys.stderr.write("freed")
kept = Freed()
start.main()
"""
    for status in (0, 2, 130):
        done = subprocess.run([sys.executable, "-c", code, str(status)], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (status, "thread\nregistered", "")


def test_output_that_can_not_be_written_is_not_a_success() -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "streams.cli", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, env=buffered, check=False)
    assert done.returncode != 0
