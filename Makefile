# Everything a user or contributor runs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
UNIT_TESTS := tests/unit tests/benchmarks
# Groups of integration tests that run side by side.
WORKERS ?= 1
DATA ?= ../shared/data
OUT ?= runs/router-lite

# Without bytecode files every process of a run would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
# The theme advertises its successor otherwise.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help setup quickstart test test-unit check docs fmt proof router-lite benchmark-quality benchmark-serving benchmark-jobs benchmark-imports benchmark-forms benchmark-gpu benchmark-tests soak clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20
	@echo
	@echo 'make setup ACCELERATOR=cpu|gpu PYTHON=python3.12 overrides what is chosen.'

setup: ## build .venv from the pin list; nothing to do when up to date
	@ACCELERATOR='$(ACCELERATOR)' PYTHON='$(PYTHON)' requirements/install.sh

quickstart: setup ## run the whole system on a zoo it makes itself
	@$(BIN)/modelsat quickstart

test: check ## every check and test
	@echo 'unit tests, two files at a time'
	@$(PYTEST) -n 2 --dist loadfile tests/test_*.py $(UNIT_TESTS)
	@echo 'integration tests, $(WORKERS) group(s) at a time'
	@$(PYTEST) -n $(WORKERS) -m 'not alone' tests/integration
	@echo 'integration tests that measure load or memory, one at a time'
	@$(PYTEST) -m alone tests/integration

test-unit: setup ## unit tests only (no cluster)
	@echo 'unit tests, two files at a time'
	@$(PYTEST) -n 2 --dist loadfile $(UNIT_TESTS)

check: setup docs ## lint, format, types, import contracts and documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: setup ## build the documentation into build/site; a warning is an error
	@$(BIN)/python -m mkdocs build --strict --quiet

fmt: setup ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

proof: setup ## the eight-candidate experiment, seeds 0 to 2; resumable, hours
	@$(BIN)/python -m tests.benchmarks.proof

router-lite: setup ## train the MiniLM router on DATA=folder of tables, into OUT=router directory
	@$(BIN)/modelsat prepare mmlu --data '$(DATA)' --out '$(OUT)-data'
	@$(BIN)/modelsat train --config train_jobs/configs/lite.yaml --data '$(OUT)-data' \
	  --set router_dir='$(OUT)' --set storage_path='$(OUT)-data/training'

benchmark-quality: setup ## five folds over DATA=folder of tables; resumable, hours
	@$(BIN)/python -m tests.benchmarks.quality --data '$(DATA)'

benchmark-serving: setup ## overhead, throughput and LiteLLM beside it; about 15 minutes
	@$(BIN)/python -m tests.benchmarks.serving --out docs/benchmarks/serving.md

benchmark-jobs: setup ## both jobs: kills, replicas, overhead, training speed; about 25 minutes
	@$(BIN)/python -m tests.benchmarks.jobs --out docs/benchmarks/jobs.md

benchmark-imports: setup ## import of a million answers: time and memory; about 5 minutes
	@$(BIN)/python -m tests.benchmarks.imports --out docs/benchmarks/imports.md

benchmark-forms: setup ## two forms of a test on MODELS=directories DEMO_ZOO=file; resumable, an hour
	@$(BIN)/python -m tests.benchmarks.forms --out docs/benchmarks/forms.md $(addprefix --model ,$(MODELS)) $(addprefix --demo-zoo ,$(DEMO_ZOO))

benchmark-gpu: setup ## training and scoring on one GPU of 80 GB, random weights; about 5 minutes
	@$(BIN)/python -m tests.benchmarks.gpu --out docs/benchmarks/gpu.md

benchmark-tests: setup ## `make test` twice: its time, every file's, and what it starts; an hour
	@$(BIN)/python -m tests.benchmarks.tests --out docs/benchmarks/tests.md

soak: setup ## the served endpoint for 30 minutes under load and faults
	@$(BIN)/python -m tests.soak --minutes 30

clean: ## remove the environment and caches (not your artifacts)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
