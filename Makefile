# make study   a first study on Fashion-MNIST, from nothing
# make test    set up all it needs and run the whole suite
# make check   lint, format, types
# make bench   the benchmarks of docs/performance.md, each under 10 minutes, on an otherwise idle machine

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STUDY ?= studies/quickstart.yaml

BENCHMARKS := step evaluation precision overhead memory

.PHONY: study test test-fast check bench data install clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Fashion-MNIST from Debian's package where apt and root are at hand; otherwise ganstudy downloads it when it needs it.
data:
	@if [ ! -d /usr/share/datasets/fashion-mnist ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		(apt-get install -y -qq dataset-fashion-mnist || { apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist; }) \
			>/dev/null 2>&1 || echo "dataset-fashion-mnist could not be installed: it will be downloaded"; \
	fi

study: $(INSTALLED) data
	$(BIN)/ganstudy launch $(STUDY)

test: $(INSTALLED) data
	$(BIN)/python -m pytest

test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -m "not slow"

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) data
	@set -e; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py; done
	$(BIN)/python benchmarks/whole_study.py --minutes 2 --seeds 1 --name study_short
	$(BIN)/python benchmarks/plot.py

clean:
	rm -rf $(VENV) build *.egg-info
