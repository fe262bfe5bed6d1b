"""Compares what an example printed with the HTTP API: `compare.py FILE ADDRESS DAYS`."""

import json
import sys
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

printed = {}
for line in Path(sys.argv[1]).read_text().splitlines():
    cost, name = line.split(maxsplit=1)
    printed[name] = float(cost)
midnight = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
start = midnight - timedelta(days=int(sys.argv[3]))
window = f"{start:%Y-%m-%dT%H:%M:%SZ},{midnight:%Y-%m-%dT%H:%M:%SZ}"
url = f"{sys.argv[2]}/allocation?window={window}&aggregate=cluster&accumulate=true"
with urllib.request.urlopen(url, timeout=60) as answer:
    (items,) = json.load(answer)["data"]
expected = {name: item["totalCost"] for name, item in items.items()}
if not expected or expected.keys() != printed.keys():
    sys.exit(f"the example has {sorted(printed)}, HTTP has {sorted(expected)}")
for name, cost in expected.items():
    # The example prints cents.
    if abs(cost - printed[name]) > 0.006:
        sys.exit(f"{name}: the example has {printed[name]}, HTTP has {cost}")
if list(printed.values()) != sorted(printed.values(), reverse=True):
    sys.exit("the example is not in order")
print(f"HTTP has the same {len(expected)} costs")
