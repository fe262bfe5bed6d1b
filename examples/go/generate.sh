#!/usr/bin/env bash
# Makes the package queryv1 from proto/: `generate.sh FOLDER`. Needs Go, and protoc: PROTOC, or that of Python's grpcio-tools
# (PYTHON names the interpreter).
set -euo pipefail
proto=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../proto" && pwd)
plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
GOBIN=$plugins go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
GOBIN=$plugins go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.0
if [[ -n ${PROTOC:-} ]]; then protoc=("$PROTOC"); else protoc=("${PYTHON:-python3}" -m grpc_tools.protoc); fi
mkdir -p "$1"
PATH=$plugins:$PATH "${protoc[@]}" --proto_path="$proto" \
    --go_out="$1" --go_opt=module=fedcost.example/topcosts/queryv1 \
    --go_opt=Mfedcost/query/v1/query.proto=fedcost.example/topcosts/queryv1 \
    --go-grpc_out="$1" --go-grpc_opt=module=fedcost.example/topcosts/queryv1 \
    --go-grpc_opt=Mfedcost/query/v1/query.proto=fedcost.example/topcosts/queryv1 \
    "$proto/fedcost/query/v1/query.proto"
