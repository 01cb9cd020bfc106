# Wayline: `make help` lists the targets. Only Python 3.11+ and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROTOS := $(wildcard protos/wayline/v1/*.proto)
# Each process has its own NATS and PostgreSQL. One more than there are processors: tests of services also wait.
PARALLEL := -n $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) --maxprocesses 4 --dist worksteal
SOURCES := shared services tests examples benchmarks deploy

.DEFAULT_GOAL := help
.PHONY: help setup run demo test compile test-compiled lint type bench protos check-protos lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Create .venv and install the locked dependencies, hashes checked

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wayline needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 setup")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## Start everything; where no catalogue was applied yet, with the shoe shop and a customer's journey through it
	@$(BIN)/wayline up --example shoe-shop --demo $(ARGS)

demo: setup ## The journey only: start, decide, print, stop
	@$(BIN)/wayline demo --once $(ARGS)

test: setup ## Run all tests
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

compile: setup ## Compile the hot modules into build/compiled (needs a C compiler); run with PYTHONPATH=build/compiled
	$(BIN)/python deploy/compile.py build/compiled

test-compiled: compile ## Run the tests of what is compiled on the compiled modules
	PYTHONPATH=build/compiled $(BIN)/python -m pytest tests/contract tests/unit/decision tests/unit/profile tests/unit/shared/test_direct.py $(PARALLEL) $(ARGS)

lint: setup ## Ruff, buf, hadolint, the Kubernetes manifests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/buf lint protos
	$(BIN)/hadolint deploy/Dockerfile
	$(BIN)/python deploy/check_manifests.py

type: setup ## Check the types
	$(BIN)/mypy

bench: setup ## Run the benchmarks (about three minutes)
	@for name in decide peers batch collect freshness; do $(BIN)/wayline bench $$name $(ARGS) || exit 1; done

protos: setup ## Generate the Python code of the contracts
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=shared --pyi_out=shared --grpc_python_out=shared $(PROTOS)

check-protos: setup ## The generated code is current, and the contracts stay compatible
	rm -rf build/protos && mkdir -p build/protos
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=build/protos --pyi_out=build/protos --grpc_python_out=build/protos $(PROTOS)
	diff -r -x __pycache__ -x __init__.py build/protos/wayline/v1 shared/wayline/v1
	@if git cat-file -e origin/main:protos/buf.yaml 2>/dev/null; then \
	  $(BIN)/buf breaking protos --against '.git#ref=origin/main,subdir=protos'; \
	elif git cat-file -e HEAD~1:protos/buf.yaml 2>/dev/null; then \
	  $(BIN)/buf breaking protos --against '.git#ref=HEAD~1,subdir=protos'; \
	fi

lock: ## Resolve the dependencies anew (needs `make setup` first)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	printf 'uv==%s\n' "$$($(BIN)/uv --version | cut -d' ' -f2)" | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --python-version 3.11 - -o requirements-uv.lock

clean: ## Remove what was built (keeps data)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
