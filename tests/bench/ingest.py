"""Times ingest: a month of 900,000 rows from start to release, one changed file, and a cycle that finds nothing new.

The figures of the month stand beside those of a plain decoder of the same files, in one thread. The month is that of
month.py; the second bucket has 200 clusters with 91 daily and 49 hourly files of each pipeline, so 56,000 objects.
Both are made once and kept.
"""

import argparse
import contextlib
import glob
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def process(name, data):
    """The folder in /proc of the service that was started with this data folder."""
    for command in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = pathlib.Path(command).read_text().split("\0")
            if words[0].endswith(name) and any(str(data) in word for word in words):
                return pathlib.Path(command).parent
    sys.exit(f"{name} does not run")


def peak_mb(folder):
    lines = (folder / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def cpu_seconds(folder):
    fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Services:
    """The four services over a bucket."""

    def __init__(self, root, programs, data, bucket, *options):
        names = ("STORAGE_PORT", "INGEST_PORT", "QUERY_PORT", "GATEWAY_PORT")
        self.ports = {name: str(free_port()) for name in names}
        self.data = data
        data.mkdir(parents=True, exist_ok=True)
        self.started = time.perf_counter()
        self.services = subprocess.Popen(
            [root / "deploy/dev/run.sh", "--data", data, "--bucket", bucket, "--bin", programs,
             "--retention-days", "0", *options],
            env=os.environ | self.ports, stdout=subprocess.PIPE, stderr=open(data / "services.log", "w"), text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.services.send_signal(signal.SIGTERM)
        self.services.wait()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", int(self.ports["GATEWAY_PORT"]), timeout=300)
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    def wait_for(self, test, what, seconds=3600):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if self.services.poll() is not None:
                sys.exit(f"the services ended; see {self.data / 'services.log'}")
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if found := test():
                    return found
            time.sleep(0.02)
        sys.exit(f"{what} did not come within {seconds} s; see {self.data / 'services.log'}")

    def release(self, above=0):
        def test():
            status = self.get("/model/debug/orchestrator")["data"]
            return status if status["releaseId"] > above and status["state"] == "idle" else None
        return self.wait_for(test, "a release")

    def served(self, number):
        def test():
            return self.get("/status")["release"]["number"] >= number
        return self.wait_for(test, f"release {number} at query-svc")


def month(root, programs, data):
    bucket = data / "bucket"
    if not (bucket / "federated").exists():
        subprocess.run(
            [programs / "fedcost", "demo-data", "--bucket", bucket, "--clusters", "20", "--nodes", "50",
             "--pods-per-node", "20", "--days", "30", "--hours", "0", "--end", "2026-03-30"], check=True)
    subprocess.run(["rm", "-rf", bucket / "derived"], check=True)
    plain = json.loads(subprocess.check_output([programs / "examples/decode_files", bucket / "federated"]))
    print(f"plain decoder, one thread: {plain['files']:,} files, {plain['bytes'] / 1e6:,.0f} MB, "
          f"{plain['rows']:,} rows in {plain['seconds']:.2f} s, peak {plain['peak_mb']:.0f} MB")
    with Services(root, programs, data, bucket) as services:
        first = services.release()
        seconds = time.perf_counter() - services.started
        ingest = process("ingest-svc", data)
        print(f"start to release:          {first['files']:,} files, {first['rows']:,} rows in {seconds:.2f} s, "
              f"{cpu_seconds(ingest):.2f} s of CPU, peak {peak_mb(ingest):.0f} MB (aims: 15 s, 1000 MB)")
        services.served(first["releaseId"])

        # What is served then is not in memory as a whole yet, which is no matter of this.
        services.wait_for(lambda: "read ahead" in (data / "services.log").read_text(), "the tables in memory")

        # One file changes: the same content with another time, as an agent writes it again.
        changed = sorted((bucket / "federated").glob("*/etl/bingen/allocations/1d/*"))[-1]
        content = changed.read_bytes()
        changed.write_bytes(content)
        window = "window=1970-01-01T00:00:00Z,1970-01-02T00:00:00Z"  # no file is of it: this only asks for a cycle
        started = time.perf_counter()
        services.get(f"/model/etl/asset/repair?{window}")
        second = services.release(above=first["releaseId"])
        released = time.perf_counter() - started
        services.served(second["releaseId"])
        queryable = time.perf_counter() - started
        print(f"one changed file:          released after {released:.2f} s, queryable after {queryable:.2f} s "
              f"(aim: 2 s), peak {peak_mb(ingest):.0f} MB")


def bounded(root, programs, data):
    """The same month by a process that is told to do with little."""
    subprocess.run(["rm", "-rf", data / "bucket/derived"], check=True)
    with Services(root, programs, data, data / "bucket", "--ingest-memory-mib", "64") as services:
        services.release()
        seconds = time.perf_counter() - services.started
        print(f"with memory_mib at 64:     {seconds:.2f} s, peak {peak_mb(process('ingest-svc', data)):.0f} MB")


def nothing_new(root, programs, data):
    bucket = data / "bucket"
    if not (bucket / "federated").exists():
        subprocess.run(
            [programs / "fedcost", "demo-data", "--bucket", bucket, "--clusters", "200", "--nodes", "1",
             "--pods-per-node", "1", "--days", "91", "--hours", "49"], check=True)
    with Services(root, programs, data, bucket) as services:
        first = services.release()
        ingest, storage = process("ingest-svc", data), process("storage-svc", data)
        print(f"start to release:          {first['files']:,} files in {time.perf_counter() - services.started:.1f} s, "
              f"peak {peak_mb(ingest):.0f} MB")
        before = (cpu_seconds(ingest), cpu_seconds(storage))
        started = time.perf_counter()
        services.get("/model/etl/asset/repair?window=1970-01-01T00:00:00Z,1970-01-02T00:00:00Z")
        cycle = services.wait_for(
            lambda: (status := services.get("/model/debug/orchestrator")["data"])["cycle"] > first["cycle"]
            and status["state"] == "idle" and status, "the cycle")
        seconds = time.perf_counter() - started
        used = (cpu_seconds(ingest) - before[0], cpu_seconds(storage) - before[1])
        print(f"a cycle without news:      {cycle['progress']['filesFound']:,} files listed, "
              f"{cycle['progress']['filesRead']} read in {seconds:.2f} s, {used[0]:.2f} s of CPU (aim: 1 s), "
              f"{used[1]:.2f} s more in storage-svc, peak {peak_mb(ingest):.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="where the programs are")
    parser.add_argument("--month", default="target/bench-month", help="where the month is kept from run to run")
    parser.add_argument("--many", default="target/bench-many", help="where the many files are kept from run to run")
    parser.add_argument("--skip-many", action="store_true", help="only the month")
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    programs = pathlib.Path(options.bin).resolve()
    print("a month of 20 clusters")
    month(root, programs, pathlib.Path(options.month).resolve())
    bounded(root, programs, pathlib.Path(options.month).resolve())
    if not options.skip_many:
        print("\n200 clusters, 91 days and 49 hours")
        nothing_new(root, programs, pathlib.Path(options.many).resolve())


if __name__ == "__main__":
    main()
