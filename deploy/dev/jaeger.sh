#!/usr/bin/env bash
# Starts Jaeger's all-in-one, which keeps traces in memory, on free ports of 127.0.0.1, and prints three: OTLP by gRPC, OTLP
# by HTTP, and the one of its query API and page.
# Installs it first when it is missing; needs Go and a module proxy that it can reach, and some minutes.
# Ends when its standard input does: `deploy/dev/jaeger.sh < <(sleep infinity)` runs it by hand.
# With JAEGER_TLS, a folder with `cert.pem` and `key.pem`, OTLP is served over TLS.
set -euo pipefail
# shellcheck source=deploy/dev/lib-server.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib-server.sh"

module=$here/jaeger/go.mod
version=$(sed -n 's/^require .* //p' "$module")
folder=$target/jaeger-$version
build_jaeger() {
    command -v go >/dev/null || { echo "this needs Go, and a module proxy that it can reach" >&2; return 1; }
    mkdir -p "$1/module"
    # A copy, as Go writes down all that it has chosen.
    cp "$module" "$1/module"
    (cd "$1/module" && go build -mod=mod -o ../all-in-one github.com/jaegertracing/jaeger/cmd/all-in-one)
    rm -r "$1/module"
}
install_once "$folder" build_jaeger
grpc=$(free_port) http=$(free_port) query=$(free_port)
tls=()
if [[ -n ${JAEGER_TLS:-} ]]; then
    for protocol in grpc http; do
        tls+=("--collector.otlp.$protocol.tls.enabled=true" "--collector.otlp.$protocol.tls.cert=$JAEGER_TLS/cert.pem"
            "--collector.otlp.$protocol.tls.key=$JAEGER_TLS/key.pem")
    done
fi
# Its other ports are of no use here, and would be in the way of a second one.
local_port() { echo "127.0.0.1:$(free_port)"; }
exec 3>&1
(
    SPAN_STORAGE_TYPE=memory serve_until_input_ends "$query" "$folder/all-in-one" \
        --collector.otlp.enabled=true \
        --collector.otlp.grpc.host-port="127.0.0.1:$grpc" --collector.otlp.http.host-port="127.0.0.1:$http" \
        --query.http-server.host-port="127.0.0.1:$query" --query.grpc-server.host-port="$(local_port)" \
        --admin.http.host-port="$(local_port)" --collector.http-server.host-port="$(local_port)" \
        --collector.grpc-server.host-port="$(local_port)" \
        --log-level=warn ${tls[@]+"${tls[@]}"}
) | { read -r port && echo "$grpc $http $port" >&3; cat >/dev/null; }
