# make venv | demo | test | test-fused | lint | up | bench
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
MODEL ?=
CORPUS ?=
DEMO ?=

.PHONY: venv demo test test-fused lint up bench openapi
venv: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cpu,dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/radius demo $(if $(MODEL),--model "$(MODEL)") $(if $(CORPUS),--corpus "$(CORPUS)") $(DEMO)

test: $(READY)
	$(BIN)/python -m pytest

test-fused: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cpu,dev,interpreter]"
	TRITON_INTERPRET=1 $(BIN)/python -m pytest tests/neighbors/test_fused_tile.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

up: $(READY)
	$(BIN)/radius up

bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[cpu,dev,bench]"
	$(BIN)/python -m tests.benchmarks

openapi: $(READY)
	$(BIN)/python -m tests.api.openapi
