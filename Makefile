# One short command a chore. `make setup` once, then any of the others.
PY = .venv/bin/python
SHELL = bash

.PHONY: setup format lint test-one test test-all docs

setup:  ## a virtual environment with the package in place, and the hooks of git
	python3 -m venv .venv
	.venv/bin/pip install torch==2.13.0 -e ".[test]" pre-commit
	.venv/bin/pre-commit install

format:  ## bring every file into form
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

lint:  ## what must hold before a commit: style, types, floors
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

test-one:  ## one file or one test: make test-one T=tests/runs/test_validation.py
	$(PY) -m pytest $(T)

test:  ## all quick tests and the examples of docstrings and README
	$(PY) -m pytest -n auto

test-all: test  ## the statistical ones too
	$(PY) -m pytest -m slow -n auto

docs:  ## run the examples of the docstrings and of the README
	$(PY) -m pytest -n auto sklearn_jobtime README.md
