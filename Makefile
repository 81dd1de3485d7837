# The commands of the project. Each does its own set-up: only python3 (3.11 or newer) and make must be installed.
#
#   make demo     the diagnosis of the incident, from a capture and key in fixtures/
#   make test     linters, strict types, import contracts, lengths of modules and functions, then every test
#   make lint     only what make test does before the tests
#   make fix      format, and fix what ruff can fix
#   make bench    side by side with tshark, shortened (benchmarks/README.md has the long form)
#   make lab      make the captures of fixtures/ again with Apache, curl and OpenSSL
#   make clean    remove what the other commands made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
#: Processes that pytest uses.
JOBS ?= 2

export PYTHON

.PHONY: help demo test lint fix bench lab clean oracle

help:
	@sed -n 's/^#   //p' Makefile

# Stamps are in the virtual environment: they are deleted with it, and a second run finds them and starts at once.
$(VENV)/.ready-run: pyproject.toml .ci/prepare
	@.ci/prepare run
	@touch $@

$(VENV)/.ready-dev: pyproject.toml .ci/prepare
	@.ci/prepare dev
	@touch $(VENV)/.ready-run $@

oracle:
	@.ci/prepare oracle

demo: $(VENV)/.ready-run
	@$(BIN)/easpcap inspect fixtures/captures/renegotiation-deadlock.pcap --key fixtures/keys/server.pem

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo >$(VENV)/import-contracts.txt || { cat $(VENV)/import-contracts.txt; exit 1; }
	$(BIN)/python .ci/module_length.py
	$(BIN)/python .ci/function_length.py
	$(BIN)/python .ci/import_circles.py

test: lint oracle
	$(BIN)/pytest -n $(JOBS) -r s

fix: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready-dev oracle
	$(BIN)/python benchmarks/compare.py --short

lab: $(VENV)/.ready-dev
	@.ci/prepare lab
	$(BIN)/python fixtures/lab/run.py

clean:
	rm -rf $(VENV) build dist benchmarks/out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf *.egg-info
