"""The token service on a real broker: its transactions, over fencing and the death of the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from streams.delegation.digest import body_of
from streams.operations.topics.access import TOKEN_SERVICE_PREFIX
from streams.operations.topics.application import carry_out, make_plan
from streams.ports.open_log import Log
from streams.sdk.entropy import SYSTEM
from streams.services.sts.session_writer import Ledger, Opening
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from tests.unit.services.sts.faults import together
from tests.unit.services.sts.house import AGENT, ROOT_KEY, STS, SUB_AGENT, House
from tests.unit.services.sts.test_exchange import holds

pytestmark = pytest.mark.broker

ROOT = Path(__file__).parents[2]


def settings_of(bootstrap: str, name: str, folder: Path) -> Settings:
    return Settings(
        log="kafka", bootstrap=bootstrap, state_dir=folder / "state", topics={"partitions": 2, "prefix": f"{name}-"}
    )


@contextmanager
def house_on(settings: Settings, folder: Path, log: Log | None = None) -> Iterator[House]:
    folder.mkdir(exist_ok=True)
    with open_log(settings) as opened:
        with closing(opened.admin()) as admin:
            carry_out(make_plan(settings.topics, settings.group, admin, [settings.tenant]), admin, 1, lambda step: None)
        house = House(folder, log or opened, build_codec(settings), {}, None)
        try:
            yield house
        finally:
            house.close()


def test_sessions_are_opened_and_handed_on(tmp_path: Path, kafka_bootstrap: str) -> None:
    with house_on(settings_of(kafka_bootstrap, "sts-a", tmp_path), tmp_path / "h") as house, house.client() as sts:
        parent = sts.exchange(house.users.token("alice"), house.agents.token(AGENT), purpose="work")
        child = sts.hand_on(parent, house.agents.token(SUB_AGENT))
        for session in (parent, child):
            holds(house, session.credential.session_id)
        assert together(house) == 2
        sts.revoke(parent, house.agents.token(AGENT))
        assert house.refused(scope="admin") == ("invalid_scope", "scope_too_wide")


def test_a_second_one_of_the_same_name_fences_the_first_which_recovers(tmp_path: Path, kafka_bootstrap: str) -> None:
    with house_on(settings_of(kafka_bootstrap, "sts-b", tmp_path), tmp_path / "h") as house:
        house.granted()
        [grant] = house.grants()
        name = f"{TOKEN_SERVICE_PREFIX}1"
        second = Ledger(house.transport, ROOT_KEY, issuer=STS, name=name, entropy=SYSTEM)
        second.open_session(Opening((body_of(grant),), False, None, "again", None))
        second.close()
        before = len(house.sessions())
        response = house.post()
        assert response.status_code == 503
        assert len(house.sessions()) == before
        house.granted()
        assert len(house.sessions()) == before + 1


DYING = """
import sys
from pathlib import Path
from streams.wiring.logs import open_log
from tests.integration.test_token_service import house_on, settings_of
from tests.unit.services.sts.house import WrappedLog
from tests.unit.services.sts.faults import dying

settings = settings_of(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
folder = Path(sys.argv[3]) / "h"
with open_log(settings) as log, house_on(settings, folder, WrappedLog(log, dying(sys.argv[4]))) as house:
    house.post()
"""


@pytest.mark.parametrize(
    ("where", "there"), [("after agent.audit.reported.v1", 0), ("before commit", 0), ("after commit", 1)]
)
def test_a_process_that_dies_leaves_a_session_with_its_grant_or_neither(
    tmp_path: Path, kafka_bootstrap: str, where: str, there: int
) -> None:
    name = f"sts-c-{where.replace(' ', '-')}"
    settings = settings_of(kafka_bootstrap, name, tmp_path)
    command = [sys.executable, "-c", DYING, kafka_bootstrap, name, str(tmp_path), where]
    assert subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode == 9
    with house_on(settings, tmp_path / "h") as house:
        house.granted()
        assert together(house) == there + 1
