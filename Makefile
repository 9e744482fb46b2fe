# `make demo` and `make test` do all the set-up on a machine that has Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test test-slow lint weights meshes benchmarks clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
# first and by itself: where a CPU build of this version is at hand, nothing larger is pulled
	$(BIN)/python -m pip install --quiet torch==2.13.0 || $(BIN)/python -m pip install --quiet "torch>=2.4,<3"
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/femnn demo

test: lint
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The shipped weights, from nothing: some half an hour on two cores. Data and checkpoints stay in runs/.
weights: $(STAMP)
	$(BIN)/femnn train points --out runs
	$(BIN)/femnn train weights --out runs
	$(BIN)/femnn train patch-weights --out runs
	$(BIN)/femnn train hourglass --out runs
	$(BIN)/femnn train moved --out runs
	$(BIN)/femnn train moved --patch --out runs
	$(BIN)/femnn train cohesive --out runs
	$(BIN)/femnn train cohesive --law exponential --out runs/exponential
	$(BIN)/femnn train grains --out runs
	cp runs/integration-points.safetensors runs/integration-points.json \
	   runs/quadrature-weights.safetensors runs/quadrature-weights.json \
	   runs/patch-weights.safetensors runs/patch-weights.json \
	   runs/hourglass-correction.safetensors runs/hourglass-correction.json \
	   runs/moved-gauss.safetensors runs/moved-gauss.json \
	   runs/moved-gauss-patch.safetensors runs/moved-gauss-patch.json \
	   runs/cohesive-grains.safetensors runs/cohesive-grains.json femnn/pretrained/
	cp runs/cohesive-minimal-state.safetensors femnn/pretrained/cohesive-default.safetensors
	cp runs/cohesive-minimal-state.json femnn/pretrained/cohesive-default.json
	cp runs/exponential/cohesive-minimal-state.safetensors femnn/pretrained/cohesive-exponential.safetensors
	cp runs/exponential/cohesive-minimal-state.json femnn/pretrained/cohesive-exponential.json

# Needs the shared libraries of gmsh: see meshes/README.md.
meshes: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable ".[mesh]"
	$(BIN)/python meshes/generate.py

benchmarks: $(STAMP)
	$(BIN)/femnn bench error-reduction

clean:
	rm -rf $(VENV) build dist results runs
