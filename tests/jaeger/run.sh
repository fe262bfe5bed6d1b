#!/usr/bin/env bash
# Runs the four services with a real Jaeger, asks a question and lets a cycle run, and checks through Jaeger's API that each
# is one tree with the expected services, names and attributes; then ends Jaeger, and compares answers. Once by gRPC with
# TLS, once by HTTP.
# Installs Jaeger under target/; needs Go and a module proxy that it can reach, and Python. BIN names the folder of the
# programs [default: target/debug, built if need be].
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/dev/lib-server.sh
source "$root/deploy/dev/lib-server.sh"

bin=${BIN:-}
if [[ -z $bin ]]; then
    # As the tests are built, so that after them little is built anew.
    (cd "$root" && cargo build --bins --tests)
    bin=${CARGO_TARGET_DIR:-$root/target}/debug
fi
data=$(mktemp -d)
services='' jaeger=''
stop() {
    [[ -z $1 ]] || { kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; } || true
}
finish() {
    stop "$services"
    exec 7>&- 2>/dev/null || true
    [[ -z $jaeger ]] || wait "$jaeger" 2>/dev/null || true
    rm -rf "$data"
}
trap finish EXIT

"$bin/fedcost" certs issue --service collector --dir "$data/certs" >/dev/null
mkdir "$data/tls"
cp "$data"/certs/service/collector/{cert,key}.pem "$data/tls"

# The demo's bucket is made anew, so that there is something to ingest, and one file in it is damaged. Descriptor 7 is Jaeger's standard input, which must end
# while the services go on.
start_services() { # TRACING
    rm -rf "$data/bucket"
    "$bin/fedcost" demo-data --bucket "$data/bucket" >/dev/null
    echo damaged >"$(find "$data"/bucket/federated/*/etl/bingen/assets/1d -type f | sort | head -1)"
    export STORAGE_PORT INGEST_PORT QUERY_PORT GATEWAY_PORT
    STORAGE_PORT=$(free_port) INGEST_PORT=$(free_port) QUERY_PORT=$(free_port) GATEWAY_PORT=$(free_port)
    : >"$data/ready"
    "$root/deploy/dev/run.sh" --data "$data" --bucket "$data/bucket" --bin "$bin" --warm-mib 0 ${1:+--tracing "$1"} \
        >"$data/ready" 2>"$data/log" 7>&- &
    services=$!
    for _ in $(seq 1200); do
        [[ ! -s $data/ready ]] || return 0
        kill -0 "$services" 2>/dev/null || break
        sleep 0.1
    done
    tail -50 "$data/log" >&2
    return 1
}

start_jaeger() { # [folder of TLS files]
    mkfifo "$data/stdin"
    JAEGER_TLS=${1:-} "$root/deploy/dev/jaeger.sh" <"$data/stdin" >"$data/ports" 2>"$data/jaeger.log" &
    jaeger=$!
    exec 7>"$data/stdin"
    rm "$data/stdin"
    for _ in $(seq 9000); do
        [[ ! -s $data/ports ]] || break
        kill -0 "$jaeger" 2>/dev/null || { cat "$data/jaeger.log" >&2; return 1; }
        sleep 0.1
    done
    read -r otlp_grpc otlp_http query <"$data/ports"
}

stop_jaeger() {
    exec 7>&-
    wait "$jaeger" 2>/dev/null || true
    jaeger=
}

for way in grpc http; do
    echo "OTLP by $way"
    if [[ $way == grpc ]]; then
        start_jaeger "$data/tls"
        tracing="{endpoint: \"https://127.0.0.1:$otlp_grpc\", protocol: grpc, ca: $data/certs/ca.pem}"
    else
        start_jaeger
        tracing="{endpoint: \"http://127.0.0.1:$otlp_http\", protocol: http}"
    fi
    start_services "$tracing"
    python3 "$root/tests/jaeger/check.py" traces "http://127.0.0.1:$GATEWAY_PORT" "http://127.0.0.1:$query" "$data/answer.json" "$data/log"
    stop_jaeger
    python3 "$root/tests/jaeger/check.py" away "http://127.0.0.1:$GATEWAY_PORT" "$data/answer.json"
    # The services end in good order though the collector is away.
    stop "$services"
    services=
done

echo "without tracing"
start_services ""
python3 "$root/tests/jaeger/check.py" off "http://127.0.0.1:$GATEWAY_PORT"
echo "the traces are whole"
