#!/usr/bin/env bash
# Checks the chart: `helm lint` and `helm template` with every values file, Kubernetes' own schemas and those of
# cert-manager, the Prometheus operator and the Gateway API, the policy test, the files that the services are given,
# compose.yaml against the schema of its specification, and the alert rules on made-up series.
# Installs what it needs under target/; needs Go and a module proxy that it can reach, Python, and promtool (Debian's
# package `prometheus`).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/dev/lib-server.sh
source "$root/deploy/dev/lib-server.sh"

helm_version=v3.22.0
kubeconform_version=v0.8.0
kubernetes_version=v1.36.3
cert_manager_version=v1.21.2
prometheus_operator_version=v0.85.0
gateway_api_version=v1.6.3
compose_version=v2.16.2

chart=$root/deploy/helm/fedcost
tests=$root/tests/helm

install_python() {
    python3 -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$tests/requirements.txt"
}

# Where the Go module proxy's copy of a module is unpacked.
module() {
    # Outside of any Go module, so that none is changed.
    (cd / && go mod download -json "$1") | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'
}

make_schemas() {
    "$python" "$tests/schemas.py" "$1/schemas" \
        "$(module "k8s.io/kubernetes@$kubernetes_version")/api/openapi-spec/swagger.json" \
        "$(module "github.com/cert-manager/cert-manager@$cert_manager_version")/deploy/crds" \
        "$(module "github.com/prometheus-operator/prometheus-operator@$prometheus_operator_version")/example/prometheus-operator-crd" \
        "$(module "sigs.k8s.io/gateway-api@$gateway_api_version")/config/crd/standard"
}

python_folder=$target/helm-python-$(sha256sum "$tests/requirements.txt" | cut -c1-12)
install_once "$python_folder" install_python
python=$python_folder/venv/bin/python
install_once "$target/helm-$helm_version" go_install "helm.sh/helm/v3/cmd/helm@$helm_version"
install_once "$target/kubeconform-$kubeconform_version" go_install "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform_version"
versions="$kubernetes_version $cert_manager_version $prometheus_operator_version $gateway_api_version"
schemas=$target/kubernetes-schemas-$({ cat "$tests/schemas.py"; echo "$versions"; } | sha256sum | cut -c1-12)
install_once "$schemas" make_schemas
helm=$target/helm-$helm_version/helm
kubeconform=$target/kubeconform-$kubeconform_version/kubeconform

rendered=$target/helm-rendered
rm -rf "$rendered"
mkdir -p "$rendered/observed"
values=("$chart"/values/*.yaml)
[[ -e ${values[0]} ]] || { echo "there are no values files in $chart/values" >&2; exit 1; }
for file in "$chart/values.yaml" "${values[@]}"; do
    name=$(basename "$file" .yaml)
    "$helm" lint --strict --quiet --kube-version "$kubernetes_version" "$chart" --values "$file"
    "$helm" template costs "$chart" --kube-version "$kubernetes_version" --namespace fedcost --values "$file" >"$rendered/$name.yaml"
    # Also as for services that tell metrics and send spans.
    "$helm" template costs "$chart" --kube-version "$kubernetes_version" --namespace fedcost --values "$file" \
        --set admin.enabled=true --set tracing.endpoint=https://collector.observability:4317 \
        --set tracing.ca.configMap=collector-ca >"$rendered/observed/$name-observed.yaml"
    echo "rendered $name: $(grep --count '^kind: ' "$rendered/$name.yaml") objects"
done

echo "against the schemas of Kubernetes $kubernetes_version"
"$kubeconform" -strict -summary -schema-location "$schemas/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$rendered"/*.yaml "$rendered"/observed/*.yaml

# What the schema of values refuses.
refused() {
    local expected=$1 answer
    shift
    if answer=$("$helm" template costs "$chart" --kube-version "$kubernetes_version" "$@" 2>&1); then
        echo "helm template $* was not refused" >&2
        return 1
    fi
    [[ $answer == *"$expected"* ]] || { echo "helm template $*: expected \"$expected\" in: $answer" >&2; return 1; }
}
refused "replica" --set query.replica=3
refused "sampleRatio" --set tracing.sampleRatio=2
refused "warm_mb" --set query.config.warm_mb=5
refused "issuer.name" --set certificates.certManager.issuer.create=false
refused "refresh" --set ingest.config.refresh=soon

"$python" "$tests/policy.py" "$rendered"/*.yaml "$rendered"/observed/*.yaml
"$python" "$tests/compose.py" "$root/deploy/docker/compose.yaml" \
    "$(module "github.com/compose-spec/compose-go/v2@$compose_version")/schema/compose-spec.json"
[[ -n ${SKIP_SERVICES:-} ]] || "$tests/accepted.sh" "$rendered" "$python"
"$root/tests/alerts/run.sh"
echo "the chart is good"
