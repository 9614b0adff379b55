# The two commands of the README, and what they are made of. VENV and PYTHON can be set.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test lint types unit test-slurm bench install clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(INSTALLED)  ## Install, then ask on digits whether a random ticket would do: ends with a report
	$(BIN)/python run.py sweep=demo hydra/launcher=local $(DEMO)
	@echo 'every check on a method: $(BIN)/python run.py sweep=battery pruner=lt verdict.until=decided hydra/launcher=local'

test: lint types unit  ## Install, then check style and types and run all tests

lint: $(INSTALLED)  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)  ## Check types
	$(BIN)/mypy

unit: $(INSTALLED)  ## Run the tests, a worker a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal $(PYTEST)

test-slurm: $(INSTALLED)  ## Run the tests that need a SLURM (slurm-wlm, munge)
	OMP_NUM_THREADS=1 SANITY_REQUIRE_SLURM=1 $(BIN)/python -m pytest tests/slurm $(PYTEST)

bench: $(INSTALLED)  ## Measure training steps and commands (long); BENCH=quick: a minute
	$(BIN)/python tests/benchmarks/bench.py $(if $(filter quick,$(BENCH)),--quick) --json bench.json

install: $(INSTALLED)  ## Create the environment and install into it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,sparse]'
	@touch $@

clean:  ## Remove the environment and caches; data and results stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache *.egg-info
