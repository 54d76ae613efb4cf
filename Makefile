# Tolok from a plain Python >= 3.11 and make. Everything is installed into .venv here; nothing outside this folder is touched.

# The newest Python that is new enough and runs; a name may exist without running (pyenv's shims). Say PYTHON=... for another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
CODE := connectors assets checks pipelines sandbox tests bench
# Quiet where a tool only repeats itself. PYTEST_ARGS and UPGRADE are for the command line: make test PYTEST_ARGS="-k stamps".
PYTEST_ARGS ?=
UPGRADE ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Compiled modules are kept: without them every process compiles 6,000 modules again, 5 s (measured).
export PYTHONDONTWRITEBYTECODE :=
# As pip does: trust the certificates that this machine trusts, its proxy's among them.
export UV_SYSTEM_CERTS ?= true

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-fast check check-format check-lint check-types check-imports fmt ui bench lock clean

# Lists the targets.
help:
	@awk '/^# /{said=substr($$0,3)} /^[a-z-]+:/{sub(/:.*/,"",$$1); if (said) printf "  make %-10s %s\n",$$1,said} !/^# /{said=""}' Makefile

# Sets up .venv with the `tolok` command, for an institution of one's own.
install: .venv/tolok

# Plays 120 nights of a simulated institution, offline, and says where to look at the result.
demo: .venv/tolok
	@$(BIN)/tolok demo

# Checks the code, then runs all tests; those that look at a page use Chromium when they find it and are skipped when not.
test: check .venv-duckdb14/installed
	@echo "tests"
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Runs the tests that need neither a browser nor patience.
test-fast: .venv/tolok
	@$(BIN)/python -m pytest -m "not slow and not browser" $(PYTEST_ARGS)

# Changes nothing and says whether the code is formatted, linted, typed, and imports in one direction only; -k goes on to the end.
check: check-format check-lint check-types check-imports
check-format: .venv/tolok
	@echo "format" && $(BIN)/ruff format --quiet --check --output-format concise .
check-lint: .venv/tolok
	@echo "lint" && $(BIN)/ruff check --quiet --output-format concise .
check-types: .venv/tolok
	@echo "types" && $(BIN)/mypy --no-error-summary $(CODE)
check-imports: .venv/tolok
	@echo "imports" && { $(BIN)/lint-imports --no-logo >.venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }; }

# Formats the code and repairs what the linter can repair by itself.
fmt: .venv/tolok
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

# Opens Dagster's UI on this machine alone (it has no login of its own).
ui: .venv/tolok
	@$(BIN)/tolok ui

# Names the benchmarks; each is one command, written at its top.
bench: .venv/tolok
	@ls bench

# Locks the versions that pyproject.toml allows, keeping today's where they still fit; UPGRADE=--upgrade takes the newest.
lock: .venv/tolok
	@$(LOCK) pyproject.toml -o requirements.lock
	@$(LOCK) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	@echo "duckdb ~=1.4.0" | $(LOCK) - -o requirements-duckdb14.lock
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock" $(UPGRADE)

# Removes what make installed and what tools left behind; var/ (the warehouse) stays.
clean:
	@rm -rf .venv .venv-duckdb14 .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# uv is taken from the lock, by its hash, with pip. It asks the public index, or what UV_* says; where only pip's configuration
# knows the way, pip does it: the same lock, the same hashes, a minute more.
.venv/locked: requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Tolok needs Python 3.11 or newer; none was found. Say make PYTHON=/path/to/python3."; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@echo "installing $$(grep -c '==' requirements-dev.lock) locked packages, about a minute"
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock >.venv/uv.lock
	@$(BIN)/python -m pip install -qq --require-hashes --no-deps -r .venv/uv.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements-dev.lock 2>.venv/uv.log || { \
		echo "uv could not (.venv/uv.log says why); pip installs the same, more slowly"; \
		$(BIN)/python -m pip install -qq --require-hashes --no-deps -r requirements-dev.lock; }
	@touch $@

# The house itself: an editable install of this folder, built by the locked backend, and the command `tolok`.
.venv/tolok: .venv/locked pyproject.toml
	@$(BIN)/uv pip install --quiet --offline --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# An older DuckDB, in a venv of its own: one test opens the published file with it, as an analyst would.
.venv-duckdb14/installed: requirements-duckdb14.lock | .venv/locked
	@echo "making .venv-duckdb14"
	@$(BIN)/python -m venv .venv-duckdb14
	@.venv-duckdb14/bin/python -m pip install -qq --require-hashes -r requirements-duckdb14.lock
	@touch $@
