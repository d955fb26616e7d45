# Targets: see `make`. Needs Python 3.11 or newer, make and a network for the packages.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
APT := iperf3 iproute2 netconfd netconfd-module-ietf-interfaces openssh-server openvswitch-switch osmo-hlr snmp snmpd

# Keep the packages from starting their servers: the lab starts its own.
POLICY := /usr/sbin/policy-rc.d
UNSTARTED := test -e $(POLICY) || { printf '\#!/bin/sh\nexit 101\n' >$(POLICY) && \
  chmod +x $(POLICY) && trap 'rm -f $(POLICY)' EXIT; };

.DEFAULT_GOAL := help
.PHONY: help install demo test test-unit clients bench lint lab lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install everything into it

$(STAMP): requirements.lock pyproject.toml
	@case "$$(pwd)" in *:*) echo "$$(pwd): venv cannot be in a folder with a colon in its path;" \
	  "move the clone to another one"; exit 1;; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	         "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) has no ensurepip; install it: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || { echo "Creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@test -x $(BIN)/pip || $(BIN)/python -m ensurepip --upgrade >/dev/null
	@echo "Installing packages into $(VENV) (some 500 MB, a few minutes the first time)"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on \
	  --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps \
	  --no-build-isolation -e .
	@touch $@

# Real elements for demo and tests where the machine can run them; otherwise they are simulated.
.PHONY: elements
elements:
	@if [ "$$(id -u)" = 0 ] && ! { PATH="$$PATH:/usr/sbin:/sbin"; command -v snmpd && \
	      command -v ip && command -v tc && command -v netconfd && command -v sshd && \
	      command -v iperf3 && command -v osmo-hlr && command -v ovs-vswitchd; } >/dev/null 2>&1; then \
	  command -v apt-get >/dev/null 2>&1 && echo "Installing $(APT)" && \
	  apt-get update -qq >/dev/null 2>&1 && { $(UNSTARTED) } && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $(APT) \
	    >/dev/null 2>&1 || \
	  echo "The lab packages ($(APT)) cannot be installed: a simulated gateway is used instead"; \
	fi

demo: install elements ## Run the demo operator and its walkthrough, then serve until Ctrl-C
	@$(BIN)/python -m tmf_apis demo

# Linters of the deployment's files that are no Python packages.
.PHONY: linters
linters:
	@if [ "$$(id -u)" = 0 ] && ! command -v promtool >/dev/null 2>&1 && \
	    command -v apt-get >/dev/null 2>&1; then \
	  echo "Installing prometheus (for promtool)"; \
	  apt-get update -qq >/dev/null 2>&1 && { $(UNSTARTED) } && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends prometheus \
	    >/dev/null 2>&1 || echo "prometheus cannot be installed: its rules are not checked"; \
	fi

test: install elements linters ## Run all tests, on up to four processors
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

test-unit: install ## Run the tests that need no database, server or element
	@$(BIN)/python -m pytest -n logical --maxprocesses 4 tests/unit tmf_apis adapters

clients: install ## Generate clients of all APIs and try each; see docs/clients.md
	@$(BIN)/python -m tests.clients.matrix

bench: install ## Compare the server with a baseline server
	@$(BIN)/python -m benchmarks

lint: install ## Check style and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

lab: ## Install the packages of the real network elements (as root)
	@[ "$$(id -u)" = 0 ] || { echo "as root: sudo make lab"; exit 1; }
	apt-get update
	@$(UNSTARTED) \
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(APT)

lock: install ## Update requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --extra embedded --extra dev \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml \
	  -o requirements.lock

clean: ## Remove .venv and the caches of tools; data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
