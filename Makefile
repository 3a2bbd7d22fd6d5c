# Every command of the README. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
TASK ?= clock_button
RUN := tools/run
export PYTHON

# Hardware tests are asked for by hand; those that need ros2cli run where it is.
MARKS := not hardware$(if $(shell command -v ros2 || ls -d /opt/ros/kilted /opt/ros/jazzy 2>/dev/null),, and not ros2cli)
option = $(if $($(1)),--$(2) $($(1)))
# The same for text with spaces.
quoted = $(if $($(1)),--$(2)="$($(1))")
# The same for a variable that has a default here: only when somebody gave it.
given = $(if $(filter command environment,$(origin $(1))),--$(2) $($(1)))

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format build clean clean-shm evaluate train study train-baseline train-pictures train-recorded demonstrations train-descriptors train-score tables transfer track-quality bench experts gallery track locate

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: ## make .venv, install the requirements, build the workspace; skips what is up to date
	@tools/setup.sh

demo: setup ## simulated trials through the whole ROS graph (TASK, ROBOT, CONDITION, N, SEED, ARGS="--modes real_time")
	@$(RUN) python -m keypoint_trials.demo --task $(TASK) $(call option,ROBOT,robot) \
	  $(call option,CONDITION,condition) $(call option,N,trials) $(call option,SEED,seed) $(ARGS)

test: setup ## all tests that this machine can run (ARGS="-k gate")
	@ROS_PYTHON_CHECK_FIELDS=1 $(RUN) tools/test.sh "$(MARKS)" $(ARGS)

lint: setup ## ruff and mypy
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: setup ## let ruff rewrite the sources
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

build: ## colcon build, whether or not anything changed
	@tools/build.sh

evaluate: setup ## success rate on unseen poses, without ROS (TASK, ROBOT, METHOD, CONDITION, N, SEED)
	@$(RUN) python -m keypoint_trials.evaluate --task $(TASK) $(call option,ROBOT,robot) \
	  $(call option,METHOD,method) $(call option,CONDITION,condition) $(call option,N,n) $(call option,SEED,seed) $(ARGS)

tables: setup ## the ATK paper's tables with this stack's figures (TASK, METHOD, CONDITION, N, SEED; ARGS="--ray auto")
	@$(RUN) python -m keypoint_trials.tables.fill $(call given,TASK,task) $(call option,METHOD,method) \
	  $(call option,CONDITION,condition) $(call option,N,n) $(call option,SEED,seed) $(call option,ROBOT,robot) $(ARGS)

train: setup ## choose TASK's keypoints among 256 candidates and train its policy on them (ROBOT, SEED; ARGS="--resume runs/...")
	@$(RUN) python -m keypoint_training.atk.train --task $(TASK) $(call option,ROBOT,robot) $(call option,SEED,seed) $(ARGS)

study: setup ## how far ATK's choice depends on the start of alpha and on the seed (TASK, ROBOT, ALPHAS, SEEDS; ARGS="--resume runs/...")
	@$(RUN) python -m keypoint_training.atk.study --task $(TASK) $(call option,ROBOT,robot) \
	  $(call option,ALPHAS,alphas) $(call option,SEEDS,seeds) $(ARGS)

train-baseline: setup ## train what ATK is compared with (TASK, METHOD=full_set|random_select|heuristic, ROBOT, SEED)
	@$(RUN) python -m keypoint_training.atk.baselines --task $(TASK) $(call option,METHOD,method) \
	  $(call option,ROBOT,robot) $(call option,SEED,seed) $(ARGS)

train-pictures: setup ## train a policy that looks at pictures instead (TASK, MODALITY=rgb|depth|point_cloud, ROBOT, SEED)
	@$(RUN) python -m keypoint_training.pictures.train --task $(TASK) $(call option,MODALITY,modality) \
	  $(call option,ROBOT,robot) $(call option,SEED,seed) $(ARGS)

demonstrations: setup ## bags of the scripted expert in the place of a person (TASK, ROBOT, CONDITION, N, SEED)
	@$(RUN) python -m keypoint_trials.demonstrate --task $(TASK) $(call option,ROBOT,robot) \
	  $(call option,CONDITION,condition) $(call option,N,n) $(call option,SEED,seed) $(ARGS)

