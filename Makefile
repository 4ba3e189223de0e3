# make demo [PORT=8080] [CITY=helsinki]   load a city and serve it, with a simulator beside it
# make test                               every test
# make env deps check bench conformance drill wheel   see docs/developing.md
.DEFAULT_GOAL := help
SHELL := /bin/bash
PORT ?= 8080
CITY ?= helsinki
# Workers of the tests: one more than there are cores, since a test spends a sixth of its time in waiting.
WORKERS ?= $(shell expr $$(nproc) + 1)
VENV := .venv
BIN := $(VENV)/bin
WEB := twin/web/app
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" $(CURDIR)/$(BIN)/npm
WEB_SOURCES := $(shell find $(WEB) -type f -not -path '*/node_modules/*' -not -path '*/tests/*' 2>/dev/null)
# Hundreds of short processes read what the first has compiled, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)

.PHONY: help env deps demo test check bench bench-large conformance drill wheel lock clean
help:
	@grep '^# make' Makefile

env: $(VENV)/.ready $(VENV)/.kernel twin/web/static/index.html

.uv/bin/uv:
	@python=$$(scripts/find-python) && "$$python" -m venv .uv && .uv/bin/python -m pip install -q uv

$(VENV)/.ready: requirements-dev.txt pyproject.toml | $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	@python=$$(scripts/find-python) && test -x $(BIN)/python || $(UV) venv -q --python "$$python" $(VENV)
	$(UV) pip sync -q --require-hashes --python $(BIN)/python requirements-dev.txt
	TWIN_SKIP_PAGE=1 $(UV) pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

# Without a compiler it says so, and numpy does the kernel's work.
$(VENV)/.kernel: $(wildcard tiles/kernel/*.[ch]) tiles/kernel/build.py | $(VENV)/.ready
	$(BIN)/python tiles/kernel/build.py
	@touch $@

$(WEB)/node_modules/.ready: $(WEB)/package-lock.json $(WEB)/package.json | $(VENV)/.ready
	cd $(WEB) && $(NPM) ci --no-audit --no-fund --loglevel=error
	@touch $@

twin/web/static/index.html: $(WEB)/node_modules/.ready $(WEB_SOURCES)
	cd $(WEB) && $(NPM) run -s build
	@touch $@

deps:
	@scripts/deps

demo: env
	@$(BIN)/twin demo $(CITY) --port $(PORT) || test $$? -eq 130

test: env
	@scripts/deps --quiet || true
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 25

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd $(WEB) && $(NPM) run -s check

bench: env
	@scripts/deps --quiet || true
	$(BIN)/python -m tests.bench

bench-large: env
	$(BIN)/python -m tests.bench large afar loads page

conformance: env
	@test -n "$(SUITES)" || { echo "make conformance SUITES=DIR, the folder with the suites' jars: docs/conformance.md"; exit 2; }
	$(BIN)/python -m tests.conformance_suites "$(SUITES)" $(if $(RECORD),--record) $(if $(POSTGIS),--postgis)

drill: env
	TWIN_CRASH_ROUNDS=200 TWIN_HISTORY_KILLS=50 $(BIN)/python -m pytest --timeout 3600 tests/crash
	TWIN_HISTORY_SCRIPTS=500 TWIN_HISTORY_VERSIONS=100000 $(BIN)/python -m pytest --timeout 7200 \
		tests/contract/test_history.py tests/contract/test_history_moments.py
	TWIN_FUZZ_ROUNDS=20000 TWIN_SCHEMATHESIS_EXAMPLES=150 TWIN_SCHEMATHESIS_SECONDS=3000 \
		TWIN_SCHEMATHESIS_LAYERS='.*' TWIN_SCHEMATHESIS_SETS='.*' $(BIN)/python -m pytest --timeout 3600 tests/fuzz

wheel: env
	rm -rf dist && $(BIN)/python -m hatchling build

clean:
	rm -rf $(VENV) .uv dist twin/web/static $(WEB)/node_modules

lock: | $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv)
	scripts/lock
