#!/usr/bin/env python3
"""Times questions over a month of 20 clusters × 50 nodes × 20 pods, some 900,000 allocation rows, through HTTP, beside
DuckDB answering the equivalent SQL over the same Parquet files in the same run. Prints a Markdown table.

The four services run as processes of their own, so that query-svc's memory is its own. Times are of this machine and
this run: compare the columns, not runs.
"""
import argparse
import glob
import http.client
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse

import duckdb

from columns import Columns

DAYS = 30
END = 1_772_323_200 + DAYS * 86_400  # 2026-03-31, midnight UTC
START = END - DAYS * 86_400
WINDOW = f"{START},{END}"

SUMS = """cpu_core_hours cpu_cost cpu_cost_adjustment gpu_hours gpu_cost gpu_cost_adjustment network_transfer_bytes
network_receive_bytes network_cost network_cross_zone_cost network_cross_region_cost network_internet_cost
network_cost_adjustment load_balancer_cost load_balancer_cost_adjustment pv_cost pv_cost_adjustment ram_byte_hours
ram_cost ram_cost_adjustment shared_cost external_cost""".split()
AVERAGES = """cpu_core_request_average cpu_core_usage_average gpu_request_average gpu_usage_average
ram_byte_request_average ram_byte_usage_average""".split()
PROPERTIES = "cluster node namespace controller_kind controller pod container provider_id".split()
ASSET_SUMS = """total_cost adjustment credit cpu_core_hours ram_byte_hours gpu_hours cpu_cost gpu_cost ram_cost
byte_hours""".split()
IDLE_COST = {"cpu_cost": "cpu", "gpu_cost": "gpu", "ram_cost": "ram"}


def files(lake, table):
    return f"read_parquet('{lake}/{table}/resolution=1d/*/*.parquet')"


def fields(sums=SUMS, averages=AVERAGES, properties=PROPERTIES):
    """What an answer holds of each item."""
    minutes = '(epoch("end") - epoch(start)) / 60'
    all_minutes = '(epoch(max("end")) - epoch(min(start))) / 60'
    return ", ".join(
        ['min(start) AS start', 'max("end") AS "end"']
        + [f"sum({name}) AS {name}" for name in sums]
        + [f"sum({name} * {minutes}) / {all_minutes} AS {name}" for name in averages]
        + [f"CASE WHEN min({name}) = max({name}) THEN min({name}) ELSE '' END AS {name}_" for name in properties]
    )


def idle(lake):
    """Idle cost of each cluster and day, and what it is shared by."""
    allocated = ", ".join(f"sum({r}_cost + {r}_cost_adjustment) AS {r}" for r in ("cpu", "gpu", "ram"))
    available = ", ".join(f"sum({r}_total_cost) AS {r}" for r in ("cpu", "gpu", "ram"))
    costs = ", ".join(f"have.{r} - used.{r} AS {r}, used.{r} AS used_{r}" for r in ("cpu", "gpu", "ram"))
    return f"""
        WITH used AS (SELECT window_start, cluster, {allocated} FROM {files(lake, 'allocations_by_namespace')}
                      GROUP BY ALL),
             have AS (SELECT window_start, cluster, {available} FROM {files(lake, 'assets_by_type')}
                      WHERE type = 'Node' GROUP BY ALL),
             idle AS (SELECT window_start, cluster, {costs} FROM have JOIN used USING (window_start, cluster))"""


def questions(lake):
    by_namespace, by_workload = files(lake, "allocations_by_namespace"), files(lake, "allocations_by_workload")
    allocations, by_type = files(lake, "allocations"), files(lake, "assets_by_type")
    base = {"window": WINDOW, "accumulate": "true", "idle": "false", "shareTenancyCosts": "false"}
    shared = "SELECT * REPLACE (" + ", ".join(
        f"a.{cost} + coalesce((a.{cost} + a.{cost}_adjustment) * idle.{r} / nullif(idle.used_{r}, 0), 0) AS {cost}"
        for cost, r in IDLE_COST.items()
    ) + f") FROM {by_namespace} a LEFT JOIN idle USING (window_start, cluster)"
    return [
        ("namespace", "/model/allocation", base | {"aggregate": "namespace"},
         f"SELECT namespace, {fields()} FROM {by_namespace} GROUP BY ALL"),
        ("cluster, idle apart", "/model/allocation", base | {"aggregate": "cluster", "idle": "true"},
         f"{idle(lake)}, c AS (SELECT cluster AS key, {fields()} FROM {by_namespace} GROUP BY ALL), "
         "i AS (SELECT sum(cpu) AS cpu, sum(gpu) AS gpu, sum(ram) AS ram FROM idle) SELECT * FROM c, i"),
        ("namespace, idle shared", "/model/allocation", base | {"aggregate": "namespace", "shareIdle": "true"},
         f"{idle(lake)} SELECT namespace, {fields()} FROM ({shared}) GROUP BY ALL"),
        ("controller, one cluster", "/model/allocation",
         base | {"aggregate": "controller", "filter": 'cluster:"CLUSTER"'},
         f"SELECT controller_kind || ':' || controller AS key, {fields()} FROM {by_workload} "
         "WHERE cluster = 'CLUSTER' GROUP BY ALL"),
        ("label:team", "/model/allocation", base | {"aggregate": "label:team"},
         f"SELECT coalesce(labels['team'], '__unallocated__') AS key, {fields()} FROM {by_workload} GROUP BY ALL"),
        ("pod", "/model/allocation", base | {"aggregate": "pod"},
         f"SELECT pod AS key, {fields()} FROM {allocations} GROUP BY ALL"),
        ("assets by type", "/model/assets", {"window": WINDOW, "accumulate": "true", "aggregate": "type"},
         f"SELECT type AS key, {fields(ASSET_SUMS, [], ['provider', 'account', 'cluster'])} FROM {by_type} GROUP BY ALL"),
    ]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, round(part * (len(times) - 1)))] * 1000


