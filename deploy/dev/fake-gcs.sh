#!/usr/bin/env bash
# Starts fake-gcs-server, Google Cloud Storage in memory for tests, on a free port of 127.0.0.1, and prints the port.
# Installs it first when it is missing; needs Go and a module proxy that it can reach.
# Ends when its standard input does: `deploy/dev/fake-gcs.sh < <(sleep infinity)` runs it by hand.
set -euo pipefail
# shellcheck source=deploy/dev/lib-server.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib-server.sh"

version=v1.56.1
folder=$target/fake-gcs-$version
install_once "$folder" go_install "github.com/fsouza/fake-gcs-server@$version"
port=$(free_port)
serve_until_input_ends "$port" "$folder/fake-gcs-server" -backend memory -scheme http -host 127.0.0.1 -port "$port" \
    -public-host "127.0.0.1:$port" -external-url "http://127.0.0.1:$port" -log-level error
