# make demo: simulated warehouse -> ROS 2 -> /spatial_query -> answers beside the truth
# make test: style, types and all tests
# Both set everything up first; a second run installs nothing.

SHELL := /bin/bash
PYTHON ?= python3
DEMO_OPTIONS ?=
ENVIRONMENT = source scripts/environment.sh

.PHONY: demo test setup lint clean

demo: setup
	@$(ENVIRONMENT) && exec install/smolrgpt_ros/lib/smolrgpt_ros/demo $(DEMO_OPTIONS)

test: setup lint
	@$(ENVIRONMENT) && pytest

setup:
	@$(PYTHON) scripts/setup_environment.py

lint: setup
	@$(ENVIRONMENT) && ruff check && ruff format --check && mypy

clean:
	rm -rf .venv build install log output
