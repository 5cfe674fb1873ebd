#!/bin/sh
# Install a bundle of opro-local: sh install.sh [--prefix DIR] [--python PYTHON] [verify.py's options]
# Needs the Python that the bundle was made for, and nothing else: no network, no pip, no compiler.
set -eu

fail() { echo "install.sh: $*" >&2; exit "${code:-2}"; }
usage="usage: sh install.sh [--prefix DIR] [--python PYTHON] [--expect SHA256] [--signers FILE --identity NAME]"
here=$(cd "$(dirname "$0")" && pwd -P)
prefix=$PWD/opro-local python= expect= signers= identity=opro-local
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || fail "$usage"
  case $1 in
    --prefix) prefix=$2 ;;
    --python) python=$2 ;;
    --expect) expect=$2 ;;
    --signers) signers=$2 ;;
    --identity) identity=$2 ;;
    *) fail "$1 is unknown; $usage" ;;
  esac
  shift 2
done
[ -n "$prefix" ] || fail "--prefix is empty; $usage"
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
# pip writes the path into a line of sh, in double quotes.
newline='
'
case $prefix in *[\"\$\`\\]* | *"$newline"*) fail "$prefix: a path with \", \$, \`, \\ or a line end; name another --prefix" ;; esac
[ ! -e "$prefix/bin" ] && [ ! -e "$prefix/opro-local" ] || fail "$prefix: something is installed there; name another --prefix, or remove it"
near=$prefix
while [ ! -e "$near" ] && [ ! -L "$near" ]; do near=$(dirname "$near"); done
[ -d "$near" ] && [ -w "$near" ] || fail "$prefix: can't be made, for $near is no folder that you may write; name another --prefix"
# Nothing of this machine's settings decides what is installed, and (-I) no file of this folder or of
# the bundle stands in for a module of Python's.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV || true
for name in $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export PIP_CONFIG_FILE=/dev/null PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1

head=BUNDLE.json
[ -f "$here/PIECES.json" ] && head=PIECES.json
wanted=$(sed -n 's/^ *"python": "\([0-9.]*\)".*/\1/p' "$here/$head" 2>/dev/null | head -n 1)
code=4
[ -n "$wanted" ] || fail "$head: is missing or says no Python; the bundle is not whole"
code=2
if [ -z "$python" ]; then
  for candidate in "python$wanted" python3 python; do
    if "$candidate" -I -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$wanted')" 2>/dev/null
    then python=$candidate; break; fi
  done
fi
[ -n "$python" ] || fail "Python $wanted is not here; name one: --python /path/to/python$wanted"
"$python" -I -c 'import venv' 2>/dev/null || fail "$python has no module venv; on Debian install python$wanted-venv"

if [ $head = PIECES.json ]; then
  # Pieces may lie on a medium that is read only.
  joined=$here/joined
  [ -w "$here" ] || joined=$prefix-bundle
  "$python" -I "$here/verify.py" --join "$here" --to "$joined" || exit $?
  here=$joined
fi
echo "checking every file of $here"
"$python" -I "$here/verify.py" "$here" --expect "$expect" --signers "$signers" --identity "$identity" || exit $?

# What was not finished goes again, so that the same command can be given once more.
whole='' fresh=''
[ -e "$prefix" ] || fresh=1
trap '[ -n "$whole" ] || [ -z "$fresh" ] || rm -rf "$prefix"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
echo "installing to $prefix"
"$python" -I -m venv --without-pip "$prefix" || fail "$prefix: the environment could not be made"
# pip comes from its own wheel: Python may be without one.
for pip in "$here"/wheels/pip-*.whl; do :; done
"$prefix/bin/python" "$pip/pip" install --quiet --no-index --find-links "$here/wheels" --only-binary :all: \
  --require-hashes --no-cache-dir --requirement "$here/requirements.txt" || fail "the packages could not be installed"

mkdir -p "$prefix/share/opro-local/models"
for part in models data; do
  [ -d "$here/$part" ] || continue
  mkdir -p "$prefix/share/opro-local/$part"
  cp -R "$here/$part/." "$prefix/share/opro-local/$part" || fail "$part: could not be copied"
done
quoted=$(printf %s "$prefix" | sed "s/'/'\\\\''/g")
cat >"$prefix/opro-local" <<END
#!/bin/sh
# The program with the models that came in the bundle; \$OPRO_LOCAL_MODELS names others.
[ -n "\${OPRO_LOCAL_MODELS:-}" ] || OPRO_LOCAL_MODELS='$quoted/share/opro-local/models'
export OPRO_LOCAL_MODELS
exec '$quoted/bin/opro-local' "\$@"
END
chmod 755 "$prefix/opro-local"
"$prefix/opro-local" --version || fail "the program does not start"
whole=1
echo "done: $prefix/opro-local demo"
