#!/usr/bin/env bash
# Makes the Python modules of the messages: `generate.sh FOLDER`. Needs grpcio-tools (requirements.txt); PYTHON names the
# interpreter.
set -euo pipefail
proto=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../proto" && pwd)
mkdir -p "$1"
"${PYTHON:-python3}" -m grpc_tools.protoc --proto_path="$proto" --python_out="$1" --grpc_python_out="$1" \
    "$proto/fedcost/query/v1/query.proto"
