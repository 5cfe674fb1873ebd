#!/usr/bin/env bash
# The whole test suite from nothing: environment, install, model, tests. Arguments go to pytest;
# `-m "not real and not long and not nightly"` leaves out the tests that run a real model; `-m long` runs the long ones instead, `-m nightly` those that take hours.
# Of the two processes one has all tests that run a real model (tests/conftest.py); `-n 0` does with one.
. "$(dirname "$0")/setup.sh"
set_up
say "ruff, import-linter and mypy"
.venv/bin/ruff check opro_local tests scripts
.venv/bin/ruff format --check -q opro_local tests scripts
.venv/bin/lint-imports --no-cache
.venv/bin/mypy
say "pip-audit"
.venv/bin/python scripts/audit.py
say "pytest $*"
exec .venv/bin/python -m pytest -n 2 --dist loadgroup "$@"
