# Needs only Python 3.11 or newer: what else a target uses is installed in $(VENV), with the versions of constraints.txt.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo lab test book bench

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

demo: $(VENV)/.course ## train cohorts on the bundled data and compare them
	$(BIN)/dml-teach demo

lab: $(VENV)/.course ## open the book in JupyterLab
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/book

test: $(VENV)/.dev ## run all that CI runs: style, types, spelling, notebooks, tests
	@bash .ci/chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python tools/notebooks.py check
	$(BIN)/python tools/exercises.py check
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval book/
	$(BIN)/python -m pytest -n 2 --dist loadfile

book: $(VENV)/.dev ## build the book as a site in book/site/_build/html
	$(BIN)/sphinx-build -q -W --keep-going -b html -c book/site book book/site/_build/html

bench: $(VENV)/.course ## run the benchmarks behind the speed claims
	@set -e; for script in $(filter-out benchmarks/timing.py,$(wildcard benchmarks/*.py)); do echo "$$script"; $(BIN)/python "$$script"; done

# Stamps: each says that an environment holds one set of extras, and is older than what it was made from when that changed.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit("dml_teach needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.course: pyproject.toml constraints.txt $(VENV)/.made
	$(PIP) -e '.[course]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.made
	$(PIP) -e '.[dev,docs]'
	@touch $@
