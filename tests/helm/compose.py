"""Checks a compose file against the Compose specification's schema, and that what it mounts and builds from is there.

Usage: compose.py FILE SCHEMA
"""

import json
import sys
from pathlib import Path

import jsonschema
import yaml

path, schema = map(Path, sys.argv[1:])
compose = yaml.safe_load(path.read_text())
validator = jsonschema.validators.validator_for(json.loads(schema.read_text()))(json.loads(schema.read_text()))
problems = [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(compose)]

stages = set()
for name, service in compose["services"].items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (path.parent / source).exists():
                problems.append(f"{name}: {source} is not there")
        elif source not in compose["volumes"]:
            problems.append(f"{name}: no volume {source}")
    for other in service.get("depends_on", []):
        if other not in compose["services"]:
            problems.append(f"{name}: no service {other}")
    build = service.get("build")
    if build:
        dockerfile = path.parent / build["context"] / build["dockerfile"]
        stages = {line.split()[-1] for line in dockerfile.read_text().splitlines() if line.startswith("FROM ") and " AS " in line}
        if build["target"] not in stages:
            problems.append(f"{name}: {build['dockerfile']} has no target {build['target']}")
    for port in service.get("ports", []):
        if not port.startswith("127.0.0.1:"):
            problems.append(f"{name}: port {port} is open to others")
if not stages:
    problems.append("nothing is built")
sys.exit("\n".join(problems) or print(f"{path.name}: {len(compose['services'])} services"))
