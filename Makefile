# Every command that others rely on. `make help` lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format bench manifests images clean

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

demo: setup ## A local cluster, both daemons, the quick start and one answer
	@$(BIN)/python hack/demo.py

test: setup ## The tests; what needs more than this machine has is skipped with a reason
	@$(PYTEST) -n 2 --dist worksteal test

test-all: test ## Everything this machine can run

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

manifests: setup ## Regenerate config/, the estimates and the tables of docs/estimator.md
	@$(BIN)/python hack/manifests.py
	@$(BIN)/python -m hack.estimates

images: setup ## Build the images of docker/: REGISTRY=registry.example/kaito [TAG=0.5.0] [PUSH=1]
	@test -n "$(REGISTRY)" || { echo "make: say REGISTRY=..., where the images belong" >&2; exit 1; }
	@$(BIN)/python hack/images.py --registry "$(REGISTRY)" $(if $(TAG),--tag "$(TAG)") $(if $(PUSH),--push)

clean: ## Remove what the other commands made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .hypothesis
