# Everything a contributor or the CI runs. `make` alone lists it.

PYTHON ?= python3
BIN := .venv/bin
SOURCES := src tests tools examples
WORKERS ?= 2
CASES ?=
ROUNDS ?= 5
SECONDS ?= 3
# each test process has one core to itself
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-clients fix bench bench-compress bench-train properties chaos docs lock services clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/developer ## Make .venv with everything a developer needs

demo: .venv/user ## Train, publish, compress, serve, meter and bill a model, told as a story
	$(BIN)/forebay demo

check: .venv/developer services ## Format, lint, types, import law, fast tests: under a minute
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/pytest -q -n $(WORKERS) -m "not slow and not chaos and not postgresql and not clients" --hypothesis-profile quick

test: .venv/developer services ## The whole suite, with every service it needs and the floor under coverage
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not clients" --cov --cov-report=term:skip-covered --cov-fail-under=90

test-clients: .venv/developer ## Drive a node with the real clients of others, each in an environment of its own
	$(BIN)/pytest -n 0 -m clients tests/clients

fix: .venv/developer ## Format, and mend what the linter can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

properties: .venv/developer ## Play the batcher and the model manager at random, 10,000 games each
	$(BIN)/pytest -n $(WORKERS) --hypothesis-profile endless --timeout 3600 tests/serving/engine/test_engine_batcher.py tests/serving/engine/test_engine_residency.py

chaos: .venv/developer services properties ## kill -9 the hub and the node under load; nothing accepted may be lost
	$(BIN)/pytest -n 0 -m chaos

bench: .venv/developer ## Measure this node against its peers: bench/RESULTS.md (CASES=mnist-json,idle ROUNDS=5 SECONDS=3)
	@scripts/install-drivers
	$(BIN)/python -m bench --cases "$(CASES)" --rounds $(ROUNDS) --seconds $(SECONDS)

bench-train: .venv/developer ## Measure how good trainings are, and what they cost: bench/TRAINING.md (20 minutes)
	$(BIN)/python -m bench.training

bench-compress: .venv/developer ## Compress five models, and two as others do in one call: bench/COMPRESSION.md (30 minutes; SUBJECTS=cnn,wide BUDGET=240)
	$(BIN)/python -m bench.compression $(if $(SUBJECTS),--subjects "$(SUBJECTS)") --seconds $(or $(BUDGET),240)

docs: .venv/developer ## Print docs/settings.md and docs/demo.svg anew, and run every block of the documentation
	$(BIN)/python -m tools.settings_page > docs/settings.md
	$(BIN)/forebay demo --picture docs/demo.svg
	$(BIN)/pytest -n 0 tests/docs

lock: .venv/developer ## Pin every dependency anew, with hashes
	scripts/lock $(BIN)
	for name in tritonclient ovmsclient mlflow boto3 kserve; do scripts/client-venv --lock $$name $(BIN) || exit 1; done

services:
	@scripts/install-services

clean: ## Remove everything that was made here
	rm -rf .venv .venv-clients build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Forebay needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/user: .venv/bin/python requirements/user.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --requirement requirements/user.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/developer: .venv/user requirements/developer.lock requirements/torch.txt
	$(BIN)/python -m pip install --quiet --requirement requirements/developer.lock
	$(BIN)/python -m pip install --quiet --requirement requirements/torch.txt
	@touch $@
