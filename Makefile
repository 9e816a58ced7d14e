# Two commands for a newcomer: `make demo` and `make test`. Everything they need lies in this folder (.venv, .cache,
# .prodlytics); nothing is installed on the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test bench bench-ml check lock clean

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Prodlytics needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing pinned packages into $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

## The main job on an embedded database; says at the end where to look.
demo: $(STAMP)
	@$(BIN)/prodlytics demo

## Style, types, layers, then every test. Servers the tests need are unpacked into .cache.
test: $(STAMP) check
	@$(BIN)/python -m prodlytics_tests.servers
	@$(BIN)/python -m pytest -n 3 --dist loadfile

## How fast: KPIs against the guide's way on the same data, the bridge beside a bare subscriber, orders of a mock
## ERP; benchmarks/results.
## `make bench DAYS=31 QUICK=--quick` for a quick look.
DAYS := 365
QUICK :=
bench: $(STAMP)
	@$(BIN)/python -W ignore -m benchmarks.bridge $(QUICK)
	@$(BIN)/python -W ignore -m benchmarks.kpi --days $(DAYS)
	@$(BIN)/python -W ignore -m benchmarks.sync

## How good the models are on real data, beside their baselines and the guide's protocol; benchmarks/results.
bench-ml: $(STAMP)
	@$(BIN)/python -W ignore -m benchmarks.ml_causes
	@$(BIN)/python -W ignore -m benchmarks.ml_anomalies
	@$(BIN)/python -W ignore -m benchmarks.ml_forecasts

check: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@eval "$$(PRODLYTICS_HOME=.cache/check $(BIN)/prodlytics env)" && $(BIN)/dagster definitions validate -w workspace.yaml --log-level warning

## Renew the lock files: versions and hashes, no addresses.
lock: $(STAMP)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --no-header --group edge -c requirements.lock -o requirements-edge.lock

clean:
	@test ! -x $(BIN)/prodlytics || $(BIN)/prodlytics down
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
