# Two commands matter: `make run` and `make test`. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := run
.PHONY: run test check fix bench matrix simulate soak docs lock clean

# The stamps carry the lock's content: nothing is installed again while it is unchanged.
$(VENV)/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Link Hub needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make run PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.runtime
	@$(BIN)/python app.py

test: $(VENV)/.dev
	@$(BIN)/python tools/chromium.py
	$(BIN)/python -m pytest -m paced
	$(BIN)/python -m pytest -m "not paced" --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fix: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python tools/bench.py

matrix: $(VENV)/.dev
	$(BIN)/python tools/matrix.py

simulate: $(VENV)/.dev
	$(BIN)/python tools/simulate.py $(ARGS)

# An hour unless told otherwise: make soak ARGS="--minutes 5"
soak: $(VENV)/.dev
	$(BIN)/python tools/soak.py $(ARGS)

# The generated parts of the manual; tests hold them equal to the code.
docs: $(VENV)/.dev
	$(BIN)/python tools/troubleshooting.py
	$(BIN)/python tools/configuration.py

# Pins and hashes only, no index address. Needs uv, which is not installed here.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -q pyproject.toml --group build -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -q pyproject.toml --group build --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
