# `make help` lists what there is.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin

.PHONY: help bench history load door pages endtoend fuzz mutants develop install demo test lint format fixtures serve self-review wheel licences sbom audit lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

PIP := $(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps

$(VENV)/installed: requirements-build.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Interlock needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements-build.lock
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/developed: $(VENV)/installed requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/installed ## Set the project up in .venv, with the command .venv/bin/interlock

develop: $(VENV)/developed ## The same with what the tests and linters need

demo: install ## Watch Interlock stop the pull request that caused the outage (KEEP=1 leaves the server running)
	$(RUN)/interlock demo $(if $(KEEP),--keep)

test: develop ## Run the tests (ARGS="-k terraform" to choose)
	$(RUN)/python -m pytest -n auto $(ARGS)

lint: develop ## Check style and types
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: develop ## Rewrite the sources in the project's style
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

fixtures: develop ## Rewrite the detectors' effects.txt; read the difference
	$(RUN)/python -m pytest tests/test_detectors.py --update
	git diff --stat -- tests/fixtures

docs: develop ## Build the documentation as a site in build/docs
	$(RUN)/python .ci/docs.py build/docs

MINUTES ?= 5
fuzz: develop ## Feed hostile input to every reader (MINUTES=60 for longer, HARNESS="yaml sql" to choose)
	$(RUN)/python -m tests.fuzz --minutes $(MINUTES) $(HARNESS)

mutants: develop ## Change the decision a little, function by function, and see whether a test notices (ARGS="--minutes 10 --only checks.assess")
	$(RUN)/python -m tests.mutants $(ARGS)

bench: develop ## Time reviews beside git diff (MIRRORS=dir adds real repositories, PLOT=file.svg a plot)
	$(RUN)/python -m tests.benchmarks.review $(if $(MIRRORS),--mirrors $(MIRRORS)) $(if $(PLOT),--plot $(PLOT))
	$(RUN)/python -m tests.benchmarks.domains $(if $(MIRRORS),--mirrors $(MIRRORS))

history: develop ## Steps a second of a replayed history (REPOS="dir dir")
	$(RUN)/python -m tests.benchmarks.history $(or $(REPOS),.)

load: develop ## A large organisation's day against the stand-in: lag, memory, requests (ARGS="--postgres")
	$(RUN)/python -m tests.benchmarks.load $(ARGS)

door: develop ## The front door under 64 connections for two minutes (PROBOT=dir, an npm install of probot, for comparison)
	PROBOT=$(PROBOT) $(RUN)/python -m tests.benchmarks.door $(ARGS)

pages: develop ## Time to the first byte of the pages, at rest and while deliveries come in at full rate
	$(RUN)/python -m tests.benchmarks.pages $(ARGS)

endtoend: develop ## Pull requests a second with 1, 2 and 4 workers on both databases
	$(RUN)/python -m tests.benchmarks.endtoend $(ARGS)

serve: install ## Start the App on this machine
	$(RUN)/interlock serve

BASE ?= HEAD~1
self-review: install ## Review the project's own last change (BASE=commit to choose)
	$(RUN)/interlock review $(BASE) HEAD --verbose

wheel: install ## Build the wheel, the same bytes every time
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(RUN)/hatchling build -t wheel

licences: install ## List the licences of what the server is made of
	@$(RUN)/python .ci/supply.py licences

sbom: install ## Print the bill of materials (CycloneDX)
	@$(RUN)/python .ci/supply.py sbom

audit: ## Ask PyPI's advisories about the lock (needs a network; not part of .ci/run)
	$(PYTHON) -m venv build/audit
	build/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	build/audit/bin/pip-audit --require-hashes --disable-pip -r requirements.lock

lock: develop ## Resolve the dependencies anew, with hashes
	$(RUN)/python -m pip install --quiet uv
	$(RUN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml -o requirements.lock
	$(RUN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml --extra postgres -c requirements.lock -o requirements-postgres.lock
	$(RUN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml --group build -c requirements.lock -o requirements-build.lock
	$(RUN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml --extra postgres --extra otel --group dev -c requirements-postgres.lock -c requirements-build.lock -o requirements-dev.lock

clean: ## Remove what was built
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
