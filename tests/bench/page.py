"""Times the web page: from asking for it to its first figures in a fresh browser, on the month of month.py."""

import argparse
import pathlib
import subprocess

from ingest import Services

WINDOW = "2026-03-01T00:00:00Z,2026-03-31T00:00:00Z"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="target/release", help="where the programs are")
    parser.add_argument("--month", default="target/bench-month", help="where the month is kept from run to run")
    parser.add_argument("--times", default="10", help="how often each view is asked for")
    options = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    programs, data = pathlib.Path(options.bin).resolve(), pathlib.Path(options.month).resolve()
    bucket = data / "bucket"
    if not (bucket / "federated").exists():
        raise SystemExit(f"{bucket} holds no month yet; `make bench` makes it")
    with Services(root, programs, data, bucket) as services:
        services.wait_for(lambda: "read ahead" in (data / "services.log").read_text(), "the tables in memory")
        print("| view | first figures, p50 ms | p95 ms |\n|---|---|---|", flush=True)
        base = f"http://127.0.0.1:{services.ports['GATEWAY_PORT']}"
        script = root / "ui/bench/first-figures.mjs"
        subprocess.run(["node", script, base, WINDOW, options.times], cwd=root / "ui", check=True)


if __name__ == "__main__":
    main()
