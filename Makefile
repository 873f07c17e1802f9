# All commands of the project; `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help lab test check types format study results search best screenshots reproduce bench fast golden docs torture pins clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/mnist
MINUTES ?= 1
BENCH := .bench-venv
INSTALL := -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
PIP := $(BIN)/python $(INSTALL)
# Two test files at a time; the tests of a file share trained models.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch is installed first, so that no other package decides its build.
$(VENV)/.torch: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	@touch $@

$(VENV)/.lab: $(VENV)/.torch
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.torch
	$(PIP) --editable '.[dev]'
	@touch $(VENV)/.lab $@

lab: $(VENV)/.lab ## install, then train and compare an AE and a VAE on the bundled digits
	$(BIN)/aelab run --preset quick

test: $(VENV)/.dev ## install what the tests need and run them
	$(PYTEST)

check: $(VENV)/.dev ## format, lint, import contracts; then types and tests side by side
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(MAKE) --jobs 2 types test

types: $(VENV)/.dev ## check the types
	$(BIN)/mypy

format: $(VENV)/.dev ## format the code and apply the linter's fixes
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

reproduce: $(VENV)/.lab ## train the original recipe on all of MNIST (DATA=folder of IDX files)
	$(BIN)/aelab run --preset recipe --data $(DATA)

# Each command adds what is missing to the same folder; all can be interrupted and repeated.
RECIPE = aelab study --preset recipe --data $(DATA) --out runs/recipe --seeds 10
FAST = aelab study --preset fast --data $(DATA) --out runs/fast
FAST_SEEDS = $(FAST) --seeds 10
FAST_SIZES = $(FAST) --seeds 3 --vary latent-dim=2,4,8,16,32,64
FAST_BETAS = $(FAST) --seeds 3 --models ae vae noise --vary vae.beta=0,0.1,0.5,1,2,4
study: $(VENV)/.lab ## run the published studies: ten seeds twice, latent sizes, β (DATA=folder of IDX files)
	$(BIN)/$(RECIPE)
	$(BIN)/$(FAST_SEEDS)
	$(BIN)/$(FAST_SIZES)
	$(BIN)/$(FAST_BETAS)

RESULTS = PYTHONPATH=. $(BIN)/python tools/results.py
results: $(VENV)/.lab ## write docs/results.md, docs/results-fast.md and their CSV files from those studies
	$(RESULTS) runs/recipe results "$(RECIPE)"
	$(RESULTS) runs/fast results-fast "$(FAST_SEEDS)" "$(FAST_SIZES)" "$(FAST_BETAS)"

SEARCH = $(BIN)/aelab search --data $(DATA) --trial-epochs 5 --workers 1
search: $(VENV)/.lab ## run the published searches, one model after the other (DATA=folder of IDX files)
	$(SEARCH) --model ae --latent-dim 16 --trials 60 --ae.epochs 20 --out runs/search-ae
	$(SEARCH) --model vae --latent-dim 16 --trials 60 --vae.epochs 10 --out runs/search-vae
	$(SEARCH) --model vae --latent-dim 2 --trials 30 --vae.epochs 10 --proof.top 3 --out runs/search-vae-2d

best: $(VENV)/.lab ## write docs/best.md and the trials as CSV from those searches
	PYTHONPATH=. $(BIN)/python tools/best.py $(addprefix runs/,search-ae search-vae search-vae-2d)

screenshots: $(VENV)/.dev ## screenshots of a run's pages: make screenshots RUN=runs/...
	$(BIN)/python tools/screenshots.py $(RUN)

$(BENCH)/.lab: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python $(INSTALL) torch==2.13.0
	$(BENCH)/bin/python $(INSTALL) --editable .
	@touch $@

# A library that cannot be installed is reported as missing in the table.
$(BENCH)/.peers: $(BENCH)/.lab benchmarks/peers.txt
	@grep -v '^#' benchmarks/peers.txt | while read -r peer; do echo "installing $$peer"; \
		$(BENCH)/bin/python $(INSTALL) $$peer || echo "not installed: $$peer"; done
	@touch $@

bench: $(BENCH)/.peers ## benchmark against other libraries and the machine's limit (QUICK=1: under 3 minutes)
	$(BENCH)/bin/python -m benchmarks --data $(DATA) $(if $(QUICK),--quick)

# Needs no other libraries.
fast: $(BENCH)/.lab ## compare the recipe and the fast presets over five seeds: docs/fast.md
	$(BENCH)/bin/python -m benchmarks --only quality --data $(DATA) --out docs/fast

torture: $(VENV)/.dev ## fault injection: kills, full disks, damage, bad inputs: make torture MINUTES=20
	$(BIN)/python -m tests.torture --minutes $(MINUTES)

golden: $(VENV)/.dev ## write the golden run folder of a new run format (tests/golden/)
	PYTHONPATH=. $(BIN)/python tools/golden.py

docs: $(VENV)/.dev ## render docs/lab.md from the notebook, and write the tables of docs/metrics.md
	$(BIN)/python tools/notebook.py render
	$(BIN)/python tools/metrics.py

pins: $(VENV)/.dev ## renew constraints.txt from what is installed
	$(BIN)/python tools/pins.py

clean: ## remove the virtual environment and caches (never runs/)
	rm -rf $(VENV) $(BENCH) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
