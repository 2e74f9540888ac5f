# `make demo` and `make test` each work as the first command on a fresh machine.

.DEFAULT_GOAL := help
.PHONY: help setup demo test suite programs fuzz mutants bench chaos up down synth lint static format openapi lock clean

STAGE ?= prod
# What production does not synthesize without, as an example.
synth_context := -c payment_provider=$(or $(PAYMENT_PROVIDER),$(if $(filter prod,$(STAGE)),stripe,simulator)) \
	$(if $(filter prod,$(STAGE)),-c sender_email=$(or $(SENDER_EMAIL),orders@shop.example))
python := .venv/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/layers/shared/python:$(CURDIR)/layers/payment_simulator/python:$(CURDIR)/layers/payment_stripe/python
pytest := $(python) -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder
# Every process imports a thousand modules: they are compiled once, also where the environment says not to keep that.
unexport PYTHONDONTWRITEBYTECODE
# The pinned CDK works on Node 20, 22 and 24; its banners about versions, and its telemetry, stay off.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED := true
export CDK_DISABLE_CLI_TELEMETRY := true

help: ## Show the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## Start the local cloud, run the demonstration, print its table, stop the cloud
	@bin/orders demo

# Three processes, for two cores: each runs a local cloud first, and half of that is waiting. More would each make a
# Postgres, a template and the stacks for themselves.
# Types are checked beside the first tests, which wait for a cloud to be deployed.
test: setup programs ## Run all checks and the whole test suite
	@$(MAKE) --no-print-directory --jobs 2 static suite

suite: setup
	@$(pytest) tests

# What no Python package brings: a browser and a pooler.
programs: setup
	@$(python) -m tests.support.browser
	@$(python) -m tests.support.pgbouncer

fuzz: setup ## Ask the API thousands of generated questions, right and wrong ones
	@FUZZ_EXAMPLES=40 $(python) -m pytest tests/e2e/test_fuzz.py

mutants: setup ## Break each line that keeps a promise, in a copy, and see its test go red (half an hour)
	@$(python) -m tests.mutants

bench: setup ## Measure everything and hold it against its budgets (8 minutes)
	@$(python) -m tools.bench

chaos: setup ## Inject faults while ORDERS=300 orders run, then check every promise; SEED=n repeats a run
	@$(python) -m tools.chaos $(if $(SEED),--seed $(SEED)) $(if $(ORDERS),--orders $(ORDERS))

up: setup ## Start the local cloud and leave it running
	@bin/orders up

down: setup ## Stop the local cloud
	@bin/orders down

# An environment that works is kept. Else 3.13 comes first: it is what AWS runs the functions on.
setup: ## Install everything into the project's directory
	@for candidate in $(PYTHON) $(python) python3.13 python3.14 python3.12 python3.11 python3; do \
		if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then \
			exec $$candidate -P tools/setup.py; \
		fi; \
	done; \
	echo "Python 3.11 to 3.14 is needed. Found: $$(python3 --version 2>&1 || echo none). Another one: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; \
	exit 1

synth: setup ## Synthesize STAGE=dev|prod into cdk.out
	@node_modules/.bin/cdk synth --quiet --no-notices -c stage=$(STAGE) $(synth_context)
	@echo "Synthesized stage $(STAGE) into cdk.out"

lint: static synth ## Check style, types, import rules and the synthesized template
	@.venv/bin/cfn-lint cdk.out/*.template.json

static: setup
	@.venv/bin/ruff format --check --quiet . || { echo "Not formatted. Run: make format" >&2; exit 1; }
	@.venv/bin/ruff check --quiet .
	@.venv/bin/mypy --no-error-summary
	@.venv/bin/lint-imports --no-logo > .build/lint-imports.log || { cat .build/lint-imports.log; exit 1; }

format: setup ## Format the code
	@.venv/bin/ruff check --quiet --fix . ; .venv/bin/ruff format .

openapi: setup ## Write the API's document anew
	@$(python) -m tools.openapi

lock: ## Lock the dependencies anew (needs uv)
	@command -v uv >/dev/null || { echo "uv is needed: https://docs.astral.sh/uv" >&2; exit 1; }
	@set -e; cd requirements; \
	compile="uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate"; \
	$$compile dev.in --output-file dev.txt; \
	for name in layer payment_stripe runtime; do $$compile $$name.in -c dev.txt --output-file $$name.txt; done

clean: down ## Stop the local cloud and remove what running leaves behind; what is installed stays
	@rm -rf .local cdk.out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
