#!/usr/bin/env bash
# Runs the examples in Go and Python against the four services over made-up clusters, compares what they print with one
# another and with the HTTP API, and asks every question of the Grafana dashboard of costs.
# Needs Go and Python with registries that they can reach. BIN names the folder of the programs [default: target/debug,
# built if need be].
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/dev/lib-server.sh
source "$root/deploy/dev/lib-server.sh"
target=$(mkdir -p "$target" && cd "$target" && pwd)

install_python() {
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$root/examples/python/requirements.txt"
}
install_clients() {
    mkdir -p "$1/python" "$1/go"
    PYTHON=$python "$root/examples/python/generate.sh" "$1/python"
    cp "$root"/examples/go/{go.mod,go.sum,main.go} "$1/go"
    PYTHON=$python "$root/examples/go/generate.sh" "$1/go/queryv1"
    (cd "$1/go" && go build -o topcosts .)
}
python_folder=$target/client-python-$(sha256sum "$root/examples/python/requirements.txt" | cut -c1-12)
install_once "$python_folder" install_python
python=$python_folder/venv/bin/python
sources=$(cat "$root"/examples/go/* "$root"/examples/python/* "$root/proto/fedcost/query/v1/query.proto" | sha256sum | cut -c1-12)
clients=$target/clients-$sources
install_once "$clients" install_clients

bin=${BIN:-}
if [[ -z $bin ]]; then
    # As the tests are built, so that after them little is built anew.
    (cd "$root" && cargo build --bins --tests)
    bin=${CARGO_TARGET_DIR:-$target}/debug
fi
data=$(mktemp -d)
pid=
finish() {
    [[ -z $pid ]] || { kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; } || true
    rm -rf "$data"
}
trap finish EXIT
"$bin/fedcost" demo-data --bucket "$data/bucket" >/dev/null
export STORAGE_PORT INGEST_PORT QUERY_PORT GATEWAY_PORT
STORAGE_PORT=$(free_port) INGEST_PORT=$(free_port) QUERY_PORT=$(free_port) GATEWAY_PORT=$(free_port)
"$root/deploy/dev/run.sh" --data "$data" --bucket "$data/bucket" --bin "$bin" >"$data/ready" 2>"$data/log" &
pid=$!
for _ in $(seq 1200); do
    [[ ! -s $data/ready ]] || break
    kill -0 "$pid" 2>/dev/null || { tail -50 "$data/log" >&2; exit 1; }
    sleep 0.1
done
[[ -s $data/ready ]] || { echo "the services were not ready within two minutes" >&2; exit 1; }

"$bin/fedcost" certs issue --service cost-reports --dir "$data/certs" >/dev/null
"$bin/fedcost" certs issue --cluster edge --dir "$data/certs" >/dev/null
files=(--ca "$data/certs/ca.pem" --cert "$data/certs/service/cost-reports/cert.pem" --key "$data/certs/service/cost-reports/key.pem")
question=(--address "127.0.0.1:$QUERY_PORT" --by cluster --days 5)
"$clients/go/topcosts" "${question[@]}" "${files[@]}" >"$data/go.txt"
PYTHONPATH=$clients/python "$python" "$root/examples/python/top_costs.py" "${question[@]}" "${files[@]}" >"$data/python.txt"
cat "$data/go.txt"
cmp "$data/go.txt" "$data/python.txt"
"$python" "$root/tests/clients/compare.py" "$data/go.txt" "http://127.0.0.1:$GATEWAY_PORT" 5
"$python" "$root/tests/clients/dashboard.py" "$root/deploy/helm/fedcost/files/dashboards/costs.json" "http://127.0.0.1:$GATEWAY_PORT"

# A cluster's certificate opens nothing, and a client takes no other server for query-svc.
cluster=(--ca "$data/certs/ca.pem" --cert "$data/certs/cluster/edge/cert.pem" --key "$data/certs/cluster/edge/key.pem")
expect_refusal() {
    local expected=$1 answer
    shift
    if answer=$("$@" 2>&1); then echo "was not refused: $*" >&2; return 1; fi
    [[ ${answer,,} == *"${expected,,}"* ]] || { echo "expected \"$expected\" in: $answer" >&2; return 1; }
}
expect_refusal PermissionDenied "$clients/go/topcosts" "${question[@]}" "${cluster[@]}"
PYTHONPATH=$clients/python expect_refusal PERMISSION_DENIED "$python" "$root/examples/python/top_costs.py" "${question[@]}" "${cluster[@]}"
expect_refusal "expected spiffe://fedcost/service/query-svc" "$clients/go/topcosts" --address "127.0.0.1:$STORAGE_PORT" "${files[@]}"
echo "the clients agree"
