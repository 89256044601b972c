# Everything starts here: `make` lists what there is. Each target is safe to repeat and does what it depends on.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# The interpreter that makes .venv: the first one on the PATH that is new enough (make PYTHON=… names another).
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done; true)
BIN := .venv/bin
PROTOS := $(shell find protos -mindepth 1 \( -name '*.proto' -o -type d \))
PYTEST := $(BIN)/python -m pytest
ARGS ?=
# Two processes, each with servers of its own, take a folder or a file of tests in turn (make test WORKERS=0: one, in order).
WORKERS ?= 2

.PHONY: help setup protos lint format test test-unit test-kafka demo demo-year run down bench docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/installed ## make .venv from requirements.lock and put `kelola` into .venv/bin
.venv/installed: requirements.lock tools/install.py
	@test -n "$(PYTHON)" || { echo "Kelola needs Python 3.11 or newer on the PATH (or make PYTHON=…)"; exit 1; }
	@$(PYTHON) tools/install.py
	@touch $@

protos: gen/kelola.binpb ## generate gen/ (messages, stubs, descriptors) from protos/
gen/kelola.binpb: .venv/installed tools/protos.py $(PROTOS)
	@$(BIN)/python -m tools.protos

lint: protos ## format, types, layers, protos, contracts, tidiness
	@$(BIN)/python -m tools.lint

format: setup ## put the Python files into the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: protos ## write docs/asyncapi.yaml, docs/api.md and the generated files of deploy/ from the protos and the code
	@$(BIN)/python -m tools.docs

test: protos ## all tests; those that use a broker run on Apache Kafka where Java 17 and Maven are (ARGS=… to pytest)
	@KELOLA_TEST_BROKER=$${KELOLA_TEST_BROKER:-auto} $(PYTEST) -n $(WORKERS) --dist loadscope --no-loadscope-reorder $(ARGS)

test-unit: protos ## the tests that start nothing: rules, contracts, layers
	@$(PYTEST) tests/unit tests/contract tests/architecture $(ARGS)

test-kafka: protos ## the tests that use a broker, on Apache Kafka (needs Java 17 and Maven)
	@KELOLA_TEST_BROKER=kafka $(PYTEST) -m broker $(ARGS)

demo: protos ## a regional government runs a month: budget, payroll, purchase, payment
	@$(BIN)/kelola demo $(ARGS)

demo-year: protos ## a small government lives a fiscal year: two currencies, virement, override, a rejected payment, carry-over
	@$(BIN)/kelola demo-year $(ARGS)

run: protos ## start PostgreSQL, a broker and the four services here; Ctrl-C ends them
	@$(BIN)/kelola run $(ARGS)

down: setup ## end what `make run` started, wherever it runs
	@$(BIN)/kelola down

bench: protos ## first figures, to build/bench.json
	@$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove what was made (stubs, caches, results, local data), but not .venv
	@if [ -x $(BIN)/kelola ]; then $(BIN)/kelola down || true; fi
	@rm -rf gen build .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
