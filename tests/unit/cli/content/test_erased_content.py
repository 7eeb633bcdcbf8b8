"""What was erased is not shown again by any command, although calls are still on topics in plain text."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from streams.model.content import ContentOrder, ContentScope, OrderKind, key_name
from streams.model.topics import VERDICT
from streams.model.types import Header
from streams.model.verdict import Verdict
from streams.operations.contents.erased import erasure_of_session
from streams.operations.contents.orders import GivenOrder
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.content.captured_site import erasing
from tests.unit.cli.recorded_site import records_of

ADDRESS, ALLOWED = "x@outside.example", "a@example.com"
ERASED = "by ann: request of the user"


def sent(session_id: str) -> str:
    """The intent of a session that has sent something outside."""
    found = {
        each.intent_id
        for each in records_of(VERDICT.name)
        if isinstance(each, Verdict) and each.session_id == session_id and ADDRESS in each.args_json
    }
    (intent_id,) = found
    return intent_id


def commands(session_id: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """The commands that show the arguments of a session's calls, by name."""
    intent_id = sent(session_id)
    return {
        "explain": ("explain", intent_id),
        "session show": ("session", "show", session_id),
        "audit session": ("audit", "session", session_id),
        "audit why": ("audit", "why", intent_id),
        "contain": ("contain", session_id),
        "reveal": ("rules", "explain", "--intent", intent_id, "--reveal"),
        "incident": ("incident", "export", session_id, "--out", str(folder / f"incident-{session_id}")),
        "prove": ("audit", "prove", intent_id, "--out", str(folder / f"{session_id}.receipt")),
    }


SHOWN = {"contain": ALLOWED}
"""What of the arguments a command shows, if it is another one than `ADDRESS`."""

SHOW = ("explain", "session show", "audit session", "audit why", "contain", "reveal")
TELL = ("explain", "session show", "audit session", "reveal")
"""Those that say by whom and why it was erased."""

WRITE = ("incident", "prove")


@pytest.mark.parametrize("form", ["--json", "--no-json"])
def test_what_was_erased_is_not_shown_again(site: Stoplog, folder: Path, form: str) -> None:
    named = commands("s-0", folder)
    # In JSON, the story of a call has values only with their origins, which no rule of this site reads.
    shown = [name for name in SHOW if (name, form) != ("explain", "--json")]
    for name in shown:
        assert SHOWN.get(name, ADDRESS) in site(*named[name], form).out, f"{name} shows it before it is erased"
    assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
    for name in SHOW:
        result = site(*named[name], form)
        told = " ".join(f"{result.out} {result.err}".split())
        assert ADDRESS not in told, name
        assert ALLOWED not in told, name
        assert (result.status, "--reveal" in told) == ((1, True) if name == "reveal" else (0, False)), told
        if name in TELL:
            assert ERASED in told, name
    others = commands("s-1", folder)
    for name in shown:
        assert SHOWN.get(name, ADDRESS) in site(*others[name], form).out, f"{name} shows other sessions"


def test_no_file_is_made_of_what_was_erased(site: Stoplog, folder: Path) -> None:
    assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
    named, others = commands("s-0", folder), commands("s-1", folder)
    before = set(folder.iterdir())
    for name in WRITE:
        result = site(*named[name])
        assert result.status == 1
        assert ERASED in " ".join(result.err.split())
    assert set(folder.iterdir()) == before
    for name in WRITE:
        result = site(*others[name])
        assert result.status == 0, result.err


def test_files_with_arguments_are_their_owners_alone(site: Stoplog, folder: Path) -> None:
    page = folder / "s-0.html"
    named = commands("s-0", folder) | {"page": ("audit", "session", "s-0", "--html", str(page))}
    before = set(folder.rglob("*"))
    old_mask = os.umask(0o022)
    try:
        for name in (*WRITE, "page"):
            assert site(*named[name]).status == 0
    finally:
        os.umask(old_mask)
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in set(folder.rglob("*")) - before if path.is_file()}
    wanted = {"s-0.html", "s-0.jsonl", "s-0.expect.yaml", "s-0.receipt"}
    assert {name: mode for name, mode in made.items() if name in wanted} == dict.fromkeys(wanted, 0o600)


def test_rules_are_explained_without_the_arguments(site: Stoplog, folder: Path) -> None:
    intent_id = sent("s-0")
    before = site("rules", "explain", "--intent", intent_id, "--json")
    assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
    after = site("rules", "explain", "--intent", intent_id, "--json")
    assert (after.status, after.out) == (0, before.out)
    assert ADDRESS not in after.out


def order(time_ms: int, *names: str) -> dict[str, GivenOrder]:
    header = Header(id=f"o-{time_ms}", source="test", time=time_ms, tenant_uid="acme")
    made = ContentOrder(
        header=header,
        kind=OrderKind.ERASURE,
        scope=ContentScope.TENANT,
        id="acme",
        reason="age",
        ordered_by="ann",
        kids=names,
    )
    return dict.fromkeys(names, GivenOrder(made, "ann", None))


class TestWhichCalls:
    OLD, NEW = (key_name("acme", "s-1", kid) for kid in ("old", "new"))

    def test_of_captured_calls_those_whose_key_was_destroyed(self) -> None:
        erasure = erasure_of_session(order(500, self.OLD), "acme", "s-1", {"i-1": "old", "i-2": "new"})
        assert erasure is not None
        assert erasure.of_call("i-1", 600) is not None
        assert erasure.of_call("i-2", 400) is None, "its key is younger than what was to be erased"

    def test_of_others_those_until_the_newest_order(self) -> None:
        erasures = order(500, self.OLD) | order(700, self.NEW)
        erasure = erasure_of_session(erasures, "acme", "s-1", {})
        assert erasure is not None
        assert [erasure.of_call("i-1", at_ms) is not None for at_ms in (400, 700, 701)] == [True, True, False]

    @pytest.mark.parametrize(("tenant", "session"), [("acme", "s-10"), ("acme", "s-"), ("other", "s-1")])
    def test_not_those_of_other_sessions(self, tenant: str, session: str) -> None:
        assert erasure_of_session(order(500, self.OLD), tenant, session, {}) is None

    def test_not_those_of_a_session_whose_name_begins_another_one(self) -> None:
        erasures = order(500, key_name("acme", "s-1/night", "old"))
        assert erasure_of_session(erasures, "acme", "s-1", {"i-1": "old"}) is None
        assert erasure_of_session(erasures, "acme", "s-1/night", {}) is not None

    def test_a_key_of_the_session_may_have_any_id(self) -> None:
        erasure = erasure_of_session(order(500, key_name("acme", "s-1", "a/b")), "acme", "s-1", {"i-1": "a/b"})
        assert erasure is not None
        assert erasure.of_call("i-1", 600) is not None

    def test_an_order_that_does_not_count_erases_nothing(self) -> None:
        forged = {name: given._replace(fault="not signed") for name, given in order(500, self.OLD).items()}
        assert erasure_of_session(forged, "acme", "s-1", {}) is None
