# Everything here needs only python3 (3.11 or newer), make and git; uv is brought by `setup`.

UV_VERSION := 0.13.8
UV := .tools/bin/uv
PYTHON ?= python3
DEMO_FLAGS ?=
LOCK_FLAGS ?=
LOCK := --quiet --universal --generate-hashes --python-version 3.11
# Two workers suit two cores; one file's tests share their servers. The order is that of tests/conftest.py.
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder

# Somebody else's environment must not leak into ours, and no interpreter is downloaded behind the user's back.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV PYTHONDONTWRITEBYTECODE
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo stop clean-demo cluster cluster-stop test test-long lint types imports docs lock bench repro

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.done .venv-airflow/.done  ## build both environments from the locked requirements

demo: setup  ## the whole loop on real loans, from nothing (DEMO_FLAGS="--months N" shortens it)
	.venv/bin/tollgate demo run $(DEMO_FLAGS)

stop:  ## stop what the demo or dvc repro left running
	@if [ -x .venv/bin/tollgate ]; then .venv/bin/tollgate demo stop; else echo "Nothing was set up, so nothing runs."; fi

clean-demo: stop  ## stop the demo and remove what it made; downloads and other books are kept
	@if [ -x .venv/bin/tollgate ]; then .venv/bin/tollgate demo clean; fi

cluster: setup  ## the services of docker-compose.yml on this machine, without a container engine
	.venv/bin/tollgate cluster start

cluster-stop:  ## stop every service of the cluster; its data are kept
	@if [ -x .venv/bin/tollgate ]; then .venv/bin/tollgate cluster stop; else echo "Nothing was set up, so nothing runs."; fi

test: setup lint types imports  ## lint, types, import rules and every test
	.venv/bin/pytest $(PYTEST_FLAGS)

test-long: setup  ## the longest proofs, which `make test` leaves out
	.venv/bin/pytest $(PYTEST_FLAGS) -m long

lint: setup  ## ruff
	.venv/bin/ruff check

types: setup  ## mypy
	.venv/bin/mypy

imports: setup  ## the directions of imports
	.venv/bin/lint-imports

docs: setup  ## rewrite the pages that are derived from the code
	.venv/bin/python docs/make.py docs

bench: setup  ## every benchmark, one after the other
	.venv-airflow/bin/python benchmarks/dag_parse.py
	.venv/bin/python benchmarks/airflow_overhead.py
	.venv/bin/python benchmarks/gates.py
	.venv/bin/python benchmarks/ingest_validation.py
	.venv/bin/python benchmarks/sweep.py

repro: setup  ## the training pipeline by DVC alone, without Airflow
	@.venv/bin/tollgate doctor params  # DVC reads params.yaml first, and says less of what is wrong in it
	PATH="$(CURDIR)/.venv/bin:$$PATH" dvc repro

lock: $(UV)  ## resolve the dependencies anew (LOCK_FLAGS=--upgrade takes newer versions)
	$(UV) pip compile $(LOCK_FLAGS) --group airflow $(LOCK) -o requirements/airflow.txt
	$(UV) pip compile $(LOCK_FLAGS) --group pipeline $(LOCK) -o requirements/pipeline.txt

# An environment is done when its .done stands. One that was cut off while being filled holds an .unfinished and is
# built anew: packages come from uv's cache, so that only what was not yet downloaded is downloaded.
define begin
@if [ -e $(@D)/.unfinished ] || ! $(@D)/bin/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null; \
	then $(UV) venv --clear --quiet --python .tools/bin/python $(@D); fi
@touch $(@D)/.unfinished
endef

define finish
@rm -f $(@D)/.unfinished && touch $@
endef

.venv/.done: requirements/pipeline.txt pyproject.toml | $(UV)
	$(begin)
	@echo "building $(@D) from $<"
	@$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	$(UV) pip install --python $(@D)/bin/python --quiet --no-deps --no-build-isolation -e .
	$(finish)

.venv-airflow/.done: requirements/airflow.txt | $(UV)
	$(begin)
	@echo "building $(@D) from $<"
	@$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	$(finish)

$(UV): .tools/uv-$(UV_VERSION)

.tools/uv-$(UV_VERSION):
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (got: $$($(PYTHON) --version)). Name a newer one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This python3 cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv --clear .tools
	.tools/bin/pip install --quiet uv==$(UV_VERSION)
	@touch $@
