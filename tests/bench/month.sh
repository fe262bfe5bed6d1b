#!/usr/bin/env bash
# Builds the programs, installs DuckDB under target/, and runs month.py. Arguments are passed on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --release
venv=${CARGO_TARGET_DIR:-target}/bench-venv
if ! cmp -s tests/bench/requirements.txt "$venv/requirements.txt"; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/bench/requirements.txt
    cp tests/bench/requirements.txt "$venv/requirements.txt"
fi
exec "$venv/bin/python" tests/bench/month.py --bin "${CARGO_TARGET_DIR:-target}/release" "$@"
