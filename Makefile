# `make demo` shows it, `make test` proves it, `make check` is everything that a reviewer would run.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo loop test test-engines extension chromium slurm containers quick check format lint types imports panels screenshots docs site clean

VENV := .venv
ENGINES := .venv-engines
BIN := $(VENV)/bin
# The first Python that starts and is new enough; a name on the PATH alone says little (pyenv leaves empty shims).
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$name" && break; done)
# Without this every worker would start as many threads as there are cores, and they would wait for one another.
export OMP_NUM_THREADS ?= 1
LAB := extensions/lab
LAB_SOURCES := $(wildcard $(LAB)/*.json $(LAB)/yarn.lock $(LAB)/schema/*) $(shell find $(LAB)/src $(LAB)/style -type f)
# Node's packages of the panels; it calls tools that lie beside it.
JLPM := PATH="$(CURDIR)/$(BIN):$$PATH" jlpm
SHOWN := $(VENV)/share/jupyter/labextensions/nbproof
PYTEST := $(BIN)/python -m pytest -n 2

help:
	@echo "make demo    run the reference engagement: eleven notebooks on real credit data"
	@echo "make loop    play the retraining loop: drift, alarm, retraining, review, promotion, rollback"
	@echo "make test    run every test"
	@echo "make quick   run the tests that take seconds"
	@echo "make test-engines  run on real Slurm, Ray, Airflow, Prefect, DVC and Feast, and a package's container"
	@echo "make check   format, lint, types, imports, panels, docs and every test"
	@echo "make screenshots  picture every panel of JupyterLab, in light and in dark"
	@echo "make docs    write docs/reference/cli.md and docs/pipeline.svg again"
	@echo "make site    build the documentation into build/site"
	@echo "make clean   remove what runs and tests made (the environment stays)"

# The same environment as for the tests: another one would make every result of the demo stale.
demo: $(VENV)/.installed-dev extension
	@echo "→ run the reference engagement, pipelines/credit (what is fresh does not run again)"
	@$(BIN)/nbproof run pipelines/credit
	@echo
	@echo "→ what came of it"
	@$(BIN)/nbproof runs show --results
	@echo
	@echo "→ what its reviewer reads"
	@$(BIN)/nbproof report pipelines/credit
	@echo
	@echo "→ export a notebook as a package, a draft since nobody has approved it, and prove it again"
	@$(BIN)/nbproof export notebooks/01_scoping.ipynb --draft
	@$(BIN)/nbproof verify exports/nb_01_scoping_draft

# From the first champion to its successor: windows, alarms, a retraining, a review, a promotion and the way back.
loop: $(VENV)/.installed-dev
	@echo "→ play the retraining loop on the credit data"
	@$(BIN)/python -m benchmarks.retraining_loop

test: $(VENV)/.installed-dev $(VENV)/ipykernel-7/.installed extension chromium slurm
	@echo "→ run every test (quick ones only: make quick), first those of the panels"
	@cd $(LAB) && $(JLPM) test
	@$(PYTEST) -m "not engines"

quick: $(VENV)/.installed-dev extension
	@echo "→ run the tests that take seconds (all of them: make test)"
	@$(PYTEST) -m "not slow and not engagement and not engines"

# Engines that are too large for the environment of the tests have one each; what came of it is a page of the reference.
test-engines: $(VENV)/.installed-dev slurm containers $(ENGINES)/ray/.installed $(ENGINES)/airflow/.installed \
		$(ENGINES)/lint/.installed $(ENGINES)/dvc/.installed $(ENGINES)/feast/.installed $(ENGINES)/bentoml/.installed \
		$(ENGINES)/prefect/.installed $(ENGINES)/kafka/.installed $(ENGINES)/box/rootfs
	@echo "→ run the training package of the engagement on real engines (half an hour)"
	@ENGINES_RECORD=1 $(BIN)/python -m pytest -m engines -p no:randomly tests/engines
	@cat docs/reference/engines-tested.md

$(ENGINES)/%/.installed: tests/engines/requirements/%.txt | $(VENV)/.installed-dev
	@echo "→ make an environment for $*"
	@rm -rf $(@D) && $(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check -r $<
	@touch $@

# Debian with its own Python: what the containers are built on where no image can be pulled.
$(ENGINES)/box/rootfs: | containers
	@echo "→ make the folder that containers are built on"
	@rm -rf $@.unfinished && mkdir -p $(@D)
	@become=; [ "$$(id -u)" = 0 ] || become="sudo -n"; $$become debootstrap --variant=minbase \
		--include=python3,python3-venv,ca-certificates bookworm $@.unfinished >$(@D)/debootstrap.log
	@mv $@.unfinished $@

# The panels in JupyterLab: built again when a source of theirs is newer, and linked to where JupyterLab looks.
extension: $(LAB)/build/labextension/package.json
	@[ -L $(SHOWN) ] || { rm -rf $(SHOWN); mkdir -p $(dir $(SHOWN)); ln -s "$(CURDIR)/$(LAB)/build/labextension" $(SHOWN); }

$(LAB)/build/labextension/package.json: $(LAB_SOURCES) | $(VENV)/.installed-dev
	@command -v node >/dev/null || { echo "error: found no Node.js to build the panels with; expected version 20 or newer;" \
		"hint: apt-get install nodejs" >&2; exit 2; }
	@echo "→ build the panels of JupyterLab (the first time takes a minute or two)"
	@cd $(LAB) && { $(JLPM) install --immutable && $(JLPM) build; } >build.log 2>&1 \
		|| { cat build.log >&2; exit 2; }
	@touch $@

# Tests of JupyterLab look at it through Debian's browser, those of jobs start a Slurm of their own; where one cannot be
# installed they are skipped, and say so.
chromium: PROGRAM := chromium
chromium: PACKAGES := chromium fonts-dejavu-core
slurm: PROGRAM := slurmctld
slurm: PACKAGES := slurmctld slurmd slurm-client munge
containers: PROGRAM := podman
containers: PACKAGES := buildah podman runc debootstrap
chromium slurm containers:
	@PATH="$$PATH:/usr/sbin" command -v $(PROGRAM) >/dev/null || { \
		echo "→ install $(PROGRAM) for the tests that need it"; \
		become=; [ "$$(id -u)" = 0 ] || become="sudo -n"; \
		{ $$become apt-get update -qq && $$become env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends $(PACKAGES); } </dev/null >/dev/null 2>&1 \
		|| echo "→ it cannot be installed: those tests will be skipped"; }

check: lint types imports panels test

format: $(VENV)/.installed-dev
	@$(BIN)/ruff format src tests
	@$(BIN)/ruff check --fix src tests

lint: $(VENV)/.installed-dev
	@echo "→ check format and lint (to mend: make format)"
	@$(BIN)/ruff format --check src tests
	@$(BIN)/ruff check src tests

types: $(VENV)/.installed-dev
	@echo "→ check types"
	@$(BIN)/mypy

imports: $(VENV)/.installed-dev
	@echo "→ check that imports run one way"
	@$(BIN)/lint-imports

panels: extension
	@echo "→ check the panels of JupyterLab"
	@cd $(LAB) && $(JLPM) lint

screenshots: extension
	@echo "→ picture every panel of JupyterLab, in light and in dark"
	@$(BIN)/python tests/ui/screenshots.py build/screenshots docs/images

docs: $(VENV)/.installed-dev
	@$(BIN)/python -m nbproof.cli.reference > docs/reference/cli.md
	@$(BIN)/nbproof plot pipelines/credit --plain -o docs/pipeline.svg

site: $(VENV)/.installed-dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "→ build/site/index.html"

# The tests of warm kernels run with this version, too: it lies beside the environment's own, which it is put before.
$(VENV)/ipykernel-7/.installed: tests/run/warm/ipykernel-7.txt | $(VENV)/.installed-dev
	@echo "→ install ipykernel 7 beside the environment's own, for the tests of warm kernels"
	@rm -rf $(@D)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target $(@D)/site-packages -r $<
	@touch $@

clean:
	@echo "→ remove records, products and caches"
	@rm -rf .nbproof mlflow.db mlruns pipelines/*/build dist $(LAB)/build $(LAB)/lib
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "error: found no Python 3.11 or newer; hint: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "→ make the environment $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

# The stamps lie in the environment, so that they go when it goes.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	@echo "→ install torch first, the largest part, at the tested version (the first time takes a few minutes)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt torch
	@echo "→ install nbproof and what its extra '$*' names, at the tested versions"
	@rm -rf $(SHOWN) && mkdir -p $(LAB)/build/labextension
	@SKIP_JUPYTER_BUILDER=1 $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
