#!/usr/bin/env bash
# Write the lock files from pyproject.toml: every distribution pinned and hashed, for Python 3.11 and 3.12.
#
# Three files, because they install differently:
#   uv.txt    the installer itself, fetched by pip
#   lock.txt  everything else
#   sam2.txt  an sdist that MONAI Label names; built against the installed torch, else its build fetches a second one
# The two distributions of compat/ are ours: they have no hash and stay out.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # OUTPUT INPUT [OPTION...]
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
    --custom-compile-command "make lock" "${@:3}" --output-file "$1" "$2"
  if grep -nE 'file:|https?:|--(extra-)?index|--find-links' "$1"; then
    echo "$1 names an address or a path (above); a lock file must not" >&2
    exit 1
  fi
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' "pydicom-seg @ file://$PWD/compat/pydicom-seg" "numpymaxflow @ file://$PWD/compat/numpymaxflow" \
  >"$work/overrides.txt"
echo uv >"$work/uv.in"
echo sam2 >"$work/sam2.in"

compile requirements/lock.txt pyproject.toml --extra dev --constraints requirements/constraints.txt \
  --overrides "$work/overrides.txt" --no-emit-package pydicom-seg --no-emit-package numpymaxflow --no-emit-package sam2
compile requirements/sam2.txt "$work/sam2.in" --no-deps --no-annotate
compile requirements/uv.txt "$work/uv.in" --no-annotate
