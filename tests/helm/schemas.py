"""Makes the JSON schemas that kubeconform reads from what Kubernetes and the makers of custom resources publish.

Usage: schemas.py OUT SWAGGER CRD…

SWAGGER is `api/openapi-spec/swagger.json` of k8s.io/kubernetes; each CRD is a file or folder of CustomResourceDefinitions.
Writes OUT/<kind>-<group>-<version>.json, in lower case, where the group stands up to its first dot and is left out for the
core. Unknown keys are refused, as by `kubectl apply --validate=strict`.
"""

import json
import sys
from pathlib import Path

import yaml

# YAML 1.1 gives "=" a meaning that the library does not know; here it is an operator between two texts.
yaml.SafeLoader.add_constructor("tag:yaml.org,2002:value", yaml.SafeLoader.construct_yaml_str)

INT_OR_STRING = {"oneOf": [{"type": "string"}, {"type": "integer"}]}


def strict(schema):
    """A copy of an OpenAPI schema that refuses what it does not name, and reads integers that may be texts."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return dict(INT_OR_STRING)
    copy = {key: strict(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    properties = copy.get("properties")
    # A property may itself be called `properties`.
    names_its_keys = isinstance(properties, dict) and copy.get("type", "object") == "object"
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in copy
    if names_its_keys and not open_ended:
        copy["additionalProperties"] = False
    # Formats such as int32 are Go's, and no concern of JSON Schema.
    if copy.get("type") in ("integer", "number", "string") and isinstance(copy.get("format"), str):
        del copy["format"]
    return copy


def referenced(schema):
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix("#/definitions/")
            else:
                yield from referenced(value)
    elif isinstance(schema, list):
        for item in schema:
            yield from referenced(item)


def closure(definitions, name):
    found, waiting = {}, [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions[name]
            waiting.extend(referenced(definitions[name]))
    return found


def file_name(group, version, kind):
    parts = [kind.lower(), group.split(".")[0], version.lower()]
    return "-".join(part for part in parts if part) + ".json"


def write(out, group, version, kind, schema):
    # Any object of the kind must say which it is.
    (out / file_name(group, version, kind)).write_text(json.dumps(schema))


def main(out, swagger, crds):
    out.mkdir(parents=True, exist_ok=True)
    published = json.loads(swagger.read_text())["definitions"]
    definitions = {name: strict(definition) for name, definition in published.items()}
    for name, definition in published.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            schema = {"$ref": f"#/definitions/{name}", "definitions": closure(definitions, name)}
            write(out, kind["group"], kind["version"], kind["kind"], schema)
    files = [file for path in crds for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    for file in files:
        for crd in yaml.safe_load_all(file.read_text()):
            if not crd or crd["kind"] != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                write(out, spec["group"], version["name"], spec["names"]["kind"], schema)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(path) for path in sys.argv[3:]])
