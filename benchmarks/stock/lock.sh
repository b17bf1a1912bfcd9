#!/usr/bin/env bash
# Pin the stock environment again: requirements.in -> requirements.txt.
set -euo pipefail
cd "$(dirname "$0")"

# sam2 is left out: MONAI Label imports it only for its own SAM 2 task, and installing it means building it.
overrides=$(mktemp)
trap 'rm -f "$overrides"' EXIT
echo 'sam2; python_version < "3"' >"$overrides"
"${UV:-../../.venv/bin/uv}" pip compile --quiet --python-version 3.11 --no-annotate \
  --custom-compile-command benchmarks/stock/lock.sh \
  --override "$overrides" --output-file requirements.txt requirements.in
