# Every target sets up what it needs first; a second run is quick.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fuzz
PYTHON := .venv/bin/python

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: ## Set up everything that the tests need (system packages, .venv, MicroPython, web assets)
	@.ci/setup test

demo: ## Simulate a city's day, from tap to cashless share, and serve its pages
	@.ci/setup demo
	@$(PYTHON) -m simulator demo

test: setup ## Run all tests
	@$(PYTHON) -m pytest --numprocesses auto --dist loadfile

check: setup ## Check types, lint, format and import rules
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	.venv/bin/lint-imports

bench: setup ## Measure, beside a peer or a limit measured in the same run
	@$(PYTHON) -m tests.bench

fuzz: setup ## Fuzz every decoder, FUZZ_SECONDS each (60)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable ".[fuzz]"
	@$(PYTHON) -m tests.fuzz
