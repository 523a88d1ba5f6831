# Every target sets up what it needs first; a second run is quick.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check coverage mutation bench bench-clearing bench-tap emulated fuzz soak
PYTHON := .venv/bin/python
INGEST_TESTS := $(addsuffix .py,admission busy_database clones codes exceptions ingest ingest_bad_input ingest_corners ingest_properties \
	key_sets rebase rebase_properties refill retirement rotation shared_secret sync_table today top_ups)

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

coverage: setup ## Measure branch coverage of the wire, the journal and ingest by their own tests: less than 100 % fails
	@$(PYTHON) -m coverage run -m pytest --quiet tests/protocol \
		--ignore tests/protocol/test_fuzz_targets.py --ignore tests/protocol/test_decoder_memory_properties.py \
		tests/firmware/test_journal.py tests/firmware/test_journal_recovery.py tests/firmware/test_journal_formats.py \
		tests/firmware/test_slots.py tests/firmware/test_refill.py tests/firmware/test_flash_report.py \
		$(addprefix tests/clearing/test_,$(INGEST_TESTS))
	@$(PYTHON) -m coverage report

mutation: setup ## Change the wire and the journal in 300 places, and count what tests notice (tests/MUTATION.md)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable ".[mutation]"
	@nice $(PYTHON) -m tests.mutation

bench: setup ## Measure, beside a peer or a limit measured in the same run
	@$(PYTHON) -m tests.bench

emulated: ## Build an emulated Cortex-M4 and count what the firmware costs there (130 MB of packages, a minute)
	@.ci/setup demo
	@.ci/get-emulator
	@$(PYTHON) -m hardware.emulated_m4

bench-clearing: setup ## Measure clearing a day of six million taps, beside DuckDB and plain Python; `python -m tests.bench_clearing --taps N` for less
	@$(PYTHON) -m tests.bench_clearing

bench-tap: setup ## Say how long a tap takes, in a declared model; the firmware's share where `emulated` was built
	@$(PYTHON) -m tests.bench_tap

soak: setup ## Hold the promises for hours: a tenth of it, or all with FULL=1; can be stopped and goes on (tests/SOAK.md)
	@$(PYTHON) -m tests.soak

fuzz: setup ## Fuzz every decoder, FUZZ_SECONDS each (60)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable ".[fuzz]"
	@$(PYTHON) -m tests.fuzz
