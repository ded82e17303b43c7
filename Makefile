# Everything starts here: make demo, make test. Nothing needs a compiler or a GPU.
#
#   VENV=/path    environment to create or reuse (default: one per lock file, shared by all
#                 clones, in the user's cache folder)
#   PYTHON=...    Python 3.10 to 3.13 that creates it (default: python3)

SHELL := /bin/bash
PYTHON ?= python3
LOCK := requirements/lock.txt
LOCK_HASH := $(shell cat $(LOCK) | cksum | cut -d' ' -f1)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/greenmim_mm
VENV ?= $(CACHE)/venv-$(shell $(PYTHON) -c 'import sys; print("py%d%d" % sys.version_info[:2])')-$(LOCK_HASH)
READY := $(VENV)/.greenmim_mm-$(LOCK_HASH)

export PYTHONPATH := $(CURDIR):$(PYTHONPATH)
export PYTHONUNBUFFERED := 1

.PHONY: help setup demo test docs lint lock clean

help:
	@echo 'make setup   create the environment (VENV=$(VENV))'
	@echo 'make demo    from unlabelled images to COCO AP at toy size; report in work_dirs/demo'
	@echo 'make test    run the tests'
	@echo 'make docs    build the documentation into site/'
	@echo 'make lint    check format and style'
	@echo 'make lock    resolve requirements/lock.in anew'

# An environment that imports everything is taken as it is, whoever made it.
setup: $(READY)
	@echo 'Environment: $(VENV)'
	@echo '(source $(VENV)/bin/activate to use it yourself)'

$(READY): $(LOCK)
	@set -e; \
	if [ -x '$(VENV)/bin/python' ] && '$(VENV)/bin/python' tools/check_environment.py --quiet; then \
	    echo 'Using the environment in $(VENV)'; \
	else \
	    echo 'Installing the locked dependencies into $(VENV) (about 2 minutes)'; \
	    [ -x '$(VENV)/bin/python' ] || $(PYTHON) -m venv '$(VENV)'; \
	    '$(VENV)/bin/python' -m pip install --disable-pip-version-check --no-deps -q -r $(LOCK); \
	    '$(VENV)/bin/python' tools/check_environment.py; \
	fi
	@touch '$(READY)'

demo: setup
	'$(VENV)/bin/python' tools/run_demo.py $(DEMO_ARGS)

test: setup
	'$(VENV)/bin/python' -m pytest -n logical --maxprocesses 4 --dist worksteal $(TEST_ARGS)

docs: setup
	NO_MKDOCS_2_WARNING=1 '$(VENV)/bin/python' -m mkdocs build --strict

lint: setup
	'$(VENV)/bin/python' -m ruff format --check .
	'$(VENV)/bin/python' -m ruff check .

lock: setup
	'$(VENV)/bin/python' -m pip install -q uv
	'$(VENV)/bin/python' -m uv pip compile -q --universal --python-version 3.10 --no-annotate \
	    --no-header requirements/lock.in --override requirements/lock.overrides -o $(LOCK)

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
