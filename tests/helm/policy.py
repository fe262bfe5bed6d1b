"""Checks what the chart renders: settings of security, and that the network policies equal the drawn arrows.

Usage: policy.py FILE…, each what `helm template` wrote. The arrows are the table "Who calls whom" in docs/ARCHITECTURE.md.
"""

import copy
import re
import sys
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["storage-svc", "ingest-svc", "query-svc", "gateway-svc"]
COMPONENT = "app.kubernetes.io/component"
RENDERED = {}


def of_kind(objects, kind):
    return [item for item in objects if item["kind"] == kind]


def component(item):
    return item["metadata"]["labels"].get(COMPONENT)


# --- Settings of security -------------------------------------------------------------------------------------------


def security_problems(objects):
    """What a platform team would refuse, one line each."""
    problems = []
    for deployment in of_kind(objects, "Deployment"):
        name = deployment["metadata"]["name"]

        def want(holds, what):
            if not holds:
                problems.append(f"{name}: {what}")

        pod = deployment["spec"]["template"]["spec"]
        context = pod.get("securityContext", {})
        want(context.get("runAsNonRoot") is True, "the pod may run as root")
        want(context.get("runAsUser", 0) > 0, "the pod's user is not said")
        want(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "no seccomp profile")
        want(pod.get("automountServiceAccountToken") is False, "a token of Kubernetes is mounted")
        want(pod.get("enableServiceLinks") is False, "variables tell of all services")
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            want(not pod.get(key), f"{key} is set")
        for container in pod["containers"] + pod.get("initContainers", []):
            context = container.get("securityContext", {})
            want(context.get("readOnlyRootFilesystem") is True, "the root file system can be written")
            want(context.get("allowPrivilegeEscalation") is False, "privileges may grow")
            want(not context.get("privileged"), "the container is privileged")
            want(context.get("capabilities") == {"drop": ["ALL"]}, "capabilities are kept")
            want(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", "no seccomp profile of its own")
            image = container["image"]
            want(re.search(r":[^/]+$", image) and not image.endswith(":latest"), f"{image} names no version")
            resources = container.get("resources", {})
            want(resources.get("requests", {}).keys() >= {"cpu", "memory"}, "no requests of cpu and memory")
            want("memory" in resources.get("limits", {}), "no bound on memory")
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                want(probe in container, f"no {probe}")
            for mount in container["volumeMounts"]:
                want("subPath" not in mount, f"{mount['mountPath']} is mounted by subPath and would never be renewed")
            for variable in container.get("env", []):
                secret = re.search("PASSWORD|SECRET|TOKEN|KEY", variable["name"]) and "value" in variable
                want(not secret, f"{variable['name']} holds a secret in plain text")
        volumes = [key for volume in pod["volumes"] for key in volume if key != "name"]
        want("hostPath" not in volumes, "a folder of the node is mounted")
    return problems


def separation_problems(objects, bucket_secret="federated-store"):
    """Each service has an account, certificates and a file of its own, and only storage-svc sees the bucket's secret."""
    problems = []
    deployments = {component(item): item for item in of_kind(objects, "Deployment")}
    if sorted(deployments) != sorted(SERVICES):
        return [f"found deployments of {sorted(deployments)}"]
    accounts = {item["spec"]["template"]["spec"]["serviceAccountName"] for item in deployments.values()}
    if len(accounts) != len(SERVICES):
        problems.append("services share an account")
    tls = []
    for service, deployment in deployments.items():
        for volume in deployment["spec"]["template"]["spec"]["volumes"]:
            secret = volume.get("secret", {}).get("secretName")
            if volume["name"] == "tls":
                tls.append(secret)
            if secret == bucket_secret and service != "storage-svc":
                problems.append(f"{service} mounts the bucket's secret")
    if len(set(tls)) != len(SERVICES):
        problems.append("services share a certificate")
    for account in of_kind(objects, "ServiceAccount"):
        annotations = account["metadata"].get("annotations", {})
        clouds = [key for key in annotations if re.search("azure|eks.amazonaws|iam.gke", key)]
        if clouds and component(account) != "storage-svc":
            problems.append(f"{component(account)} has an identity of a cloud")
    return problems


def availability_problems(objects):
    """A node can be emptied, and a new version rolled out, without a pause in answers."""
    problems = []
    scaled = {item["spec"]["scaleTargetRef"]["name"]: item["spec"]["minReplicas"] for item in of_kind(objects, "HorizontalPodAutoscaler")}
    budgets = {component(item) for item in of_kind(objects, "PodDisruptionBudget")}
    for deployment in of_kind(objects, "Deployment"):
        service, spec = component(deployment), deployment["spec"]
        if service not in ("query-svc", "gateway-svc"):
            continue
        name = deployment["metadata"]["name"]
        if name in scaled and "replicas" in spec:
            problems.append(f"{service}: replicas would undo what the autoscaler set")
        replicas = scaled.get(name, spec.get("replicas", 1))
        if service in budgets and replicas < 2:
            problems.append(f"{service}: its budget keeps the only pod from ever being moved")
        if spec["strategy"].get("rollingUpdate", {}).get("maxUnavailable") != 0:
            problems.append(f"{service}: a rollout takes a pod away before there is another")
        if "podAntiAffinity" not in spec["template"]["spec"].get("affinity", {}):
            problems.append(f"{service}: replicas may all be on one node")
    return problems


# --- Arrows ---------------------------------------------------------------------------------------------------------


def drawn_arrows():
    """(from, to, port) as docs/ARCHITECTURE.md draws them; a port may be "any"."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    section = text.split("## Who calls whom", 1)[1].split("\n## ", 1)[0]
    arrows = set()
    for line in section.splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or cells[0] in ("from", "") or set(cells[0]) <= set("-"):
            continue
        source, target, port = cells[:3]
        for one in SERVICES if source == "each service" else [source]:
            for other in SERVICES if target == "each service" else [target]:
                arrows.add((one, other, port))
    return arrows


def allowed_arrows(objects):
    """What the network policies let through, in the words of the table."""
    arrows = set()
    ports = {}
    for policy in of_kind(objects, "NetworkPolicy"):
        ports[component(policy)] = policy
    for service, policy in ports.items():
        for rule in policy["spec"].get("ingress", []):
            for port in rule["ports"]:
                for source in sources(rule.get("from"), service, port["port"]):
                    arrows.add(("in", source, service, str(port["port"])))
        for rule in policy["spec"].get("egress", []):
            for port in rule["ports"]:
                for target in targets(rule.get("to"), service, port):
                    arrows.add(("out", service, target, str(port["port"])))
    return arrows


def selected(peer):
    return peer.get("podSelector", {}).get("matchLabels", {}).get(COMPONENT)


def sources(peers, service, port):
    if peers and all(selected(peer) for peer in peers):
        return {selected(peer) for peer in peers}
    if port == 9464:
        return {"Prometheus"}
    if service == "gateway-svc":
        # Without a port for those who run it, metrics are told where people ask.
        return {"people"}
    return {"federated clusters"} if peers else {"anyone"}


def targets(peers, service, port):
    if peers and all(selected(peer) for peer in peers):
        return {selected(peer) for peer in peers}
    if port["port"] == 53:
        return {"names"}
    if port["port"] in OTLP_PORTS:
        return {"collector"}
    return {"storage-svc": {"bucket"}, "gateway-svc": {"issuer"}}.get(service, {"anyone"})


OTLP_PORTS = {4317, 4318}


def expected_arrows(drawn, objects):
    """Both ends of each drawn arrow, but for those that this configuration does not have."""
    files = {component(item): yaml.safe_load(next(iter(item["data"].values()))) for item in of_kind(objects, "ConfigMap") if component(item)}
    policies = {component(item): item for item in of_kind(objects, "NetworkPolicy")}
    tracing = "tracing" in files["gateway-svc"]["server"]
    remote = "store" in files["storage-svc"]
    pushed = any(
        not selected(peer) and port["port"] == 7001
        for rule in policies["storage-svc"]["spec"]["ingress"]
        for peer in rule.get("from", [])
        for port in rule["ports"]
    )
    expected = set()
    for source, target, port in drawn:
        if target == "collector":
            if tracing:
                expected.add(("out", source, target, "4317|4318"))
        elif target == "bucket":
            if remote:
                expected.add(("out", source, target, "any"))
        elif target == "issuer":
            if files["gateway-svc"]["access"]["mode"] == "oidc":
                expected.add(("out", source, target, "any"))
        elif target == "names":
            expected.add(("out", source, target, port))
        elif source == "federated clusters":
            if pushed:
                expected.add(("in", source, target, port))
        elif source == "Prometheus":
            if "admin" in files["gateway-svc"]["server"]:
                expected.add(("in", source, target, port))
        elif source == "people":
            expected.add(("in", source, target, port))
        else:
            expected |= {("in", source, target, port), ("out", source, target, port)}
    return expected


def arrow_problems(objects, drawn):
    allowed = set()
    for way, source, target, port in allowed_arrows(objects):
        if target == "collector":
            port = "4317|4318"
        if target in ("bucket", "issuer"):
            port = "any"
        allowed.add((way, source, target, port))
    expected = expected_arrows(drawn, objects)
    problems = [f"allowed but not drawn: {arrow}" for arrow in sorted(allowed - expected)]
    problems += [f"drawn but not allowed: {arrow}" for arrow in sorted(expected - allowed)]
    for service, policy in ((component(item), item) for item in of_kind(objects, "NetworkPolicy")):
        if sorted(policy["spec"]["policyTypes"]) != ["Egress", "Ingress"]:
            problems.append(f"{service}: the policy leaves one way open")
    if {component(item) for item in of_kind(objects, "NetworkPolicy")} != set(SERVICES):
        problems.append("a service has no policy")
    return problems


class Chart(unittest.TestCase):
    def each(self, problems_of):
        self.assertTrue(RENDERED, "nothing was rendered")
        for name, objects in RENDERED.items():
            with self.subTest(values=name):
                self.assertEqual([], problems_of(objects))

    def test_settings_of_security(self):
        self.each(security_problems)

    def test_services_are_kept_apart(self):
        self.each(separation_problems)

    def test_nodes_can_be_emptied(self):
        # A laptop has one of each.
        for name, objects in RENDERED.items():
            with self.subTest(values=name):
                found = availability_problems(objects)
                self.assertEqual([], found)

    def test_policies_equal_the_drawn_arrows(self):
        drawn = drawn_arrows()
        self.assertGreater(len(drawn), 10)
        self.each(lambda objects: arrow_problems(objects, drawn))

    def test_azure_is_told_of_the_identity(self):
        objects = RENDERED["azure-workload-identity"]
        account = next(item for item in of_kind(objects, "ServiceAccount") if component(item) == "storage-svc")
        self.assertIn("azure.workload.identity/client-id", account["metadata"]["annotations"])
        for deployment in of_kind(objects, "Deployment"):
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            used = labels.get("azure.workload.identity/use")
            self.assertEqual(used, "true" if component(deployment) == "storage-svc" else None)

    def test_certificates_say_who_each_service_is(self):
        for name, objects in RENDERED.items():
            leaves = [item for item in of_kind(objects, "Certificate") if component(item)]
            if not leaves:
                continue
            with self.subTest(values=name):
                uris = {component(item): item["spec"]["uris"] for item in leaves}
                self.assertEqual(uris, {service: [f"spiffe://fedcost/service/{service}"] for service in SERVICES})
                files = {component(item): yaml.safe_load(next(iter(item["data"].values()))) for item in of_kind(objects, "ConfigMap") if component(item)}
                called = {"storage-svc": files["query-svc"]["storage"], "query-svc": files["gateway-svc"]["query"], "ingest-svc": files["gateway-svc"]["ingest"]}
                for service, endpoint in called.items():
                    host = re.fullmatch(r"https://([^:]+):\d+", endpoint["address"])[1]
                    certificate = next(item for item in leaves if component(item) == service)
                    self.assertIn(host, certificate["spec"]["dnsNames"])

    def test_checks_find_what_is_wrong(self):
        """Each change below must be noticed, or a check above could not fail."""
        good = RENDERED["primary-with-pushing-clusters"]
        drawn = drawn_arrows()

        def pod(objects, service="query-svc"):
            return next(item for item in of_kind(objects, "Deployment") if component(item) == service)["spec"]["template"]["spec"]

        def policy(objects, service):
            return next(item for item in of_kind(objects, "NetworkPolicy") if component(item) == service)["spec"]

        def container(objects):
            return pod(objects)["containers"][0]

        changes = {
            "root file system": lambda o: container(o)["securityContext"].pop("readOnlyRootFilesystem"),
            "capabilities": lambda o: container(o)["securityContext"].update(capabilities={}),
            "root": lambda o: pod(o)["securityContext"].pop("runAsNonRoot"),
            "seccomp": lambda o: pod(o)["securityContext"].pop("seccompProfile"),
            "host": lambda o: pod(o).update(hostNetwork=True),
            "memory": lambda o: container(o)["resources"].pop("limits"),
            "probe": lambda o: container(o).pop("readinessProbe"),
            "subPath": lambda o: container(o)["volumeMounts"][0].update(subPath="x"),
            "bucket's secret": lambda o: pod(o)["volumes"].append({"name": "x", "secret": {"secretName": "federated-store"}}),
            "account": lambda o: pod(o).update(serviceAccountName=pod(o, "storage-svc")["serviceAccountName"]),
            "affinity": lambda o: pod(o).pop("affinity"),
            "query may reach the world": lambda o: policy(o, "query-svc")["egress"].append({"ports": [{"port": 443}]}),
            "gateway may reach storage": lambda o: policy(o, "storage-svc")["ingress"][0]["from"].append(
                {"podSelector": {"matchLabels": {COMPONENT: "gateway-svc"}}}
            ),
            "query may not be asked": lambda o: policy(o, "query-svc").update(ingress=[]),
            "nothing said of the way out": lambda o: policy(o, "ingest-svc").update(policyTypes=["Ingress"]),
        }
        for name, change in changes.items():
            with self.subTest(change=name):
                objects = copy.deepcopy(good)
                change(objects)
                found = security_problems(objects) + separation_problems(objects)
                found += availability_problems(objects) + arrow_problems(objects, drawn)
                self.assertTrue(found)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in map(Path, sys.argv[1:]):
        RENDERED[path.stem] = [item for item in yaml.safe_load_all(path.read_text()) if item]
    unittest.main(argv=[sys.argv[0]])
