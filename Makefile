# make study   a first study on Fashion-MNIST, from nothing
# make test    set up all it needs and run the whole suite
# make test-lowest, test-newest   the fast tests with the lowest versions that pyproject.toml admits, with the newest
# make check   lint, format, types
# make bench   the benchmarks of docs/performance.md, each under 10 minutes, on an otherwise idle machine

PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
STUDY ?= studies/quickstart.yaml

SIDE_BY_SIDE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

BENCHMARKS := step step_profile evaluation overhead switch sampling memory $(if $(shell command -v nvidia-smi),gpu)

.PHONY: study test test-fast test-lowest test-newest check bench data install clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

install: $(INSTALLED)

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

# Fashion-MNIST from Debian's package where apt and root are at hand; otherwise ganstudy downloads it when it needs it.
data:
	@if [ ! -d /usr/share/datasets/fashion-mnist ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		(apt-get install -y -qq dataset-fashion-mnist || { apt-get update -qq && apt-get install -y -qq dataset-fashion-mnist; }) \
			>/dev/null 2>&1 || echo "dataset-fashion-mnist could not be installed: it will be downloaded"; \
	fi

study: $(INSTALLED) data
	$(BIN)/ganstudy launch $(STUDY)

# Side by side, a thread each; then alone what kills processes and waits for others to notice.
test: $(INSTALLED) data
	@failed=0; \
	$(SIDE_BY_SIDE) --ignore tests/faults || failed=1; \
	$(BIN)/python -m pytest tests/faults || failed=1; \
	exit $$failed

test-fast: $(INSTALLED)
	$(SIDE_BY_SIDE) -m "not slow"

# Each in an environment of its own (7 GB).
test-lowest: .lowest.txt
	$(MAKE) test-fast VENV=.venv-lowest CONSTRAINTS=.lowest.txt

test-newest:
	$(MAKE) test-fast VENV=.venv-newest CONSTRAINTS=/dev/null

.lowest.txt: pyproject.toml
	grep -oE '^ +"[A-Za-z0-9_-]+(\[[a-z]+\])?>=[0-9.]+' $< | sed -E 's/^ +"//; s/\[.*\]//; s/>=/==/' >$@

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED) data
	@set -e; for name in $(BENCHMARKS); do echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py; done
	$(BIN)/python benchmarks/quality.py --name quality_short --fresh
	$(BIN)/python benchmarks/whole_study.py --minutes 2 --seeds 1 --name study_short --fresh
	$(BIN)/python benchmarks/plot.py

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .lowest.txt build *.egg-info
