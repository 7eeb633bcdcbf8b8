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
from streams.operations.open_transactions import TRANSACTION_TIMEOUT_MS_MAX, TRANSACTION_TIMEOUT_SETTING
from streams.wiring.settings import setting_names

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
KAFKAS_TRANSACTION_TIMEOUT_MS = 900_000

# The files that installers, builds and CI read.
SOURCES_OF_PACKAGES = re.compile(
    r"requirements.*\.(lock|txt|in)$|(^|/)(pyproject\.toml|Makefile|pom\.xml|Dockerfile)$|^\.ci/"
)
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
INDEX_OPTION = re.compile(r"--((extra-)?index-url|find-links|trusted-host)\b|^\s*(-i|-f)\s", re.MULTILINE)
ABSOLUTE_PATH = re.compile(r"(?<![\w.)}*/:-])/(?!usr/bin/env\b|dev/null\b)[\w.-]+/[\w./-]*")
HOME = re.compile(r"(?<![\w.-])(/home/\w|/Users/\w|/root/[\w.]|[A-Za-z]:\\+Users\b)")


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
    assert len(shipped) >= len({topic.record for topic in DECLARED if topic.record is not None})


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
    assert addresses_in(f"requirements/{lock}.lock", text) == []


def test_every_dependency_is_bounded_and_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lock = (ROOT / "requirements/dev.lock").read_text()
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted.extend(extra)
    extras = project["project"]["optional-dependencies"]
    own = [set(match[1].split(",")) for each in wanted if (match := re.fullmatch(r"stoplog\[([a-z,]+)\]", each))]
    assert own
    assert set().union(*own) <= set(extras)
    for requirement in [each for each in wanted if not each.startswith("stoplog[")]:
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


def test_the_topics_of_the_compose_file_can_be_applied() -> None:
    """`topics apply` fails for a broker that lets transactions stay open for long, and then no gate is started."""
    broker = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["environment"]
    name = "KAFKA_" + TRANSACTION_TIMEOUT_SETTING.upper().replace(".", "_")
    assert int(broker.get(name, KAFKAS_TRANSACTION_TIMEOUT_MS)) <= TRANSACTION_TIMEOUT_MS_MAX


def test_tests_and_compose_run_the_same_broker() -> None:
    image = yaml.safe_load(COMPOSE.read_text())["services"]["kafka"]["image"]
    pom = (ROOT / "ops/kafka/pom.xml").read_text()
    version = image.rpartition(":")[2]
    assert f"<version>{version}</version>" in pom or f">{version}<" in pom


def addresses_in(name: str, text: str) -> list[str]:
    """What in a file ties it to one registry or one machine.

    Any absolute address does so in a file that says where packages come from; a home folder does in any file.
    """
    found = [match[0] for match in HOME.finditer(text)]
    if SOURCES_OF_PACKAGES.search(name):
        # The namespace of an XML document looks like an address, but nothing is fetched from there.
        text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
        found += [match[0] for pattern in (ADDRESS, INDEX_OPTION) for match in pattern.finditer(text)]
        # The paths in a Dockerfile are those of the container, which is the same everywhere.
        if not name.endswith("Dockerfile"):
            found += [match[0] for match in ABSOLUTE_PATH.finditer(text)]
    return found


def test_nothing_committed_names_a_registry_host_or_a_path_of_one_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30)
    paths = [ROOT / name for name in tracked.stdout.splitlines() if ROOT / name != Path(__file__)]
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in paths
        if path.is_file()
    }
    assert {"requirements/run.lock", "requirements/dev.lock", "pyproject.toml", "Makefile", ".ci/run"} <= set(texts)
    found = {name: addresses_in(name, text) for name, text in texts.items()}
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements/run.lock", "--index-url https://mirror.example/simple"),
        ("requirements/run.lock", "-i mirror\n"),
        ("requirements/dev.lock", "--extra-index-url=mirror"),
        ("requirements/dev.lock", "    # from HTTP://mirror.example"),
        ("requirements/dev.lock", "wheel @ file:///srv/wheels/wheel.whl"),
        ("requirements/dev.lock", "    # via -r /srv/build/requirements.in"),
        ("bench/faust/requirements.txt", "faust @ git+ssh://git@git.example/faust"),
        ("pyproject.toml", 'url = "https://mirror.example/simple"'),
        ("pyproject.toml", 'cache-dir = "/mnt/cache/uv"'),
        ("Makefile", "UV := /opt/tools/uv"),
        (".ci/run", "cd /builds/stoplog"),
        ("ops/kafka/pom.xml", "<url>https://mirror.example/maven2</url>"),
        ("Dockerfile", "RUN pip install --trusted-host mirror --find-links wheels"),
        ("docs/how-to/run.md", "    cd /home/ann/stoplog"),
        ("bench/results/gate.json", '{"folder": "/Users/ann/stoplog"}'),
        ("streams/model/ids.py", "PATH = '/root/.cache'"),
        ("README.md", "C:\\Users\\ann\\stoplog"),
    ],
)
def test_an_address_of_one_registry_or_machine_is_found(name: str, text: str) -> None:
    assert addresses_in(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements/dev.lock", "wheel==1.0 \\\n    --hash=sha256:00ff\n    # via stoplog (pyproject.toml:dev)"),
        ("ops/kafka/pom.xml", '<project xmlns="http://maven.apache.org/POM/4.0.0"></project>'),
        (".ci/run", '#!/usr/bin/env bash\ncd "$(dirname "$0")/.." > /dev/null'),
        ("Makefile", "BIN := $(VENV)/bin\n\t$(BIN)/pytest tests/unit bench/results/"),
        ("Dockerfile", "COPY --from=build /opt/stoplog /opt/stoplog"),
        ("docker-compose.yml", "KAFKA_LISTENERS: INSIDE://:19092,HOST://127.0.0.1:9092"),
        ("docs/index.md", "See https://kafka.apache.org and /var/lib/stoplog."),
        ("streams/cli/main.py", "ROOT / 'home/ann'"),
    ],
)
def test_what_is_the_same_everywhere_is_no_address_of_one_machine(name: str, text: str) -> None:
    assert addresses_in(name, text) == []
