# Everything a newcomer needs is `make run` and `make test`; both set themselves up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 2000
KAFKA_PORT ?= 9092
MINUTES ?= 30
# How many processes run tests. One more than there are cores, since many tests wait for the processes they start.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')
# Tests start hundreds of processes. Without its bytecode kept, each of them would compile stoplog anew.
unexport PYTHONDONTWRITEBYTECODE
# The checks of `lint` run side by side where make can keep their output apart (GNU make 4 or newer).
SIDE_BY_SIDE := $(if $(filter output-sync,$(.FEATURES)),--jobs=2 --output-sync=target)
CHECKS := check-types check-style check-format check-imports check-schemas check-wording

.PHONY: run test lint $(CHECKS) bench bench-injection bench-behaviour compiled wheel-compiled kafka cluster soak brokers image sim fuzz docs lock clean help

help:  ## This list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

run: $(VENV)/.run  ## Set up, then show stoplog stop a hijacked agent (embedded log, no broker).
	@$(BIN)/stoplog demo --no-json

test: $(VENV)/.dev lint  ## Set up, then lint and run all tests; integration tests start a real Kafka broker.
	$(BIN)/pytest --numprocesses=$(WORKERS) --max-worker-restart=0 --dist=loadfile --no-loadscope-reorder

lint: $(VENV)/.dev  ## ruff, mypy --strict, import contracts, schema history, spelling and wording.
	@$(MAKE) --no-print-directory --keep-going $(SIDE_BY_SIDE) $(CHECKS)

check-types: $(VENV)/.dev
	$(BIN)/mypy

check-style: $(VENV)/.dev
	$(BIN)/ruff check .

check-format: $(VENV)/.dev
	$(BIN)/ruff format --check .

check-imports: $(VENV)/.dev
	$(BIN)/lint-imports

check-schemas: $(VENV)/.dev
	$(BIN)/python -m streams.codec.lock --check

check-wording: $(VENV)/.dev
	$(BIN)/codespell
	$(BIN)/python -m scripts.prose

bench: $(VENV)/.dev  ## All measurements; writes bench/results/.
	$(BIN)/python -m bench

bench-injection: $(VENV)/.dev  ## How well the rules tell attacks from honest work; writes bench/results/.
	$(BIN)/python -m bench.injection

bench-behaviour: $(VENV)/.dev  ## How many attacks the behaviour detectors find; writes bench/results/.
	$(BIN)/python -m bench.behaviour

compiled: $(VENV)/.dev  ## Compile hot modules in a copy, test it, compare what both write and how fast (needs a C compiler).
	rm -rf .cache/compiled
	$(BIN)/python -m scripts.compiled .cache/compiled --test
	$(BIN)/python -m bench.behaviour.compiled --compiled .cache/compiled

wheel-compiled: $(VENV)/.dev  ## Build a wheel whose hot modules are compiled, for this platform, in dist/ (needs a C compiler).
	$(BIN)/python -m scripts.compiled --wheel dist

image: $(VENV)/.dev  ## Build the container image without a daemon, and start it (needs root, buildah and debootstrap).
	$(BIN)/python -m scripts.image

sim: $(VENV)/.dev  ## Simulation over SEEDS seeds (make sim SEEDS=10000).
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

fuzz: $(VENV)/.dev  ## The long random runs: the rule evaluator, shell() against bash, dash and BusyBox, values in contents.
	$(BIN)/python -m simulation.fuzz.cel
	$(BIN)/python -m simulation.fuzz.shell
	$(BIN)/python -m simulation.fuzz.atoms --cases 100000

soak: $(VENV)/.dev  ## A gate and an executor under load for MINUTES minutes: does their memory grow? Writes bench/results/.
	$(BIN)/python -m bench.soak --minutes $(MINUTES)

cluster: $(VENV)/.dev  ## Kill brokers and gates on a cluster of three, and verify what comes of it; writes bench/results/.
	$(BIN)/python -m bench.cluster

brokers: $(VENV)/.dev  ## Three Kafka brokers with TLS, users and access lists on loopback, in the foreground.
	$(BIN)/python -m simulation.broker.cluster

kafka: $(VENV)/.dev  ## A real single-node Kafka broker on loopback, in the foreground (needs Java and Maven).
	$(BIN)/python -m simulation.broker.kafka --port $(KAFKA_PORT)

docs: $(VENV)/.dev  ## Rewrite the generated reference pages.
	$(BIN)/python -m scripts.reference

lock: $(VENV)/bin/python  ## Make the lock files anew.
	$(BIN)/pip install --quiet "uv>=0.9,<1"
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras --group build -o requirements/run.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--all-extras --group build --group dev -o requirements/dev.lock pyproject.toml

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stoplog needs Python 3.11 or newer; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/python requirements/run.lock pyproject.toml
	@echo 'Downloading packages into $(VENV), which takes a minute or two'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.lock pyproject.toml
	@echo 'Downloading packages into $(VENV), which takes a minute or two'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run

clean:  ## Remove what the other targets made.
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
