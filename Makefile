# Every target makes what it needs from nothing: python3 >= 3.10, make and a package index. Second runs reuse .venv.
#   make demo    a language model learns TextMath on this machine; ends with a report to look at
#   make test    the whole test suite
#   make check   what CI runs: tests (notebooks among them), lint, types
PYTHON ?= python3
VENV ?= .venv
# What is installed: this checkout, editable; .ci/run puts a built wheel here.
INSTALL ?= -e .
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint types notebooks check format clean

demo: $(VENV)/.agents
	$(BIN)/textmdp demo

# Two processes, a file of tests at a time in each: much of the time a test waits for other processes.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy can't follow an editable install: give it the folders under the names they are imported by.
types: $(VENV)/.dev
	mkdir -p .typing/textmdp
	for name in envs agents benchmarks; do ln -sfn ../../$$name .typing/textmdp/$$name; done
	$(BIN)/mypy

# Runs every notebook, checks its exercises and what it shows; `make test` does so too.
notebooks: $(VENV)/.dev
	$(BIN)/python -m pytest tests/test_notebooks.py

check: test lint types

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit(f"textmdp needs Python 3.10 or newer, this is {sys.version.split()[0]}: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.agents: $(VENV)/pyvenv.cfg pyproject.toml setup.cfg constraints.txt
	@echo "installing into $(VENV), a minute or so the first time"
	$(PIP) $(INSTALL)[agents,math]
	@touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg pyproject.toml setup.cfg constraints.txt
	@echo "installing into $(VENV), a minute or so the first time"
	$(PIP) $(INSTALL)[dev]
	@touch $@ $(VENV)/.agents

clean:
	rm -rf .venv .typing build dist *.egg-info
