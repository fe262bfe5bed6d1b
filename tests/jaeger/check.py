"""Checks what Jaeger holds of a question and of a cycle.

Usage: check.py traces GATEWAY JAEGER ANSWER LOG | check.py away GATEWAY ANSWER | check.py off GATEWAY
"""

import json
import statistics
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from compare import differences  # noqa: E402

QUESTION = "/allocation?window=3d&aggregate=namespace,pod&accumulate=true"
WRONG = "/model/allocation?window=nonsense"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PATIENCE = 60
# Questions of which the median time is told, with Jaeger and without.
TIMED = 100


def get(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


def wait_for(what, look):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    sys.exit(f"{what} did not come to Jaeger within {PATIENCE} s")


class Trace:
    def __init__(self, found):
        self.spans = {span["spanID"]: span for span in found["spans"]}
        self.services = {span["spanID"]: found["processes"][span["processID"]]["serviceName"] for span in found["spans"]}
        self.tags = {span["spanID"]: {tag["key"]: tag["value"] for tag in span["tags"]} for span in found["spans"]}

    def parent(self, span):
        return next((ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"), None)

    def root(self, remote=None):
        """The only span without a parent in the trace; from it all others are reached."""
        roots = [span for span in self.spans.values() if self.parent(span) not in self.spans]
        if len(roots) != 1:
            sys.exit(f"not one tree: roots are {[(self.services[r['spanID']], r['operationName']) for r in roots]}")
        if self.parent(roots[0]) != remote:
            sys.exit(f"the root's parent is {self.parent(roots[0])}, not {remote}")
        return roots[0]["spanID"]

    def path(self, span):
        """Service and name from the root to a span."""
        names = []
        while span:
            names.append(f"{self.services[span['spanID']]}:{span['operationName']}")
            span = self.spans.get(self.parent(span))
        return names[::-1]

    def above(self, key):
        keys = []
        while key in self.spans:
            keys.append(key := self.parent(self.spans[key]))
        return keys

    def named(self, service, name):
        found = [key for key, span in self.spans.items() if self.services[key] == service and span["operationName"] == name]
        if not found:
            known = sorted({(self.services[key], span["operationName"]) for key, span in self.spans.items()})
            sys.exit(f"no span {name} of {service} among {known}")
        return found

    def expect(self, key, expected):
        for name, value in expected.items():
            found = self.tags[key].get(name)
            if found is None or (value is not ... and found != value):
                sys.exit(f"{self.spans[key]['operationName']}: {name} is {found!r}, expected {value!r}; has {self.tags[key]}")


def traces(gateway, jaeger, answer_file, log):
    code, headers, answer = get(gateway + QUESTION, {"traceparent": f"00-{TRACE}-{PARENT}-01"})
    if code != 200 or not answer["data"][0]:
        sys.exit(f"the question was answered with {code}")
    if not headers["traceparent"].startswith(f"00-{TRACE}-"):
        sys.exit(f"traceparent was answered as {headers['traceparent']}")

    def whole():
        code, _, found = get(f"{jaeger}/api/traces/{TRACE}")
        if code == 200 and found["data"]:
            trace = Trace(found["data"][0])
            # Each service sends for itself.
            if set(trace.services.values()) >= {"gateway-svc", "query-svc", "storage-svc"}:
                if any(trace.parent(span) == PARENT for span in trace.spans.values()):
                    return trace
        return None

    trace = wait_for("the question's trace, with spans of three services,", whole)
    # What ended last may come last.
    time.sleep(3)
    trace = whole()
    root = trace.root(PARENT)
    if trace.path(trace.spans[root]) != ["gateway-svc:GET /allocation"]:
        sys.exit(f"the root is {trace.path(trace.spans[root])}")
    trace.expect(root, {
        "span.kind": "server", "http.request.method": "GET", "http.route": "/allocation", "url.path": "/allocation",
        "http.response.status_code": ..., "window": "3d", "aggregate": "namespace,pod",
    })
    method = "fedcost.query.v1.QueryService/QueryAllocationColumns"
    (asked,) = trace.named("query-svc", method)
    trace.expect(asked, {
        "span.kind": "server", "rpc.system": "grpc", "rpc.service": "fedcost.query.v1.QueryService",
        "rpc.method": "QueryAllocationColumns", "rpc.grpc.status_code": 0,
    })
    (called,) = trace.named("gateway-svc", method)
    trace.expect(called, {"span.kind": "client"})
    if trace.parent(trace.spans[asked]) != called:
        sys.exit("query's span is not the child of the gateway's call")
    (answered,) = trace.named("query-svc", "answer")
    trace.expect(answered, {
        "window.start": ..., "window.end": ..., "aggregate": "namespace,pod", "table": "allocations", "release": ...,
        "files": ..., "bytes": ..., "rows": ...,
    })
    for read in trace.named("storage-svc", "object_store.get"):
        trace.expect(read, {
            "span.kind": "client", "object_store.operation": "get", "object_store.path": ..., "object_store.bytes": ...,
        })
        if answered not in trace.above(read):
            sys.exit(f"read for another reason than the answer: {trace.path(trace.spans[read])}")
    print(f"question: one tree of {len(trace.spans)} spans; deepest: {' > '.join(max(map(trace.path, trace.spans.values()), key=len))}")

    def cycle():
        code, _, found = get(f"{jaeger}/api/traces?service=ingest-svc&operation=cycle&limit=20")
        candidates = [Trace(item) for item in (found["data"] or [])] if code == 200 else []
        return next((trace for trace in candidates if any(span["operationName"] == "file" for span in trace.spans.values())), None)

    trace = wait_for("the cycle's trace", cycle)
    time.sleep(3)
    trace = cycle()
    root = trace.root()
    if trace.path(trace.spans[root]) != ["ingest-svc:cycle"]:
        sys.exit(f"the root is {trace.path(trace.spans[root])}")
    trace.expect(root, {"files": ..., "bytes": ..., "rows": ...})
    files = trace.named("ingest-svc", "file")
    # One of them is no ETL file.
    set_aside = [file for file in files if trace.tags[file].get("error")]
    if len(set_aside) != 1 or len(files) != int(trace.tags[root]["files"]) + 1:
        sys.exit(f"{len(files)} spans of files, {len(set_aside)} of them failed, and {trace.tags[root]['files']} files were read")
    trace.expect(set_aside[0], {"otel.status_code": "ERROR"})
    for file in files:
        trace.expect(file, {"path": ..., "cluster": ..., "table": ..., "window.start": ..., "bytes": ...})
        trace.expect(file, {} if file in set_aside else {"rows": ...})
        if not any(trace.parent(span) == file for span in trace.spans.values()):
            sys.exit(f"nothing was read for {trace.tags[file]['path']}")
    trace.named("storage-svc", "object_store.get")
    # The services start at once: a first call may find nobody there (UNAVAILABLE), and is made again.
    failed = {
        trace.spans[key]["operationName"]
        for key in trace.spans
        if trace.tags[key].get("error") and trace.tags[key].get("rpc.grpc.status_code") != 14
    }
    if failed != {"file"}:
        sys.exit(f"marked as failed are {failed}")
    print(f"cycle: one tree of {len(trace.spans)} spans, {len(files)} of files, one of them marked as failed")

    # A wrong question is the caller's error: it is told its trace, and the span is no failure of ours.
    code, headers, refusal = get(gateway + WRONG)
    if code != 400 or refusal.get("traceId") != headers["traceparent"].split("-")[1]:
        sys.exit(f"{code}: {refusal} beside {headers['traceparent']}")
    lines = Path(log).read_text()
    if "trace_id" not in lines:
        sys.exit("no line of the log has a trace_id")
    Path(answer_file).write_text(json.dumps({"answer": answer, "seconds": median_time(gateway)}))


def median_time(gateway):
    times = []
    for _ in range(TIMED):
        began = time.monotonic()
        get(gateway + QUESTION)
        times.append(time.monotonic() - began)
    return statistics.median(times)


def away(gateway, answer_file):
    before = json.loads(Path(answer_file).read_text())
    for _ in range(5):
        code, _, answer = get(gateway + QUESTION)
        # Sums may differ in their last digit, by the order in which rows come.
        others = [path for path, _, _ in differences(answer, before["answer"])]
        if code != 200 or others:
            sys.exit(f"without Jaeger the answer ({code}) is another, at {others[:5]}")
    seconds = median_time(gateway)
    print(f"without Jaeger: the same answers, in {seconds / before['seconds']:.2f} of the time ({seconds * 1000:.0f} ms)")


def off(gateway):
    code, headers, _ = get(gateway + QUESTION, {"traceparent": f"00-{TRACE}-{PARENT}-01"})
    if code != 200 or "traceparent" in headers:
        sys.exit(f"{code}, with traceparent {headers['traceparent']}")
    code, _, answer = get(gateway + WRONG)
    if code != 400 or "traceId" in answer:
        sys.exit(f"{code}: {answer}")


if __name__ == "__main__":
    {"traces": traces, "away": away, "off": off}[sys.argv[1]](*sys.argv[2:])
