# execd: install, run, test. `make` alone lists what there is to do.
#
# Needs Python 3.11 or 3.12, make and, on machines for which some package has no wheel, a C compiler. Everything else
# goes into .venv in this checkout, at the versions that constraints.txt pins.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
# Where the torch wheel comes from. Empty: wherever pip finds it, which on Linux is the CUDA build (several GB).
# https://download.pytorch.org/whl/cpu has the CPU builds, and execd needs no more than that.
TORCH_INDEX ?=
ORDER ?= config/orders/demo.yaml
# What `make backtest` works on, a file or a folder of market data, and further flags of `execd backtest`.
TICKS ?= ../shared/data/ticks
BACKTEST_FLAGS ?=
# What `make evaluate` judges, on which market data, and further flags.
MODELS ?= models/vwap-2
DATA ?= ../shared/data
EVALUATE_FLAGS ?=
PYTEST_FLAGS ?= -n 2
SEEDS ?= 2000
FUZZ_SECONDS ?= 60
# Further flags of `make bench` and `make bench-streams`, as --quick.
BENCH_FLAGS ?=
# What `make mutmut` changes, of tests/mutation.py's list; empty: all of it.
MUTATE ?=
FIRST ?= 0
IMAGE ?= execd:dev
BASE ?= python:3.11-slim-bookworm
# Further flags for `buildah bud` or `docker build`; deploy/README.md has those for a build without the internet.
IMAGE_FLAGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help install demo backtest train evaluate test check sim mutants mutmut crash format lock dashboard image bench bench-streams bench-order bench-decision bench-kill bench-startup bench-tracker bench-papers bench-ceiling fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: PYTHON, TORCH_INDEX, ORDER, TICKS, BACKTEST_FLAGS, MODELS, DATA, EVALUATE_FLAGS, PYTEST_FLAGS, SEEDS, FIRST, MUTATE, BENCH_FLAGS, IMAGE, BASE, IMAGE_FLAGS (told in the Makefile's head)."

install: $(STAMP) ## make .venv with every pinned package and execd itself
	@echo "execd is in $(BIN)/execd"

# torch goes first and alone: it is the only package that has several builds of one release, and by far the largest.
# With an index of its own it is taken without its dependencies, which then come from constraints.txt like all others.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' \
		|| { echo "execd needs Python 3.11 or 3.12: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing $(TORCH) (about 190 MB as a CPU build)"
	@$(PIP) install $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX),--constraint constraints.txt) $(TORCH)
	@echo "installing what constraints.txt pins"
	@$(PIP) install --no-deps --requirement constraints.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PIP) check
	@touch $@

demo: install ## work the demo order on the embedded practice exchange: no key, no internet
	$(BIN)/execd run --parent-order $(ORDER)

backtest: install ## work 1200 parents of 90 s through the core on recorded trades (TICKS=...)
	$(BIN)/execd backtest --data $(TICKS) --parents 1200 $(BACKTEST_FLAGS)

train: install ## train the shipped model again from $(DATA), into build/model: about 20 minutes, the same bits each time
	@mkdir -p build/model
	$(BIN)/execd train models/recipes/$(notdir $(firstword $(MODELS))).yaml --data $(DATA) --out build/model/$(notdir $(firstword $(MODELS)))

evaluate: install ## judge the shipped model beside every baseline: docs/evaluation.md's main table, about 15 minutes
	@mkdir -p build
	$(BIN)/execd evaluate $(MODELS) --data $(DATA)/bars/binance_perp_30m --html build/evaluation.html $(EVALUATE_FLAGS)

test: install ## run every test
	$(BIN)/pytest $(PYTEST_FLAGS)

check: install ## all that must pass before a change lands: lint, format, types, import arrows, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest $(PYTEST_FLAGS)

sim: install ## sail the core through SEEDS seeded storms, from seed FIRST on
	$(BIN)/python -m tests.sim.fleet $(SEEDS) $(FIRST)

mutants: install ## plant each known bug and find it: the first failing seed of each
	$(BIN)/python -m tests.sim.hunt

mutmut: install ## plant every small change in risk, orders, router, journal (or MUTATE=FILE): who notices? about 25 minutes
	@$(PIP) install --constraint constraints.txt mutmut==3.8.1
	$(BIN)/python -m tests.mutation $(MUTATE)

crash: install ## kill -9 the real process three hundred times
	$(BIN)/pytest tests/runtime/test_kills.py -v

fuzz: install ## look for bytes that crash a decoder, FUZZ_SECONDS for each of them
	@$(PIP) install atheris==3.0.0
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS)

format: install ## format the code and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## write constraints.txt anew: the newest packages that pyproject.toml allows
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	build/lock/bin/pip install --upgrade --editable '.[dev]' \
		"$$(sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml)"
	sed -n '/^#/p' constraints.txt > build/constraints.txt
	build/lock/bin/pip freeze --all --exclude-editable --exclude pip --exclude wheel \
		| sed -e 's/+cpu$$//' -e '/^nvidia-/d' -e '/^triton=/d' >> build/constraints.txt
	mv build/constraints.txt constraints.txt
	rm -rf build/lock

dashboard: install ## write deploy/grafana/dashboards/execd.json from its generator
	$(BIN)/python deploy/grafana/make_dashboard.py

image: ## build the container image with buildah or docker
	@if command -v buildah > /dev/null; then \
		buildah bud --layers --format docker --build-arg BASE=$(BASE) $(IMAGE_FLAGS) --tag $(IMAGE) . ; \
	else \
		docker build --build-arg BASE=$(BASE) $(IMAGE_FLAGS) --tag $(IMAGE) . ; \
	fi

bench: bench-tracker bench-startup bench-streams bench-order ## every table of docs/performance.md: 30 minutes

bench-order: install ## measure from tick to order, beside a bare loop, ccxt.pro and nautilus_trader: 15 minutes
	$(BIN)/python -m benchmarks.tick_to_order $(BENCH_FLAGS)

bench-streams: install ## measure the data plane beside ccxt.pro, cryptofeed and a bare loop: 9 minutes
	$(BIN)/python -m benchmarks.streams $(BENCH_FLAGS)

bench-decision: install ## measure how long a decision takes
	$(BIN)/python benchmarks/decision.py

bench-kill: install ## measure how fast the kill switch is with twenty open orders: 8 minutes
	$(BIN)/python -m benchmarks.kill

bench-startup: install ## measure how long execd takes to start, ten whole processes a figure: 1 minute
	$(BIN)/python -m benchmarks.startup

bench-tracker: install ## measure what a print costs in the tracker, and whether its memory grows: 2 minutes
	$(BIN)/python -m benchmarks.tracker

bench-papers: install ## run the paper author's packages on the same windows, in an environment of their own
	nice -n 10 $(BIN)/python -m benchmarks.papers --data $(DATA)/bars/binance_perp_30m

bench-ceiling: install ## how far the convex policy gets that is told the next bars' volume
	nice -n 10 $(BIN)/python -m benchmarks.ceiling --data $(DATA)/bars/binance_perp_30m --jobs 2

clean: ## remove .venv, caches and build outputs (never state: journals are kept)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
