# Everything a user or a developer of this repository types. Each target installs what it needs by itself.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help venv demo test utest atest lint docs stress bench proto clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RESULTS := results
# Overrides of the choice of the interpreter and of what pytest and robot get: make test PYTEST=utest/docs
PYTHON ?=
PYTEST ?= utest
ATEST ?= atest
# What make stress repeats, and how often
TEST ?= utest/interrupts
N ?= 10
# More of the benchmarks, such as make bench BENCH=--upstream
BENCH ?=
# Scripts without a suffix, which ruff does not find by itself
SCRIPTS = $(shell grep -lE '^\#!.*python' scripts/* scripts/board/* 2>/dev/null)

help:
	@echo "make demo    start a lab with two boards and run Robot suites on them (needs nothing but Python 3.11 or newer)"
	@echo "make test    unit and acceptance tests"
	@echo "make lint    ruff, mypy, import contracts, robocop"
	@echo "make docs    run every command and code block of README.md and docs/"
	@echo "make stress  repeat tests beside a load of other processes: make stress TEST=utest/interrupts N=10"
	@echo "make bench   measure the core against limits taken in the same run"
	@echo "make proto   generate the protocol code again"
	@echo "make venv    only create $(VENV)"
	@echo "make clean   remove $(VENV) and all results"

venv: $(STAMP)

# The stamp is written last: an installation that was interrupted starts again.
$(STAMP): pyproject.toml scripts/find-python
	@python="$$(scripts/find-python $(PYTHON))"; \
	echo "Installing into $(VENV) with $$("$$python" --version) (once, about a minute) ..." >&2; \
	"$$python" -m venv $(VENV) || { echo "Creating $(VENV) failed. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/python examples/demo.py

test: atest

# In this order also under make -j: both want the two or so cores that there are.
utest: $(STAMP)
	$(BIN)/python scripts/utest $(PYTEST)

atest: utest
	$(BIN)/python scripts/atest $(ATEST)

lint: $(STAMP)
	$(BIN)/ruff check . $(SCRIPTS)
	$(BIN)/ruff format --check . $(SCRIPTS)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/robocop check
	$(BIN)/robocop format --check --diff

docs: $(STAMP)
	$(BIN)/python -m pytest utest/docs

# Beside a load of other processes: make stress TEST=utest/interrupts N=10
stress: $(STAMP)
	$(BIN)/python scripts/stress $(TEST) $(N)

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(BENCH)

proto: $(STAMP)
	$(BIN)/python scripts/generate-protocol

clean:
	rm -rf $(VENV) $(RESULTS)
