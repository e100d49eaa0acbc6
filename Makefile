# Every target creates what it needs, and is fast when that is already there.

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
SETUP := scripts/environment.py
INPUTS := pyproject.toml constraints/cpu.txt constraints/overrides-cpu.txt $(SETUP)
ARGS ?=
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help quickstart test check lint types imports tests format docs bench benchmarks crash fuzz audit clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(VENV)/.ready-run ## set everything up and run ACE on the micro world (ARGS="--seed 1" ...)
	@$(BIN)/ace quickstart $(ARGS)

test: lint types imports tests ## set everything up, then lint, types, room imports and all tests (PYTEST_ARGS="-k name")

check: lint types imports ## lint, types and room imports, without tests

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

imports: $(VENV)/.ready-dev
	$(BIN)/lint-imports

tests: $(VENV)/.ready-dev ## the tests alone
	$(BIN)/python -m pytest $(PYTEST_ARGS)

format: $(VENV)/.ready-dev ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.ready-dev ## write the help texts of the commands to docs/cli.md
	$(BIN)/python scripts/help_texts.py

bench: $(VENV)/.ready-run ## measure on this machine (ARGS="latency" ...)
	@$(BIN)/ace bench $(ARGS)

benchmarks: $(VENV)/.ready-run ## the project's own benchmarks (ARGS="replay --shape micro" ...)
	@$(BIN)/python -m benchmarks $(ARGS)

crash: $(VENV)/.ready-dev ## kill runs at 200 seeded points and compare what is left (ARGS="--points 20")
	PYTHONPATH=tests/crash:tests/helpers $(BIN)/python tests/crash/campaign.py $(ARGS)

fuzz: $(VENV)/.ready-fuzz ## throw mutated inputs at every parser (ARGS="--seconds 60")
	PYTHONPATH=tests/helpers $(BIN)/python tests/fuzz/fuzz.py $(ARGS)

audit: $(VENV)/.ready-dev ## look the pinned dependencies up in the advisory database
	@$(BIN)/python scripts/audit.py $(VENV)

clean: ## remove caches and build outputs (not the environment .venv, not the runs)
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests scripts benchmarks training -type d -name __pycache__ -prune -exec rm -rf {} +

# Stamps are written last: an interrupted set-up is taken up again.
$(VENV)/.ready-run: $(INPUTS)
	@test -n "$(PYTHON)" || { echo "ace needs Python 3.11 or newer: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	@$(PYTHON) $(SETUP) $(VENV) cpu
	@touch $@

$(VENV)/.ready-dev: $(INPUTS) | $(VENV)/.ready-run
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots dev
	@touch $@

$(VENV)/.ready-fuzz: $(INPUTS) | $(VENV)/.ready-dev
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots dev fuzz
	@touch $@
