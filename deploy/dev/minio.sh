#!/usr/bin/env bash
# Starts MinIO, an S3 server, on a free port of 127.0.0.1 over a temporary folder, and prints the port. Its bucket is
# `costs`; MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are its keys. Serves TLS with `public.crt` and `private.key` of the
# folder in MINIO_CERTS, if that is set.
# Installs it first when it is missing; needs Go and a module proxy that it can reach, and some minutes.
# Ends when its standard input does: `deploy/dev/minio.sh < <(sleep infinity)` runs it by hand.
set -euo pipefail
# shellcheck source=deploy/dev/lib-server.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib-server.sh"

# Its tags are no versions for Go, so this names the commit.
version=v0.0.0-20260212201848-7aac2a2c5b7c
folder=$target/minio-$version
install_once "$folder" go_install "github.com/minio/minio@$version"
data=$(mktemp -d)
mkdir -p "$data/bucket/costs" "$data/no-certs"
port=$(free_port)
# Encryption on the server's side takes a key of its own.
key=$(head --bytes 32 /dev/urandom | base64)
MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CALLHOME_ENABLE=off MINIO_KMS_SECRET_KEY="test:$key" \
    serve_until_input_ends "$port" "$folder/minio" server --quiet --address "127.0.0.1:$port" \
    --certs-dir "${MINIO_CERTS:-$data/no-certs}" "$data/bucket"
