"""Asks what a Grafana dashboard asks, and checks that each column that it shows is there: `dashboard.py FILE ADDRESS`."""

import csv
import io
import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

dashboard = json.loads(Path(sys.argv[1]).read_text())
now = int(time.time())
variables = {
    "${__from:date:seconds}": str(now - now % 86400 - 7 * 86400),
    "${__to:date:seconds}": str(now),
    "${address}": sys.argv[2],
}
choices = next(item for item in dashboard["templating"]["list"] if item["name"] == "by")["query"].split(",")


def filled(text, by):
    for name, value in {**variables, "${by}": by}.items():
        text = text.replace(name, value)
    if "${" in text:
        sys.exit(f"unknown variable in {text}")
    return text


asked = 0
for panel in dashboard["panels"]:
    for target in panel["targets"]:
        for by in choices:
            parameters = [(item["key"], filled(item["value"], by)) for item in target["url_options"]["params"]]
            url = filled(target["url"], by) + "?" + urllib.parse.urlencode(parameters)
            with urllib.request.urlopen(url, timeout=60) as answer:
                rows = list(csv.DictReader(io.TextIOWrapper(answer, "utf-8")))
            if not rows:
                sys.exit(f"{panel['title']}: no rows from {url}")
            for column in target["columns"]:
                if column["selector"] not in rows[0]:
                    sys.exit(f"{panel['title']}: no column {column['selector']} from {url}")
                if column["type"] == "number":
                    float(rows[0][column["selector"]] or 0)
            asked += 1
print(f"the dashboard's {asked} questions are answered")
