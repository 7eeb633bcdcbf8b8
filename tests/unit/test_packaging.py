"""What ships: the wheel, the locks, the compose file."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from compose_spec import PyOptions

from streams.http.monitor import monitored
from streams.metrics.health import Health
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


def test_the_readme_names_the_file_that_a_build_makes(wheel: zipfile.ZipFile) -> None:
    """Until a version is on PyPI, whoever installs it elsewhere installs this file."""
    assert wheel.filename is not None
    assert f"dist/{Path(wheel.filename).name}[" in (ROOT / "README.md").read_text()


def test_make_run_shows_a_person_what_happens_where_the_output_is_no_terminal() -> None:
    """Commands write JSON into pipes; whoever keeps what `make run` prints wants to read it."""
    command = ["make", "--no-print-directory", "--just-print", "run"]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert made.stdout.splitlines()[-1].endswith("stoplog demo --no-json")


def test_the_wheel_ships_a_schema_for_every_record(wheel: zipfile.ZipFile) -> None:
    shipped = {Path(name).name for name in wheel.namelist() if name.startswith("streams/_shipped/schemas/avro/")}
    committed = {path.name for path in (ROOT / "schemas/avro").glob("*.avsc")}
    assert shipped == committed
    assert len(shipped) >= len({topic.record for topic in DECLARED if topic.record is not None})


def test_the_wheel_ships_the_rules_and_the_ids(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "streams/_shipped/schemas/ids.lock.json" in names
    folders = (ROOT / "rules", ROOT / "shadow_rules")
    committed = {
        path.relative_to(ROOT).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()
    }
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
    assert set(compose.service_names()) == {"kafka", "setup", "gate-1", "gate-2", "token-service", "mail", "agent"}
    # With the plugin, also by the program that reads it.
    docker = ["docker", "compose", "--file", str(COMPOSE), "--profile", "agent"]
    if shutil.which("docker") and not subprocess.run([*docker, "version"], capture_output=True, check=False).returncode:
        done = subprocess.run([*docker, "config", "--quiet"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_the_page_about_compose_names_every_service() -> None:
    page = (ROOT / "docs/how-to/run-with-compose.md").read_text()
    named = [name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(yaml.safe_load(COMPOSE.read_text())["services"])
    assert len(page.splitlines()) <= 60


def test_what_the_broker_stores_is_on_its_volume() -> None:
    """Otherwise `docker compose down` removes topics, rules and every stop."""
    compose = yaml.safe_load(COMPOSE.read_text())
    broker = compose["services"]["kafka"]
    (mount,) = broker["volumes"]
    volume, folder = mount.split(":")
    assert broker["environment"]["KAFKA_LOG_DIRS"] == folder
    assert volume in compose["volumes"]
    assert broker["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_every_service_that_goes_on_has_a_health_check_and_a_state_of_its_own() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    lasting = {name: each for name, each in services.items() if each["restart"] != "no"}
    assert set(lasting) == {"kafka", "gate-1", "gate-2", "token-service", "mail"}
    assert all("test" in each["healthcheck"] for each in lasting.values())
    states = [mount for each in lasting.values() for mount in each["volumes"] if ":/var/lib/" in mount]
    assert len({mount.split(":")[0] for mount in states}) == len(lasting)


def test_nobody_but_gates_and_token_service_has_the_root_key() -> None:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    holders = {
        name: each["volumes"]
        for name, each in services.items()
        if any("keys:/etc/stoplog/keys" in m for m in each["volumes"])
    }
    assert set(holders) == {"setup", "gate-1", "gate-2", "token-service"}
    assert {name for name, mounts in holders.items() if "keys:/etc/stoplog/keys" in mounts} == {"setup"}


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


def test_the_image_copies_only_what_is_there_and_what_a_build_is_given() -> None:
    copied = [source for line in instructions("COPY") if not line.startswith("--from=") for source in line.split()[:-1]]
    given = [
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    ]
    assert {
        "pyproject.toml",
        "requirements/run.lock",
        "schemas",
        "rules",
        "shadow_rules",
        "streams",
        "examples",
    } <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == each or source.startswith(f"{each}/") for each in given), f"`.dockerignore` hides {source}"


def test_all_extras_are_in_all() -> None:
    extras: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    reached, left = set[str](), ["all"]
    while left:
        extra = left.pop()
        reached.add(extra)
        for each in extras[extra]:
            if named := re.fullmatch(r"stoplog\[([a-z,0-9]+)\]", each):
                left += set(named[1].split(",")) - reached
    assert reached == set(extras)


def test_the_image_has_every_extra_and_what_the_demonstration_needs() -> None:
    runs = "\n".join(instructions("RUN"))
    assert "-r requirements/run.lock" in runs
    assert re.search(r"apt-get install .*\bgit\b", runs)
    lock = (ROOT / "requirements/run.lock").read_text()
    for package in ("mcp-server-git", "prometheus-client", "uvicorn", "rocksdict", "httpx2"):
        assert re.search(rf"^{package}==", lock, re.MULTILINE), package


def test_what_the_image_runs_in_python_works() -> None:
    """The detectors are compiled at the build; the health check runs every few seconds."""
    steps = [found[1] for line in instructions("RUN") if (found := re.search(r'^python -c "(.*)"$', line))]
    assert len(steps) == 1
    subprocess.run([sys.executable, "-c", steps[0]], cwd=ROOT, check=True, timeout=120)
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])
    assert command[:2] == ["python", "-c"]
    with monitored(":0", Health) as port:
        healthy = command[2].replace("9464", str(port))
        subprocess.run([sys.executable, "-c", healthy], check=True, timeout=60)
    with monitored(":0", lambda: Health(waits_for=("its state",))) as port:
        waiting = command[2].replace("9464", str(port))
        assert subprocess.run([sys.executable, "-c", waiting], capture_output=True, timeout=60, check=False).returncode


def test_the_image_and_compose_ask_for_health_where_it_is_served() -> None:
    (listen,) = [found[1] for line in instructions("ENV") if (found := re.search(r"_METRICS__LISTEN=:(\d+)", line))]
    (check,) = instructions("HEALTHCHECK")
    gate = yaml.safe_load(COMPOSE.read_text())["services"]["gate-1"]
    assert gate["environment"]["STOPLOG_METRICS__LISTEN"] == f":{listen}"
    for asked in (check, gate["healthcheck"]["test"][-1]):
        assert f"HTTPConnection('127.0.0.1', {listen}, " in asked
        assert "'/health/ready'" in asked


def instructions(name: str) -> list[str]:
    """The instructions of that name in the Dockerfile, each in one line."""
    text = re.sub(r"\s*\\\n\s*", " ", (ROOT / "Dockerfile").read_text())
    return [line.removeprefix(f"{name} ") for line in text.splitlines() if line.startswith(f"{name} ")]


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
