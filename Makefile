# `make` lists what there is. `make demo` and `make test` are all that a newcomer needs.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

.PHONY: help setup demo test fuzz lint types docs docs-check schemas examples wheel-check check format bench-decode bench-convert bench-choices bench-play clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(VENV)/ready ## Make a virtual environment with everything in it

demo: setup ## Make a small bag, convert it, show what came out, prove it, play it in the terminal
	@rm -rf demo
	$(PY) -m mediaref_tools.sample demo/robot
	$(BIN)/mediaref convert demo/robot --out demo/dataset
	$(BIN)/mediaref info demo/dataset
	$(BIN)/mediaref verify demo/dataset --against demo/robot
	$(BIN)/mediaref play demo/dataset --terminal --frames 60

test: setup ## Run all tests
	$(PY) -m pytest -n auto

FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= rosbag1 mcap rosbag2 yaml images packets messages

fuzz: setup ## Look for input that breaks the readers, FUZZ_SECONDS for each of FUZZ_TARGETS
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@for target in $(FUZZ_TARGETS); do echo "$$target"; $(PY) -m tests.fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

lint: setup ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types
	$(BIN)/mypy
	MYPYPATH=docs $(BIN)/mypy docs/generate.py docs/imagekinds.py docs/reference.py docs/screenshot.py docs/examples

schemas: setup ## Write schemas/ anew from the models
	$(PY) -m mediaref_tools.published schemas

docs: setup ## Write the generated parts of docs/ anew
	$(PY) docs/generate.py

docs-check: setup ## Fail if the generated parts of docs/ are stale, or a link in them leads nowhere
	$(PY) docs/generate.py --check

examples: setup ## Run every example of docs/examples
	@for example in docs/examples/*.py; do echo "$$example"; $(PY) $$example || exit 1; done

wheel-check: setup ## Build the wheel, install it alone, and convert with it
	$(PY) tests/wheel_check.py

# What to measure, and how: `make bench-decode BENCH="--quick"`, BENCH="--rounds 9 --files h264-vga-g30" …
BENCH ?=

bench-decode: setup ## Measure decoding against every peer, in environments of their own (an hour), for docs/decoding.md
	$(PY) -m tests.bench.decode $(BENCH)

bench-convert: setup ## Measure conversions against other converters (ten minutes), for docs/converting.md
	$(PY) -m tests.bench.convert $(BENCH)

bench-play: setup ## Measure the viewer: latency, and pictures shown of those due (five minutes), for docs/playing.md
	$(PY) -m tests.bench.play $(BENCH)

check: lint types docs-check examples wheel-check test ## Everything that CI runs

bench-choices: setup ## Measure encoders' settings (half an hour), for docs/choices.md
	$(PY) -m tests.bench.choices $(BENCH)

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what can be made again
	rm -rf $(VENV) build dist demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
