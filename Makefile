# The commands of the README. Everything is installed into .venv; nothing else is needed but Python 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 3  # more than two cores have, as tests wait about half of the time

.PHONY: demo test test-versions test-hostile test-faults test-fleet test-airflow bench lab clean

demo: .venv/demo.stamp  ## run 001 against the embedded PostgreSQL
	$(BIN)/pgrunbook run 001 --html

lab: .venv/demo.stamp  ## step through 001 in JupyterLab
	$(BIN)/jupyter lab --allow-root --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/runbooks/001_import_connector.ipynb

test: .venv/test.stamp .venv/chromium.stamp .venv/pgbouncer.stamp  ## all that CI checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pgrunbook lint
	$(BIN)/python -m compileall -q src  # once, where Python may not write bytecode itself
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

test-versions: .venv/test.stamp  ## all tests, on every version of PostgreSQL that is embedded
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --every-version

test-hostile: .venv/test.stamp .venv/pgbouncer.stamp  ## servers, networks and roles that are not ours, on 15 and 18
	$(BIN)/pytest tests/hostile --numprocesses $(WORKERS) --pg 18
	$(BIN)/pytest tests/hostile --numprocesses $(WORKERS) --pg 15

test-faults: .venv/test.stamp  ## the whole fault matrix, for more than an hour; writes docs/fault-matrix.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test-all]'
	$(BIN)/pytest tests/faults --whole docs/fault-matrix.md --numprocesses auto

test-fleet: .venv/test.stamp  ## fleets of hundreds of targets, kills at random, and a real Dask
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test-fleet]'
	$(BIN)/pytest tests/fleet --many --every-version

test-airflow: .venv/test.stamp  ## the recipe for Airflow, by Airflow itself in an environment of its own
	test -x .venv-airflow/bin/airflow || $(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check apache-airflow==3.3.2
	AIRFLOW=$(CURDIR)/.venv-airflow/bin/airflow $(BIN)/pytest tests/fleet/test_recipes.py -k airflow

bench: .venv/demo.stamp  ## every part beside the peers, 25 minutes; writes docs/benchmarks.md
	$(BIN)/python benchmarks --write docs/benchmarks.md

clean:  ## forget the environments and the embedded database; outputs/ stays
	rm -rf .venv .venv-bench .venv-airflow .pgrunbook

.venv/demo.stamp: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	touch $@

.venv/test.stamp: .venv/demo.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt --editable '.[test]'
	touch $@

.venv/chromium.stamp: .venv/test.stamp  # the page that a reviewer opens is opened in a browser
	command -v chromium || (apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium fonts-dejavu-core) \
	  || echo 'NOT TESTED: the pages in a browser. Install chromium.'
	touch $@

.venv/pgbouncer.stamp: .venv/test.stamp  # a pooler in front of the server is a real one
	test -x /usr/sbin/pgbouncer || (apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends pgbouncer) \
	  || echo 'NOT TESTED: what a pooler does. Install pgbouncer.'
	touch $@
