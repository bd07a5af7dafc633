# The commands of the README. Everything is installed into .venv; nothing else is needed but Python 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lab clean

demo: .venv/demo.stamp  ## run 001 against the embedded PostgreSQL
	$(BIN)/pgrunbook run 001 --html

lab: .venv/demo.stamp  ## step through 001 in JupyterLab
	$(BIN)/jupyter lab runbooks/001_import_connector.ipynb

test: .venv/test.stamp  ## all that CI checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pgrunbook lint
	$(BIN)/pytest --numprocesses auto

clean:  ## forget the environment and the embedded database; outputs/ stays
	rm -rf .venv .pgrunbook

.venv/demo.stamp: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

.venv/test.stamp: .venv/demo.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt --editable '.[test]'
	touch $@
