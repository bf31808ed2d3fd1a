# Everything a user or contributor runs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
DATA ?= ../shared/data
OUT ?= runs/router-lite

.PHONY: help setup quickstart test test-unit check fmt proof router-lite benchmark-quality benchmark-serving benchmark-jobs soak clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20
	@echo
	@echo 'make setup ACCELERATOR=cpu|gpu PYTHON=python3.12 overrides what is chosen.'

setup: ## build .venv from the pin list; nothing to do when up to date
	@ACCELERATOR='$(ACCELERATOR)' PYTHON='$(PYTHON)' requirements/install.sh

quickstart: setup ## run the whole system on a zoo it makes itself
	@$(BIN)/modelsat quickstart

test: check ## every check and test: unit first, then real engines
	@$(BIN)/python -m pytest tests/test_architecture.py tests/unit tests/benchmarks
	@$(BIN)/python -m pytest tests/integration

test-unit: setup ## unit tests only (under a minute, no cluster)
	@$(BIN)/python -m pytest tests/unit tests/benchmarks

check: setup ## lint, format, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: setup ## format and mend what can be mended
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

proof: setup ## the eight-candidate experiment, seeds 0 to 2; resumable, hours
	@$(BIN)/python -m tests.benchmarks.proof

router-lite: setup ## train the MiniLM router on DATA=folder of tables, into OUT=router directory
	@$(BIN)/modelsat quality train --data '$(DATA)' --out '$(OUT)'

benchmark-quality: setup ## five folds over DATA=folder of tables; resumable, hours
	@$(BIN)/python -m tests.benchmarks.quality --data '$(DATA)'

benchmark-serving: setup ## overhead, throughput and LiteLLM beside it; about 15 minutes
	@$(BIN)/python -m tests.benchmarks.serving --out docs/benchmarks/serving.md

benchmark-jobs: setup ## both jobs: kills, replicas, overhead, training speed; about 25 minutes
	@$(BIN)/python -m tests.benchmarks.jobs --out docs/benchmarks/jobs.md

benchmark-gpu: setup ## training and scoring on one GPU of 80 GB, random weights; about 5 minutes
	@$(BIN)/python -m tests.benchmarks.gpu --out docs/benchmarks/gpu.md

soak: setup ## the served endpoint for 30 minutes under load and faults
	@$(BIN)/python -m tests.soak --minutes 30

clean: ## remove the environment and caches (not your artifacts)
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