train-recorded: setup ## a policy from recorded demonstrations (TASK, ROBOT, DEMONSTRATIONS=folder of bags, CAMERA_POSE="x y z qx qy qz qw")
	@$(RUN) python -m keypoint_training.recorded.train --task $(TASK) $(call option,ROBOT,robot) $(call option,SEED,seed) \
	  $(call quoted,DEMONSTRATIONS,demonstrations) --camera-pose $(CAMERA_POSE) $(ARGS)

train-descriptors: setup ## train the dense descriptors (STEPS, MINUTES, SEED, CACHE, DEVICE; ARGS="--resume runs/...")
	@$(RUN) python -m keypoint_training.descriptors.train $(call option,STEPS,steps) \
	  $(call option,MINUTES,minutes) $(call option,SEED,seed) $(call option,CACHE,cache) $(call option,DEVICE,device) $(ARGS)

train-score: setup ## train the score of the correspondence on what it finds in simulated scenes (N, SEED)
	@$(RUN) python -m keypoint_trials.quality.correspondence_calibration $(call option,N,n) $(call option,SEED,seed) $(ARGS)

transfer: setup ## error and score of correspondences in unseen scenes (TASK, CONDITION, CORRESPONDENCE, N, SEED, ROBOT)
	@$(RUN) python -m keypoint_trials.quality.transfer --task $(TASK) $(call option,CONDITION,condition) \
	  $(call option,CORRESPONDENCE,correspondence) $(call option,N,n) $(call option,SEED,seed) $(call option,ROBOT,robot) $(ARGS)

track-quality: setup ## TAP-Vid metrics of trackers on simulated episodes (TASK, CONDITION, TRACKER, N, SEED, ROBOT)
	@$(RUN) python -m keypoint_trials.quality.track_quality --task $(TASK) $(call option,CONDITION,condition) \
	  $(call option,TRACKER,tracker) $(call option,N,n) $(call option,SEED,seed) $(call option,ROBOT,robot) $(ARGS)

experts: setup ## scripted experts on N seeds of every task and robot, at least .99 each (TASK, ROBOT, CONDITION, N, SEED)
	@$(RUN) python -m keypoint_sim.experts $(call given,TASK,task) $(call option,ROBOT,robot) \
	  $(call option,CONDITION,condition) $(call option,N,n) $(call option,SEED,seed) $(ARGS)

gallery: setup ## one picture of every task: reference views and samples of every condition (TASK, ROBOT, SEED)
	@$(RUN) python -m keypoint_sim.gallery $(call given,TASK,task) $(call option,ROBOT,robot) \
	  $(call option,SEED,seed) $(ARGS)

track: setup ## points through any video: overlay, tracks, sheet (VIDEO, POINTS="u,v u,v"|auto|click|file, TRACKER, BOX, START, OUT)
	@$(RUN) python -m keypoint_trials.track_video --video="$(VIDEO)" $(call quoted,POINTS,points) $(call quoted,BOX,box) \
	  $(call option,TRACKER,tracker) $(call option,START,start) $(call quoted,OUT,out) $(ARGS)

locate: setup ## points of one picture found in another (REFERENCE, IMAGE, POINTS, CORRESPONDENCE, DEPTH or FLAT=1, BOX, OUT)
	@$(RUN) python -m keypoint_trials.locate --reference="$(REFERENCE)" --image="$(IMAGE)" \
	  $(call quoted,POINTS,points) $(call quoted,BOX,box) $(call option,CORRESPONDENCE,correspondence) \
	  $(call quoted,DEPTH,depth) $(if $(FLAT),--flat) $(call quoted,OUT,out) $(ARGS)

bench: setup ## speed of the simulated world (TASK, ROBOT, CONDITION), and all benchmarks of tests/benchmarks
	@$(RUN) python -m keypoint_sim.bench $(call given,TASK,task) $(call option,ROBOT,robot) \
	  $(call option,CONDITION,condition)
	@set -e; for file in tests/benchmarks/*.py; do echo "[bench] $$file"; $(RUN) python $$file; done

clean-shm: ## remove shared memory that killed ROS processes left behind
	@$(RUN) fastdds shm clean

clean: ## remove what was built; keeps .venv and runs
	@rm -rf build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis
