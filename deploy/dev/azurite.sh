#!/usr/bin/env bash
# Starts Azurite, Azure's blob storage in memory for tests, on a free port of 127.0.0.1, and prints the port. Its
# account is in AZURITE_ACCOUNTS, as `name:key in base64`.
# Installs it first when it is missing; needs node and a package registry that npm can reach.
# Ends when its standard input does: `deploy/dev/azurite.sh < <(sleep infinity)` runs it by hand.
set -euo pipefail
# shellcheck source=deploy/dev/lib-server.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib-server.sh"

version=3.37.0
npm_install() {
    npm install --prefix "$2" --no-fund --no-audit --ignore-scripts --loglevel error "$1"
}

: "${AZURITE_ACCOUNTS:?}"
folder=$target/azurite-$version
install_once "$folder" npm_install "azurite@$version"
port=$(free_port)
serve_until_input_ends "$port" node "$folder/node_modules/azurite/dist/src/blob/main.js" --silent --disableTelemetry \
    --inMemoryPersistence --skipApiVersionCheck --blobHost 127.0.0.1 --blobPort "$port"
