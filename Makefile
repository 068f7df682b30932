# Every command that others rely on. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
PYTEST := $(BIN)/python -m pytest
ENGINE_VENV := .venv-engine
ENGINE_STAMP := $(ENGINE_VENV)/.setup

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format bench scale manifests images clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Set up .venv for demo, test and lint

# Installed once, and again when the dependencies change. The PYTHON named must be 3.11 or later.
$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on PATH; install Python 3.11 or pass PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup-engine: $(ENGINE_STAMP) ## Set up .venv-engine: PyTorch and the server of models, 1.4 GB

# PyTorch comes first and by its exact version: what else wants it then takes what is there.
$(ENGINE_STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on PATH; install Python 3.11 or pass PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(ENGINE_VENV)/bin/python || $(PYTHON) -m venv $(ENGINE_VENV)
	@echo "Installing into $(ENGINE_VENV) ..."
	@$(ENGINE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(ENGINE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[engine-test]'
	@touch $@

# ENGINE=transformers answers with a small real model instead of a simulated engine.
demo: setup $(if $(filter transformers,$(ENGINE)),setup-engine) ## A local cluster, both daemons, the quick start, one answer
	@$(BIN)/python hack/demo.py $(if $(ENGINE),--engine $(ENGINE))

test: setup ## The tests; what needs more than this machine has is skipped with a reason
	@$(PYTEST) -n 2 --dist worksteal -m 'not long' test

test-engine: setup-engine ## The tests of the server of models, with a small real model
	@$(ENGINE_VENV)/bin/python -m pytest --timeout 300 test/engine

test-all: setup test-engine ## Everything this machine can run, daemons killed at hundreds of moments too
	@$(PYTEST) -n 2 --dist worksteal test

lint: setup ## ruff, mypy --strict, import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup ## Let ruff format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup ## The benchmark, beside kopf; ARGS='--runs 5 NAME'. Fails on a missed bar
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m test.benchmark $(ARGS)

bench-engine: setup-engine ## The server of models beside a bare loop of generate
	@$(ENGINE_VENV)/bin/python -m test.engine.benchmark $(ARGS)

scale: setup ## 10,000 Workspaces at once; ARGS='--count 500 --plot FILE'. Prints JSON, fails on a missed bar
	@$(BIN)/python -m test.scale $(ARGS)

manifests: setup ## Regenerate config/, the estimates and the tables of docs/estimator.md
	@$(BIN)/python hack/manifests.py
	@$(BIN)/python -m hack.estimates

images: setup ## Build the images of docker/: REGISTRY=registry.example/kaito [TAG=0.5.0] [PUSH=1]
	@test -n "$(REGISTRY)" || { echo "make: say REGISTRY=..., where the images belong" >&2; exit 1; }
	@$(BIN)/python hack/images.py --registry "$(REGISTRY)" $(if $(TAG),--tag "$(TAG)") $(if $(PUSH),--push)

clean: ## Remove what the other commands made
	rm -rf $(VENV) $(ENGINE_VENV) dist .mypy_cache .ruff_cache .hypothesis
