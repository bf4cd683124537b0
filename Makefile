# lab-alerts: everything a developer runs. A fresh machine needs only make and Python 3.11 or newer.
# Variables: PYTHON (which Python makes the environment), JOBS (test processes), ARGS (more for the program or pytest).

VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
ARGS   ?=
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# The newest Python that works here and is not older than 3.11.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help run test bench stress lint types format lock clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

run: $(VENV)/.runtime ## Set up what is missing, then serve on this machine
	@exec $(BIN)/lab-alerts serve --quickstart $(ARGS)

test: $(VENV)/.development ## Set up what is missing, then run the tests
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

bench: $(VENV)/.development ## Set up what is missing, then measure the speed beside baselines
	$(BIN)/python -m bench $(ARGS)

stress: $(VENV)/.development ## Set up what is missing, then kill, starve and flood the service, and look up what it kept
	$(BIN)/python -m stress $(ARGS)

lint: $(VENV)/.development ## Check faults and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.development ## Check types
	$(BIN)/mypy --strict service wsgi.py migrations

format: $(VENV)/.development ## Rewrite imports and format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' setup.cfg

lock: $(VENV)/.development ## Choose newer versions of all dependencies
	$(LOCK) --upgrade --output-file requirements.lock
	$(LOCK) --upgrade --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## Remove the environment and what tools left behind; var/ with its data stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11 or newer found; name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes a minute or two."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Python cannot make virtual environments here; on Debian and Ubuntu install python3-venv.' >&2; exit 1; }

$(VENV)/.runtime: requirements.lock setup.cfg pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@

$(VENV)/.development: requirements-dev.lock $(VENV)/.runtime
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@