def timed(run, times):
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        size = run()
        taken.append(time.perf_counter() - start)
    return taken, size


def ask(connection, path, parameters):
    connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
    answer = connection.getresponse()
    size, piece = 0, memoryview(bytearray(1 << 20))
    while count := answer.readinto(piece):
        size += count
    if answer.status != 200:
        sys.exit(f"{path} answered {answer.status}")
    return size


def memory(process_name, data):
    """Peak resident memory in MB of the service that was started with this data folder."""
    for status in glob.glob("/proc/[0-9]*/status"):
        try:
            command = pathlib.Path(status).with_name("cmdline").read_text()
            if process_name in command.split("\0")[0] and str(data) in command:
                lines = pathlib.Path(status).read_text().splitlines()
                return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
        except OSError:
            continue
    return float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="where the programs are")
    parser.add_argument("--data", default="target/bench-month", help="where the bucket is kept from run to run")
    parser.add_argument("--times", type=int, default=30, help="how often each question is asked")
    parser.add_argument("--heavy-times", type=int, default=7, help="the same for the question about pods")
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    data = pathlib.Path(options.data).resolve()
    bucket, programs = data / "bucket", pathlib.Path(options.bin).resolve()
    if not (bucket / "federated").exists():
        subprocess.run(
            [programs / "fedcost", "demo-data", "--bucket", bucket, "--clusters", "20", "--nodes", "50",
             "--pods-per-node", "20", "--days", str(DAYS), "--hours", "0", "--end", "2026-03-30"], check=True)
    # A fresh lake has one release, so that all files in it count.
    subprocess.run(["rm", "-rf", bucket / "derived"], check=True)
    ports = {name: str(free_port()) for name in ("STORAGE_PORT", "INGEST_PORT", "QUERY_PORT", "GATEWAY_PORT")}
    started = time.perf_counter()
    services = subprocess.Popen(
        [root / "deploy/dev/run.sh", "--data", data, "--bucket", bucket, "--bin", programs, "--retention-days", "0"],
        env=os.environ | ports, stdout=subprocess.PIPE, stderr=open(data / "services.log", "w"), text=True)
    try:
        for line in services.stdout:
            if line.startswith("ready "):
                break
        else:
            sys.exit(f"the services ended; see {data / 'services.log'}")
        print(f"from bucket to first answer: {time.perf_counter() - started:.1f} s\n")
        connection = http.client.HTTPConnection("127.0.0.1", int(ports["GATEWAY_PORT"]), timeout=300)
        time.sleep(5)  # base tables are read into memory behind the first answers
        lake = bucket / "derived"
        duck = duckdb.connect(config={"threads": os.cpu_count()})
        some_cluster = duck.sql(f"SELECT min(cluster) FROM {files(lake, 'assets_by_type')}").fetchall()[0][0]
        rows = duck.sql(f"SELECT count(*) FROM {files(lake, 'allocations')}").fetchall()[0][0]
        print(f"{rows:,} allocation rows\n")
        print("| question | answer MB | p50 ms | p95 ms | DuckDB p50 ms | DuckDB p95 ms | DuckDB / ours |")
        print("|---|---|---|---|---|---|---|")
        slower = []
        for name, path, parameters, sql in questions(lake):
            parameters = {key: value.replace("CLUSTER", some_cluster) for key, value in parameters.items()}
            sql = sql.replace("CLUSTER", some_cluster)
            times = options.heavy_times if name == "pod" else options.times
            ask(connection, path, parameters)
            duck.sql(sql).to_arrow_table()
            ours, size = timed(lambda: ask(connection, path, parameters), times)
            theirs, _ = timed(lambda: duck.sql(sql).to_arrow_table(), times)
            ratio = statistics.median(theirs) / statistics.median(ours)
            if ratio < 1:
                slower.append(name)
            print(f"| {name} | {size / 1e6:.2f} | {percentile(ours, 0.5):.1f} | {percentile(ours, 0.95):.1f} "
                  f"| {percentile(theirs, 0.5):.1f} | {percentile(theirs, 0.95):.1f} | {ratio:.1f} |", flush=True)
        # Most of an answer about many items is to write it out, so here both write JSON, and both hand over Arrow.
        _, path, parameters, sql = next(question for question in questions(lake) if question[0] == "pod")
        columns = Columns(programs / "fedcost", data / "certs", ports["QUERY_PORT"])
        print("\n| pod | ours p50 ms | DuckDB p50 ms | DuckDB / ours |\n|---|---|---|---|")
        for form, ours, theirs in [
            ("as JSON, over HTTP", lambda: ask(connection, path, parameters),
             lambda: duck.sql(f"COPY ({sql}) TO '/dev/null' (FORMAT json)")),
            ("as Arrow, over gRPC", lambda: columns.allocations(START, END, "pod").num_rows,
             lambda: duck.sql(sql).to_arrow_table().num_rows),
        ]:
            ours()
            (ours, _), (theirs, _) = timed(ours, options.heavy_times), timed(theirs, options.heavy_times)
            print(f"| {form} | {percentile(ours, 0.5):.1f} | {percentile(theirs, 0.5):.1f} "
                  f"| {statistics.median(theirs) / statistics.median(ours):.1f} |")
        print(f"\npeak memory of query-svc: {memory('query-svc', data):.0f} MB, "
              f"gateway-svc: {memory('gateway-svc', data):.0f} MB")
        if slower:
            print(f"slower than DuckDB: {', '.join(slower)}")
    finally:
        services.send_signal(signal.SIGTERM)
        services.wait()


if __name__ == "__main__":
    main()
