#!/usr/bin/env bash
# The embedded example from nothing: environment, install, model, then a real search. Arguments go to `opro-local demo`.
# On a machine without a GPU the vLLM engine runs on the CPU (Linux x86-64) or transformers serves.
. "$(dirname "$0")/setup.sh"
set_up
say "opro-local demo $*"
exec .venv/bin/opro-local demo "$@"
