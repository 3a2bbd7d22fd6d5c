# Every command of the README. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
TASK ?= clock_button
RUN := tools/run
export PYTHON

# Hardware tests are asked for by hand; those that need ros2cli run where it is.
MARKS := not hardware$(if $(shell command -v ros2 || ls -d /opt/ros/kilted /opt/ros/jazzy 2>/dev/null),, and not ros2cli)
option = $(if $($(1)),--$(2) $($(1)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format build clean clean-shm evaluate train correspondence bench

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: ## make .venv, install the requirements, build the workspace; skips what is up to date
	@tools/setup.sh

demo: setup ## simulated trials through the whole ROS graph (TASK, CONDITION, N, SEED, ARGS="--modes real_time")
	@$(RUN) python -m keypoint_trials.demo --task $(TASK) $(call option,CONDITION,condition) \
	  $(call option,N,trials) $(call option,SEED,seed) $(ARGS)

test: setup ## all tests that this machine can run (ARGS="-k gate")
	@ROS_PYTHON_CHECK_FIELDS=1 $(RUN) python -m pytest -m "$(MARKS)" $(ARGS)

lint: setup ## ruff and mypy
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: setup ## let ruff rewrite the sources
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

build: ## colcon build, whether or not anything changed
	@tools/build.sh

evaluate: setup ## success rate on unseen poses, without ROS (TASK, METHOD, CONDITION, N, SEED)
	@$(RUN) python -m keypoint_trials.evaluate --task $(TASK) $(call option,METHOD,method) \
	  $(call option,CONDITION,condition) $(call option,N,n) $(call option,SEED,seed) $(ARGS)

train: setup ## train the policy of TASK (SEED; ARGS="--resume runs/...")
	@$(RUN) python -m keypoint_training.train --task $(TASK) $(call option,SEED,seed) $(ARGS)

correspondence: setup ## error and score of the correspondence on random poses and lights (TASK, CONDITION, N, SEED)
	@$(RUN) python tests/benchmarks/correspondence.py --task $(TASK) $(call option,CONDITION,condition) \
	  $(call option,N,n) $(call option,SEED,seed) $(ARGS)

bench: setup ## all benchmarks of tests/benchmarks
	@set -e; for file in tests/benchmarks/*.py; do echo "[bench] $$file"; $(RUN) python $$file; done

clean-shm: ## remove shared memory that killed ROS processes left behind
	@$(RUN) fastdds shm clean

clean: ## remove what was built; keeps .venv and runs
	@rm -rf build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis
