# Every target creates what it needs, and is fast when that is already there.

VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := $(VENV)/bin
SETUP := scripts/environment.py
INPUTS := pyproject.toml constraints/cpu.txt constraints/overrides-cpu.txt $(SETUP)
ARGS ?=
PYTEST_ARGS ?=
# Otherwise every worker, and every process that a test starts, compiles the package again.
unexport PYTHONDONTWRITEBYTECODE
# Tests that start an engine share one worker (tests/conftest.py): the others take the rest meanwhile.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-fast test-browser test-all test-integrations test-ray check lint types imports tests coverage format docs site bench benchmarks crash fuzz audit clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(VENV)/.ready-run ## set everything up and run ACE on the micro world (ARGS="--seed 1" ...)
	@$(BIN)/ace quickstart $(ARGS)

test: check tests ## set everything up, then what CI runs: lint, types, room imports and tests (PYTEST_ARGS="-k name")

test-fast: $(VENV)/.ready-dev ## tests of units and of scripted runs: no engine, no campaign, fewer examples of each property
	ACE_HYPOTHESIS_PROFILE=fast $(PYTEST) -m "not (engine or slow or browser or ray or nightly)" $(PYTEST_ARGS)

test-browser: $(VENV)/.ready-browser ## the tests in a browser; needs Chromium (apt-get install chromium)
	$(BIN)/python -m pytest -m browser tests/browser $(PYTEST_ARGS)

test-all: check ## what CI runs and what is left: benchmarks on real engines, ten times the examples of each property
	ACE_HYPOTHESIS_PROFILE=nightly $(PYTEST) -m "" --timeout 3600 $(PYTEST_ARGS)

test-ray: $(VENV)/.ready-ray ## the tests that need Ray, and the checks of infra/
	$(BIN)/python -m pytest tests/inference/providers/ray tests/experiments tests/infra $(PYTEST_ARGS)

check: $(VENV)/.ready-dev ## lint, types and room imports, beside each other
	@$(MAKE) --no-print-directory --jobs 3 lint types imports

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/check_words.py

types: $(VENV)/.ready-dev
	$(BIN)/mypy

imports: $(VENV)/.ready-dev
	$(BIN)/lint-imports

tests: $(VENV)/.ready-dev ## the tests alone
	$(PYTEST) $(PYTEST_ARGS)

coverage: $(VENV)/.ready-dev ## the tests, and which lines of the package they run
	$(PYTEST) --cov --cov-report term:skip-covered $(PYTEST_ARGS)

format: $(VENV)/.ready-dev ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.ready-dev ## write the help texts and the source tree into the docs
	$(BIN)/python scripts/help_texts.py
	$(BIN)/python scripts/source_tree.py

bench: $(VENV)/.ready-run ## measure on this machine (ARGS="latency" ...)
	@$(BIN)/ace bench $(ARGS)

benchmarks: $(VENV)/.ready-run ## the project's own benchmarks (ARGS="replay --shape micro" ...)
	@$(BIN)/python -m benchmarks $(ARGS)

crash: $(VENV)/.ready-dev ## kill runs at 200 seeded points and compare what is left (ARGS="--points 20")
	PYTHONPATH=tests/helpers:tests/helpers/crash $(BIN)/python tests/helpers/crash/campaign.py $(ARGS)

fuzz: $(VENV)/.ready-fuzz ## throw mutated inputs at every parser (ARGS="--seconds 60")
	PYTHONPATH=tests/helpers:tests/helpers/hostile $(BIN)/python tests/fuzz/fuzz.py $(ARGS)

test-integrations: .venv-integrations/.ready ## the tests with other packages (MLflow, DSPy, LangChain, ...), in an environment of their own
	.venv-integrations/bin/python -m pytest tests/integrations tests/engine/tracking --numprocesses 2 $(PYTEST_ARGS)

site: .venv-site/.ready ## build the documentation site into build/site; broken links fail
	NO_MKDOCS_2_WARNING=1 .venv-site/bin/mkdocs build --strict

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
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots ui serve postgresql dev
	@touch $@

$(VENV)/.ready-ray: $(INPUTS) | $(VENV)/.ready-dev
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots ui serve postgresql dev ray infra
	@touch $@

$(VENV)/.ready-browser: $(INPUTS) | $(VENV)/.ready-dev
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots ui serve postgresql dev browser
	@touch $@

$(VENV)/.ready-fuzz: $(INPUTS) | $(VENV)/.ready-dev
	@$(PYTHON) $(SETUP) $(VENV) cpu openai data plots ui serve postgresql dev fuzz
	@touch $@

.venv-integrations/.ready: pyproject.toml constraints/integrations.txt $(SETUP)
	@$(PYTHON) $(SETUP) $(@D) openai data otel mlflow wandb dspy inspect langchain verifiers mcp dev
	@touch $@

.venv-site/.ready: pyproject.toml constraints/site.txt $(SETUP)
	@$(PYTHON) $(SETUP) $(@D) site
	@touch $@
