# Every target makes what it needs from nothing: python3 >= 3.10, make and a package index. Second runs reuse .venv.
#   make demo    a language model learns TextMath on this machine; ends with a report to look at
#   make test    the test suite, without learning runs of a minute
#   make check   the same as CI: all tests (notebooks among them), lint, types, docs
#   make docs    the documentation site, in docs/_build/html (Python 3.11 or newer)
PYTHON ?= python3
VENV ?= .venv
# What is installed: this checkout, editable; .ci/run puts a built wheel here.
INSTALL ?= -e .
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test slow lint types notebooks docs linkcheck check format clean

demo: $(VENV)/.agents
	$(BIN)/textmdp demo

# Two processes, a file of tests at a time in each: much of the time a test waits for other processes.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy can't follow an editable install: give it the folders under the names they are imported by.
types: $(VENV)/.dev
	mkdir -p .typing/textmdp
	for name in envs agents benchmarks; do ln -sfn ../../$$name .typing/textmdp/$$name; done
	$(BIN)/mypy

# Runs every notebook, checks its exercises and its saved outputs; `make test` does so too.
notebooks: $(VENV)/.dev
	$(BIN)/python -m pytest tests/project/test_notebooks.py

# Warnings are errors; links within the site and the Markdown twins are checked. Needs no network but for packages.
docs: $(VENV)/.docs
	rm -rf docs/_build
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --nitpicky docs docs/_build/html
	$(BIN)/python docs/generator/check_site.py docs/_build/html

# Links to other sites; needs the network, so it is not part of `make check`.
linkcheck: $(VENV)/.docs
	$(BIN)/python -m sphinx --builder linkcheck docs docs/_build/linkcheck

# On Python 3.10, which MyST has left behind, without the site.
check: test slow lint types $(shell $(PYTHON) -c 'import sys; print("docs" if sys.version_info >= (3, 11) else "")')

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
	@touch $@ $(VENV)/.agents $(VENV)/.docs

$(VENV)/.docs: $(VENV)/pyvenv.cfg pyproject.toml setup.cfg constraints.txt
	@$(BIN)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"the documentation needs Python 3.11 or newer, this is {sys.version.split()[0]}: make docs VENV=.venv-docs PYTHON=python3.11")'
	@echo "installing into $(VENV), a minute or so the first time"
	$(PIP) $(INSTALL)[agents,math,poem,rewards,docs]
	@touch $@ $(VENV)/.agents

clean:
	rm -rf .venv .typing build dist *.egg-info docs/_build docs/environments docs/algorithms docs/api docs/notebooks
