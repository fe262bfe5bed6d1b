#!/usr/bin/env bash
# Runs the four services as processes of their own on loopback, with the sample configurations beside this script and
# certificates of a development authority. Prints `ready http://…` once costs can be asked for. Ctrl-C ends them all.
set -euo pipefail

usage() {
    cat <<USAGE
Usage: deploy/dev/run.sh [--data DIR] [--bucket DIR] [--bin DIR] [--retention-days N]
                         [--ingest-memory-mib N] [--warm-mib N] [--tracing YAML]

  --data DIR          certificates and configurations, and the bucket unless one is given [default: .fedcost]
  --bucket DIR        local folder that is the bucket [default: <data>/bucket]
  --bin DIR           where the programs are [default: target/release, built if need be]
  --retention-days N  days of daily sets to keep; 0 keeps everything, hourly sets too
  --ingest-memory-mib N  memory for what ingest-svc reads and writes at once, 64 or more
  --warm-mib N        tables that query-svc keeps in memory, in MiB
  --tracing YAML      where spans go, as \`server.tracing\` of each service, such as '{endpoint: "http://127.0.0.1:4317"}'

Ports can be set by STORAGE_PORT (7001), INGEST_PORT (7002), QUERY_PORT (7003) and GATEWAY_PORT (9090).
USAGE
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=(storage-svc ingest-svc query-svc gateway-svc)
data=.fedcost
bucket=
bin=
retention=
ingest_memory=
warm=
tracing=
while (($#)); do
    case $1 in
    --data | --bucket | --bin | --retention-days | --ingest-memory-mib | --warm-mib | --tracing)
        [[ $# -ge 2 ]] || { echo "run.sh: $1 needs a value" >&2; exit 64; }
        case $1 in
        --data) data=$2 ;;
        --bucket) bucket=$2 ;;
        --bin) bin=$2 ;;
        --retention-days) retention=$2 ;;
        --ingest-memory-mib) ingest_memory=$2 ;;
        --tracing) tracing=$2 ;;
        --warm-mib) warm=$2 ;;
        esac
        shift 2
        ;;
    -h | --help) usage; exit 0 ;;
    *) echo "run.sh: unknown argument $1" >&2; usage >&2; exit 64 ;;
    esac
done
for number in "$retention" "$ingest_memory" "$warm"; do
    if [[ -n $number && ! $number =~ ^[0-9]+$ ]]; then
        echo "run.sh: --retention-days, --ingest-memory-mib and --warm-mib take a number, not $number" >&2
        exit 64
    fi
done

mkdir -p "$data/config"
data=$(cd "$data" && pwd)
bucket=${bucket:-$data/bucket}
mkdir -p "$bucket"
bucket=$(cd "$bucket" && pwd)

if [[ -z $bin ]]; then
    root=$here/../..
    (cd "$root" && cargo build --release)
    bin=${CARGO_TARGET_DIR:-$root/target}/release
fi

for service in "${services[@]}"; do
    "$bin/fedcost" certs service "$service" --dir "$data/certs" >/dev/null
done

# The samples as they stand, but for folders and ports.
quoted() { sed -e 's/[\\&|]/\\&/g' <<<"$1"; }
edits=(
    -e "s|^directory: .*|directory: '$(quoted "$bucket")'|"
    -e "s|\.fedcost/|$(quoted "$data")/|"
    # In two steps, as the new port of one service may be the sample's of another.
    -e "s|127\.0\.0\.1:7001|@storage@|; s|127\.0\.0\.1:7002|@ingest@|"
    -e "s|127\.0\.0\.1:7003|@query@|; s|127\.0\.0\.1:9090|@gateway@|"
    -e "s|@storage@|127.0.0.1:${STORAGE_PORT:-7001}|; s|@ingest@|127.0.0.1:${INGEST_PORT:-7002}|"
    -e "s|@query@|127.0.0.1:${QUERY_PORT:-7003}|; s|@gateway@|127.0.0.1:${GATEWAY_PORT:-9090}|"
)
[[ -z $tracing ]] || edits+=(-e "s|^server:\$|&\n  tracing: $(quoted "$tracing")|")
[[ -z $warm ]] || edits+=(-e "s|^warm_mib: .*|warm_mib: $(quoted "$warm")|")
if [[ -n $retention ]]; then
    edits+=(-e "s|^  days: .*|  days: $retention|")
    [[ $retention != 0 ]] || edits+=(-e "s|^  hours: .*|  hours: 0|")
fi
for service in "${services[@]}"; do
    own=()
    # query-svc's sample has a key of this name too.
    [[ $service != ingest-svc || -z $ingest_memory ]] || own+=(-e "s|^memory_mib: .*|memory_mib: $ingest_memory|")
    sed "${edits[@]}" ${own[@]+"${own[@]}"} "$here/$service.yaml" >"$data/config/$service.yaml"
done

pids=()
finish() {
    trap - EXIT INT TERM
    # Who calls before who is called.
    for ((index = ${#pids[@]} - 1; index >= 0; index--)); do
        kill -TERM "${pids[index]}" 2>/dev/null || true
    done
    wait "${pids[@]}" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 0' INT TERM

# With a process group each, so that Ctrl-C reaches only this script: a second signal would cut their draining short.
set -m
for service in "${services[@]}"; do
    "$bin/$service" --config "$data/config/$service.yaml" >&2 &
    pids+=($!)
done
set +m

# Needs no HTTP client: asks /readyz by hand.
gateway=127.0.0.1/${GATEWAY_PORT:-9090}
is_ready() {
    local status
    exec 3<>"/dev/tcp/$gateway" || return 1
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    read -r -t 5 status <&3 || status=
    exec 3>&-
    [[ $status == *" 200 "* ]]
}
until is_ready 2>/dev/null; do
    # One that has ended will not come back.
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || { echo "run.sh: a service has ended, see above" >&2; exit 1; }
    done
    sleep 0.2 &
    wait $!
done
echo "ready http://${gateway/\//:}"

# Whichever ends first, the others cannot do without it.
wait -n "${pids[@]}" || true
echo "run.sh: a service has ended, see above" >&2
exit 1
