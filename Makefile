# Each goal makes its own environment in .venv, once, and is quick from then on.

PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints-cpu.txt
SETTINGS := pyproject.toml constraints-cpu.txt
PHOTOS := src/cgrseg/assets/street.jpg src/cgrseg/assets/cat.jpg

.DEFAULT_GOAL := help
.PHONY: help demo test quick lint docs format clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/core ## segment the bundled photos; the results go to out/
	@$(BIN)/cgrseg predict $(PHOTOS) --output out
	@echo "label map, overlay with legend and areas: $$(ls out/street* out/cat* | tr '\n' ' ')"

test: $(VENV)/dev ## run every test
	@$(BIN)/pytest --numprocesses 2 --dist loadgroup --quiet

quick: $(VENV)/dev ## run the tests that take under a second each
	@$(BIN)/pytest --numprocesses 2 --dist loadgroup --quiet -m 'not slow'

lint: $(VENV)/dev ## check style, types and floors
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports

docs: $(VENV)/dev ## build the documentation, with the reference, as web pages in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo site/index.html

format: $(VENV)/dev ## put the code in its standard form
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove the environment and everything else that can be made again
	@rm -rf $(VENV) build dist out site .pytest_cache .ruff_cache .import_linter_cache .hypothesis src/*.egg-info

$(VENV)/core: $(SETTINGS)
	@$(MAKE) --no-print-directory $(BIN)/python
	@echo "installing cgrseg into $(VENV) (once) ..." >&2
	@$(PIP) --editable .
	@touch $@

$(VENV)/dev: $(SETTINGS)
	@$(MAKE) --no-print-directory $(BIN)/python
	@echo "installing cgrseg and its development tools into $(VENV) (once) ..." >&2
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/core

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "cgrseg needs Python 3.11 or newer; name one with: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
