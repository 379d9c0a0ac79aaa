# make demo: simulated warehouse -> ROS 2 -> /spatial_query -> answers beside the truth
# make test: style, types and all tests
# make nano: data, training, calibration and scores of the model that comes with the package
# make nano_regions: the same for the segmenter that comes with it
# All set everything up first; a second run installs nothing.

SHELL := /bin/bash
PYTHON ?= python3
DEMO_OPTIONS ?=
ENVIRONMENT = source scripts/environment.sh

.PHONY: demo test nano nano_regions setup setup-tests lint clean

demo: setup
	@$(ENVIRONMENT) && exec install/smolrgpt_ros/lib/smolrgpt_ros/demo $(DEMO_OPTIONS)

# Tests start many programs: without bytecode each of them would compile the package anew.
test: setup-tests lint
	@$(ENVIRONMENT) && OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= pytest -n 2 --dist loadfile --no-loadscope-reorder

# Hours on a CPU. Each command goes on where it stopped; docs/training.md says what comes out.
NANO = output/train/nano_looks_mixed
LANGUAGE = smolrgpt simulate --mixture language --views 4 --questions 24 --image-size 320x240
LOOKS = smolrgpt simulate --mixture looks --questions 24 --image-size 320x240 \
  --randomization config/randomization_looks.yaml
nano: setup
	@$(ENVIRONMENT) && set -ex && \
	smolrgpt simulate --scenes 2000 --seed 1 --out data/nano && \
	smolrgpt train config/train/nano_geometry.yaml && \
	smolrgpt train config/train/nano.yaml && \
	$(LANGUAGE) --scenes 300 --seed 3 --fractions 0.9,0.04,0.06 --out data/language && \
	smolrgpt train config/train/nano_language.yaml && \
	$(LANGUAGE) --scenes 170 --seed 7719 --randomization config/randomization_missing_depth.yaml \
	  --fractions 0.8,0.05,0.15 --out data/language_gaps && \
	smolrgpt train config/train/nano_language_images.yaml && \
	$(LOOKS) --scenes 80 --views 6 --seed 20261215 --fractions 0.95,0.05,0 --out data/looks && \
	smolrgpt train config/train/nano_looks.yaml && \
	smolrgpt train config/train/nano_looks_mixed.yaml && \
	smolrgpt simulate --scenes 40 --views 3 --seed 20261201 --image-size 320x240 --fractions 0,1,0 \
	  --out data/nano_calibration && \
	$(LANGUAGE) --scenes 60 --seed 20261203 --fractions 0,1,0 --out data/language_calibration && \
	$(LANGUAGE) --scenes 40 --seed 20261204 --randomization config/randomization_missing_depth.yaml \
	  --fractions 0,1,0 --out data/gaps_calibration && \
	$(LOOKS) --scenes 30 --views 2 --seed 20261217 --fractions 0,1,0 --out data/looks_calibration && \
	smolrgpt calibrate $(NANO)/model --data data/nano_calibration --data data/language \
	  --data data/language_gaps --data data/language_calibration --data data/gaps_calibration \
	  --data data/looks_calibration && \
	smolrgpt simulate --scenes 300 --seed 20261122 --views 1 --fractions 0,0,1 --out data/nano_held_out && \
	for answerer in model fused; do \
	  smolrgpt evaluate --answerer $$answerer --checkpoint $(NANO)/model --data data/nano_held_out \
	    --json $(NANO)/$$answerer.json || exit; \
	done && \
	rm -rf output/nano && \
	smolrgpt export $(NANO) output/nano --name smolrgpt-nano \
	  --evaluation $(NANO)/model.json --evaluation $(NANO)/fused.json

# An hour or two on a core. Each command goes on where it stopped.
NANO_REGIONS = output/train/nano_regions
nano_regions: setup
	@$(ENVIRONMENT) && export OMP_NUM_THREADS=1 && set -ex && \
	python -m smolrgpt_core.simulated_data.region_images --scenes 300 --seed 20261129 --views 3 \
	  --out data/nano_regions && \
	python -m smolrgpt_core.training.region_segmenter config/train/region_segmenter/nano.yaml && \
	python -m smolrgpt_core.simulated_data.region_images --scenes 60 --seed 20261206 --views 2 \
	  --out data/nano_regions_held_out && \
	python -m smolrgpt_core.evaluation.region_scores $(NANO_REGIONS)/model \
	  data/nano_regions_held_out --json $(NANO_REGIONS)/scores.json && \
	python -m smolrgpt_core.training.region_export $(NANO_REGIONS) \
	  smolrgpt_core/checkpoints/nano_regions --scores $(NANO_REGIONS)/scores.json

setup:
	@$(PYTHON) scripts/setup_environment.py

# What tests and checks of style need is added; the demo does without it.
setup-tests:
	@$(PYTHON) scripts/setup_environment.py --tests

lint: setup-tests
	@$(ENVIRONMENT) && ruff check && ruff format --check && mypy

clean:
	rm -rf .venv build install log output
