#!/usr/bin/env bash
# Install everything into .venv from the lock files. A second run does nothing and says nothing.
#
# environment: PYTHON  the interpreter to take (3.11 or 3.12); found by itself otherwise
#              VENV    where to install (default .venv)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
stamp=$venv/.installed

fail() {
  printf 'make install: %s\n' "$*" >&2
  exit 1
}

# What an installation depends on. The repository's place counts: the package is installed as a link to it.
fingerprint() {
  { echo "$PWD"; cat pyproject.toml requirements/*.txt requirements/install.sh; find compat -type f \
    \( -name '*.py' -o -name pyproject.toml \) -not -path '*/build/*' -print0 | sort -z | xargs -0 cat; } |
    sha256sum | cut -d' ' -f1
}

usable() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3.12 python3.11 python3 python}; do
    if usable "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  fail "expected Python 3.11 or 3.12${PYTHON:+ as PYTHON=$PYTHON}, found $(python3 --version 2>&1 || echo none).
  Debian 12, Ubuntu 24.04:  sudo apt-get install python3 python3-venv
  or say where it is:       make install PYTHON=/path/to/python3.12"
}

make_venv() { # PYTHON
  rm -rf "$venv"
  if "$1" -c 'import ensurepip' 2>/dev/null; then
    "$1" -m venv "$venv"
    return
  fi
  local package
  package=$("$1" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "make install: $1 has no venv module; installing Debian's $package"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package"; } \
      </dev/null &>/dev/null && "$1" -m venv "$venv" && return
  fi
  rm -rf "$venv"
  fail "$1 cannot make virtual environments. Run:  sudo apt-get install $package"
}

wanted=$(fingerprint)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && [ -x "$venv/bin/python" ]; then
  exit 0
fi
rm -f "$stamp"
if ! { [ -x "$venv/bin/python" ] && usable "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
  python=$(find_python)
  make_venv "$python"
fi

echo "make install: installing into $venv (about 8 GB; a minute or two with a good connection)"
export VIRTUAL_ENV=$PWD/$venv PIP_DISABLE_PIP_VERSION_CHECK=1
case $venv in /*) VIRTUAL_ENV=$venv ;; esac
"$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements/uv.txt
uv=("$venv/bin/uv" pip install --python "$venv/bin/python" --no-deps --quiet)
"${uv[@]}" --require-hashes -r requirements/lock.txt
SAM2_BUILD_CUDA=0 "${uv[@]}" --require-hashes --no-build-isolation -r requirements/sam2.txt
"${uv[@]}" --no-build-isolation --reinstall ./compat/pydicom-seg ./compat/numpymaxflow
"${uv[@]}" --no-build-isolation --editable .
"$venv/bin/python" requirements/check.py
echo "$wanted" >"$stamp"
