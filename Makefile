# Each target does its own set-up: a virtual environment in .venv, by uv where it is installed, else by
# Python's own venv and pip. A stamp per set of dependencies makes the second time fast.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run tour test test-slow check benchmark lint format clean

VENV := .venv
BIN := $(VENV)/bin

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.for-run ## Start the server; the first start sets it up and prints its tokens
	$(BIN)/keysteward serve

tour: $(VENV)/.for-run ## See the product in one minute, on a server of its own
	$(BIN)/keysteward tour

# What is compiled is kept, also where Python is told otherwise: tests start some hundred processes.
test test-slow check: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.for-test ## Run the tests
	$(BIN)/pytest --numprocesses 2 --dist loadfile

test-slow: $(VENV)/.for-test ## Run the tests that take longer than a coffee
	$(BIN)/pytest -m slow --timeout 3600

check: $(VENV)/.for-test ## Run the tests of one promise: make check P=p1
	$(BIN)/pytest -v $(wildcard tests/*/test_$(P)_*.py)

benchmark: $(VENV)/.for-benchmark ## Measure the gate beside an empty server and its peers
	$(BIN)/python -m benchmarks.gate

lint: $(VENV)/.for-lint ## Check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.for-lint ## Bring the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove what the targets made; the data folder stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find app benchmarks tests conformance -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.for-run: GROUP :=
$(VENV)/.for-test: GROUP := --group test
$(VENV)/.for-lint: GROUP := --group lint
$(VENV)/.for-benchmark: GROUP := --group benchmark

$(VENV)/.for-run $(VENV)/.for-test $(VENV)/.for-lint $(VENV)/.for-benchmark: pyproject.toml | $(BIN)/python
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --editable . $(GROUP); \
	else \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . $(GROUP); \
	fi
	@touch $@

$(BIN)/python:
	@echo "Setting up $(VENV), which takes a minute the first time"
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --clear --python '>=3.11' $(VENV); \
	else \
		for python in python3 python3.14 python3.13 python3.12 python3.11; do \
			if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
				exec $$python -m venv --clear $(VENV); \
			fi; \
		done; \
		echo "Python 3.11 or newer is needed" >&2; \
		exit 1; \
	fi
