# One command each. `make` alone lists them.
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help install demo demo-check test test-all lint format types lock sample-data sample-expected train evaluate evaluate-clicks simulate benchmark bench-click bench-click-crowd load crash loop-check abuse audit tables clean

VENV ?= .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
PYTEST ?=
# Most tests wait for a server or a browser, so one process more than there are processors.
JOBS ?= $(shell expr $$(nproc) + 1)
# In the order of the files: by number of tests, as is usual, the few long ones would come last and alone.
TESTS := $(VENV)/bin/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
MODEL ?= resunet25d
SUBSET ?= test
evaluate-clicks: SUBSET = validation
# Interactive models and what their masks begin as; one that proposes nothing begins with nothing.
CLICK_RUNS ?= clicks:auto clicks:nothing clicks_any:nothing
export VENV

help: ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 26

install: ## install everything into .venv (PYTHON=/path/to/python3.12 chooses the interpreter)
	@requirements/install.sh

demo: install ## serve sample_data on http://127.0.0.1:8000 and say what to open (HOST=, PORT=)
	@$(BIN)/tumorseg serve sample_data --host $(HOST) --port $(PORT)

demo-check: install ## the demo without a person: segment as OHIF and as Slicer do, compare, stop
	@$(BIN)/python -m tumorseg.server.demo_check

test: install lint types ## the whole check: format, lint, types, tests (PYTEST="-k geometry" selects)
	$(TESTS) -m "not slow" $(PYTEST)

test-all: install lint types ## the same and the slow tests (real data in TUMORSEG_DATA, other environments)
	$(TESTS) $(PYTEST)

lint: install ## ruff: format and rules, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: install ## ruff: format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: install ## mypy, strict on the library and the app
	$(BIN)/mypy

lock: install ## raise and pin every dependency again (requirements/*.txt)
	requirements/lock.sh

sample-data: install ## write sample_data/lgg_dicom from the public data: DATA=path/to/kaggle_3m
	$(BIN)/python sample_data/make_sample_data.py $(call needed,DATA,the folder of the kaggle_3m download)

sample-expected: install ## write what the default model answers for the sample study (sample_data/expected/lgg_default.nii.gz)
	$(BIN)/tumorseg predict sample_data/lgg_dicom --out sample_data/expected/lgg_default.nii.gz

train: install ## train the model that ships, measure it, keep it if it is better: DATA=path/to/kaggle_3m (MODEL=, TRAIN="--minutes 106")
	$(BIN)/tumorseg train $(MODEL) --data $(call needed,DATA,the folder of the kaggle_3m download) --out runs/$(MODEL) $(TRAIN)
	$(BIN)/tumorseg publish $(MODEL) --data $(DATA) --run runs/$(MODEL)

evaluate: install ## measure a model on what no training saw and store it for `make tables`: DATA=folder (MODEL=, SUBSET=test)
	$(BIN)/tumorseg evaluate $(MODEL) --data $(call needed,DATA,the folder of the data set) --subset $(SUBSET) --store docs/results --json

evaluate-clicks: install ## what the clicks of a simulated person bring, measured for `make tables`: DATA=path/to/kaggle_3m (CLICK_RUNS=, SUBSET=validation)
	@mkdir -p docs/results/interactive
	set -e; for run in $(CLICK_RUNS); do \
		$(BIN)/tumorseg evaluate $${run%%:*} --interactive --start $${run##*:} --data $(call needed,DATA,the folder of the kaggle_3m download) \
			--subset $(SUBSET) --store docs/results/interactive --json; done

simulate: install ## what choosing by each strategy brings, measured for `make tables`: DATA=path/to/kaggle_3m (hours; resumes; SIMULATE="--seeds 3")
	$(BIN)/tumorseg simulate --data $(call needed,DATA,the folder of the kaggle_3m download) --out runs/simulate \
		$(foreach name,random entropy clasp_pe hybrid,--strategy $(name)) --store docs/simulation $(SIMULATE)

benchmark: install ## measure speed and memory against stock MONAI Label, in an environment of its own (7 GB), and torchvision
	$(BIN)/python -m benchmarks.serving $(BENCHMARK)
	$(BIN)/python -m benchmarks.detection
	$(BIN)/python -m benchmarks.batching
	$(BIN)/python -m benchmarks.next_sample
	$(BIN)/python -m benchmarks.while_training
	$(BIN)/python -m benchmarks.verdicts

bench-click: install ## what a click takes over HTTP, first and further, against stock MONAI Label's DeepEdit in its own environment (7 GB)
	$(BIN)/python -m benchmarks.click $(CLICK)

bench-click-crowd: install ## ten annotators clicking at once: is every answer its own study's, how long does it take, what does the server hold
	$(BIN)/python -m benchmarks.click_crowd $(CROWD)

load: install ## many clients at once against a live server and stock MONAI Label, then a search for leaks (LOAD="--seconds 60 --clients 50")
	$(BIN)/python -m benchmarks.load $(LOAD)

crash: install ## kill writers and servers at random moments while labels are saved, and count what was lost (CRASH="--saves 200 --seed 1")
	$(BIN)/python -m benchmarks.crash $(CRASH)

loop-check: install ## the learning loop over HTTP: two annotators, kills, poisoned labels, rollback; the last line sums up (LOOP="--kills 4 --seed 1 --picture docs/learning.png")
	$(BIN)/python -m tests.loop $(LOOP)

abuse: install ## try every known hole against the real server; the last line counts the open ones (ABUSE="--only zip")
	$(BIN)/python -m tests.abuse $(ABUSE)

audit: install ## look for known vulnerabilities in what is pinned (exit code 2: no database could be asked)
	$(BIN)/python requirements/audit.py

tables: install ## write what was measured into README.md and docs/
	$(BIN)/python docs/make_tables.py

clean: ## remove what the commands leave behind, not .venv
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache compat/*/build compat/*/*.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

needed = $(or $($(1)),$(error expected $(1)=..., $(2): make $@ $(1)=path))
