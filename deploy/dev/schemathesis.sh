#!/usr/bin/env bash
# Runs schemathesis, which makes up requests from an OpenAPI description, with these arguments:
# `deploy/dev/schemathesis.sh run http://127.0.0.1:9090/openapi.json`. See tests/schemathesis/.
# Installs it first when it is missing; needs python3 (3.11 or later) with venv and a package index that pip can reach.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
requirements=$here/../../tests/schemathesis/requirements.txt
cache=${FEDCOST_SCHEMATHESIS_DIR:-$here/../../target/schemathesis}
# Another set of packages is another folder, so that a change of the pins is never served by an old install.
venv=$cache/$(cksum <"$requirements" | cut -d' ' -f1)

if [[ ! -e $venv/complete ]]; then
    mkdir -p "$cache"
    # Several tests may start at once; the first one installs.
    exec 9>"$cache/lock"
    flock 9
    if [[ ! -e $venv/complete ]]; then
        echo "installing schemathesis" >&2
        rm -rf "$venv"
        python3 -m venv "$venv" >&2
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >&2
        touch "$venv/complete"
    fi
    exec 9>&-
fi
exec "$venv/bin/schemathesis" "$@"
