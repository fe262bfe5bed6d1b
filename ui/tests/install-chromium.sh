#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests: Debian's, or the program that CHROMIUM names.
set -euo pipefail

chromium=${CHROMIUM:-/usr/bin/chromium}
if [[ -x $chromium ]]; then
    exit 0
fi
if [[ -z ${CHROMIUM:-} && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "installing Debian's chromium"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends chromium >/dev/null
    exit 0
fi
echo "$chromium is missing; install Debian's chromium (as root, this does), or name another with CHROMIUM" >&2
exit 1
