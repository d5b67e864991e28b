# make venv | demo | reproduce | test | test-page | soak | test-fused | gpu-check | lint | audit | up | docs | picture | screenshots | bench | openapi | client | smoke
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
MODEL ?=
CORPUS ?=
DEMO ?=
SCALE ?=
# Without --no-compile pip compiles every module of every package, which takes longer than all else; few of them are used.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable
# The service is many processes, and where this is set each of them compiles its source anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv demo reproduce test test-page test-fused gpu-check soak lint audit up docs picture screenshots bench openapi client smoke
venv: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) ".[cpu,dev]"
	touch $(READY)

demo: $(READY)
	$(BIN)/radius demo $(if $(MODEL),--model "$(MODEL)") $(if $(CORPUS),--corpus "$(CORPUS)") $(DEMO)

reproduce: $(READY)
	$(BIN)/radius reproduce $(if $(SCALE),--scale "$(SCALE)") $(if $(MODEL),--model "$(MODEL)") $(if $(CORPUS),--corpus "$(CORPUS)")

# Three processes share the tests, as some of them wait; a library that takes all cores in each of them would make them wait for one another.
test: $(READY)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --ignore tests/page

# The pages in Chromium, which must be installed; in one process, so that they share a service.
test-page: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/page

test-fused: $(READY)
	$(INSTALL) ".[cpu,dev,interpreter]"
	TRITON_INTERPRET=1 $(BIN)/python -m pytest tests/neighbors/test_strip_kernel.py tests/energy/test_scan_kernel.py

# A torch for CUDA brings Triton; without one the kernel is compiled ahead of time and interpreted.
gpu-check: $(READY)
	$(BIN)/python -c 'import triton' 2>/dev/null || $(INSTALL) ".[cpu,dev,interpreter]"
	$(BIN)/python -m tests.devices.check

# Faults have deadlines, so that they are tried with the machine to themselves.
soak: $(READY) test-fused
	RADIUS_SOAK=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --ignore tests/faults --ignore tests/hosts
	RADIUS_SOAK=1 $(BIN)/python -m pytest tests/faults tests/hosts

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile
	$(BIN)/shellcheck docker/smoke.sh .ci/audit .ci/chromium .ci/run
	! docker compose version >/dev/null 2>&1 || docker compose config --quiet
	! docker compose version >/dev/null 2>&1 || \
		COMPUTE_MEMORY=12g docker compose -f docker-compose.yml -f compose.gpu.yml --profile gpu-trainer config --quiet
	! docker compose version >/dev/null 2>&1 || docker compose --profile observability config --quiet

# Warns where the service that knows vulnerabilities cannot be reached; RADIUS_AUDIT=strict fails then.
audit:
	PYTHON=$(PYTHON) .ci/audit

smoke:
	docker/smoke.sh

up: $(READY)
	$(BIN)/radius up

# The generated pages are renewed first, so that git shows one that was stale; a link that leads nowhere is an error. Not
# --quiet: it would silence the warnings that --strict counts.
docs: $(READY)
	$(INSTALL) ".[cpu,dev,docs]"
	$(BIN)/python -m tests.docs.pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# From the figures of `make demo`.
picture: $(READY)
	$(BIN)/python -m tests.docs.picture radius-demo

# The pages with the results of the demo's model, which is trained where it is missing; needs Chromium.
screenshots: $(READY)
	$(BIN)/python -m tests.page.screenshots

bench: $(READY)
	$(INSTALL) ".[cpu,dev,bench]"
	$(BIN)/python -m tests.benchmarks

openapi: $(READY)
	$(BIN)/python -m tests.api.openapi

client: $(READY)
	$(BIN)/python -m tests.api.blocking_client
