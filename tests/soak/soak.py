"""Two hours' worth of traffic in minutes, with files that change, rolling restarts and renewed certificates: no request may
fail, and no process may grow after it is warm.

Two gateway-svc and two query-svc stand behind a balancer each, as behind a Service of Kubernetes: a process is taken out of
it, and ended after a pause. storage-svc and ingest-svc are single and restarted in place. All of it on loopback.

Usage: soak.py --bin FOLDER [--minutes 10] [--rate 20]
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS = [
    "/allocation?window=7d&aggregate=namespace&accumulate=true",
    "/model/allocation?window=3d&aggregate=cluster",
    "/model/allocation?window=7d&aggregate=label:team&accumulate=true&shareIdle=true",
    "/model/allocation?window=2d&aggregate=pod&limit=50",
    "/model/assets?window=7d&aggregate=type&accumulate=true",
    "/model/allocation/summary?window=5d&aggregate=controller",
    "/model/clusterInfoMap",
]
# As the chart's shutdown.delaySeconds, in small.
TAKEN_OUT = 1.0
# A process may be this much larger at the end than when it was warm.
GROWTH = 1.15


def free_ports(count):
    import socket

    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Balancer:
    """Hands each connection to one of the processes that are in."""

    def __init__(self, port):
        self.port, self.members, self.next = port, [], 0
        # The event loop alone holds tasks too loosely: one that waits may be collected as garbage, with its connection.
        self.connections = set()

    async def start(self):
        self.server = await asyncio.start_server(self.connect, "127.0.0.1", self.port, backlog=1024)

    async def connect(self, reader, writer):
        task = asyncio.current_task()
        self.connections.add(task)
        task.add_done_callback(self.connections.discard)
        with contextlib.closing(writer):
            if not self.members:
                return
            self.next += 1
            try:
                onward = await asyncio.open_connection("127.0.0.1", self.members[self.next % len(self.members)])
            except OSError:
                return
            onward_reader, onward_writer = onward
            with contextlib.closing(onward_writer):
                await asyncio.gather(pump(reader, onward_writer), pump(onward_reader, writer))


async def pump(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        # So that the other side hears of it too.
        writer.transport.abort()


class Process:
    def __init__(self, name, program, config, admin, log):
        self.name, self.program, self.config, self.admin, self.log = name, program, config, admin, log
        self.memory = []

    async def start(self):
        self.started = time.monotonic()
        self.process = await asyncio.create_subprocess_exec(
            self.program, "--config", str(self.config), stderr=self.log.open("ab"), stdin=subprocess.DEVNULL
        )
        while not await asyncio.to_thread(self.is_ready):
            if self.process.returncode is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.1)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/readyz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    async def stop(self):
        self.process.terminate()
        code = await asyncio.wait_for(self.process.wait(), 60)
        if code != 0:
            sys.exit(f"{self.name} ended with {code}")

    def look(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return
        value = re.search(r"^process_resident_memory_bytes (\S+)", text, re.M)
        self.memory.append((time.monotonic(), self.started, float(value[1])))


def ask(address, path):
    try:
        with urllib.request.urlopen(address + path, timeout=60) as answer:
            json.load(answer)
            return None if answer.status == 200 else f"{answer.status}"
    except Exception as error:  # whatever it is, it is a request that was lost
        return f"{error!r} {getattr(error, 'read', lambda: b'')()[:300]!r}"


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    # 20 in a second for ten minutes are as many as one every 0.6 seconds for two hours.
    parser.add_argument("--rate", type=float, default=20)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fedcost-soak-"))
    processes = []
    try:
        await soak(given, folder, processes)
    finally:
        for process in processes:
            if process.process.returncode is None:
                process.process.kill()
                await process.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def soak(given, folder, processes):
    fedcost = given.bin / "fedcost"
    run = lambda *arguments: subprocess.run([fedcost, *arguments], check=True, stdout=subprocess.DEVNULL)
    run("demo-data", "--bucket", str(folder / "bucket"))
    for service in ("storage-svc", "ingest-svc", "query-svc", "gateway-svc"):
        run("certs", "issue", "--service", service, "--dir", str(folder / "certs"))
    ports = iter(free_ports(20))
    storage_port, ingest_port, query_balancer, gateway_balancer = (next(ports) for _ in range(4))

    def process(name, service, port, extra):
        admin = next(ports)
        certs = folder / "certs"
        config = folder / f"{name}.yaml"
        config.write_text(
            f"server:\n  listen: 127.0.0.1:{port}\n"
            f"  tls: {{ca: {certs}/ca.pem, cert: {certs}/service/{service}/cert.pem, key: {certs}/service/{service}/key.pem}}\n"
            f"  admin: {{listen: '127.0.0.1:{admin}'}}\n  log: {{level: warn}}\n{extra}"
        )
        one = Process(name, given.bin / service, config, admin, folder / f"{name}.log")
        processes.append(one)
        return one

    at = lambda port: f"{{address: 'https://127.0.0.1:{port}'}}\n"
    storage = process("storage-svc", "storage-svc", storage_port, f"directory: {folder}/bucket\n")
    ingest = process("ingest-svc", "ingest-svc", ingest_port, f"storage: {at(storage_port)}refresh: 10s\n")
    replicas = {}
    for service, balancer, extra in (
        ("query-svc", query_balancer, f"storage: {at(storage_port)}memory_mib: 256\nwarm_mib: 128\n"),
        ("gateway-svc", gateway_balancer, f"query: {at(query_balancer)}ingest: {at(ingest_port)}"),
    ):
        balancer = Balancer(balancer)
        await balancer.start()
        for number in (1, 2):
            port = next(ports)
            one = process(f"{service}-{number}", service, port, extra)
            replicas[one.name] = (one, balancer, port)
    for one in processes:
        await one.start()
        if one.name in replicas:
            _, balancer, port = replicas[one.name]
            balancer.members.append(port)

    address = f"http://127.0.0.1:{gateway_balancer}"
    failures, durations, asked = [], [], 0
    end = time.monotonic() + given.minutes * 60
    running = asyncio.Event()
    running.set()
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(64)

    async def one_question():
        path = random.choice(QUESTIONS)
        began = time.monotonic()
        failure = await asyncio.get_running_loop().run_in_executor(pool, ask, address, path)
        durations.append(time.monotonic() - began)
        if failure:
            failures.append(f"{time.monotonic() - start:.1f} s, {doing}: {path}: {failure}")

    doing = "nothing"
    start = time.monotonic()
    restarts = renewals = uploads = 0

    async def traffic():
        nonlocal asked
        under_way = set()
        while time.monotonic() < end:
            asked += 1
            task = asyncio.create_task(one_question())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(random.expovariate(given.rate))
        await asyncio.gather(*under_way)
        running.clear()

    async def roll():
        nonlocal doing, restarts, renewals
        # Lives long enough that growth would show.
        life = given.minutes * 60 / 4
        while time.monotonic() + life < end:
            await asyncio.sleep(life)
            for one in processes:
                if time.monotonic() > end - 20:
                    return
                doing = f"restarting {one.name}"
                if one.name in replicas:
                    _, balancer, port = replicas[one.name]
                    balancer.members.remove(port)
                    await asyncio.sleep(TAKEN_OUT)
                await one.stop()
                await one.start()
                if one.name in replicas:
                    balancer.members.append(port)
                restarts += 1
                doing = "nothing"
                await asyncio.sleep(3)
            doing = "renewing certificates"
            for service in ("storage-svc", "ingest-svc", "query-svc", "gateway-svc"):
                # Issued anew though good, as cert-manager would in the end.
                shutil.rmtree(folder / "certs" / "service" / service)
                await asyncio.to_thread(run, "certs", "issue", "--service", service, "--dir", str(folder / "certs"))
            renewals += 1
            doing = "nothing"

    async def watch():
        while running.is_set():
            for one in processes:
                await asyncio.to_thread(one.look)
            await asyncio.sleep(5)

    async def upload():
        """As agents do, so that releases come and go: a file of theirs is replaced, whole, by the same again."""
        nonlocal uploads
        files = sorted((folder / "bucket" / "federated").glob("*/etl/bingen/*/*/*"))
        while running.is_set():
            path = random.choice(files)
            await asyncio.to_thread(shutil.copyfile, path, folder / "upload")
            (folder / "upload").replace(path)
            uploads += 1
            await asyncio.sleep(5)

    beside = [asyncio.create_task(one()) for one in (roll, watch, upload)]
    await traffic()
    await asyncio.gather(*beside)

    durations.sort()
    # Not from this thread, which is the balancers'.
    status = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(f"{address}/status", timeout=60)))
    print(
        f"{asked} requests in {time.monotonic() - start:.0f} s, {restarts} restarts, {renewals} renewals of all certificates, "
        f"{uploads} files replaced, {status['release']['number']} releases"
    )
    print(f"time to answer: half within {statistics.median(durations) * 1000:.0f} ms, 99 of 100 within {durations[int(len(durations) * 0.99) - 1] * 1000:.0f} ms")
    grown = []
    for one in processes:
        # Of the same age, so that what a process takes while it starts is not compared with what it needs when it is warm.
        lives = {}
        for moment, started, size in one.memory:
            lives.setdefault(started, []).append((moment - started, size))
        sizes = [statistics.median(size for _, size in life[-3:]) for life in lives.values() if life]
        print(f"{one.name}: memory at the end of each life: {', '.join(f'{size / 2**20:.0f}' for size in sizes)} MiB")
        longest = max(lives.values(), key=len, default=[])
        if len(longest) >= 12:
            third = len(longest) // 3
            warm = statistics.median(size for _, size in longest[third : 2 * third])
            last = statistics.median(size for _, size in longest[2 * third :])
            if last > GROWTH * warm + 8 * 2**20:
                grown.append(f"{one.name} grew from {warm / 2**20:.0f} to {last / 2**20:.0f} MiB")
    if failures:
        sys.exit(f"{len(failures)} requests failed:\n" + "\n".join(failures[:20]))
    if grown:
        sys.exit("\n".join(grown))
    print("no request failed, and no process grew")


if __name__ == "__main__":
    asyncio.run(main())
