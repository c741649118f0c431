# Every target sets itself up on a machine with any Python 3, make and a network.
# T= picks tests: make test T=tests/relay

SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := $(shell command -v uv 2>/dev/null || echo .venv-uv/bin/uv)
PYTHON ?= python3
T ?= tests
N ?= 3
COMPILE = $(UV) pip compile -q --python-version 3.13 --prerelease if-necessary-or-explicit --generate-hashes --no-header
CONSOLE := $(PY) -m cli.stack.console
SOURCES := pyproject.toml shared/pyproject.toml $(wildcard services/*/pyproject.toml)

.PHONY: help run up down status console test test-console screenshots check lint fmt types imports verify schemas migrate bench chaos lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

# The interpreter: what .python-version names, found or fetched by uv; uv itself from the index when missing.
.venv-uv/bin/uv:
	@{ $(PYTHON) -m venv .venv-uv 2>/dev/null && .venv-uv/bin/python -m pip install -q --disable-pip-version-check uv; } \
	  || { rm -rf .venv-uv; $(PYTHON) -m pip install -q --disable-pip-version-check --target .venv-uv uv; }  # no ensurepip

.venv/.installed: locks/dev.txt pyproject.toml | $(if $(findstring .venv-uv,$(UV)),.venv-uv/bin/uv)
	@test -x $(PY) || { echo "· making .venv with Python 3.13"; $(UV) venv -q --python 3.13 .venv; }
	@echo "· installing the locked packages (the first time about 200 MB)"
	@$(UV) pip sync -q --python $(PY) --require-hashes locks/dev.txt
	@$(UV) pip install -q --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

# The system runs without its console too; the api then serves a page that names the command.
run: .venv/.installed ## the whole system on this machine, no Docker: Postgres, Kafka, api, relay, consumer, dispatcher
	@$(CONSOLE) || echo "· going on without the console; make console builds it"
	@.venv/bin/oncely up

up: .venv/.installed ## the same in the background
	@$(CONSOLE) || echo "· going on without the console; make console builds it"
	@.venv/bin/oncely up --detach

down: .venv/.installed ## stop what `make up` started
	@.venv/bin/oncely down

status: .venv/.installed ## what is running
	@.venv/bin/oncely status

console: .venv/.installed ## build the console that the api serves; only what is missing or old
	@$(CONSOLE)

test: .venv/.installed ## all tests but the long ones; T=path picks some
	@$(CONSOLE) || echo "· going on without the console; its tests will be skipped"
	@$(PY) -m pytest $(T)

test-console: .venv/.installed ## the console: its components, then every screen in a real Chromium
	@$(CONSOLE)
	@$(PY) -m pytest -m "browser or not browser" tests/console

screenshots: .venv/.installed ## walk through the console as a newcomer does; writes docs/console
	@$(CONSOLE)
	@$(PY) -m tests.console.walkthrough

check: lint types imports verify ## what CI asks before the tests

lint: .venv/.installed ## rules and format: ruff, and biome for the console
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(CONSOLE) lint

fmt: .venv/.installed ## mend what ruff and biome can mend
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .
	@$(CONSOLE) fmt

types: .venv/.installed ## basedpyright and TypeScript, strict
	@.venv/bin/basedpyright
	@$(CONSOLE) types

imports: .venv/.installed ## the import contracts of pyproject.toml
	@.venv/bin/lint-imports

verify: .venv/.installed ## generated files equal their source, and the locks fit their pyproject.toml
	@$(PY) -m pytest -q tests/contracts tests/tidy

schemas: .venv/.installed ## write the generated files again
	@$(PY) -m services.api openapi
	@$(CONSOLE) api
	@$(PY) -m tests.tidy.env_example

migrate: .venv/.installed ## bring DATABASE_URL to this schema and make the topics
	@$(PY) -m shared.migrations up

bench: .venv/.installed ## the table of measurements, side by side in one run (about 10 minutes)
	@$(PY) -m benchmarks $(B)

chaos: .venv/.installed ## long fault runs, then random faults under load: N=rounds, CHAOS_SECONDS=60, CHAOS_SEED=drawn
	@$(PY) -m pytest -q -m chaos tests/api tests/flow tests/relay
	@for round in $$(seq $(N)); do echo "round $$round of $(N)"; $(PY) -m pytest -q -s -m chaos tests/chaos || exit 1; done

lock: .venv-uv/bin/uv ## resolve the dependencies again; the only target that changes locks/
	@$(COMPILE) --upgrade pyproject.toml --extra local --group dev shared/pyproject.toml services/*/pyproject.toml -o locks/dev.txt
	@for s in api relay consumer; do $(COMPILE) -c locks/dev.txt services/$$s/pyproject.toml shared/pyproject.toml -o locks/$$s.txt; done

clean: ## delete what make made here (the data of `make run` too)
	@test ! -x .venv/bin/oncely || .venv/bin/oncely down --purge || true
	@rm -rf services/api/console/dist services/api/console/node_modules
	@rm -rf .venv .venv-uv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
