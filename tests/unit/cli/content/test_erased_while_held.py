"""A call that was erased while a person was asked about it is not shown after the answer.

A session's first calls are captured; then the gate captures no arguments any more. A call waits for an answer, the
content of the session is erased, and the answer comes.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec
import pytest

from simulation.records import TRUSTED, UNTRUSTED, SessionMaker
from streams.cli.main import run
from streams.model.approval import ApprovalRequest
from streams.model.session import SessionEventType
from streams.model.topics import APPROVAL_REQUEST, REPORT, SESSION, VERDICT
from streams.model.verdict import Outcome, Verdict
from streams.wiring.settings_loading import load_settings
from tests.kit import MAIL_SEND, WEB_FETCH
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.content.captured_site import erasing, make_captured_site
from tests.unit.cli.recorded_site import Site, records_of

ERASED, LATER = "while-asked@example.com", "after-it@example.com"


class HeldSite(Site):
    """A session whose content is erased while one of its calls waits for an answer."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.folder = folder
        self.patch = patch
        self.maker = SessionMaker("s-0", tenant="default")

    def work(self, number: int) -> None:
        if number == 0:
            self.work_captured()
            self.patch.setenv("STOPLOG_CONTENT__CAPTURE", msgspec.json.encode(["request"]).decode())
            self.settings = load_settings()
        else:
            self.ask_and_erase()

    def work_captured(self) -> None:
        self.write(SESSION, self.maker.key, self.maker.established(self.clock.now_ms()))
        said = self.maker.event(SessionEventType.USER_MESSAGE, self.clock.now_ms(), label=TRUSTED)
        self.write(REPORT, self.maker.key, said)
        fetched = self.propose(self.maker, WEB_FETCH, {"url": "u"})
        self.write(REPORT, self.maker.key, self.maker.result(fetched, self.clock.now_ms(), label=UNTRUSTED))

    def ask_and_erase(self) -> None:
        self.propose(self.maker, MAIL_SEND, {"to": ERASED, "ask": "one"})
        self.clock.sleep_ms(5)
        assert run([*erasing(self.folder, "--session", "s-0"), "--yes"]) == 0
        self.clock.sleep_ms(5)
        self.answer()
        self.propose(self.maker, MAIL_SEND, {"to": LATER})

    def answer(self) -> None:
        (question,) = records_of(APPROVAL_REQUEST.name)
        assert isinstance(question, ApprovalRequest)
        assert run(["approvals", "approve", question.task_id, "--as", "lena", "--group", "leads", "--yes"]) == 0
        self.sent += 1
        self.wait_for_verdicts()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held")
    return make_captured_site(folder, partial(HeldSite, folder))


def intent_to(address: str) -> str:
    found = [each for each in records_of(VERDICT.name) if isinstance(each, Verdict) and address in each.args_json]
    assert found[-1].outcome is Outcome.ALLOW
    return found[-1].intent_id


def test_no_receipt_is_made_of_it(site: Stoplog, folder: Path) -> None:
    refused = site("audit", "prove", intent_to(ERASED), "--out", str(folder / "erased.receipt"))
    assert refused.status == 1
    assert "by ann: request of the user" in " ".join(refused.err.split())
    assert not (folder / "erased.receipt").exists()
    made = site("audit", "prove", intent_to(LATER), "--out", str(folder / "later.receipt"))
    assert made.status == 0, made.err


@pytest.mark.parametrize("form", ["--json", "--no-json"])
def test_it_is_not_among_what_the_session_did(site: Stoplog, form: str) -> None:
    shown = site("contain", "s-0", form)
    assert shown.status == 0, shown.err
    assert ERASED not in shown.out
    assert LATER in shown.out
