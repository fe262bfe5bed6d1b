# For scripts that start a server for tests; sourced, not run. The caller has `set -euo pipefail`.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
target=$here/../../target

# Runs an installation once: `install_once FOLDER COMMAND…` runs COMMAND with FOLDER as its last argument, unless that
# is complete. Several tests may start at once; the first one installs. The name of a folder holds the version, so that
# a change of the pin is never served by an old install.
install_once() {
    local folder=$1
    shift
    [[ -e $folder/complete ]] && return
    mkdir -p "$folder"
    exec 9>"$folder.lock"
    flock 9
    if [[ ! -e $folder/complete ]]; then
        echo "installing $(basename "$folder")" >&2
        "$@" "$folder" >&2
        touch "$folder/complete"
    fi
    exec 9>&-
}

go_install() {
    if ! command -v go >/dev/null; then
        echo "this needs Go, and a module proxy that it can reach" >&2
        return 1
    fi
    GOBIN=$(cd "$2" && pwd) go install "$1"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Prints the port once the server takes connections there, and ends the server when standard input ends, so that it
# never outlives whoever started it: `serve_until_input_ends PORT COMMAND…`.
serve_until_input_ends() {
    local port=$1 server
    shift
    "$@" </dev/null >&2 &
    server=$!
    # shellcheck disable=SC2064
    trap "kill $server 2>/dev/null || true; rm -rf \"\${data:-}\"" EXIT
    for _ in $(seq 600); do
        if ! kill -0 "$server" 2>/dev/null; then
            echo "the server ended at once" >&2
            return 1
        fi
        if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            cat >/dev/null
            return
        fi
        sleep 0.1
    done
    echo "the server took no connection for a minute" >&2
    return 1
}
