#!/usr/bin/env bash
# The whole test suite from nothing: environment, install, model, tests. Arguments go to pytest;
# `scripts/test.sh -m "not real"` leaves out the tests that run a real model.
. "$(dirname "$0")/setup.sh"
set_up
say "ruff and import-linter"
.venv/bin/ruff check opro_local tests scripts
.venv/bin/lint-imports --no-cache
say "pytest $*"
exec .venv/bin/python -m pytest "$@"
