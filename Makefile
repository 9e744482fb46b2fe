# `make demo` and `make test` do all the set-up on a machine that has Python.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

MPI_VENV := .venv-mpi
MPI_BIN := $(MPI_VENV)/bin
MPI_STAMP := $(MPI_VENV)/installed
# PETSc and MPI as Debian has them, for the system's Python
MPI_PACKAGES := python3-petsc4py python3-mpi4py openmpi-bin python3-venv
MPIEXEC := mpiexec.openmpi --oversubscribe --mca mpi_yield_when_idle 1
# containers run as root; caches of two environments do not mix
MPI_ENV := OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 \
	NUMBA_CACHE_DIR=$(CURDIR)/$(MPI_VENV)/numba-cache

.PHONY: demo docs gallery release viewer test coverage test-slow test-mpi lint weights chain meshes benchmarks faults
.PHONY: mutants clean

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
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# The same tests, a third slower, with the lines of Python that none of them runs.
coverage: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --cov --cov-report=term:skip-covered

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

# An environment of its own: the system's Python, which sees Debian's PETSc, and numpy<2, for which that was built.
$(MPI_STAMP): pyproject.toml
	@dpkg -s $(MPI_PACKAGES) > /dev/null 2>&1 \
	|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq --yes --no-install-recommends $(MPI_PACKAGES) > /dev/null; } \
	|| { echo "test-mpi needs Debian's packages: apt-get install $(MPI_PACKAGES)"; exit 1; }
	/usr/bin/python3 -m venv --system-site-packages $(MPI_VENV)
	$(MPI_BIN)/python -m pip install --quiet --upgrade pip
	$(MPI_BIN)/python -m pip install --quiet torch==2.13.0 || $(MPI_BIN)/python -m pip install --quiet "torch>=2.4,<3"
	$(MPI_BIN)/python -m pip install --quiet "numpy<2" --editable ".[mpi]" "pytest>=8"
# Debian finds it by an environment variable or a link that not every machine has
	dpkg -L $$(dpkg-query -W -f '$${Package}\n' 'python3-petsc4py-real[0-9]*' | head -n 1) \
	| grep '/dist-packages$$' > "$$($(MPI_BIN)/python -c 'import site; print(site.getsitepackages()[0])')/petsc4py.pth"
	touch $(MPI_STAMP)

# On one, two and three ranks; then programs that start mpiexec themselves.
test-mpi: $(MPI_STAMP)
	for ranks in 1 2 3; do \
		$(MPI_ENV) $(MPIEXEC) -n $$ranks $(MPI_BIN)/python -m pytest -q -x -p no:cacheprovider tests/mpi || exit 1; \
	done
	$(MPI_ENV) FEMNN_MPIEXEC="$(MPIEXEC)" $(MPI_BIN)/python -m pytest tests/mpi

# The site, as a folder that a browser opens without a network: build/site/index.html.
docs: $(STAMP)
	$(BIN)/python docs/site/stage.py build/site-source
	$(BIN)/python -m sphinx -E -W --keep-going -q -c docs/site -b html build/site-source build/site
	@echo "open build/site/index.html"

# Wheel and source in dist/, checked, and the wheel tried in an environment where the repository is not at hand.
release: $(STAMP)
	$(BIN)/python -m pip install --quiet "build>=1.2" "twine>=6" hatchling
	$(BIN)/python docs/tools/release.py

# What the page of a mesh needs of twgl.js, again from npm; needs node.
viewer:
	mkdir -p build/viewer && cp femnn/validation/viewer/package.json femnn/validation/viewer/twgl.entry.js build/viewer
	cd build/viewer && npm install --silent && npx esbuild twgl.entry.js --bundle --minify --format=iife \
		--global-name=twgl --outfile=twgl.js
	{ echo "/*! twgl.js, MIT licence, Copyright 2019 Gregg Tavares: LICENSE-twgl.md. Made by: make viewer */"; \
	  cat build/viewer/twgl.js; } > femnn/validation/viewer/twgl.min.js
	cp build/viewer/node_modules/twgl.js/LICENSE.md femnn/validation/viewer/LICENSE-twgl.md

# The pictures of the examples again, which the site takes as they are; GALLERY="poisson_swap" names some.
gallery: $(STAMP)
	$(BIN)/python docs/tools/update_gallery.py $(GALLERY)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The shipped weights again: about an hour on two cores. Those of grains learn from the shipped
# responses, which `make chain` simulates anew. Data and checkpoints stay in runs/.
weights: $(STAMP)
	$(BIN)/femnn train points --out runs
	$(BIN)/femnn train weights --out runs
	$(BIN)/femnn train patch-weights --out runs
	$(BIN)/femnn train series --out runs
	$(BIN)/femnn train hourglass --out runs
	$(BIN)/femnn train element --out runs
	$(BIN)/femnn train moved --out runs
	$(BIN)/femnn train moved --patch --out runs
	$(BIN)/femnn train cohesive --out runs
	$(BIN)/femnn train cohesive --law exponential --out runs/exponential
	$(BIN)/femnn train grains --out runs
	$(BIN)/femnn simulate rve --law runs/cohesive-grains.safetensors --out runs/rve
	$(BIN)/femnn train rve --data runs/rve/rve-paths.npz --out runs
	$(BIN)/femnn train conduits --data runs/rve/rve-paths.npz --out runs
	$(BIN)/femnn simulate rve --law fault-grains --count 8 --rows 4 --size 600 --thickness 6 --paths 42 --cycles 14 \
		--samples 3 --points 50 --out runs/fault-cell
	$(BIN)/femnn train fault-cell --data runs/fault-cell/rve-paths.npz --out runs
	$(BIN)/femnn train install runs

# The chain from grains to a sealing fault, from nothing but seeds: under an hour on two cores, most of it grains.
chain: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable ".[dem,distributed]"
	$(BIN)/femnn simulate grains --out runs/grains
	$(BIN)/femnn train grains --data runs/grains/grain-paths.npz --out runs
	$(BIN)/femnn simulate rve --law runs/cohesive-grains.safetensors --out runs/rve
	$(BIN)/femnn train rve --data runs/rve/rve-paths.npz --out runs
	$(BIN)/python examples/sealing_fault.py --recurrent runs/cohesive-rve.safetensors --cracks runs/cohesive-grains.safetensors

# Needs the shared libraries of gmsh: see meshes/README.md.
meshes: $(STAMP)
	$(BIN)/python -m pip install --quiet --editable ".[mesh]"
	$(BIN)/python meshes/generate.py

benchmarks: $(STAMP)
	$(BIN)/femnn bench error-reduction

# Damaged files, killed runs, foreign arguments, elements of any shape: minutes; FAULTS="--share 0.1" takes a tenth.
faults: $(STAMP)
	$(BIN)/femnn bench faults $(FAULTS)

# Small mutations of the code, each with the tests that must notice it: half an hour; MUTANTS="--only laws" takes a room.
mutants: $(STAMP)
	$(BIN)/femnn bench mutants $(MUTANTS)

clean:
	rm -rf $(VENV) $(MPI_VENV) build dist results runs
