"""A person's acts: who acts, what a decision needs, what a revocation names."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.model.approval import ApprovalRequest
from streams.model.revocation import RevocationKind
from streams.operations import operator as operator_module
from streams.operations.approvals.answers import check_answer
from streams.operations.approvals.errors import ApprovalError
from streams.operations.approvals.questions import Question
from streams.operations.operator import NamelessError
from streams.operations.stops import RevocationTargetError, revocation_target
from streams.ports.open_log import LogMissingError
from streams.wiring.logs import open_log
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.records import ACTOR, DIGEST, HEADER, TOOL, UUID

NOW_MS = 1_000
REQUEST = ApprovalRequest(
    header=HEADER,
    task_id=UUID,
    verdict_id=UUID,
    intent_id=UUID,
    session_id="s-1",
    sub="alice",
    act=ACTOR,
    tool=TOOL,
    args_json="{}",
    args_digest=DIGEST,
    reason_text="asked",
    eligible_approvers=("maintainers", "leads"),
    expires_at=NOW_MS + 1,
)
ASKED = Question(b"acme|s-1", REQUEST, 0, {}, is_known=True)


class TestDecision:
    def test_one_of_the_groups_will_do(self) -> None:
        check_answer(ASKED, "bob", ["leads", "others"], NOW_MS)

    def test_without_groups_any_person_will_do(self) -> None:
        check_answer(ASKED._replace(request=msgspec.structs.replace(REQUEST, eligible_approvers=())), "bob", [], NOW_MS)

    @pytest.mark.parametrize("name", ["alice", ACTOR.sub])
    def test_nobody_decides_about_their_own_call(self, name: str) -> None:
        with pytest.raises(ApprovalError, match="their own call"):
            check_answer(ASKED, name, ["leads"], NOW_MS)

    def test_a_group_must_be_named(self) -> None:
        with pytest.raises(ApprovalError, match="only members of maintainers, leads may decide"):
            check_answer(ASKED, "bob", ["others"], NOW_MS)

    def test_a_task_that_has_expired_is_over(self) -> None:
        with pytest.raises(ApprovalError, match="has expired"):
            check_answer(ASKED, "bob", ["leads"], REQUEST.expires_at)


class TestTarget:
    @pytest.mark.parametrize("kind", [RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT])
    def test_what_belongs_to_a_tenant_gets_it(self, kind: RevocationKind) -> None:
        assert revocation_target(kind, "x", "acme") == "acme|x"
        assert revocation_target(kind, "acme|x", "acme") == "acme|x"
        assert revocation_target(kind, "acme|auth0|x", "acme") == "acme|auth0|x"
        with pytest.raises(RevocationTargetError, match=r"write `acme\|auth0\|x`.*STOPLOG_TENANT=auth0"):
            revocation_target(kind, "auth0|x", "acme")

    def test_all_is_all(self) -> None:
        assert revocation_target(RevocationKind.ALL, "whatever", "acme") == "*"

    @pytest.mark.parametrize("stated", ["send", "mail/", "/send", ""])
    def test_a_tool_has_a_server(self, stated: str) -> None:
        with pytest.raises(RevocationTargetError):
            revocation_target(RevocationKind.TOOL, stated, "acme")


def test_who_acts_must_be_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(operator_module.getpass, "getuser", nobody)
    settings = load_settings({"state_dir": tmp_path})
    open_log(settings).close()
    with open_operator(settings) as operator, pytest.raises(NamelessError, match="`--as`"):
        assert operator.name
    with open_operator(settings, "ann") as operator:
        assert operator.name == "ann"


def test_an_operator_makes_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogMissingError):
        open_operator(load_settings({"state_dir": tmp_path}))
    assert list(tmp_path.iterdir()) == []
