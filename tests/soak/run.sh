#!/usr/bin/env bash
# Two hours' worth of traffic in ten minutes, over the four services with rolling restarts and renewed certificates.
# BIN names the folder of the programs [default: target/release, built if need be]. SOAK_MINUTES is how long [10], and
# SOAK_RATE how many requests in a second [20]: 3 and 5 are enough for a first look, also without optimisation.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

bin=${BIN:-}
if [[ -z $bin ]]; then
    (cd "$root" && cargo build --release)
    bin=${CARGO_TARGET_DIR:-$root/target}/release
fi
exec python3 "$root/tests/soak/soak.py" --bin "$bin" --minutes "${SOAK_MINUTES:-10}" --rate "${SOAK_RATE:-20}"
