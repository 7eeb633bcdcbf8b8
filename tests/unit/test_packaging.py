"""What ships: the wheel, the locks, the compose file."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from compose_spec import PyOptions

from streams.model.topics import DECLARED
from streams.wiring.settings import setting_names

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_ships_a_schema_for_every_record(wheel: zipfile.ZipFile) -> None:
    shipped = {Path(name).name for name in wheel.namelist() if name.startswith("streams/_shipped/schemas/avro/")}
    committed = {path.name for path in (ROOT / "schemas/avro").glob("*.avsc")}
    assert shipped == committed
    assert len(shipped) >= sum(topic.record is not None for topic in DECLARED)


def test_the_wheel_ships_the_rules_and_the_ids(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "streams/_shipped/schemas/ids.lock.json" in names
    committed = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rules").rglob("*") if path.is_file()}
    assert {f"streams/_shipped/{path}" for path in committed} <= names


def test_the_wheel_holds_the_package_and_the_demonstration_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"streams", "stoplog_demo"}


@pytest.mark.parametrize("lock", ["run", "dev"])
def test_locks_pin_every_package_by_hash_and_name_no_host(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    packages = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert packages
    assert all("==" in line and line.endswith("\\") for line in packages)
    assert not re.search(r"https?://|--index-url|--find-links", text)


def test_every_dependency_is_bounded_and_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements/dev.lock").read_text()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted.extend(extra)
    for requirement in wanted:
        assert re.search(r">=[^,]+,<", requirement), f"`{requirement}` has no bounds"
        name = re.split(r"[\[><]", requirement)[0]
        assert re.search(rf"^{re.escape(name)}==", lock, re.MULTILINE), f"`{name}` is not locked: run `make lock`"


def test_the_compose_file_is_valid() -> None:
    options = PyOptions()
    options.apply_merge = True
    compose = options.from_yaml(COMPOSE.read_text())
    compose.validate()
    assert set(compose.service_names()) == {"kafka", "setup", "gate-1", "gate-2"}


def test_the_compose_file_sets_only_settings_that_exist() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    known = {"STOPLOG_" + name.upper().replace(".", "__") for name in setting_names()}
    set_by_services = {
        name for service in services.values() for name in service.get("environment", {}) if name.startswith("STOPLOG_")
    }
    assert set_by_services
    assert set_by_services <= known


def test_tests_and_compose_run_the_same_broker() -> None:
    image = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["image"]
    pom = (ROOT / "ops/kafka/pom.xml").read_text()
    version = image.rpartition(":")[2]
    assert f"<version>{version}</version>" in pom or f">{version}<" in pom


def test_nothing_committed_names_a_registry_host_or_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    pattern = re.compile(
        r"files\.pythonhosted\.org|pypi\.org/simple|repo1?\.maven\.(apache\.)?org|registry\.npmjs\.org|/root/\.|/work/main"
    )
    hits = []
    for name in tracked.stdout.splitlines():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
            hits.append(name)
    assert hits == []
