#!/usr/bin/env bash
# Tests the alert rules on made-up series, and that each has a runbook and reads only metrics that docs/operations/metrics.md
# names. Needs promtool: PROMTOOL, or the one on the path, or else Debian's package `prometheus`, unpacked under target/.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/dev/lib-server.sh
source "$root/deploy/dev/lib-server.sh"
unpack_prometheus() {
    (cd "$1" && apt-get download prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb)
}
promtool=${PROMTOOL:-promtool}
if ! command -v "$promtool" >/dev/null; then
    command -v apt-get >/dev/null || { echo "promtool is missing: name the program in PROMTOOL" >&2; exit 1; }
    install_once "$target/prometheus-debian" unpack_prometheus
    promtool=$target/prometheus-debian/usr/bin/promtool
fi
promtool=$(realpath "$(command -v "$promtool")")
rules=$root/deploy/helm/fedcost/files/alerts.yaml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$rules" "$root/tests/alerts/alerts_test.yaml" "$folder"
cp "$root/deploy/docker/config/prometheus.yaml" "$folder"
(cd "$folder" && "$promtool" check config prometheus.yaml && "$promtool" check rules alerts.yaml && "$promtool" test rules alerts_test.yaml)

failed=0
alerts=$(sed -n 's/^ *- alert: //p' "$rules")
[[ -n $alerts ]] || { echo "there are no alerts in $rules" >&2; exit 1; }
for alert in $alerts; do
    grep --quiet "^## $alert\$" "$root/docs/operations/alerts.md" || { echo "$alert has no runbook" >&2; failed=1; }
    grep --quiet "#${alert,,}\$" "$rules" || { echo "$alert does not name its runbook" >&2; failed=1; }
    grep --quiet "alertname: $alert, exp_alerts: \[\]" "$folder/alerts_test.yaml" || { echo "$alert is not tested to be quiet" >&2; failed=1; }
    grep --quiet "alertname: $alert\$" "$folder/alerts_test.yaml" || { echo "$alert is not tested to fire" >&2; failed=1; }
done
for metric in $(grep --only-matching --extended-regexp '\b(fedcost|process)_[a-z_]+' "$rules" | sort --unique); do
    grep --quiet "\`$metric\`" "$root/docs/operations/metrics.md" || { echo "$metric is not in docs/operations/metrics.md" >&2; failed=1; }
done
exit $failed
