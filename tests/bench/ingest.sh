#!/usr/bin/env bash
# Builds the programs and the plain decoder, and runs ingest.py. Arguments are passed on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

cargo build --release
cargo build --release -p bingen --example decode_files
exec python3 tests/bench/ingest.py --bin "${CARGO_TARGET_DIR:-target}/release" "$@"
