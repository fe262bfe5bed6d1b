#!/usr/bin/env bash
# Gives each service the file that the chart makes for it: `accepted.sh FOLDER PYTHON`, FOLDER with what `helm template`
# wrote. A service ends with 64 when it cannot use its file, before it listens; here it must come as far as its
# certificates, which are not there. BIN names the folder of the programs [default: target/debug, built if need be].
set -euo pipefail
rendered=$1 python=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
services=(storage-svc ingest-svc query-svc gateway-svc)
if [[ -z ${BIN:-} ]]; then
    # As the tests are built, so that after them little is built anew.
    (cd "$root" && cargo build --bins --tests)
    BIN=${CARGO_TARGET_DIR:-$root/target}/debug
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf 'type: FILESYSTEM\nconfig: {directory: %s/bucket}\n' "$folder" >"$folder/federated-store.yaml"

# The secret that gateway.access names.
mkdir "$folder/access"
for file in client-secret session-key; do
    head -c 48 /dev/urandom | base64 >"$folder/access/$file"
done

configs=$folder/compose.yaml
# Those of compose.yaml, as one more file of the same shape.
"$python" - "$root/deploy/docker/config" "$configs" "${services[@]}" <<'PYTHON'
import pathlib, sys, yaml
source, target, *services = sys.argv[1:]
data = {f"{service}.yaml": pathlib.Path(source, f"{service}.yaml").read_text() for service in services}
pathlib.Path(target).write_text(yaml.safe_dump({"kind": "ConfigMap", "data": data}))
PYTHON

for file in "$rendered"/*.yaml "$configs"; do
    "$python" - "$file" "$folder" "${services[@]}" <<'PYTHON'
import pathlib, sys, yaml
file, folder, *services = sys.argv[1:]
for item in yaml.safe_load_all(pathlib.Path(file).read_text()):
    if item and item["kind"] == "ConfigMap":
        for name, text in item["data"].items():
            service = name.removesuffix(".yaml")
            if service not in services:
                continue
            config = yaml.safe_load(text)
            # Free ports, and a bucket that is there; all else stays as the chart has it.
            config["server"]["listen"] = "127.0.0.1:0"
            if "admin" in config["server"]:
                config["server"]["admin"]["listen"] = "127.0.0.1:0"
            if "store" in config:
                config["store"] = f"{folder}/federated-store.yaml"
            text = yaml.safe_dump(config)
            pathlib.Path(folder, name).write_text(text.replace(" /access/", f" {folder}/access/"))
PYTHON
    for service in "${services[@]}"; do
        status=0
        message=$(timeout 20 "$BIN/$service" --config "$folder/$service.yaml" 2>&1) || status=$?
        if [[ $status -ne 1 || ! $message =~ /(tls|certs)/ca\.(crt|pem):\ cannot\ be\ read ]]; then
            echo "$(basename "$file"): $service ended with $status: $message" >&2
            exit 1
        fi
        rm "$folder/$service.yaml"
    done
done
echo "the services take the chart's files"
