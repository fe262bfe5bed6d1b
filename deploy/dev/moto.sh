#!/usr/bin/env bash
# Starts moto, an S3 server in memory for tests, on a free port of 127.0.0.1, and prints the port.
# Installs it first when it is missing; needs python3 with venv and a package index that pip can reach.
# Ends when its standard input does: `deploy/dev/moto.sh < <(sleep infinity)` runs it by hand.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/moto-requirements.txt
cache=${FEDCOST_MOTO_DIR:-$here/../../target/moto}
# Another set of packages is another folder, so that a change of the pins is never served by an old install.
venv=$cache/$(cksum <"$requirements" | cut -d' ' -f1)

if [[ ! -e $venv/complete ]]; then
    mkdir -p "$cache"
    # Several tests may start at once; the first one installs.
    exec 9>"$cache/lock"
    flock 9
    if [[ ! -e $venv/complete ]]; then
        echo "installing moto" >&2
        rm -rf "$venv"
        python3 -m venv "$venv" >&2
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >&2
        touch "$venv/complete"
    fi
    exec 9>&-
fi
exec "$venv/bin/python" "$here/serve_moto.py"
