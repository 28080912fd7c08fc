# Each target makes its own environment: Python 3.11 to 3.13 and make are all that is needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO ?= demo

.PHONY: demo test test-all lint bench clean

# the constraint pins torch; whether pip takes a build with CUDA or the small one for CPUs is up to the index it asks
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/python -m limner.demo --out $(DEMO)

# a test uses one thread; each file stays with one worker, for its tests share what they made
WORKERS = --numprocesses logical --maxprocesses 8 --dist loadfile

test: $(VENV)/.ready
	$(BIN)/python -m pytest $(WORKERS)

test-all: $(VENV)/.ready
	$(BIN)/python -m pytest -m 'heavy or not heavy'

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(DEMO) build dist
