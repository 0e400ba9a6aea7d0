# Every target does its own set-up: it needs Python 3.11 to 3.13 with pip and venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test test-slow check matrix bench descriptors clean

help: ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13) and 'foldserve needs Python 3.11 to 3.13; set PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

setup: $(READY) ## Make the local environment (.venv)

demo: $(READY) ## Train, break, export, verify, serve and call a real model
	$(BIN)/python examples/demo.py

test: $(READY) ## Run the test suite
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: $(READY) ## Run the tests that take minutes
	$(BIN)/python -m pytest -q -m slow

check: $(READY) ## Lint, types, levels and tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

matrix: $(READY) ## Run the tests on Python 3.11 to 3.13 and with the lowest and the highest dependencies
	$(BIN)/nox

bench: $(READY) ## What the process hop costs
	$(BIN)/python benchmarks/hop.py

descriptors: $(READY) ## Regenerate the protocols' message descriptors
	$(BIN)/python contract/generate_descriptors.py

clean: ## Remove everything that was made
	rm -rf $(VENV) .nox .demo build dist
