"""Whatever is refused is on record, wherever it is; but for floods of one address."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from streams.sdk.errors import ExecutorError
from tests.unit.services.sts.house import House, open_house
from tests.waiting import WAIT_S, until

FORM = {"content-type": "application/x-www-form-urlencoded"}
ASSERTION = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}


def a_parameter_twice(house: House) -> httpx2.Response:
    return house.post(scope=["a", "b"])


def no_form(house: House) -> httpx2.Response:
    return house.http.post("/token", content=b"{}", headers={"content-type": "application/json"})


def bytes_that_are_none(house: House) -> httpx2.Response:
    return house.http.post("/token", content=b"a=\xff", headers=FORM)


def too_much(house: House) -> httpx2.Response:
    return house.http.post("/token", content=b"x=" + b"y" * 200_000, headers=FORM)


def two_proofs(house: House) -> httpx2.Response:
    return house.http.post("/token", data=house.form(), headers=[("DPoP", "a"), ("DPoP", "b")])


def nothing_to_give_back(house: House) -> httpx2.Response:
    return house.http.post("/revoke", content=b"{}", headers={"content-type": "text/plain"})


def an_unknown_agent_that_asks(house: House) -> httpx2.Response:
    token = house.agents.token("unknown")
    return house.http.post("/introspect", data={"token": "a.b.c", "client_assertion": token, **ASSERTION})


@pytest.mark.parametrize(
    "ask",
    [
        a_parameter_twice,
        no_form,
        bytes_that_are_none,
        too_much,
        two_proofs,
        nothing_to_give_back,
        an_unknown_agent_that_asks,
    ],
)
def test_what_is_refused_before_it_is_looked_at(house: House, ask: Any) -> None:
    before = {audit.header.id for audit in house.audits()}
    response = ask(house)
    assert response.status_code == 400
    assert house.new_audit(before).reason == response.json()["reason"]


@pytest.mark.parametrize("fault", [ExecutorError("away"), RuntimeError("of any kind")])
def test_what_can_not_be_answered(house: House, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def fail(*_: Any) -> None:
        raise fault

    before = {audit.header.id for audit in house.audits()}
    monkeypatch.setattr(house.running.parts.sources, "agent", fail)
    response = house.post()
    assert (response.status_code, response.json()["reason"]) == (503, "log_unavailable")
    assert house.new_audit(before).reason == "log_unavailable"


def test_what_there_is_no_thread_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.services.sts.endpoints.WAITING_MAX", 1)
    entered, leave = threading.Event(), threading.Event()
    with open_house(tmp_path) as house:
        agent = house.running.parts.sources.agent

        def wait(*arguments: Any) -> Any:
            entered.set()
            assert leave.wait(WAIT_S)
            return agent(*arguments)

        monkeypatch.setattr(house.running.parts.sources, "agent", wait)
        form = house.form()
        first = threading.Thread(
            target=lambda: httpx2.post(f"{house.url}/token", data=form, trust_env=False, timeout=WAIT_S)
        )
        first.start()
        assert entered.wait(WAIT_S)
        before = {audit.header.id for audit in house.audits()}
        assert house.post().status_code == 429
        assert house.new_audit(before).reason == "too_many_requests"
        leave.set()
        first.join()


def test_not_floods_of_one_address(tmp_path: Path) -> None:
    with open_house(tmp_path, per_address_per_minute=1) as house:
        house.http.post("/token", content=b"", headers=FORM)
        for _ in range(5):
            assert house.http.post("/token", content=b"", headers=FORM).status_code == 429
        until(lambda: bool(house.audits()), "the first one is on record")
        threading.Event().wait(0.3)
        assert [audit.reason for audit in house.audits()] == ["grant_type_unsupported"]
